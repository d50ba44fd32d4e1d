"""The authors' public package beside this project, on the same planted users and behind the same model.

python experiments/public_implementation/run.py --api-base URL --python PYTHON

PYTHON is the interpreter of an environment of its own with `synthesizeme` from PyPI (without its
dependencies), dspy 2.6.27, pandas, platformdirs and python-dotenv. URL is a server of the OpenAI protocol
whose model reads the prompts of both, and answers a question always alike. A failed verdict counts as wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np
from counting import counting

from synthesizeme import LLMJudge, Session, SynthesizeMe, evaluate, open_model
from synthesizeme.backends import ModelSettings
from synthesizeme.datasets.synthetic import planted_population

HERE = Path(__file__).parent
USERS, TRAIN, VALIDATION, TEST, SEED = 30, 14, 6, 10, 0
SEARCHES = ("economical", "paper")
COSTS = ("calls", "distinct_calls", "prompt_tokens", "completion_tokens")


def split(pairs):
    """The same pairs for everybody: 14 to learn from, 6 to choose by, 10 to be measured on."""
    names = ["train"] * TRAIN + ["validation"] * VALIDATION + ["test"] * TEST
    return [pair.model_copy(update={"split": name}) for pair, name in zip(pairs, names, strict=True)]


def as_rows(pairs, rng):
    """Pairs as the public package takes them; half of them with the chosen answer first."""
    found = {"train": [], "validation": [], "test": []}
    for pair in pairs:
        found[pair.split].append({
            "context": [{"role": turn.role, "content": turn.content} for turn in pair.prompt],
            "chosen": {"role": "assistant", "content": pair.chosen_text},
            "rejected": {"role": "assistant", "content": pair.rejected_text},
            "flip": rng.random() < 0.5,
        })  # fmt: skip
    return found


@contextmanager
def theirs(users, api_base, python):
    """Starts the public package on these users; what is given waits for it and tells what it found."""
    rows = {user: as_rows(pairs, Random(f"{SEED} {user}")) for user, pairs in users.items()}
    with tempfile.TemporaryDirectory() as folder, counting(api_base) as (counted, _):
        asked, found = Path(folder) / "users.json", Path(folder) / "found.json"
        asked.write_text(json.dumps(rows))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it asks the network for a price list
        command = [python, str(HERE / "theirs.py"), str(asked), counted, str(found)]
        process = subprocess.Popen(command, env=environment, cwd=folder, stderr=subprocess.DEVNULL)

        def done():
            if process.wait():
                raise SystemExit(f"the public package ended with status {process.returncode}: {command}")
            return json.loads(found.read_text())

        try:
            yield done
        finally:
            process.kill()


def opened(api_base):
    return open_model("model", ModelSettings(api_base=api_base, api_key="none"))


def ours(users, api_base, counts, search):
    """The same of this project."""
    found = []
    for user, pairs in users.items():
        with Session(opened(api_base)) as session:
            counts.take()
            profile = SynthesizeMe(session, search=search).fit(pairs)
            row = {"user": user, **counts.take()}
            test = [pair for pair in pairs if pair.split == "test"]
            outcome = evaluate(LLMJudge(session.ledger(), {user: profile}), test)
            counts.take()
        row["right"] = [2 * (pair.score or 0) for pair in outcome.pairs]
        row["persona"] = profile.persona is not None
        row["demonstrations"] = len(profile.demonstrations)
        found.append(row)
    return found


def nobody(users, api_base):
    """The judge of this project that knows nobody."""
    with Session(opened(api_base)) as session:
        judge, found = LLMJudge(session.ledger()), []
        for user, pairs in users.items():
            outcome = evaluate(judge, [pair for pair in pairs if pair.split == "test"])
            found.append({"user": user, "right": [2 * (pair.score or 0) for pair in outcome.pairs]})
        return found


def interval(values):
    """Mean and 95 % interval over users, by resampling them."""
    values = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(SEED).choice(values, (4000, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}


def accuracies(rows):
    return np.array([np.mean(row["right"]) / 2 for row in rows])


def summary(measured):
    """Means over users of costs and accuracy, and differences of accuracy to the public package."""
    public, found = accuracies(measured["public package"]), {}
    for name, rows in measured.items():
        found[name] = {"accuracy": interval(accuracies(rows))}
        found[name]["less the public package"] = interval(accuracies(rows) - public)
        found[name] |= {cost: float(np.mean([r[cost] for r in rows])) for cost in COSTS if cost in rows[0]}
    return found


def write(document, out):
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n")


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--api-base", required=True, help="e.g. http://127.0.0.1:8000/v1")
    parser.add_argument("--python", required=True, help="interpreter of the public package's environment")
    parser.add_argument("--searches", default=",".join(SEARCHES), help="of this project")
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "results.json")
    options = parser.parse_args(words)
    population = planted_population(options.users, TRAIN + VALIDATION + TEST, seed=SEED)
    users = {user: split(pairs) for user, pairs in population.by_user.items()}
    document = {
        "users": len(users), "pairs": {"train": TRAIN, "validation": VALIDATION, "test": TEST},
        "seed": SEED, "by user": {},
    }  # fmt: skip
    with theirs(users, options.api_base, options.python) as public:
        document["by user"]["nobody"] = nobody(users, options.api_base)
        with counting(options.api_base) as (api_base, counts):
            for search in options.searches.split(","):
                document["by user"][search] = ours(users, api_base, counts, search)
                write(document, options.out)
        found = public()
    document["by user"]["public package"] = found["users"]
    document["dspy of the public package"] = found["dspy"]
    document["summary"] = summary(document["by user"])
    write(document, options.out)
    print(json.dumps(document["summary"], indent=1))


if __name__ == "__main__":
    main()
