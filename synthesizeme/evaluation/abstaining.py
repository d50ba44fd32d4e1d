"""Abstaining: validation pairs as a rule, and what came of the pairs that are asked about."""

from __future__ import annotations

from collections.abc import Sequence

from synthesizeme.errors import DataError
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.evaluation.selective import Selection, SelectiveRule, require_pairs, rule_of
from synthesizeme.scoring import SavedScorer
from synthesizeme.types import PreferencePair


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
