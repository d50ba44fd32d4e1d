"""Learn the weights of the base floor, and report every kind of text when it was not learned from.

    python experiments/floor/train.py --data-dir FOLDER --corpora FOLDER [--order order.npz]

`--corpora` holds the packages that `corpora.py` names; `--order` keeps the network of word order.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import unicodedata
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import corpora
import numpy as np
from corpora import Answer
from kinds import TAUGHT
from order import learned_order
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from reward_models.floor._evidence import symbol_share, upper_share
from reward_models.floor._experts import EXPERTS, Expert, called_for, numbers
from reward_models.floor._texts import Prompt, Text
from reward_models.floor._vectors import Vectors
from synthesizeme.evaluation.no_answers import KINDS, Source
from synthesizeme.static_embedding import open_static_embedding

HERE = Path(__file__).parent
WEIGHTS = HERE.parents[1] / "reward_models" / "floor" / "weights.npz"
WRITTEN = ("odd_a", "odd_b", "brief", "ordinary")
PEOPLE = {"llmfao": 500, "polis": 300, "remesh": 700}
"""Answers of people's data that are learned from."""
LINEAR = ("brevity", "capitals", "order", "size", "stance")
"""Experts that are linear; the others are small trees. Chosen out of fold."""
UNCOUNTED = ("glued to another answer", "sentences shuffled", "cut in a sentence", "cut in a word")
"""Kinds that the limits are not chosen by: no expert is made for them, or it counts little."""
WORTH = {
    "another prompt's answer": 3.0,
    "one word": 2.0,
    "short phrase": 2.0,
    "words shuffled": 2.0,
    "empty talk": 2.0,
}
"""What catching a kind is worth against the others, where it is what an optimiser finds first."""
FOLDS = 5
FEWEST_TEXTS = 5
ALLOWED = {"written": 0.008, "polis": 0.01, "remesh": 0.01, "llmfao": 0.05}
"""Share of good answers that some expert may believe to be none."""
prompt_of = lru_cache(maxsize=4000)(Prompt)


def good_answers(folder: Path, rng: random.Random) -> list[Answer]:
    rows = [row for name in WRITTEN for row in corpora.written(name)]
    for name, count in PEOPLE.items():
        found = corpora.people(folder, name)
        rng.shuffle(found)
        rows += found[:count]
    return rows


def fold(prompt: str) -> int:
    """All answers to one prompt fall together."""
    return int(hashlib.md5(prompt.encode()).hexdigest(), 16) % FOLDS


def frequencies(tokenizer, size: int, texts: list[str]) -> np.ndarray:
    """Logarithm of each token's share; those in fewer than `FEWEST_TEXTS` texts count as unseen."""
    counts, seen = np.zeros(size), np.zeros(size, dtype=int)
    for text in texts:
        ids = np.array(tokenizer.encode(text, add_special_tokens=False).ids, dtype=int)
        np.add.at(counts, ids, 1)
        seen[np.unique(ids)] += 1
    counts[seen < FEWEST_TEXTS] = 0
    return np.log((counts + 0.5) / (counts.sum() + 0.5 * size))


def common_words(folder: Path, texts: list[str]) -> tuple[list[str], np.ndarray]:
    """The commonest short words of every language, and whose they are, shape (words, languages)."""
    word = re.compile(r"[^\W\d_]+(?:['’][^\W_]+)*")
    english = Counter(w for text in texts for w in word.findall(text.lower()))
    by_language = {"eng": [w for w, _ in english.most_common(120)]}
    for language in corpora.LANGUAGES:
        paragraphs = list(corpora.declaration(folder, language))
        counts = Counter(w for text in paragraphs for w in word.findall(text.lower()))
        spread = Counter(w for text in paragraphs for w in set(word.findall(text.lower())))
        common = [w for w, _ in counts.most_common(45) if spread[w] >= FEWEST_TEXTS and len(w) <= 6]
        by_language.setdefault(language.split("_")[0], []).extend(common)
    words = sorted({w for common in by_language.values() for w in common})
    shares = np.array([[w in common for common in by_language.values()] for w in words], dtype="f4")
    return words, shares


