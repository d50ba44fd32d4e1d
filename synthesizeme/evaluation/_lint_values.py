"""The values of a lint: a finding, and what a data set declares of itself."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from synthesizeme.evaluation.intervals import Interval
from synthesizeme.types import Frozen

Level = Literal["error", "warning", "note"]
EXAMPLES = 5
"""Most pairs named as examples."""


class Declared(Frozen):
    """How many there should be; None where nothing is declared."""

    pairs: int | None = Field(default=None, ge=0)
    """Pairs of all splits."""
    users: int | None = Field(default=None, ge=0)
    """Different users."""
    test_pairs: int | None = Field(default=None, ge=0)
    """Test pairs of all folds."""

    def departures(self, pairs: int, users: int, test_pairs: int) -> list[tuple[str, int, int]]:
        """(what, number found, number declared) of every number that is not the one declared."""
        found = {"pairs": pairs, "users": users, "test_pairs": test_pairs}
        return [
            (name.replace("_", " "), found[name], declared)
            for name, declared in self.model_dump().items()
            if declared is not None and found[name] != declared
        ]


class Finding(Frozen):
    """One thing found."""

    level: Level
    """How much it matters."""
    name: str
    """Name of the check."""
    problem: str
    """What was found, to be read after the numbers."""
    count: int
    """Number of pairs, rows or users concerned."""
    out_of: int
    """Number of those that were looked at."""
    share_chosen: Interval | None = None
    """Where labels follow something: how often the side that has it is the chosen one."""
    pair_ids: tuple[str, ...] = ()
    """The first few pairs concerned."""
    cure: str
    """What can be done, or how figures are to be read."""
