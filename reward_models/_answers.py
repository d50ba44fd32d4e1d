"""What a hierarchical model believes of a user's answers before they are given.

Every question has one margin, linear in the user's deviations v and thresholds t, which are jointly Gaussian:
a choice has the difference of two rewards, a rating the reward less the user's threshold, a trait what a
named feature is worth to the user (`reward_models._feedback`). The shared weights are held at their mode, as
they are when a user is refitted, and so is how far a user's thresholds lie apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reward_models._feedback import (
    NO_MATTER,
    SPREAD_OF_RATINGS,
    THRESHOLDS,
    Line,
    contest,
    rated,
    rating_cuts,
    trait,
)
from reward_models._hierarchy import Fit, Rows, Variances
from reward_models._types import Floats, Item, UserState
from synthesizeme.questions import AnswerBeliefs, Question, ResponseQuestion, TraitQuestion


def asked_line(question: Question) -> Line:
    """The margin that decides what is answered."""
    match question:
        case TraitQuestion():
            return trait(question.feature)
        case ResponseQuestion():
            return rated(Item(question.prompt, question.response), question.scale.levels)
    return contest(question.prompt, question.first, question.second)


def answer_beliefs(
    questions: Sequence[Question],
    rows: Rows,
    state: UserState | None,
    fit: Fit,
    variances: Variances,
    taste: Floats,
    usual: tuple[Floats, Floats],
) -> AnswerBeliefs:
    """Margins of questions, the taste behind them, and the cuts between the answers.

    The taste is what carries over from one question to another: what each named feature is worth to the user,
    with all that goes with it, and the common directions; the rest is specific to the texts.

    Args:
        questions: n questions.
        rows: Their margins.
        state: The user's; None: what is believed of anybody.
        fit: Shared weights and effects.
        variances: Prior variances.
        taste: User features of what makes up the taste, shape (K, G).
        usual: The thresholds of all users and the prior standard deviations of a user's own, shape (T,) each.
    """
    n, (thresholds, scale) = len(rows), usual
    read = np.concatenate([rows.own, taste])
    held = np.zeros((len(read), len(THRESHOLDS)))
    if rows.heard is not None:
        held[:n] = rows.heard.thresholds
    covariance = (read * variances.own) @ read.T + held @ held.T
    mean = fit.offsets(rows)
    if state is not None:
        mean = mean + rows.own @ state["mean"]
        mean += held[:n] @ ((state["thresholds"] - thresholds) / scale)
        thresholds = state["thresholds"]
        seen = read @ state["own_factor"].T.astype(np.float64)
        seen += held @ state["threshold_factor"].T.astype(np.float64)
        covariance -= seen @ seen.T
    return AnswerBeliefs(mean, covariance, [_cuts(it, thresholds) for it in questions])


def _cuts(question: Question, thresholds: Floats) -> tuple[float, ...]:
    """Where the margin passes from one answer to the next, for a user with these thresholds."""
    match question:
        case TraitQuestion():
            return NO_MATTER
        case ResponseQuestion():
            spread = 1 + float(thresholds[SPREAD_OF_RATINGS.place])
            return tuple(spread * cut for cut in rating_cuts(question.scale.levels))
    return (0.0,)
