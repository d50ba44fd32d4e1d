"""Abstaining with a promise: pairs are answered where the scorer is sure enough to be wrong at most so often.

A scorer gives every pair a confidence c = max(p, 1 - p). On n validation pairs, whose choice is known, let
A(t) be how many have c >= t, and E(t) how many of those are not answered rightly (e = 1, also for a tie).
Pairs with c >= t are answered for the lowest t, among the confidences that occur, with

    sum_i (e_i - alpha) 1{c_i >= t} + (1 - alpha) <= 0,    which is    1 + E(t) <= alpha (1 + A(t)).      (1)

The pair to come is thus counted as one more that is answered wrong, as in conformal risk control; without an
error, 1 / alpha - 1 validation pairs must be answered at least (`fewest_pairs`).

What it promises. Let validation pairs and pairs to come be independent draws of one kind (of the same users,
none of them learned from), and let R(t) be the chance that a new pair is answered and wrong. Walking t
upwards, R(t) / (1 + E(t)) is a supermartingale with mean at most 1 / (n + 1), and the chosen t is a stopping
time, so that

    E[ (n + 1) R(t) / (1 + A(t)) ] <= alpha:                                                              (2)

errors among answered pairs, as a share of the coverage seen in validation, are at most alpha on average over
draws of the validation pairs, whatever the scorer and however few pairs; a draw in which (1) holds nowhere
answers nothing, and makes no error. It is a promise about that average. No rule can promise it for one draw
of the validation pairs, nor given that something is answered, for every distribution.

Example. Ten validation pairs, surest first, wrong ones marked: .99 .98 .97 .95 .93 .90* .85 .80 .75* .60.
With alpha = .2 the rule needs 1 + E <= .2 (1 + A): after four pairs 1 <= 1.0 holds; after five 1 <= 1.2;
after six 2 <= 1.4 fails; after eight 2 <= 1.8 fails; after nine 3 <= 2.0 fails. So t = .93.

>>> p = [.99, .98, .97, .95, .93, .90, .85, .80, .75, .60]
>>> wrong = [0, 0, 0, 0, 0, 1, 0, 0, 1, 0]
>>> rule = selective_rule(p, wrong, 0.2)
>>> rule.threshold, rule.answered, rule.accepts(0.94), rule.accepts(0.06), rule.accepts(0.9)
(0.93, 5, True, True, False)
>>> fewest_pairs(0.2), fewest_pairs(0.1), fewest_pairs(0.05)
(4, 9, 19)

References:
    Badshah, Emami and Sajjad, "SCOPE: Selective Conformal Optimized Pairwise LLM Judging", arXiv:2602.13110.
    Angelopoulos et al., "Conformal Risk Control", ICLR 2024.
    Barber and Candès, "Controlling the false discovery rate via knockoffs", Annals of Statistics 43,
    2015: the supermartingale.
    El-Yaniv and Wiener, "On the foundations of noise-free selective classification", JMLR 11, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from synthesizeme.errors import ConfigError, DataError
from synthesizeme.evaluation.harness import PairOutcome, evaluate
from synthesizeme.scoring import SavedScorer
from synthesizeme.types import Frozen, PreferencePair

_ROUNDING = 1e-9
"""Sides of (1) that differ by less are equal."""


class SelectiveRule(Frozen):
    """From which confidence on pairs are answered."""

    max_error: float
    """alpha, the promised error."""
    threshold: float | None
    """Lowest confidence that is answered, in [.5, 1]; None: nothing is."""
    pairs: int
    """Validation pairs."""
    answered: int
    """Of them, those that are answered."""
    errors: int
    """Of these, those that are wrong."""

    def in_words(self) -> str:
        """One line for people."""
        promised = f"Error promised at most {self.max_error:.1%}"
        if self.threshold is None:
            return f"{promised}: by {self.pairs} validation pairs nothing can be answered."
        return (
            f"{promised}: answers from a confidence of {self.threshold:.2f} on, as {self.answered} of "
            f"{self.pairs} validation pairs have, {self.errors} of them wrong."
        )

    def accepts(self, probability: float) -> bool:
        """Whether a pair with this P(first) is answered."""
        return self.threshold is not None and max(probability, 1 - probability) >= self.threshold


class Selection(Frozen):
    """Promised error, realised error and coverage, side by side; those of several folds add with ``+``."""

    max_error: float
    """The promised error."""
    pairs: int = 0
    """Pairs that were asked about."""
    answered: int = 0
    """Of them, those that were answered; the others are abstained from: no tie, and not wrong."""
    labelled: int = 0
    """Answered pairs whose choice is known."""
    errors: float = 0.0
    """Of these, how many were wrong; a tie is half wrong."""
    validation: int = 0
    """Validation pairs that the rule was made from."""

    @property
    def coverage(self) -> float | None:
        """Share of pairs answered, in [0, 1]; None without pairs."""
        return self.answered / self.pairs if self.pairs else None

    @property
    def realised(self) -> float | None:
        """Share of the answered pairs with a known choice that were wrong; None without any."""
        return self.errors / self.labelled if self.labelled else None

    def __add__(self, other: Selection) -> Selection:
        mine, theirs = self.model_dump(exclude={"max_error"}), other.model_dump()
        return Selection(max_error=self.max_error, **{name: mine[name] + theirs[name] for name in mine})

    def in_words(self) -> str:
        """One line for people."""
        known = (
            "no answered pair has a known choice"
            if self.realised is None
            else f"realised {self.realised:.1%} ({self.errors:g} of {self.labelled} with a known choice)"
        )
        share = "nothing was asked" if self.coverage is None else f"{self.coverage:.1%}"
        return (
            f"Error promised at most {self.max_error:.1%}, {known}; coverage {share} ({self.answered} of "
            f"{self.pairs} pairs answered), by {self.validation} validation pairs."
        )


def check_max_error(max_error: float) -> None:
    """Refuse what is no share of errors.

    Raises:
        ConfigError: it is not within (0, 1).
    """
    if not 0 < max_error < 1:
        raise ConfigError(
            f"max-error is {max_error:g}; expected a share of errors above 0 and below 1, e.g. .1"
        )


def fewest_pairs(max_error: float) -> int:
    """Validation pairs that must be answered at least, all of them rightly, before anything may be."""
    return max(1, math.ceil(1 / max_error - 1 - _ROUNDING))


def require_pairs(pairs: int, max_error: float, *, source: str | None = None) -> None:
    """Refuse a promise that so few validation pairs can never keep.

    Raises:
        DataError: more are needed; says how many.
        ConfigError: `max_error` is not within (0, 1).
    """
    check_max_error(max_error)
    needed = fewest_pairs(max_error)
    if pairs < needed:
        raise DataError(
            f"{pairs} validation pairs are too few for an error of at most {max_error:g}: {needed} are "
            "needed at least, more if some of them are answered wrong",
            source=source,
            field="split",
            cure="give more rows of the split validation, or allow a larger error.",
        )


def selective_rule(
    probabilities: Sequence[float], errors: Sequence[float], max_error: float, *, source: str | None = None
) -> SelectiveRule:
    """The rule of equation (1).

    Args:
        probabilities: What the scorer said of the validation pairs, P(either side), shape (n,).
        errors: How wrong each was: 0, 1, or .5 for a tie, which counts as wrong here, shape (n,).
        max_error: alpha, within (0, 1).
        source: Where the pairs came from, for messages.

    Raises:
        DataError: there are fewer than `fewest_pairs`.
        ConfigError: `max_error` is not within (0, 1).
    """
    require_pairs(len(probabilities), max_error, source=source)
    p, wrong = np.asarray(probabilities, dtype=np.float64), np.asarray(errors, dtype=np.float64) > 0
    confidence = np.maximum(p, 1 - p)
    order = np.argsort(-confidence, kind="stable")
    confidence, total = confidence[order], np.cumsum(wrong[order])
    count = np.arange(1, len(order) + 1)
    last_of_equals = np.append(confidence[1:] != confidence[:-1], True)
    kept = np.flatnonzero(last_of_equals & (1 + total <= max_error * (1 + count) + _ROUNDING))
    if not len(kept):
        return SelectiveRule(max_error=max_error, threshold=None, pairs=len(p), answered=0, errors=0)
    last = int(kept[-1])
    return SelectiveRule(
        max_error=max_error,
        threshold=float(confidence[last]),
        pairs=len(p),
        answered=last + 1,
        errors=int(total[last]),
    )


def rule_of(
    validation: Iterable[PairOutcome], max_error: float, *, source: str | None = None
) -> SelectiveRule:
    """The rule of what a scorer said of validation pairs; one with a failure is answered by nobody.

    Raises:
        DataError: there are fewer than `fewest_pairs`.
        ConfigError: `max_error` is not within (0, 1).
    """
    said = [
        (probability, 1 - score)
        for it in validation
        if (probability := it.p_chosen) is not None and (score := it.score) is not None
    ]
    return selective_rule([p for p, _ in said], [wrong for _, wrong in said], max_error, source=source)


def selected(rule: SelectiveRule, outcomes: Sequence[PairOutcome]) -> Selection:
    """What comes of a rule on pairs with known choices; one with a failure is not answered."""
    abstainer = Abstainer(rule)
    for it in outcomes:
        abstainer.answers(it.p_chosen, None if it.score is None else 1 - it.score)
    return abstainer.selection


class Abstainer:
    """Answers or abstains by a rule, and counts what came of it.

    Args:
        rule: From which confidence on pairs are answered.
    """

    def __init__(self, rule: SelectiveRule) -> None:
        self.rule = rule
        self.selection = Selection(max_error=rule.max_error, validation=rule.pairs)

    def answers(self, probability: float | None, error: float | None) -> bool:
        """Whether a comparison is answered; it is counted.

        Args:
            probability: P(first); None where the promise does not hold, as for an unknown user.
            error: How wrong the answer would be, 0, .5 for a tie, or 1; None where the choice is not known.
        """
        answered = probability is not None and self.rule.accepts(probability)
        known = answered and error is not None
        self.selection += Selection(
            max_error=self.rule.max_error,
            pairs=1,
            answered=answered,
            labelled=known,
            errors=error if known and error is not None else 0.0,
        )
        return answered


def rule_of_model(
    model: SavedScorer, validation: Sequence[PreferencePair], max_error: float, source: str
) -> SelectiveRule:
    """The rule by which a model answers.

    Args:
        model: Fitted to its users without their validation pairs.
        validation: These pairs.
        max_error: The promised error.
        source: The file they came from.

    Raises:
        DataError: the model learned from some of them, or they are too few.
        ConfigError: `max_error` is not within (0, 1).
    """
    require_pairs(len(validation), max_error, source=source)
    learned = sum(pair.fingerprint in (model.learned_from or ()) for pair in validation)
    if learned:
        raise DataError(
            f"the model learned from {learned} of the {len(validation)} validation pairs, of which it is "
            "surer than of others",
            source=source,
            field="split",
            cure="train it on a file without these rows, or give pairs that it has not seen.",
        )
    return rule_of(evaluate(model, validation).pairs, max_error, source=source)
