"""What a language model adds to the floor: the same table as `measure.py`, on a sample of pairs.

    python experiments/floor/language_model.py --data-dir FOLDER --model FOLDER \\
        --weights w0.npz w1.npz w2.npz w3.npz

`--weights` are those of `train.py --without 0` to `3`. Every pair is judged by a base floor that learned
nothing from its prompt, and by limits of the language model that were found on answers to other prompts.
`--readings` keeps what the model read, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import zlib
from pathlib import Path

import corpora
import numpy as np
from measure import interval, no_answers, pairs_of, values

from reward_models import method
from reward_models.floor import base_floor
from reward_models.floor._base_floor import BaseFloor
from reward_models.floor._language_model import LanguageModelFloor
from reward_models.floor._likelihood import LanguageModel, Likelihoods, open_language_model
from synthesizeme.types import Message, last_user_turn

HERE = Path(__file__).parent
FOLDS = 4


class Remembered:
    """Reads every text once, and keeps what it read between runs."""

    def __init__(self, model: LanguageModel, path: Path | None) -> None:
        self._read, self._path, self._known = model.read, path, {}
        if path is not None and path.exists():
            self._known = pickle.loads(path.read_bytes())

    def __call__(self, prompts, responses) -> Likelihoods:
        rows = list(zip(map(tuple, prompts), responses, strict=True))
        new = sorted(
            {row for row in rows if row not in self._known}, key=lambda row: (last_user_turn(row[0]), row[1])
        )
        for start in range(0, len(new), 100):
            some = new[start : start + 100]
            found = np.array(self._read([p for p, _ in some], [r for _, r in some])).T
            self._known.update(zip(some, found, strict=True))
            if self._path is not None:
                self._path.write_bytes(pickle.dumps(self._known))
            print(f"  read {start + len(some)} of {len(new)} texts", flush=True)
        return Likelihoods(
            *np.array([self._known[row] for row in rows]).reshape(-1, len(Likelihoods._fields)).T
        )


def fold(pair) -> int:
    """All pairs of a prompt fall together."""
    named = pair.metadata.get("prompt_fold")
    return int(named) if named is not None else zlib.crc32(last_user_turn(pair.prompt).encode()) % FOLDS


def calibrated(base: BaseFloor, name: str, pairs) -> LanguageModelFloor:
    """A floor with the limits of the answers of these pairs."""
    found = LanguageModelFloor(base, name)
    found.calibrate(
        [p.prompt for p in pairs] * 2, [*(p.chosen_text for p in pairs), *(p.rejected_text for p in pairs)]
    )
    return found


class Measured:
    """A sample of test pairs of one data set with a model of tastes and the floors of every fold."""

    def __init__(self, pairs, split: str, size: int, taste, floors: dict[str, list]) -> None:
        learned = ("train",) if split == "validation" else ("train", "validation")
        self.taste = taste.fit([p for p in pairs if p.split in learned])
        test = [p for p in pairs if p.split == split]
        self.pairs = random.Random(0).sample(test, min(size, len(test)))
        self._floors = floors

    def falls(self, floor: str, rows, folds) -> np.ndarray:
        """Shortfalls of rows by the floor of each one's fold, in the unit of the tastes."""
        found, folds = np.zeros(len(rows)), np.array(folds)
        for f in range(FOLDS):
            there = np.flatnonzero(folds == f).tolist()
            if there:
                some = [rows[i] for i in there]
                found[there] = self._floors[floor][f].shortfalls([r[0] for r in some], [r[1] for r in some])
        return self.taste.standing.unit * found

    def real(self, floor: str) -> dict[str, float]:
        """How many real answers lose more than .1, and accuracy with the floor and without."""
        both = [(p.prompt, text, p.user_id) for p in self.pairs for text in (p.chosen_text, p.rejected_text)]
        fallen = self.falls(floor, both, [fold(p) for p in self.pairs for _ in range(2)])
        taste = values(self.taste, both)
        margin, floored = taste[::2] - taste[1::2], (taste - fallen)[::2] - (taste - fallen)[1::2]
        return {
            "answers": len(both), "lose more than .1": float((fallen > 0.1).mean()),
            "lose more than a half": float((fallen > 0.5 * self.taste.standing.unit).mean()),
            "accuracy without": float((margin > 0).mean()), "accuracy with": float((floored > 0).mean()),
        }  # fmt: skip

    def beats(self, count: int) -> dict[str, dict[str, object]]:
        """Share of no-answers of each kind that beat the chosen answer, by floor, on the first pairs."""
        pairs = self.pairs[:count]
        folds = [fold(p) for p in pairs]
        chosen = [(p.prompt, p.chosen_text, p.user_id) for p in pairs]
        best = values(self.taste, chosen)
        stands = {name: self.falls(name, chosen, folds) for name in self._floors}
        found = {}
        for kind, made in no_answers(pairs, random.Random(0)).items():
            i = [i for i, _ in made]
            rows = [(pairs[j].prompt, text, pairs[j].user_id) for j, text in made]
            taste, users = values(self.taste, rows), [pairs[j].user_id for j in i]
            row: dict[str, object] = {"texts": len(i), "none": float((taste > best[i]).mean())}
            for name in self._floors:
                beaten = taste - self.falls(name, rows, [folds[j] for j in i]) > best[i] - stands[name][i]
                row |= {name: float(beaten.mean()), f"{name} interval": interval(beaten.astype(float), users)}
            found[kind] = row
            print(
                f"{kind:26s}",
                len(i),
                {k: round(v, 3) for k, v in row.items() if isinstance(v, float)},
                flush=True,
            )
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", required=True, help="folder or hub name of a causal language model")
    parser.add_argument("--weights", type=Path, nargs=FOLDS, required=True)
    parser.add_argument("--pairs", type=int, default=100, help="test pairs of each data set")
    parser.add_argument(
        "--attacked", type=int, default=100, help="those of llmfao that no-answers are made for"
    )
    parser.add_argument(
        "--calibrated-on", type=int, default=128, help="pairs whose answers limits are found on"
    )
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--readings", type=Path, help="where likelihoods are kept between runs")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "language_model.json")
    args = parser.parse_args()
    reader = open_language_model(args.model, "cpu")
    reader.read = Remembered(reader, args.readings)
    llmfao = pairs_of(args.data_dir, "llmfao")
    prompts = list({last_user_turn(p.prompt): p.prompt for p in llmfao if p.split != "test"}.values())
    bases = {"llmfao": [it.beside(it.meanings(prompts)) for it in map(BaseFloor, args.weights)]}
    report: dict[str, object] = {
        "model": reader.identity,
        "pairs": args.pairs,
        "attacked": args.attacked,
        "calibrated on": args.calibrated_on,
        "real": {},
    }
    for name in ("llmfao", "polis", "remesh"):
        pairs = pairs_of(args.data_dir, name)
        learned = [
            p
            for p in pairs
            if p.split in (("train",) if args.split == "validation" else ("train", "validation"))
        ]
        base = bases.get(name, [base_floor()] * FOLDS)
        some = random.Random(1).sample(learned, args.calibrated_on)
        with_lm = [calibrated(base[f], args.model, [p for p in some if fold(p) != f]) for f in range(FOLDS)]
        built_in = [LanguageModelFloor(base[f], args.model) for f in range(FOLDS)]
        taste = (
            method("hierarchical")(encoder="static")
            if name == "llmfao"
            else method("hierarchical-stylometric")(tastes="none")
        )
        it = Measured(
            pairs,
            args.split,
            args.pairs,
            taste.stand_on("none"),
            {"base": base, "lm": with_lm, "lm built in": built_in},
        )
        report["real"][name] = {floor: it.real(floor) for floor in ("base", "lm", "lm built in")}
        print(
            name,
            [floor.limits() for floor in with_lm],
            json.dumps(report["real"][name], indent=1),
            flush=True,
        )
        if name == "llmfao":
            report["beats"] = it.beats(args.attacked)
    report["odd"] = odd(
        LanguageModelFloor(base_floor(), args.model), "odd_test" if args.split == "test" else "odd_a"
    )
    args.out.write_text(json.dumps(report, indent=1) + "\n")


def odd(floor: LanguageModelFloor, name: str) -> dict[str, object]:
    """Rightful odd answers that lose more than .1, with the built-in limits."""
    rows = corpora.written(name)
    prompts, texts = (
        [(Message(role="user", content=row.prompt),) for row in rows],
        [row.response for row in rows],
    )
    found: dict[str, object] = {"answers": len(rows)}
    for label, fallen in (
        ("base", floor.base.shortfalls(prompts, texts)),
        ("lm built in", floor.shortfalls(prompts, texts)),
    ):
        lost = fallen > 0.1
        kinds = sorted({row.kind for row, it in zip(rows, lost, strict=True) if it})
        found[label] = {"lose more than .1": float(lost.mean()), "kinds": kinds}
    print("odd answers", found)
    return found


if __name__ == "__main__":
    main()
