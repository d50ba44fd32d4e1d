"""One scorer's line in a report: accuracy, controls, gain, means over re-splits, the curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from synthesizeme.evaluation.calibration import (
    brier,
    expected_calibration_error,
    negative_log_likelihood,
    probabilities,
)
from synthesizeme.evaluation.controls import MajorityOfOthers
from synthesizeme.evaluation.harness import Outcome, PairOutcome
from synthesizeme.evaluation.intervals import (
    Difference,
    accuracy_interval,
    loss_interval,
    mean_difference,
    paired_difference,
    smallest_detectable_difference,
)
from synthesizeme.evaluation.measurement import CONTROLS, OWN, Measurement
from synthesizeme.evaluation.no_answers import Beaten
from synthesizeme.evaluation.selective import Selection
from synthesizeme.types import Frozen, PreferencePair, Usage


class CurvePoint(Frozen):
    """What users who were not in the training get after some of their own pairs."""

    order: Literal["random", "file order"]
    """Whether their pairs were drawn at random, and averaged over the draws, or were their first ones."""
    length: int
    """Number of own pairs brought along."""
    micro: float | None
    """Accuracy over answered pairs."""
    low: float | None = None
    """Lower end of its 95 % interval over users."""
    high: float | None = None
    """Upper end of its 95 % interval over users."""
    nll: float | None = None
    """Mean negative log-likelihood, in nats."""
    n_pairs: int | None = None
    """Pairs asked about."""
    n_users: int | None = None
    """Users behind them."""


class Resplits(Frozen):
    """Means over seeded re-splits; None where a scorer knows no user. Intervals resample users."""

    n: int
    """Number of re-splits."""
    micro: float | None
    """With the user's own history."""
    low: float | None = None
    """Lower end of the 95 % interval of `micro`."""
    high: float | None = None
    """Upper end of the 95 % interval of `micro`."""
    no_user: float | None = None
    """Without the user."""
    gain: float | None = None
    """`micro` minus `no_user`, on the pairs both answered."""
    gain_low: float | None = None
    """Lower end of the 95 % interval of `gain`."""
    gain_high: float | None = None
    """Upper end of the 95 % interval of `gain`."""
    behind: Difference | None = None
    """The first scorer of the table minus this one, on the pairs both answered; None for the first itself."""
    wrong_user: float | None = None
    """With another user's history."""
    swapped_labels: float | None = None
    """With the labels of the user's history reversed."""
    brier: float | None = None
    """Brier score of the stated probabilities."""
    ece: float | None = None
    """Expected calibration error of the stated probabilities."""
    nll: float | None = None
    """Negative log-likelihood of the stated probabilities, in nats."""
    nll_low: float | None = None
    """Lower end of the 95 % interval of `nll`."""
    nll_high: float | None = None
    """Upper end of the 95 % interval of `nll`."""
    nll_no_user: float | None = None
    """`nll` without the user."""


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
    for_these_users: tuple[float, float] | None = None
    """Both ends of the interval of `micro` over pairs within users, with 2 to 9 users: it is about these
    alone."""
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
    nll: float | None = None
    """Negative log-likelihood of the stated probabilities, in nats; log 2 = .693 is a coin that says so."""
    nll_low: float | None = None
    """Lower end of the 95 % interval of `nll`."""
    nll_high: float | None = None
    """Upper end of the 95 % interval of `nll`."""
    nll_controls: dict[str, float | None] = Field(default_factory=dict)
    """`nll` of each of the `controls`."""
    selection: Selection | None = None
    """Promised error, realised error and coverage, where the scorer may abstain."""
    no_answers: Beaten | None = None
    """How often texts that are no answers beat the chosen answers, by kind."""
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
    curve: tuple[CurvePoint, ...] = ()
    """Users who were not in the training, by number of own pairs brought along."""


_COUNTED = (
    "macro", "n_pairs", "n_users", "n_questions", "ties", "failures", "coverage", "order_consistency",
    "position_bias",
)  # fmt: skip
"""Fields of a row that its outcome has under the same names."""


def row(
    name: str,
    outcome: Outcome,
    *,
    against: Outcome | None = None,
    controls: Mapping[str, Outcome] | None = None,
    usage: Usage | None = None,
    seed: int = 0,
    **more: Any,
) -> Row:
    """Compute a row.

    Args:
        name: Name to show.
        outcome: What the scorer did.
        against: What `gain` is measured against, on the pairs both answered.
        controls: Outcomes of the same scorer with what it knows about the user changed.
        usage: What its calls cost.
        seed: Seed of the bootstrap.
        **more: Further fields of the row.
    """
    accuracy, loss = accuracy_interval(outcome, seed=seed), loss_interval(outcome, seed=seed)
    stated = probabilities(outcome)
    return Row(
        name=name,
        micro=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        for_these_users=accuracy.for_these_users,
        unit=accuracy.unit,
        **{field: getattr(outcome, field) for field in _COUNTED},
        controls={key: control.micro for key, control in (controls or {}).items()},
        gain=paired_difference(outcome, against, seed=seed) if against else None,
        detectable=smallest_detectable_difference(outcome, against),
        brier=brier(stated),
        ece=expected_calibration_error(stated),
        nll=loss.value,
        nll_low=loss.low,
        nll_high=loss.high,
        nll_controls={key: negative_log_likelihood(control) for key, control in (controls or {}).items()},
        usage=usage,
        **more,
    )


