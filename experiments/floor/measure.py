"""How often a text that is no answer beats the answer that its user chose, with and without the floor.

    python experiments/floor/measure.py --data-dir FOLDER --weights w0.npz w1.npz w2.npz w3.npz

`--weights` are those of `train.py --without 0` to `3`: every pair is judged by a floor that learned nothing
from its prompt. Also what the floor does to real answers, and to rightful odd ones that were written for the
test.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import corpora
import numpy as np

from reward_models import method
from reward_models.floor._base_floor import BaseFloor
from synthesizeme.datasets import read_pairs
from synthesizeme.evaluation.no_answers import KINDS, Source
from synthesizeme.scoring import as_answers
from synthesizeme.types import Message, last_user_turn

HERE = Path(__file__).parent
METHODS = {
    "hierarchical": {"encoder": "minilm"}, "hierarchical-static": {"encoder": "static"},
    "hierarchical-stylometric": {}, "pooled-own": {},
}  # fmt: skip


def pairs_of(folder: Path, name: str):
    return read_pairs(folder / f"{name}.jsonl.gz").pairs


def interval(values: np.ndarray, users: list[str], draws: int = 1000) -> list[float]:
    """95 % interval of a mean, users resampled."""
    names, whose = np.unique(users, return_inverse=True)
    sums, counts = np.bincount(whose, values), np.bincount(whose)
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(names), size=(draws, len(names)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    return np.quantile(means, [0.025, 0.975]).round(3).tolist()


def values(model, rows) -> np.ndarray:
    """Tastes of (prompt, text, user) rows."""
    prompts, texts, users = zip(*rows, strict=True)
    return np.array([it.taste for it in model.taste_rewards(as_answers(prompts, texts, users))])


def no_answers(pairs, rng: random.Random):
    """For each kind, the pairs it applies to and its texts."""
    found = {}
    for kind, make in KINDS.items():
        rows = []
        for i, pair in enumerate(pairs):
            other = rng.choice(pairs)
            while other.prompt == pair.prompt:
                other = rng.choice(pairs)
            text = make(Source(last_user_turn(pair.prompt), pair.chosen_text, other.chosen_text), rng)
            if text is not None:
                rows.append((i, text))
        found[kind] = rows
    return found


def real(model, floors_of, pairs) -> dict[str, float]:
    """What the floor does to real answers: how many lose more than .1, and accuracy with it and without."""
    both = [(p.prompt, text, p.user_id) for p in pairs for text in (p.chosen_text, p.rejected_text)]
    taste, fallen = values(model, both), floors_of(both)
    unit = model.standing.unit
    margin = taste[::2] - taste[1::2]
    with_floor = margin - unit * (fallen[::2] - fallen[1::2])
    return {
        "answers": len(both), "lose more than .1": float((unit * fallen > 0.1).mean()),
        "accuracy without": float((margin > 0).mean()), "accuracy with": float((with_floor > 0).mean()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--weights", type=Path, nargs=4, required=True)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "beats.json")
    args = parser.parse_args()
    llmfao = pairs_of(args.data_dir, "llmfao")
    # As a fitted model does, the floor knows the prompts of training by their meaning.
    prompts = list({last_user_turn(p.prompt): p.prompt for p in llmfao if p.split != "test"}.values())
    floors = [BaseFloor(path) for path in args.weights]
    floors = [floor.beside(floor.meanings(prompts)) for floor in floors]
    fold_of = {last_user_turn(p.prompt): int(p.metadata["prompt_fold"]) for p in llmfao}

    def by_fold(rows) -> np.ndarray:
        folds = np.array([fold_of.get(last_user_turn(prompt), 0) for prompt, _, _ in rows])
        found = np.zeros(len(rows))
        for f, floor in enumerate(floors):
            there = np.flatnonzero(folds == f).tolist()
            if there:
                found[there] = floor.shortfalls([rows[i][0] for i in there], [rows[i][1] for i in there])
        return found

    learned = ("train",) if args.split == "validation" else ("train", "validation")
    test = [p for p in llmfao if p.split == args.split]
    attacks = no_answers(test, random.Random(0))
    asked = {k: [(test[i].prompt, text, test[i].user_id) for i, text in rows] for k, rows in attacks.items()}
    chosen = [(p.prompt, p.chosen_text, p.user_id) for p in test]
    falls, stands = {k: by_fold(rows) for k, rows in asked.items()}, by_fold(chosen)
    report = {"beats": {}, "real": {}}
    for name in args.methods:
        kind = "hierarchical" if name.startswith("hierarchical-static") else name
        model = method(kind)(**METHODS[name]).fit([p for p in llmfao if p.split in learned])
        unit, best = model.standing.unit, values(model, chosen)
        rows = {}
        for k, texts in asked.items():
            i = [i for i, _ in attacks[k]]
            taste = values(model, texts)
            plain = (taste > best[i]).astype(float)
            floored = (taste - unit * falls[k] > best[i] - unit * stands[i]).astype(float)
            users = [test[j].user_id for j in i]
            rows[k] = {"texts": len(i), "none": plain.mean(), "none interval": interval(plain, users),
                       "base": floored.mean(), "base interval": interval(floored, users)}  # fmt: skip
        report["beats"][name] = rows
        report["real"][name] = {"llmfao": real(model, by_fold, test)}
        print(
            name,
            f"unit {unit:.2f}",
            "mean",
            *(round(float(np.mean([r[c] for r in rows.values()])), 3) for c in ("none", "base")),
        )
        for k, row in rows.items():
            print(f"  {k:26s} {row['none']:.3f} -> {row['base']:.3f}", flush=True)
        print("  ", report["real"][name])
    shipped = BaseFloor()
    for data in ("polis", "remesh"):
        some = [p for p in pairs_of(args.data_dir, data) if p.split in learned]
        model = method("hierarchical-stylometric")(tastes="none").fit(some)
        rows = [p for p in pairs_of(args.data_dir, data) if p.split == args.split]
        report["real"][data] = real(
            model, lambda rows: shipped.shortfalls([r[0] for r in rows], [r[1] for r in rows]), rows
        )
        print(data, report["real"][data], flush=True)
    odd = corpora.written("odd_test")
    prompts = [(Message(role="user", content=row.prompt),) for row in odd]
    lost = shipped.shortfalls(prompts, [row.response for row in odd]) > 0.1
    report["odd"] = {
        "answers": len(odd),
        "lose more than .1": float(lost.mean()),
        "kinds": sorted({r.kind for r, it in zip(odd, lost, strict=True) if it}),
    }
    print("rightful odd answers", report["odd"])
    args.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
