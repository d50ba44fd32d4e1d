"""What a store remembers of a user's latest induction: how it ended, and what the next one has to know."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from synthesizeme.types import Frozen, Usage


class Track(Frozen):
    """How a user's profiles did on pairs that they had not learned from, oldest first."""

    base_pairs: int = 0
    """Pairs of the base."""
    base_correct: float = 0.0
    """Correct ones among them; a tie, or one of two orders, is a half."""
    recent: tuple[float, ...] = ()
    """Score of each pair since, in {0, 0.5, 1}, newest last."""


class DriftCheck(Frozen):
    """Whether recent pairs contradict the profile; see `synthesizeme.induction.drift`."""

    base_pairs: int
    """Pairs that the estimate rests on."""
    recent_pairs: int
    """Pairs it is compared with."""
    loss: float
    """Estimated loss of accuracy, in [-1, 1]."""
    standard_error: float
    """Of the loss."""
    drifted: bool
    """Whether the loss is flagged."""


class InductionNote(Frozen):
    """How a user's latest induction ended."""

    state: Literal["done", "failed"]
    """Whether there is a profile of it."""
    pairs: int
    """How many of the user's pairs it knew of."""
    settings: str = Field(max_length=64)
    """Fingerprint of the model and the settings."""
    drifted: bool = False
    """Whether the newest pairs contradicted the profile before."""


class InductionRecord(InductionNote):
    """A user's latest induction."""

    version: int = 0
    """Version of the profile that it made; 0 if it made none."""
    attempts: int = 1
    """How often it was tried since it last succeeded, this time included."""
    error: str = ""
    """Why it failed."""
    usage: Usage = Usage()
    """What it took, evaluation included."""
    unanswered: dict[str, int] = Field(default_factory=dict)
    """Questions without a usable answer, by kind; in the evaluation each judge's questions count by
    themselves."""
    accuracy: dict[str, tuple[float, int]] = Field(default_factory=dict)
    """Correct verdicts and judged pairs of the test split, by judge."""
    track: Track = Track()
    """What the next check for drift compares with."""
    drift: DriftCheck | None = None
    """The latest check, if there was one."""


class StoreTotals(Frozen):
    """How much a store holds."""

    users: int
    """Users."""
    pairs: int
    """Their pairs."""
    words: int
    """Users who said something beside choices."""
    done: int
    """Users whose latest induction made a profile."""
    failed: int
    """Users whose latest induction failed."""
    drifted: int
    """Users whose newest pairs contradicted their profile."""