def measured_row(
    found: Measurement,
    *,
    pairs: Sequence[PreferencePair],
    everyone: Sequence[PreferencePair],
    first: Measurement | None = None,
    seed: int = 0,
) -> Row:
    """The row of a measurement; its gain is paired against the same scorer without the user.

    Args:
        found: The measurement.
        pairs: The test pairs.
        everyone: Pairs whose owners count as the other people of `Row.agrees_with_majority`.
        first: The first scorer of the table, for `Row.behind`.
        seed: Seed of the bootstrap.
    """
    return row(
        found.name,
        found.own,
        against=found.controls.get("no_user"),
        controls=found.controls,
        usage=found.usage,
        seed=seed,
        behind=paired_difference(first.own, found.own, seed=seed) if first is not None else None,
        agrees_with_majority=agreement_with_majority(found.own, pairs, everyone),
        selection=found.selection,
        no_answers=found.no_answers,
        fit_seconds=found.fit_seconds,
        score_seconds=found.score_seconds,
        parameters=found.parameters,
        resplits=_over_resplits(found, first, seed) if found.resplits else None,
        curve=tuple(
            _point(order, length, outcome, seed)
            for order, curve in found.curves.items()
            for length, outcome in curve.items()
        ),
    )


def agreement_with_majority(
    outcome: Outcome, pairs: Sequence[PreferencePair], everyone: Sequence[PreferencePair]
) -> float | None:
    """Share of answered pairs in which a scorer chose what most other people chose; its ties count half.

    Args:
        outcome: What the scorer said about `pairs`.
        pairs: The pairs asked about.
        everyone: Pairs whose owners are the other people; those of the user asked about have no vote.

    Returns:
        In [0, 1], over the pairs on which a majority of the others exists; None where there is none.
    """
    others = MajorityOfOthers(everyone)
    said = {pair.pair_id: others.verdict(pair.compare("chosen_first")).preference for pair in pairs}
    majority = {
        pair_id: float(preference == "first") for pair_id, preference in said.items() if preference != "tie"
    }
    agreed = [
        1 - abs(majority[pair.pair_id] - _leaning(pair))
        for pair in outcome.answered
        if pair.pair_id in majority
    ]
    return sum(agreed) / len(agreed) if agreed else None


def _leaning(pair: PairOutcome) -> float:
    """Share of the orders in which the response that the user chose was preferred; a tie is a half."""
    worth = {"chosen": 1.0, "rejected": 0.0, "tie": 0.5}
    return sum(worth[choice] for choice in pair.choices) / len(pair.choices)


def _point(order: Literal["random", "file order"], length: int, outcome: Outcome, seed: int) -> CurvePoint:
    found = accuracy_interval(outcome, seed=seed)
    return CurvePoint(
        order=order,
        length=length,
        micro=found.value,
        low=found.low,
        high=found.high,
        nll=negative_log_likelihood(outcome),
        n_pairs=outcome.n_pairs,
        n_users=outcome.n_users,
    )


def _over_resplits(found: Measurement, first: Measurement | None, seed: int) -> Resplits:
    own = [outcomes[OWN] for outcomes in found.resplits]
    both = [(outcomes[OWN], outcomes["no_user"]) for outcomes in found.resplits if "no_user" in outcomes]
    firsts = [outcomes[OWN] for outcomes in first.resplits] if first is not None else []
    accuracy, loss = accuracy_interval(*own, seed=seed), loss_interval(*own, seed=seed)
    gain = mean_difference(both, seed=seed)
    stated = [probabilities(outcome) for outcome in own]
    controls = {
        name: _mean([outcomes[name].micro for outcomes in found.resplits if name in outcomes])
        for name in CONTROLS
    }
    return Resplits(
        n=len(own),
        micro=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        gain=gain.value,
        gain_low=gain.low,
        gain_high=gain.high,
        behind=mean_difference(list(zip(firsts, own, strict=True)), seed=seed) if firsts else None,
        **controls,
        brier=_mean([brier(it) for it in stated]),
        ece=_mean([expected_calibration_error(it) for it in stated]),
        nll=loss.value,
        nll_low=loss.low,
        nll_high=loss.high,
        nll_no_user=_mean([negative_log_likelihood(without) for _, without in both]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
