"""Which entrants a figure shows, and how it says how many pairs and users are behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.measurement import Measurement


def ranked(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Those with an answered pair, the most accurate first; equals by name."""
    answered = [m for m in measurements if m.own.micro is not None]
    return sorted(answered, key=lambda m: (-percent(m.own.micro), m.name))


def is_oracle(entrant: Measurement) -> bool:
    """Whether it is the positive control that knows the labels."""
    return entrant.kind == "reference" and entrant.name == "oracle"


def percent(share: float | None) -> float:
    """A share in per cent; not a number where there is none."""
    return float("nan") if share is None else 100 * share


def extent(outcomes: Iterable[Outcome]) -> str:
    """How many pairs and users: "656 pairs of 91 users", or from fewest to most."""
    found = list(outcomes)
    return f"{_range([o.n_pairs for o in found], 'pair')} of {_range([o.n_users for o in found], 'user')}"


def _range(counts: Sequence[int], noun: str) -> str:
    low, high = min(counts), max(counts)
    number = f"{high:,}" if low == high else f"{low:,} to {high:,}"
    return f"{number} {noun}{'' if high == 1 else 's'}"
