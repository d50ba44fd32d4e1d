"""The row of a measurement: controls, gain, agreement with the others, means over re-splits, the curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from synthesizeme.evaluation._rows import CurvePoint, Resplits, Row, row
from synthesizeme.evaluation.calibration import (
    brier,
    expected_calibration_error,
    negative_log_likelihood,
    probabilities,
)
from synthesizeme.evaluation.controls import MajorityOfOthers
from synthesizeme.evaluation.harness import Outcome, PairOutcome
from synthesizeme.evaluation.intervals import (
    accuracy_interval,
    mean_accuracy,
    mean_difference,
    mean_loss,
    paired_difference,
)
from synthesizeme.evaluation.measurement import CONTROLS, OWN, Measurement
from synthesizeme.types import PreferencePair


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
    whole = row(
        found.name,
        found.own,
        against=found.controls.get("no_user"),
        controls=found.controls,
        usage=found.usage,
        seed=seed,
    )
    return whole.model_copy(
        update={
            "behind": paired_difference(first.own, found.own, seed=seed) if first is not None else None,
            "agrees_with_majority": agreement_with_majority(found.own, pairs, everyone),
            "selection": found.selection,
            "no_answers": found.no_answers,
            "fit_seconds": found.fit_seconds,
            "score_seconds": found.score_seconds,
            "parameters": found.parameters,
            "resplits": _over_resplits(found, first, seed) if found.resplits else None,
            "curve": tuple(
                _point(order, length, outcome, seed)
                for order, curve in found.curves.items()
                for length, outcome in curve.items()
            ),
        }
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
    accuracy, loss = mean_accuracy(own, seed=seed), mean_loss(own, seed=seed)
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
