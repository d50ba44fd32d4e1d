"""What became of the users of a run: counts, never the users themselves, whatever their number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import Field

from synthesizeme.types import Frozen, Usage

EXAMPLES = 20
"""Users named at most."""


class NamedUser(Frozen):
    """A user to look at, and why."""

    user_id: str
    """The user."""
    why: str
    """What failed, or how far the pairs are from the profile."""


def _first(named: Iterable[NamedUser]) -> tuple[NamedUser, ...]:
    """The first users by their ids: the same ones in whatever order parts of a run are added."""
    return tuple(sorted(named, key=lambda it: it.user_id)[:EXAMPLES])


class Pooled(Frozen):
    """How one judge did on the test pairs of all users; values add with ``+``."""

    correct: float = 0.0
    """Pairs that it got right; a tie, or one of two orders, is a half."""
    pairs: int = 0
    """Pairs that it answered in both orders."""

    def __add__(self, other: Pooled) -> Pooled:
        return Pooled(correct=self.correct + other.correct, pairs=self.pairs + other.pairs)


def added(*counts: Mapping[str, int]) -> dict[str, int]:
    """Counts of the same things, together.

    >>> added({"parse": 1}, {"refusal": 1, "parse": 2})
    {'parse': 3, 'refusal': 1}
    """
    return {name: sum(some.get(name, 0) for some in counts) for name in sorted(set().union(*counts))}


class RunSummary(Frozen):
    """A run, or a part of one; values add with ``+``."""

    done: int = 0
    """Users whose profile was made or updated."""
    unchanged: int = 0
    """Users whose profile was finished before and whose pairs are the same."""
    failed: int = 0
    """Users whose induction failed; the next run tries them again."""
    drifted: int = 0
    """Of those done, users whose new pairs contradicted their profile."""
    usage: Usage = Usage()
    """What all calls took, evaluation and checks for drift included."""
    unanswered: dict[str, int] = Field(default_factory=dict)
    """Questions without a usable answer, by kind, retries notwithstanding."""
    accuracy: dict[str, Pooled] = Field(default_factory=dict)
    """By judge."""
    failures: tuple[NamedUser, ...] = ()
    """The first users that failed."""
    drifts: tuple[NamedUser, ...] = ()
    """The first users that drifted."""
    cautioned: int = 0
    """Of those done, users whose profile has a caution."""
    cautions: tuple[NamedUser, ...] = ()
    """The first users whose profile has one."""
    stopped: str | None = None
    """Why users were left for another run, if any were."""

    def __add__(self, other: RunSummary) -> RunSummary:
        judges = dict.fromkeys([*self.accuracy, *other.accuracy])
        return RunSummary(
            done=self.done + other.done,
            unchanged=self.unchanged + other.unchanged,
            failed=self.failed + other.failed,
            drifted=self.drifted + other.drifted,
            usage=self.usage + other.usage,
            unanswered=added(self.unanswered, other.unanswered),
            accuracy={
                name: self.accuracy.get(name, Pooled()) + other.accuracy.get(name, Pooled())
                for name in judges
            },
            failures=_first((*self.failures, *other.failures)),
            drifts=_first((*self.drifts, *other.drifts)),
            cautioned=self.cautioned + other.cautioned,
            cautions=_first((*self.cautions, *other.cautions)),
            stopped=self.stopped or other.stopped,
        )

    @property
    def users(self) -> int:
        """Users that were looked at."""
        return self.done + self.unchanged + self.failed
