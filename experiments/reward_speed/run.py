"""Speed of the embedded reward models, each figure beside a plain rival in the same run.

OMP_NUM_THREADS=1 python experiments/reward_speed/run.py [config.toml]
"""

from __future__ import annotations

import gc
import json
import os
import resource
import statistics
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from reward_models import method
from reward_models._features import open_features
from reward_models._types import Item
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.scoring import as_answers

HERE = Path(__file__).parent


def seconds(action, repeats, before=lambda: None):
    """Median CPU seconds of `action`, each time after `before`."""
    found = []
    for _ in range(repeats):
        before()
        gc.collect()
        started = time.process_time()
        action()
        found.append(time.process_time() - started)
    return statistics.median(found)


def judged(pool, user_id, count, rng):
    """Pairs of one user: `count` of the pool, chosen by weights on the planted levels of the responses."""
    taste = rng.normal(size=len(pool[0].metadata["chosen_levels"]))
    pairs = []
    for i in rng.permutation(len(pool))[:count].tolist():
        pair, levels = pool[i], pool[i].metadata
        margin = 3 * taste @ (np.array(levels["chosen_levels"]) - np.array(levels["rejected_levels"]))
        swap = rng.random() > 1 / (1 + np.exp(-margin))
        sides = {"chosen": pair.rejected, "rejected": pair.chosen} if swap else {}
        pairs.append(pair.model_copy(update={"user_id": user_id, "split": "train", **sides}))
    return pairs


def differences(model, pairs):
    """The same features for the rival: both groups of the model side by side, chosen minus rejected."""
    prompts = [tuple(pair.prompt) for pair in pairs]
    chosen, rejected = (
        np.concatenate(model.basis_.rows(list(map(Item, prompts, texts))), axis=1)
        for texts in ([p.chosen_text for p in pairs], [p.rejected_text for p in pairs])
    )
    return chosen - rejected


def logistic(rows):
    """scikit-learn's logistic regression of a difference and its mirror image, without an intercept."""
    both, labels = np.concatenate([rows, -rows]), np.repeat([1, 0], len(rows))
    return LogisticRegression(fit_intercept=False, max_iter=1000).fit(both, labels)


def fitting(name, users, new, repeats):
    """Fit all users, then a new one, beside logistic regressions on the same features."""
    pairs = [pair for user_pairs in users.values() for pair in user_pairs]
    model, learning = method(name)(tastes="none"), method(name)()
    whole = seconds(lambda: model.fit(pairs), 1)
    basis = type(model.basis_)
    plain, known = basis._raw, {}

    def remembered(self, items):
        key = len(items), items[0].response, items[-1].response
        if key not in known:
            known[key] = plain(self, items)
        return known[key]

    basis._raw = remembered
    try:
        model.fit(pairs)
        cached = seconds(lambda: model.fit(pairs), repeats)
        with_tastes = seconds(lambda: learning.fit(pairs), 1)
    finally:
        basis._raw = plain
    rows = {user: differences(model, user_pairs) for user, user_pairs in users.items()}
    everybody = np.concatenate(list(rows.values()))
    rival = seconds(lambda: [logistic(everybody), *map(logistic, rows.values())], 1)
    for_one = differences(model, new)
    one = seconds(lambda: [model.fit_user("new", new) for _ in range(10)], repeats) / 10
    rival_one = seconds(lambda: [logistic(for_one) for _ in range(10)], repeats) / 10
    return {
        "fit_whole_s": whole, "fit_s": cached, "fit_rival_s": rival, "fit_ratio": cached / rival,
        "fit_tastes_s": with_tastes, "fit_tastes_ratio": with_tastes / rival,
        "fit_user_ms": 1000 * one, "fit_user_rival_ms": 1000 * rival_one, "fit_user_ratio": one / rival_one,
        "features": everybody.shape[1],
    }  # fmt: skip


def scoring(users, fresh, repeats):
    """Responses per second with uncertainty, beside the same features and a bare logistic regression."""
    pairs = [pair for user_pairs in users.values() for pair in user_pairs]
    model = method("hierarchical-stylometric")(variances="fixed").fit(pairs)
    rival = logistic(differences(model, pairs))
    ids = list(users)
    asked = [(pair.prompt, side) for pair in fresh for side in (pair.chosen_text, pair.rejected_text)]
    prompts, texts = [prompt for prompt, _ in asked], [text for _, text in asked]
    whose = [ids[i % len(ids)] for i in range(len(texts))]
    items = [Item(tuple(prompt), text) for prompt, text in asked]

    def forget():
        model.basis_.forget()

    ours = seconds(lambda: model.score(as_answers(prompts, texts, whose)), repeats, forget)
    bare = seconds(
        lambda: rival.decision_function(np.concatenate(model.basis_.rows(items), axis=1)), repeats, forget
    )
    named = seconds(lambda: open_features("stylometric").responses(prompts, texts), repeats)
    return {
        "responses": len(texts), "words_each": statistics.mean(len(text.split()) for text in texts),
        "responses_per_s": len(texts) / ours, "rival_responses_per_s": len(texts) / bare,
        "ratio": bare / ours, "named_features_per_s": len(texts) / named,
    }  # fmt: skip


