"""Do vectors tell beforehand what a prompt will bring out, and what training on a data set will do?

Two traits are varied independently, and each vector is held against many random directions: with one trait
alone, any direction along which the answers vary at all would correlate with it.
"""

from __future__ import annotations

import random
from itertools import product

import grammar
import numpy as np
from doses import CUT
from model import LONGEST, fine_tuned

from reward_models.persona_vectors.monitoring import projection
from reward_models.persona_vectors.rollouts import asked


def screening(decoder, vectors, settings, seed):
    """Mean projection difference of each data set, against what the model shows after training on it."""
    rng = random.Random(seed)
    questions = grammar.questions()[40:]
    sets = [
        dict(zip(grammar.TRAITS, shares, strict=True)) for shares in product(settings["shares"], repeat=2)
    ]
    differences, shown = [], {name: [] for name in grammar.TRAITS}
    for shares in sets:
        rows = _mixed(rng, questions, shares, settings["training"]["rows"])
        differences.append(_difference(decoder, rows, seed))
        tuned = fine_tuned(decoder, rows, settings["training"], seed)
        for name, value in _shown(tuned, settings["answers"], seed).items():
            shown[name].append(value)
    return _held_against(vectors, np.array(differences), shown, settings["random"], seed)


def monitoring(decoder, vectors, settings, seed):
    """Projection of the last prompt token, against what the answers to the prompt show."""
    rng = random.Random(seed)
    prompts, told = [], []
    for question in grammar.trait("loud").evaluation:
        for choice in product((True, False, None), repeat=2):
            wanted = {
                name: high for name, high in zip(grammar.TRAITS, choice, strict=True) if high is not None
            }
            prompts.append(asked(question))
            told.append(grammar.instruction(rng, wanted))
    states = decoder.prompt_states(prompts, told)
    times = settings["answers"]
    said = decoder.generate(
        [prompt for prompt in prompts for _ in range(times)], [text for text in told for _ in range(times)],
        max_new_tokens=LONGEST, cut_mark=CUT, seed=seed + 9,
    )  # fmt: skip
    shown = {
        name: np.reshape(grammar.score(name)([""] * len(said), said), (-1, times)).mean(axis=1)
        for name in grammar.TRAITS
    }
    watched = {name: _layer_to_watch(decoder, one) for name, one in vectors.items()}
    return _held_against(watched, states, shown, settings["random"], seed)


def _layer_to_watch(decoder, vectors):
    """The layer at which last prompt tokens tell the trait's instructions best, on extraction questions."""
    trait = grammar.trait(vectors.trait)
    rows = [(asked(q), pair) for q in trait.extraction for pair in trait.contrasts]
    high, low = (
        decoder.prompt_states([prompt for prompt, _ in rows], [getattr(pair, side) for _, pair in rows])
        for side in ("positive", "negative")
    )
    apart = []
    for layer in range(1, decoder.layers + 1):
        ups, downs = (projection(states, vectors, layer) for states in (high, low))
        apart.append((ups.mean() - downs.mean()) / np.sqrt((ups.var() + downs.var()) / 2))
    return vectors.chosen(1 + int(np.argmax(apart)))


def _mixed(rng, questions, shares, rows):
    """(question, answer) rows in which each trait is shown in its share of the answers, independently."""
    found = []
    for _ in range(rows):
        question = rng.choice(questions)
        rate = grammar.rates(rng, {name: rng.random() < share for name, share in shares.items()})
        found.append((question, grammar.answer(rng, question, rate)))
    return found


def _difference(decoder, rows, seed):
    """Mean over the rows of response activation less that of the model's own answer, (layers, D)."""
    prompts = [grammar.asked(question) for question, _ in rows]
    own = decoder.generate(prompts, max_new_tokens=LONGEST, seed=seed + 3)
    states = [decoder.response_states(prompts, texts) for texts in ([text for _, text in rows], own)]
    return (states[0] - states[1]).mean(axis=0)


def _shown(decoder, answers, seed):
    questions = [q for q in grammar.trait("loud").evaluation for _ in range(answers)]
    said = decoder.generate(
        [grammar.asked(q) for q in questions], max_new_tokens=LONGEST, cut_mark=CUT, seed=seed
    )
    return {name: float(np.mean(grammar.score(name)(questions, said))) for name in grammar.TRAITS}


def _held_against(vectors, states, shown, draws, seed):
    """Correlations of projections of states (n, layers, D) with what is shown, and of random directions."""
    rng = np.random.default_rng(seed)
    found, worst = {}, {}
    for name, own in vectors.items():
        at = states[:, own.layer - 1]
        drawn = rng.normal(size=(draws, at.shape[1])) @ at.T
        [other] = [rival for rival in vectors if rival != name]
        sizes = np.abs([_correlation(row, shown[name]) for row in drawn])
        right = _correlation(at @ own.unit(), shown[name])
        found[name] = {
            "layer": own.layer,
            "own": right,
            "on the other trait": _correlation(at @ own.unit(), shown[other]),
            "random, mean size": float(sizes.mean()),
            "random, 95th percentile": float(np.quantile(sizes, 0.95)),
            "random ones as good": float(np.mean(sizes >= right)),
            "points": [(at @ own.unit()).tolist(), list(map(float, shown[name]))],
        }
        worst[name] = sizes
    both = np.minimum(*worst.values())
    least = min(one["own"] for one in found.values())
    return {"traits": found, "random pairs as good on both": float(np.mean(both >= least))}


def _correlation(first, second):
    return float(np.corrcoef(first, second)[0, 1])