def looks(vectors: Vectors, response: str) -> tuple[float, ...]:
    """What `Vectors.expected` is taught: log words, share of symbols, known words, capitals."""
    text = Text(response)
    wide = sum(unicodedata.category(c) == "Lo" for c in response) / 2
    symbols = 5 * min(symbol_share(text.text), 0.5)
    return (
        float(np.log1p(max(len(text.words), wide))),
        symbols,
        vectors.known(vectors.ids(text.text)),
        upper_share(text.text),
    )


def teach_prompts(vectors: Vectors, rows: list[Answer], kept: tuple[str, ...] | None = None) -> None:
    """What answers to a prompt look like (a ridge regression), and prompts to compare a response with.

    Args:
        vectors: Learns both.
        rows: Good answers.
        kept: Sources whose prompts are known; None: all, as a reward model knows those it was fitted to.
    """
    x = np.stack([vectors.prompt_features(prompt_of(row.prompt)) for row in rows])
    y = np.array([looks(vectors, row.response) for row in rows])
    counts = np.array([{"llmfao": 0.1, "polis": 0.05, "remesh": 0.05}.get(row.source, 1.0) for row in rows])
    penalty = np.full(x.shape[1], 1.0)
    penalty[: vectors.table.shape[1]] = 3.0
    penalty[-3] = 0.01
    vectors.arrays["expected"] = np.linalg.solve(
        x.T @ (x * counts[:, None]) + np.diag(penalty), x.T @ (counts[:, None] * y)
    ).astype("f4")
    prompts = sorted({row.prompt for row in rows if kept is None or row.source in kept})
    vectors.arrays["prompts"] = np.stack([vectors.meaning(p).mean for p in prompts]).astype("f4")
    vectors.expected.cache_clear()


class Rows:
    """Good answers and what is none, with what every expert reads from them, out of fold."""

    def __init__(self, vectors: Vectors, answers: list[Answer], rng: random.Random) -> None:
        self.answers = answers
        place, kind, texts = [], [], []
        for i, row in enumerate(answers):
            names = list(KINDS) if row.source in WRITTEN else rng.sample(list(KINDS), 12)
            other = rng.choice(answers)
            while other.prompt == row.prompt or other.source == row.source in ("polis", "remesh"):
                other = rng.choice(answers)
            made = [
                (name, KINDS[name](Source(row.prompt, row.response, other.response), rng)) for name in names
            ]
            for name, text in [("good", row.response), *made]:
                if name == "good" or (text and text.strip()):
                    place.append(i), kind.append(name), texts.append(text)
        self.place, self.kind = np.array(place), np.array(kind)
        self.source = np.array([answers[i].source for i in place])
        self.fold = np.array([fold(answers[i].prompt) for i in place])
        self.numbers = {name: [None] * len(place) for name in EXPERTS}
        self.called = {name: np.zeros(len(place), dtype=bool) for name in EXPERTS}
        for f in range(FOLDS):
            teach_prompts(vectors, [row for row in answers if fold(row.prompt) != f])
            for i in np.flatnonzero(self.fold == f).tolist():
                prompt, text = prompt_of(answers[place[i]].prompt), Text(texts[i])
                for name in EXPERTS:
                    self.numbers[name][i] = numbers(name, [prompt], [text], vectors)[0]
                    self.called[name][i] = called_for(name, prompt, vectors)
        self.numbers = {name: np.array(values) for name, values in self.numbers.items()}
        self.good = self.kind == "good"
        self.written = self.good & np.isin(self.source, WRITTEN)
        self.people = self.good & np.isin(self.source, ("polis", "remesh"))
        self.llmfao = self.good & (self.source == "llmfao")


def fitted(rows: Rows, name: str, some: np.ndarray, left_out: tuple[str, ...] = ()) -> Expert:
    """An expert on some rows, without the kinds that are left out; its limits are not chosen yet."""
    kinds = [kind for kind in TAUGHT[name] if kind not in left_out]
    use = some & (rows.good | np.isin(rows.kind, kinds))
    x = np.concatenate([rows.numbers[name], rows.called[name][:, None]], axis=1)[use]
    y = ~rows.good[use]
    counts = np.where(np.isin(rows.source[use], WRITTEN), 1.0, 0.5)
    counts[y] *= counts[~y].sum() / max(counts[y].sum(), 1e-9)
    limits = np.zeros(2)
    if name in LINEAR:
        mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
        model = LogisticRegression(C=0.3, max_iter=3000).fit((x - mean) / spread, y, sample_weight=counts)
        weights = model.coef_[0] / spread
        linear = np.append(weights, model.intercept_[0] - weights @ mean)
        empty = np.zeros((0, 1))
        return Expert(linear, empty.astype(int), empty, empty.astype(int), empty, limits)
    model = HistGradientBoostingClassifier(
        max_depth=Expert.DEPTH, max_iter=60, learning_rate=0.1, l2_regularization=5, min_samples_leaf=15,
        random_state=0,
    ).fit(x, y, sample_weight=counts)  # fmt: skip
    return Expert(*trees(model, x.shape[1]), limits)


