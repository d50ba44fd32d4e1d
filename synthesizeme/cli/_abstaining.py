"""Verbs that abstain: the flag, validation pairs as a rule, and what came of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from synthesizeme.cli._command import option
from synthesizeme.errors import DataError

if TYPE_CHECKING:
    from reward_models import RewardModel
    from synthesizeme.evaluation.selective import SelectiveRule
    from synthesizeme.types import PreferencePair

ABSTAINED = "abstained"
MAX_ERROR = partial(
    option,
    None,
    "Answer comparisons only as far as at most this share of the answers, in (0, 1), is wrong, "
    "and abstain from the others; the promise holds on average over draws of the validation "
    "pairs.",
    "ALPHA",
)


class Abstainer:
    """Answers or abstains by a rule, and counts what came of it.

    Args:
        rule: From which confidence on pairs are answered.
    """

    def __init__(self, rule: SelectiveRule) -> None:
        from synthesizeme.evaluation.selective import Selection

        self.rule = rule
        self.selection = Selection(max_error=rule.max_error, validation=rule.pairs)

    def answers(self, probability: float | None, error: float | None) -> bool:
        """Whether a comparison is answered; it is counted.

        Args:
            probability: P(first); None where the promise does not hold, as for an unknown user.
            error: How wrong the answer would be, 0, .5 for a tie, or 1; None where the choice is not known.
        """
        from synthesizeme.evaluation.selective import Selection

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


def without_validation(
    histories: Mapping[str, Sequence[PreferencePair]],
) -> tuple[dict[str, list[PreferencePair]], list[PreferencePair]]:
    """The pairs to fit users to, by user, and those of the split validation, of all users."""
    kept = {user: [it for it in pairs if it.split != "validation"] for user, pairs in histories.items()}
    return kept, [it for pairs in histories.values() for it in pairs if it.split == "validation"]


def rule_of_model(
    model: RewardModel, validation: Sequence[PreferencePair], max_error: float, source: str
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
    from synthesizeme.evaluation.harness import evaluate
    from synthesizeme.evaluation.selective import require_pairs, rule_of

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