def encoding(texts, repeats):
    """Texts per second through the features, nothing cached, beside the encoder called directly."""
    from sentence_transformers import SentenceTransformer

    from reward_models._encoders import open_encoder
    from reward_models._features import Encoded
    from reward_models._pretrained import MINILM, locate

    direct, ours = SentenceTransformer(locate(MINILM), device="cpu"), Encoded(open_encoder("minilm"))
    found = {}
    for kind, some in {"answers": texts, "first 15 words": [" ".join(t.split()[:15]) for t in texts]}.items():
        prompt = [planted_population(1, 1).pairs[0].prompt] * len(some)
        pairs = [
            (
                seconds(lambda some=some, prompt=prompt: ours.responses(prompt, some), 1),
                seconds(lambda some=some: direct.encode(some, show_progress_bar=False), 1),
            )
            for _ in range(repeats)
        ]
        mine, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
        found[kind] = {
            "texts": len(some), "texts_per_s": len(some) / mine, "rival_texts_per_s": len(some) / theirs,
            "ratio": theirs / mine,
        }  # fmt: skip
    return found


def static(texts, repeats):
    """Texts per second through static embeddings, beside MiniLM on the same ones, nothing cached."""
    from reward_models._encoders import open_encoder
    from reward_models._features import Encoded

    ours, rival = open_features("static"), Encoded(open_encoder("minilm"))
    prompts = [planted_population(1, 1).pairs[0].prompt] * len(texts)
    times = 10_000 // len(texts)
    many = [f"{text} {i}" for i in range(times) for text in texts]
    mine = seconds(lambda: ours.responses(prompts * times, many), repeats) / len(many)
    theirs = seconds(lambda: rival.responses(prompts, texts), repeats) / len(texts)
    return {
        "texts": len(many), "words_each": statistics.mean(len(text.split()) for text in many),
        "seconds": mine * len(many), "texts_per_s": 1 / mine, "minilm_texts_per_s": 1 / theirs,
        "ratio": theirs / mine,
    }  # fmt: skip


def megabytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def memory(users, pool, counts, seed):
    """Resident megabytes after so many users were fitted, scored and forgotten, one after the other."""
    model = method("hierarchical-stylometric")(variances="fixed")
    model.fit([pair for user_pairs in users.values() for pair in user_pairs])
    rng, rows, done = np.random.default_rng(seed), [], 0
    for count in counts:
        for number in range(done, count):
            user = f"passing-{number}"
            pairs = judged(pool, user, 5, rng)
            model.fit_user(user, pairs)
            texts = [f"{pair.chosen_text} ({number})" for pair in pairs]
            model.score(as_answers([pair.prompt for pair in pairs], texts, [user, *["nobody"] * 4]))
            model.forget_user(user)
        done = count
        gc.collect()
        rows.append({"users": count, "megabytes": round(megabytes(), 1)})
    return rows


def main(config_path=HERE / "config.toml"):
    config = tomllib.loads(Path(config_path).read_text())
    repeats, rng = config["repeats"], np.random.default_rng(config["seed"])
    pool = planted_population(1, config["pool"], seed=config["seed"]).pairs
    users = {f"user-{i}": judged(pool, f"user-{i}", config["pairs"], rng) for i in range(config["users"])}
    new = judged(pool, "new", config["new_user_pairs"], rng)
    fresh = planted_population(4, config["pool"], seed=config["seed"] + 1).pairs
    found = {"config": config, "threads": os.environ.get("OMP_NUM_THREADS", "not set")}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SYNTHESIZEME_CACHE_DIR"] = folder
        found["memory"] = memory(users, pool, config["passing_users"], config["seed"])
        found["scoring"] = scoring(users, fresh, repeats)
        for name in ("hierarchical-stylometric", "hierarchical"):
            found[name] = fitting(name, users, new, repeats)
        texts = [pair.chosen_text for pair in fresh[: config["texts"]]]
        found["encoding"], found["static"] = encoding(texts, 3), static(texts, 3)
    for line in lines(found):
        print(line)
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "results.json").write_text(json.dumps(found, indent=2) + "\n")


def lines(found):
    config, many = found["config"], f"{found['config']['users']} users x {found['config']['pairs']} pairs"
    for name in ("hierarchical-stylometric", "hierarchical"):
        row = found[name]
        yield f"{name}, {row['features']} features"
        yield (
            f"  fit {many}: {row['fit_s']:.2f} s on cached features, {row['fit_ratio']:.2f} x logistic "
            f"regressions of all and of each; {row['fit_whole_s']:.2f} s with reading the texts"
        )
        yield (
            f"  looking for tastes too: {row['fit_tastes_s']:.2f} s, {row['fit_tastes_ratio']:.1f} x the same"
        )
        yield (
            f"  fit_user {config['new_user_pairs']} pairs: {row['fit_user_ms']:.2f} ms, "
            f"{row['fit_user_ratio']:.2f} x a logistic regression"
        )
    row = found["scoring"]
    yield f"scoring with hierarchical-stylometric, {row['words_each']:.0f} words a response, one core"
    yield (
        f"  {row['responses_per_s']:,.0f} responses/s, {row['ratio']:.2f} x a logistic regression that reads "
        f"the same features; named features alone {row['named_features_per_s']:,.0f}/s"
    )
    row = found["static"]
    yield f"static embeddings, {row['texts']:,} answers of {row['words_each']:.0f} words, one core"
    yield (
        f"  {row['seconds']:.1f} s, {row['texts_per_s']:,.0f} texts/s, {row['ratio']:.0f} x MiniLM "
        f"({row['minilm_texts_per_s']:.0f} texts/s)"
    )
    yield "MiniLM, against the encoder called directly"
    for kind, row in found["encoding"].items():
        yield f"  {kind}: {row['texts_per_s']:.0f} texts/s, {row['ratio']:.2f} x"
    yield "memory while users are fitted, scored and forgotten"
    yield "  " + ", ".join(f"{row['users']:,}: {row['megabytes']:.0f} MB" for row in found["memory"])


if __name__ == "__main__":
    main(*sys.argv[1:])
