"""All that was measured of one scorer on one benchmark, pair by pair: tables and figures are made from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Literal

from pydantic import Field

from synthesizeme.evaluation.harness import Outcome, pool
from synthesizeme.evaluation.no_answers import Beaten
from synthesizeme.evaluation.selective import Selection
from synthesizeme.types import Frozen, Usage

Kind = Literal["reward model", "checkpoint", "judge", "reference"]
OWN = "own"
"""Name of the outcome with the user's own history, beside those of the controls."""
AT_RANDOM = "random "
"""What the names of outcomes with pairs drawn at random begin with, before the number of pairs."""
Condition = Literal["own", "no_user", "wrong_user", "swapped_labels"]
"""What a scorer knows of the user: own history, nothing, another one's, or the own with labels swapped."""
CONTROLS: tuple[Condition, ...] = ("no_user", "wrong_user", "swapped_labels")
"""What is changed of what a scorer knows of the user."""


class _Counted(Frozen):
    """What is known of a measurement besides its outcomes."""

    fit_seconds: float | None = None
    """Wall-clock seconds to train, all folds together."""
    score_seconds: float | None = None
    """Wall-clock seconds to score the test pairs once."""
    parameters: int | None = None
    """Learned numbers, in the largest fold."""
    usage: Usage | None = None
    """Model calls of a judge."""
    selection: Selection | None = None
    """Promised error, realised error and coverage on the test pairs, where the scorer may abstain."""
    no_answers: Beaten | None = None
    """How often texts that are no answers beat the chosen answers of the first fold."""
    notes: tuple[str, ...] = ()
    """What a reader should know, e.g. which control could not be run."""


class TaskResult(_Counted):
    """What one unit of work found: one fold, one re-split, or one half of the users for the curve."""

    outcomes: dict[str, Outcome]
    """`OWN` and each of the controls; for the history-length curve by number of pairs: ``"0"``, ``"1"``, …
    for the first ones, ``"random 1"``, … for ones drawn at random (`AT_RANDOM`)."""


class Measurement(_Counted):
    """One scorer on one benchmark, with everything that changes what it knows of the user."""

    name: str
    """Name of the scorer, as on the command line."""
    kind: Kind
    """What kind of scorer it is."""
    own: Outcome
    """With the user's own history."""
    controls: dict[str, Outcome] = Field(default_factory=dict)
    """``no_user``, ``wrong_user``, ``swapped_labels``: the same pairs; empty where it knows no users."""
    cold_start: dict[int, Outcome] = Field(default_factory=dict)
    """Users who were not in the training, by number of their first own pairs brought along: the
    history-length curve in file order."""
    random_start: dict[int, Outcome] = Field(default_factory=dict)
    """The same with own pairs drawn at random, the draws of one length in one `repeated` outcome; from one
    pair on, since no pair is no draw."""
    resplits: tuple[dict[str, Outcome], ...] = ()
    """Per re-split of the pairs within users: ``own`` and each of the controls."""

    @property
    def curves(self) -> dict[Literal["random", "file order"], dict[int, Outcome]]:
        """The history-length curves that were measured, ``random`` first; each begins with no pair."""
        at_zero = {0: self.cold_start[0]} if 0 in self.cold_start else {}
        found: dict[Literal["random", "file order"], dict[int, Outcome]] = {
            "random": at_zero | self.random_start if self.random_start else {},
            "file order": self.cold_start,
        }
        return {name: curve for name, curve in found.items() if curve}


def joined(
    name: str,
    kind: Kind,
    folds: Sequence[TaskResult],
    *,
    resplits: Sequence[TaskResult] = (),
    halves: Sequence[TaskResult] = (),
) -> Measurement:
    """One measurement from the results of one scorer: folds and halves are pooled, re-splits stay apart.

    Args:
        name: Name of the scorer.
        kind: Its kind.
        folds: At least one; a control that is missing in one of them is left out.
        resplits: One result for each re-split.
        halves: The results of the history-length curve.
    """
    outcomes = _pooled(folds)
    curve = _pooled(halves) if halves else {}
    selections = [result.selection for result in folds if result.selection is not None]
    usages = [result.usage for result in folds if result.usage is not None]
    parameters = [result.parameters for result in folds if result.parameters is not None]
    return Measurement(
        name=name,
        kind=kind,
        own=outcomes.pop(OWN),
        controls=outcomes,
        cold_start={int(name): found for name, found in curve.items() if not name.startswith(AT_RANDOM)},
        random_start={
            int(name.removeprefix(AT_RANDOM)): found
            for name, found in curve.items()
            if name.startswith(AT_RANDOM)
        },
        resplits=tuple(result.outcomes for result in resplits),
        fit_seconds=_total([result.fit_seconds for result in folds]),
        score_seconds=_total([result.score_seconds for result in folds]),
        parameters=max(parameters, default=None),
        usage=reduce(add, usages) if usages else None,
        no_answers=folds[0].no_answers,
        selection=reduce(add, selections) if len(selections) == len(folds) else None,
        notes=tuple(dict.fromkeys(note for result in (*folds, *resplits, *halves) for note in result.notes)),
    )


def _pooled(results: Sequence[TaskResult]) -> dict[str, Outcome]:
    """Outcomes that all results have, by name."""
    names = [name for name in results[0].outcomes if all(name in result.outcomes for result in results)]
    return {name: pool(result.outcomes[name] for result in results) for name in names}


def _total(seconds: Sequence[float | None]) -> float | None:
    known = [value for value in seconds if value is not None]
    return sum(known) if known else None