def trees(model: HistGradientBoostingClassifier, width: int) -> tuple[np.ndarray, ...]:
    """The trees of a boosted classifier, laid out so that the two children of a node stand side by side."""
    found = [tree.nodes for (tree,) in model._predictors]
    most = max(map(len, found))
    features = np.zeros((len(found), most), dtype=np.int64)
    children = np.tile(np.arange(most), (len(found), 1))
    thresholds, leaves = np.zeros((2, len(found), most))
    for t, nodes in enumerate(found):
        order, at = [0], 0
        while at < len(order):
            node = nodes[order[at]]
            if node["is_leaf"]:
                leaves[t, at] = node["value"]
            else:
                features[t, at], thresholds[t, at] = node["feature_idx"], node["num_threshold"]
                children[t, at] = len(order)
                order += [int(node["left"]), int(node["right"])]
            at += 1
    linear = np.zeros(width + 1)
    linear[-1] = float(np.ravel(model._baseline_prediction)[0])
    return linear, features, thresholds, children, leaves


def out_of_fold(
    rows: Rows, left_out: str = "", whole: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Log-odds of every expert for every row, from the other prompts.

    Args:
        rows: Good answers and what is none.
        left_out: A kind that no expert learns from.
        whole: The same without a kind left out; experts that never learned from it are taken from there.
    """
    found = dict(whole or {})
    for name in EXPERTS:
        if whole is not None and left_out not in TAUGHT[name]:
            continue
        found[name] = np.full(len(rows.kind), -np.inf)
        if set(TAUGHT[name]) == {left_out}:
            continue
        for f in range(FOLDS):
            expert, there = fitted(rows, name, rows.fold != f, (left_out,)), rows.fold == f
            found[name][there] = expert.log_odds(rows.numbers[name][there], rows.called[name][there])
    return found


def limits(rows: Rows, odds: dict[str, np.ndarray]) -> dict[tuple[str, bool], float]:
    """Limits of all experts together: the most kinds caught for good answers lost, within `ALLOWED`.

    One price of a lost answer after another is tried; at each, every limit in turn is put where it gains
    most, given the others.
    """
    counted = ~rows.good & ~np.isin(rows.kind, UNCOUNTED)
    gain = np.zeros(len(rows.kind))
    for kind in np.unique(rows.kind[counted]):
        gain[rows.kind == kind] = WORTH.get(kind, 1.0) / (rows.kind == kind).sum()
    cost = (
        rows.written / rows.written.sum()
        + 0.3 * rows.people / rows.people.sum()
        + 0.05 * rows.llmfao / rows.llmfao.sum()
    )
    groups = {
        (name, call): rows.called[name] == call
        for name in EXPERTS
        if name != "ending"
        for call in (False, True)
    }
    best, most = {}, -1.0
    for price in np.geomspace(30, 3000, 32):
        found = dict.fromkeys(groups, np.inf)
        for _ in range(3):
            for key, group in groups.items():
                others = np.any([groups[k] & (odds[k[0]] > found[k]) for k in groups if k != key], axis=0)
                ix = np.flatnonzero(group & ~others)
                ix = ix[np.argsort(-odds[key[0]][ix], kind="stable")]
                score = odds[key[0]][ix]
                worth = np.cumsum(gain[ix] - price * cost[ix])
                worth[~(np.append(score[:-1] > score[1:], True) & (score > -2))] = -np.inf
                j = int(np.argmax(worth))
                found[key] = (score[j] + score[min(j + 1, len(score) - 1)]) / 2 if worth[j] > 0 else np.inf
        caught = believed(rows, odds, found)
        lost = {
            name: caught[rows.written if name == "written" else rows.good & (rows.source == name)].mean()
            for name in ALLOWED
        }
        total = float((gain * caught).sum())
        if all(lost[name] <= ALLOWED[name] for name in ALLOWED) and total > most:
            best, most = found, total
    for call in (False, True):
        called = rows.called["ending"] == call
        whole, often_cut = (rows.written | rows.people) & called, rows.llmfao & called
        best["ending", call] = float(
            max(np.quantile(odds["ending"][whole], 0.985), np.quantile(odds["ending"][often_cut], 0.95))
        )
    return best


def believed(rows: Rows, odds: dict[str, np.ndarray], limit: dict[tuple[str, bool], float]) -> np.ndarray:
    """Whether any expert is believed about each row."""
    found = np.zeros(len(rows.kind), dtype=bool)
    for (name, call), least in limit.items():
        if name != "ending":
            found |= (rows.called[name] == call) & (odds[name] > least)
    return found


def table(
    rows: Rows, odds: dict[str, np.ndarray], limit: dict[tuple[str, bool], float], leave_out: bool
) -> dict[str, dict[str, float]]:
    """Share of each kind that is caught, learned from and left out, and of good answers that are lost."""
    caught = believed(rows, odds, limit)
    found = {}
    for kind in KINDS:
        there = rows.kind == kind
        found[kind] = {"learned from": float(caught[there].mean())}
        if leave_out:
            without = out_of_fold(rows, kind, odds)
            found[kind]["left out"] = float(believed(rows, without, limit)[there].mean())
        print(f"{kind:26s}", {name: round(value, 3) for name, value in found[kind].items()}, flush=True)
    for name in (*WRITTEN, *PEOPLE):
        found[f"good: {name}"] = {"lost": float(caught[rows.good & (rows.source == name)].mean())}
        print(f"good answers of {name:10s}", round(found[f"good: {name}"]["lost"], 4))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--order", type=Path, help="where the network of word order is kept between runs")
    parser.add_argument("--without", default="", help="prompt fold of llmfao that nothing is learned from")
    parser.add_argument("--leave-out", action="store_true", help="also report each kind left out of learning")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    rng = random.Random(0)
    embedding = open_static_embedding()
    prose = list(corpora.prose(args.corpora))
    own = [text for name in WRITTEN for row in corpora.written(name) for text in (row.prompt, row.response)]
    arrays = learned_order(embedding, prose, own, args.order)
    arrays["likelihood"] = frequencies(
        embedding.tokenizer, len(embedding.vectors), rng.sample(prose, 90_000) + own * 6
    )
    arrays["languages.words"], arrays["languages.shares"] = common_words(args.corpora, own + prose[::40])
    vectors = Vectors.on(embedding, {**arrays, "languages.words": np.array(arrays["languages.words"])})
    answers = good_answers(args.data_dir, rng)
    if args.without:
        skipped = corpora.prompts_of_fold(args.data_dir, args.without)
        answers = [row for row in answers if row.prompt not in skipped]
    rows = Rows(vectors, answers, rng)
    odds = out_of_fold(rows)
    limit = limits(rows, odds)
    report = table(rows, odds, limit, args.leave_out)
    teach_prompts(vectors, answers, WRITTEN)
    stored = {**arrays, "expected": vectors.arrays["expected"], "prompts": vectors.arrays["prompts"]}
    everything = np.ones(len(rows.kind), dtype=bool)
    for name in EXPERTS:
        expert = fitted(rows, name, everything)
        chosen = replace(expert, limits=np.array([limit[name, False], limit[name, True]]))
        stored |= {f"{name}.{part}": values for part, values in chosen.arrays().items()}
    np.savez_compressed(
        args.out, **{name: small(name, np.asarray(values)) for name, values in stored.items()}
    )
    if args.out == WEIGHTS:
        (HERE / "results").mkdir(exist_ok=True)
        (HERE / "results" / "kinds.json").write_text(json.dumps(report, indent=1) + "\n")


def small(name: str, values: np.ndarray) -> np.ndarray:
    """Half precision for the large arrays, whose last digits say nothing."""
    large = name.startswith("order.") or name in ("likelihood", "prompts", "expected", "languages.shares")
    return values.astype(np.float16) if large else values


if __name__ == "__main__":
    main()
