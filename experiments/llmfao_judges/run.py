"""Judges on real people, beside recorded verdicts, references and controls.

    python experiments/llmfao_judges/run.py --data-dir FOLDER_WITH_THE_LLMFAO_FILES

One benchmark of it by hand:

    synthesizeme evaluate --benchmark llmfao/seen-prompts --controls --data-dir FOLDER \\
        --scorer default,memory,persona,demonstrations,both,gpt4,gpt3,majority,longer,random,oracle
"""

from __future__ import annotations

import argparse
import json
import statistics
import tomllib
from pathlib import Path

from synthesizeme import Session, open_model
from synthesizeme.evaluation.benchmarks import load_benchmark, resplits
from synthesizeme.personas.scorers import JUDGES, REFERENCES, Scorers
from synthesizeme.personas.workflow import InductionSettings

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    data_dir = parser.parse_args().data_dir
    config = tomllib.loads((HERE / "config.toml").read_text())
    settings = InductionSettings(effort=config["effort"], seed=config["seed"])

    def measure(benchmark, names, *, controls):
        with Session(open_model(config["model"])) as session:
            return Scorers(benchmark, settings, session=session).report(names, controls=controls)

    for name in config["benchmarks"]:
        report = measure(load_benchmark(name, data_dir), (*JUDGES, *REFERENCES), controls=True)
        report.save(HERE / "results" / name.split("/")[1])
        print(report.to_markdown(), flush=True)
    seen = load_benchmark("llmfao/seen-prompts", data_dir)
    fresh = [
        {row.name: row for row in measure(again, JUDGES, controls=False).rows}
        for again in resplits(seen, n=config["resplits"], seed=config["seed"])
    ]
    means = {}
    for name in JUDGES:
        each = [rows[name].micro for rows in fresh]
        means[name] = {"mean": statistics.fmean(each), "each": [round(value, 4) for value in each]}
        print(
            f"{name}: mean over {len(each)} re-splits {means[name]['mean']:.3f}, each {means[name]['each']}"
        )
    (HERE / "results" / "resplits.json").write_text(json.dumps(means, indent=2) + "\n")


if __name__ == "__main__":
    main()
