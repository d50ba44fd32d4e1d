"""One scorer's line in a report, computed from its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from synthesizeme.evaluation.calibration import brier, expected_calibration_error, probabilities
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.intervals import (
    Difference,
    accuracy_interval,
    paired_difference,
    smallest_detectable_difference,
)
from synthesizeme.types import Frozen, Usage


class Resplits(Frozen):
    """Means over seeded re-splits of the pairs within users; None where a scorer knows no user."""

    n: int
    """Number of re-splits."""
    micro: float | None
    """With the user's own history."""
    no_user: float | None = None
    """Without the user."""
    gain: float | None = None
    """`micro` minus `no_user`, on the pairs both answered."""
    wrong_user: float | None = None
    """With another user's history."""
    swapped_labels: float | None = None
    """With the labels of the user's history reversed."""


class Row(Frozen):
    """One scorer on one benchmark. Shares are in [0, 1]; None means "not measured", never zero."""

    name: str
    """Name of the scorer."""
    micro: float | None
    """Accuracy over answered pairs; a tie counts as the protocol says."""
    low: float | None
    """Lower end of the 95 % interval of `micro`."""
    high: float | None
    """Upper end of the 95 % interval of `micro`."""
    unit: Literal["user", "pair"]
    """What the interval resampled: users, or the pairs of a single user."""
    macro: float | None
    """Mean of the users' own accuracies."""
    n_pairs: int
    """Pairs asked about, failures included."""
    n_users: int
    """Users behind them."""
    n_questions: int
    """Comparisons shown, one or two per pair; `ties` and `failures` are out of these."""
    ties: int
    """Verdicts that were a tie."""
    failures: dict[str, int] = Field(default_factory=dict)
    """Questions without a verdict, by kind."""
    coverage: float | None = None
    """Share of pairs with at least one verdict; `micro` is over these."""
    order_consistency: float | None = None
    """Share of pairs with the same choice in both orders."""
    position_bias: float | None = None
    """Share of verdicts for the response shown first, minus .5."""
    controls: dict[str, float | None] = Field(default_factory=dict)
    """Accuracy of the same scorer without the user, with another user, with swapped labels, ..."""
    gain: Difference | None = None
    """Paired difference to the scorer named in the report's protocol, usually the one without the user."""
    behind: Difference | None = None
    """Paired difference of the first scorer of the table minus this one; None for the first itself."""
    detectable: float | None = None
    """Smallest true difference these pairs would show with 80 % power (to a fixed number without `gain`)."""
    brier: float | None = None
    """Brier score of the stated probabilities."""
    ece: float | None = None
    """Expected calibration error of the stated probabilities."""
    usage: Usage | None = None
    """Model calls of this evaluation."""
    agrees_with_majority: float | None = None
    """Accuracy against what most other people said about the same pair."""
    fit_seconds: float | None = None
    """Time to train."""
    score_seconds: float | None = None
    """Time to score the test pairs."""
    parameters: int | None = None
    """Learned parameters."""
    resplits: Resplits | None = None
    """Means over re-splits, where there were any."""
    cold_start: dict[int, float | None] = Field(default_factory=dict)
    """Accuracy on users who were not in the training, by number of own pairs brought along."""


def row(
    name: str,
    outcome: Outcome,
    *,
    against: Outcome | None = None,
    controls: Mapping[str, Outcome] | None = None,
    usage: Usage | None = None,
    seed: int = 0,
) -> Row:
    """Compute a row.

    Args:
        name: Name to show.
        outcome: What the scorer did.
        against: What `gain` is measured against, on the pairs both answered.
        controls: Outcomes of the same scorer with what it knows about the user changed.
        usage: What its calls cost.
        seed: Seed of the bootstrap.
    """
    accuracy = accuracy_interval(outcome, seed=seed)
    stated = probabilities(outcome)
    return Row(
        name=name,
        micro=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        unit=accuracy.unit,
        macro=outcome.macro,
        n_pairs=outcome.n_pairs,
        n_users=outcome.n_users,
        n_questions=outcome.n_questions,
        ties=outcome.ties,
        failures=outcome.failures,
        coverage=outcome.coverage,
        order_consistency=outcome.order_consistency,
        position_bias=outcome.position_bias,
        controls={key: control.micro for key, control in (controls or {}).items()},
        gain=paired_difference(outcome, against, seed=seed) if against else None,
        detectable=smallest_detectable_difference(outcome, against),
        brier=brier(stated),
        ece=expected_calibration_error(stated),
        usage=usage,
    )
