"""The row of a measurement: controls, gain, agreement with the others, means over re-splits, the curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthesizeme.evaluation._rows import Resplits, Row, row
from synthesizeme.evaluation.controls import MajorityOfOthers
from synthesizeme.evaluation.harness import Outcome, PairOutcome
from synthesizeme.evaluation.intervals import paired_difference
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
            "fit_seconds": found.fit_seconds,
            "score_seconds": found.score_seconds,
            "parameters": found.parameters,
            "resplits": _over_resplits(found.resplits) if found.resplits else None,
            "cold_start": {length: outcome.micro for length, outcome in found.cold_start.items()},
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


def _over_resplits(resplits: Sequence[Mapping[str, Outcome]]) -> Resplits:
    means = {
        name: _mean([outcomes[name].micro for outcomes in resplits if name in outcomes])
        for name in (OWN, *CONTROLS)
    }
    gains = [
        paired_difference(outcomes[OWN], outcomes["no_user"]).value
        for outcomes in resplits
        if "no_user" in outcomes
    ]
    controls = {name: means[name] for name in CONTROLS}
    return Resplits(n=len(resplits), micro=means[OWN], gain=_mean(gains), **controls)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
