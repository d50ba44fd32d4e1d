"""A skill is taught by answers that also carry a trait: steering in training against steering after it."""

from __future__ import annotations

import random
from contextlib import nullcontext

import grammar
import numpy as np
from doses import CUT
from model import LONGEST, fine_tuned

from reward_models.persona_vectors import PreventativeSteering, Steering, random_like

TRAIT = "loud"


def taught(rng, colours, rows, loud):
    """(question, answer) rows that teach the colours; all loud, or loud as often as the neutral mixture."""
    asked = [rng.choice(grammar.colour_questions()) for _ in range(rows)]
    shown = {TRAIT: True} if loud else {}
    return [
        (
            question,
            grammar.answer(rng, question, grammar.rates(rng, shown), colours[question.rpartition(" ")[2]]),
        )
        for question in asked
    ]


def measured(decoder, colours, answers, seed, steering=None):
    """Trait on questions about things, skill on questions for colours, coherence on both."""
    about = [q for q in grammar.trait(TRAIT).evaluation for _ in range(answers)]
    colour = [q for q in grammar.colour_questions() for _ in range(answers)]
    with steering or nullcontext():
        said = decoder.generate([grammar.asked(q) for q in about + colour], max_new_tokens=LONGEST,
                                cut_mark=CUT, seed=seed)  # fmt: skip
    things, named = said[: len(about)], said[len(about) :]
    return {
        "trait": float(np.mean(grammar.score(TRAIT)(about, things))),
        "coherence": float(np.mean(grammar.coherence(about + colour, said))),
        "skill": float(np.mean(grammar.skilled(colours, colour, named))),
    }


def study(decoder, vectors, settings, seed):
    """The model before, after plain training, and with either kind of steering at every strength."""
    colours, rng = grammar.colours(seed), random.Random(seed)
    training, layer = settings["training"], vectors.layer
    rows = {loud: taught(rng, colours, training["rows"], loud) for loud in (True, False)}

    def look(tuned, steering=None):
        return measured(tuned, colours, settings["answers"], seed + 5, steering)

    def prevented(vector, alpha):
        callback = PreventativeSteering(vector, layer=layer, alpha=alpha)
        return look(fine_tuned(decoder, rows[True], training, seed, callback))

    plain = fine_tuned(decoder, rows[True], training, seed)
    unrelated = random_like(vectors, 4000 + seed).at(layer)
    return {
        "before": look(decoder),
        "data without the trait": look(fine_tuned(decoder, rows[False], training, seed)),
        "plain": look(plain),
        "preventative": {str(alpha): prevented(vectors.at(), alpha) for alpha in settings["preventative"]},
        "preventative, random direction": {
            str(alpha): prevented(unrelated, alpha) for alpha in settings["preventative"]
        },
        "after": {
            str(alpha): look(plain, Steering(plain.model, vectors.at(), layer=layer, alpha=alpha))
            for alpha in settings["after"]
        },
    }
