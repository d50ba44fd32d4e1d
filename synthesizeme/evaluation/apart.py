"""Choices of people and of simulations, kept apart: a figure speaks of one or of the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from synthesizeme.errors import DataError
from synthesizeme.types import SIMULATED, PreferencePair, Respondents, respondents


def refuse_mixture(pairs: Sequence[PreferencePair], source: str | None = None) -> Respondents:
    """Who chose in pairs that are to be measured together.

    Raises:
        DataError: people made some of the choices, and simulations others.
    """
    kind = respondents(pairs)
    if kind == "mixed":
        people, simulated = counted(pairs)
        raise DataError(
            f"{people} of the pairs to be measured on are choices of people and {simulated} of simulations; "
            "no figure can speak of both",
            source=source,
            field=f"metadata.{SIMULATED}",
            cure="measure each apart: `synthesizeme data convert IN --out OUT --respondents human`",
        )
    return kind


def counted(pairs: Sequence[PreferencePair]) -> tuple[int, int]:
    """How many choices people made, and how many simulations."""
    counts = Counter(pair.simulated for pair in pairs)
    return counts[False], counts[True]
