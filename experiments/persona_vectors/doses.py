"""Strength and response of a trait's vector, beside directions that should do nothing."""

from __future__ import annotations

import grammar
import numpy as np
from model import LONGEST

from reward_models.persona_vectors import (
    choose_layer,
    collect,
    extract,
    keep,
    operating_point,
    random_like,
    shuffled,
    steering_strengths,
)
from reward_models.persona_vectors.vectors import response_states

CUT = " …"
"""Behind an answer that did not end; no answer of the grammar ends like this."""


def extracted(decoder, name, settings, seed):
    """The trait's vectors with their layer, and the activations they were taken from."""
    trait, score = grammar.trait(name), grammar.score(name)
    speak = decoder.speaker(max_new_tokens=LONGEST, cut_mark=CUT, seed=seed)
    rows = collect(trait, speak, score, grammar.coherence, samples=settings["samples"])
    positive, negative = keep(rows)
    found = extract(decoder, name, positive, negative, pairs=len(rows) // 2)
    options = {
        "coherent": settings["coherent"], "generate": speak, "score": score, "coherence": grammar.coherence,
        "prompts": [grammar.asked(question) for question in trait.extraction],
    }  # fmt: skip
    chosen = choose_layer(decoder, found, alpha=settings["alpha"], **options)
    return chosen, tuple(response_states(decoder, side) for side in (positive, negative))


def directions(vectors, states, controls, seed):
    """Directions at the vectors' layer by kind: the trait's own, and its controls, several draws of each."""
    layer, length = vectors.layer, float(np.linalg.norm(vectors.at()))
    mixed = [shuffled(*states, 1000 * seed + draw)[layer - 1] for draw in range(controls)]
    return {
        "own": [vectors.at()],
        "random": [random_like(vectors, 1000 * seed + draw).at(layer) for draw in range(controls)],
        "shuffled labels": mixed,
        "shuffled, as long": [vector * (length / np.linalg.norm(vector)) for vector in mixed],
    }


def study(decoder, vectors, states, settings, seed):
    """Curves of every kind of direction for the trait, and of the own one for the other trait."""
    name = vectors.trait
    [other] = [found for found in grammar.TRAITS if found != name]
    asked = [grammar.asked(q) for q in grammar.trait(name).evaluation for _ in range(settings["answers"])]

    def curve(vector, scored, alphas):
        return steering_strengths(
            decoder, vector, layer=vectors.layer, alphas=alphas, prompts=asked, score=grammar.score(scored),
            coherence=grammar.coherence,
            generate=decoder.speaker(max_new_tokens=LONGEST, cut_mark=CUT, seed=seed + 77),
        )  # fmt: skip

    kinds = directions(vectors, states, settings["controls"], seed)
    curves = {
        kind: [curve(vector, name, settings["alphas"]) for vector in drawn] for kind, drawn in kinds.items()
    }
    curves["own, other trait"] = [curve(vectors.at(), other, settings["alphas"])]
    best = operating_point(curves["own"][0])
    strength = (
        best.alpha if best is not None and best.alpha > 0 else min(a for a in settings["alphas"] if a > 0)
    )
    return {
        "layer": vectors.layer,
        "layer_effects": vectors.facts["layer_effects"],
        "kept": [vectors.facts["positive"], vectors.facts["pairs"]],
        "length": float(np.linalg.norm(vectors.at())),
        "operating_point": None if best is None else best.model_dump(),
        "signed_effect": {kind: _effect(found, strength) for kind, found in curves.items()},
        "curves": {
            kind: {
                field: np.mean([[getattr(dose, field) for dose in one] for one in found], axis=0).tolist()
                for field in ("alpha", "trait", "coherence")
            }
            for kind, found in curves.items()
        },
    }


def _effect(curves, strength):
    """Trait at the operating point less trait at its negative: the mean over draws, and the largest."""
    found = []
    for one in curves:
        by_alpha = {dose.alpha: dose.trait for dose in one}
        found.append(by_alpha[strength] - by_alpha[-strength])
    return {"mean": float(np.mean(found)), "largest": float(max(found, key=abs)), "alpha": strength}
