"""What a retriever is taught with: how useful each of a user's past items was for one question."""

from __future__ import annotations

import math
from dataclasses import dataclass

from synthesizeme.errors import DataError

DOCUMENT = "retriever.json"
"""By which the folder of an encoder that was taught is known."""


@dataclass(frozen=True)
class Lesson:
    """One question and the items it could be answered with.

    Raises:
        DataError: there are not as many utilities as items, none at all, or one is not finite.
    """

    query: str
    """What was asked about."""
    documents: tuple[str, ...]
    """Texts of the user's past items."""
    utilities: tuple[float, ...]
    """How well the judge did with each item alone, e.g. in [0, 1]."""

    def __post_init__(self) -> None:
        if not self.documents or len(self.documents) != len(self.utilities):
            raise DataError(
                f"{len(self.documents)} items, {len(self.utilities)} utilities; expected as many, 1 or more",
                field="utilities",
                cure="measure every item of the profile, and leave questions without a profile out",
            )
        if not all(math.isfinite(utility) for utility in self.utilities):
            raise DataError("a utility is not a finite number", field="utilities", cure="leave failures out")

    @property
    def teaches(self) -> bool:
        """Whether the items differ at all."""
        return max(self.utilities) > min(self.utilities)
