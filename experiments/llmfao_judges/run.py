"""Judges on real people, beside recorded verdicts, references and controls.

    python experiments/llmfao_judges/run.py --data-dir FOLDER_WITH_THE_LLMFAO_FILES

One benchmark of it by hand:

    synthesizeme evaluate --benchmark llmfao/seen-prompts --controls --data-dir FOLDER \\
        --scorers default,memory,persona,demonstrations,both,gpt4,gpt3,majority,longer,random,oracle
"""

from __future__ import annotations

import argparse
import json
import statistics
import tomllib
from pathlib import Path

from synthesizeme import Session, open_model
from synthesizeme.evaluation.benchmarks import load_benchmark, resplits
from synthesizeme.evaluation.intervals import paired_difference
from synthesizeme.induction.one_user import InductionSettings
from synthesizeme.judges.by_name import Scorers
from synthesizeme.judges.names import JUDGES, REFERENCES

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    data_dir = parser.parse_args().data_dir
    config = tomllib.loads((HERE / "config.toml").read_text())
    settings = InductionSettings(effort=config["effort"], seed=config["seed"])

    differences, fresh = {}, []
    with Session(open_model(config["model"])) as session:
        for name in config["benchmarks"]:
            scorers = Scorers(load_benchmark(name, data_dir), settings, session=session)
            report = scorers.report((*JUDGES, *REFERENCES), controls=True)
            report.save(HERE / "results" / name.split("/")[1])
            print(report.to_markdown(), flush=True)
            differences[name] = {
                f"both minus {other}": paired_difference(
                    scorers.outcome("both"), scorers.outcome(other)
                ).model_dump()
                for other in ("gpt4", "gpt3", "majority", "memory")
            }
        seen = load_benchmark("llmfao/seen-prompts", data_dir)
        for again in resplits(seen, n=config["resplits"], seed=config["seed"]):
            scorers = Scorers(again, settings, session=session)
            fresh.append({name: scorers.outcome(name).micro for name in JUDGES})
    (HERE / "results" / "differences.json").write_text(json.dumps(differences, indent=2) + "\n")
    means = {}
    for name in JUDGES:
        each = [found[name] for found in fresh]
        means[name] = {"mean": statistics.fmean(each), "each": [round(value, 4) for value in each]}
        print(
            f"{name}: mean over {len(each)} re-splits {means[name]['mean']:.3f}, each {means[name]['each']}"
        )
    (HERE / "results" / "resplits.json").write_text(json.dumps(means, indent=2) + "\n")


if __name__ == "__main__":
    main()
