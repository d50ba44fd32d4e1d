"""What is believed of a person as of now: sentences with their record, what a change changes.

All of it is computed by what made the profile: sentences are held against choices as an induction does
(`synthesizeme.personas.trial`), and what a change changes is told by a judge that knows the profile.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from synthesizeme.backends import Session
from synthesizeme.induction import InductionJob
from synthesizeme.induction.stored_user import induce_stored_user
from synthesizeme.judges import LLMJudge, both_orders
from synthesizeme.judges.llm_judge import OneComparison
from synthesizeme.page.turns import EXPECTED, SHOWN, History
from synthesizeme.personas.since import as_of_now, held_since
from synthesizeme.profile import PersonaSentence, UserProfile
from synthesizeme.profiles import ProfileStore
from synthesizeme.profiles.store import InductionRecord
from synthesizeme.types import Comparison, Preference, PreferencePair

FEWEST = 6
"""Choices from which on it is worth looking for sentences."""
RECENT = 10
"""Choices on which it is shown what a change changes."""
_KEPT = 256


class Changed(NamedTuple):
    """A choice that two profiles predict differently."""

    pair: PreferencePair
    before: bool
    """Whether the earlier profile expected the choice."""
    after: bool
    """Whether the later one does."""


class Spoken(NamedTuple):
    """Which of two answers a sentence speaks for."""

    sentence: PersonaSentence
    number: int
    side: str
    """``first`` or ``second``."""


@dataclass(frozen=True)
class Point:
    """How many of the first choices were expected."""

    number: int
    """So many choices."""
    own: int
    """Of those, how many the model expected of this person beforehand."""
    anybody: int
    """How many it expected of anybody."""


class Beliefs:
    """Profiles of people who give feedback, as the page shows them.

    Args:
        store: Where the profiles are.
        session: The model that writes and judges.
        job: How profiles are made.
    """

    def __init__(self, store: ProfileStore, session: Session, job: InductionJob) -> None:
        self.store, self.session, self.job = store, session, job
        self._looks: OrderedDict[object, UserProfile] = OrderedDict()
        self._lock = threading.Lock()

    def write(self, user_id: str) -> InductionRecord | None:
        """Make the person's profile anew of all choices; what the person corrected stays.

        Returns:
            How it ended; None where nothing has changed since the last time.

        Raises:
            SynthesizeMeError: the model or the store cannot be reached.
        """
        return induce_stored_user(self.store, self.session, self.job, user_id, self.job.fingerprint).record

    def as_of_now(self, profile: UserProfile, pairs: Sequence[PreferencePair]) -> UserProfile:
        """The profile with the record of each sentence brought up to these choices.

        A sentence that was tried is held against the choices that came since; one that never was against all.
        """
        key = (profile.user_id, profile.model_dump_json(), tuple(pair.fingerprint for pair in pairs))
        with self._lock:
            if (found := self._looks.get(key)) is not None:
                self._looks.move_to_end(key)
                return found
        since = held_since(self.session.ledger(), profile, pairs, seed=self.job.settings.seed)
        looked = as_of_now(profile, since)
        with self._lock:
            self._looks[key] = looked
            while len(self._looks) > _KEPT:
                self._looks.popitem(last=False)
        return looked

    def forget(self, user_id: str) -> None:
        """Drop what was kept of a person in memory."""
        with self._lock:
            for key in [key for key in self._looks if isinstance(key, tuple) and key[0] == user_id]:
                del self._looks[key]

    def changes(
        self, before: UserProfile, after: UserProfile, pairs: Sequence[PreferencePair]
    ) -> list[Changed]:
        """Of the latest choices those that the two profiles predict differently, newest first."""
        recent = list(pairs[-RECENT:])
        one, other = (self._expected(profile, recent) for profile in (before, after))
        found = [
            Changed(pair, was == "first", now == "first")
            for pair, was, now in zip(recent, one, other, strict=True)
            if was != now
        ]
        return found[::-1]

    def judged(self, profile: UserProfile, comparison: Comparison) -> OneComparison | None:
        """What a judge that knows the profile says of two answers, in both orders; None without a verdict."""
        judge = LLMJudge(self.session.ledger(), {comparison.user_id: profile}, name="trying")
        (found,) = both_orders(judge, [comparison])
        return found if isinstance(found, OneComparison) else None

    def speaking(self, profile: UserProfile, comparison: Comparison) -> list[Spoken]:
        """Which sentences speak for one of two answers, and for which."""
        pair = PreferencePair.model_validate(
            {
                "pair_id": "tried", "user_id": comparison.user_id, "prompt": comparison.prompt,
                "chosen": [{"role": "assistant", "content": comparison.first}],
                "rejected": [{"role": "assistant", "content": comparison.second}],
            }
        )  # fmt: skip
        bare = UserProfile(user_id=profile.user_id, persona=profile.persona)
        votes = held_since(self.session.ledger(), bare, [pair], seed=self.job.settings.seed)
        return [
            Spoken(it, number, "first" if it.pair_ids else "second")
            for number, it in enumerate(votes, 1)
            if it.pair_ids or it.against
        ]

    def _expected(self, profile: UserProfile, pairs: Sequence[PreferencePair]) -> list[Preference | None]:
        """For each pair ``first`` where the profile expects what was chosen; None without a verdict."""
        if not pairs:
            return []
        judge = LLMJudge(self.session.ledger(), {profile.user_id: profile}, name="seeing what changes")
        told = both_orders(judge, [pair.compare("chosen_first") for pair in pairs])
        return [it.preference if isinstance(it, OneComparison) else None for it in told]


def expected_so_far(history: History) -> list[Point]:
    """How many choices the model expected beforehand, of the first one, the first two, ...

    A probability of a half counts half; what is not whole is rounded down.
    """
    points: list[Point] = []
    own = anybody = 0.0
    for pair in history.pairs:
        told = pair.metadata.get(EXPECTED)
        if not isinstance(told, dict) or not {"own", "anybody"} <= told.keys():
            continue
        first = pair.metadata.get(SHOWN) == "chosen"
        own += _right(told["own"], first)
        anybody += _right(told["anybody"], first)
        points.append(Point(len(points) + 1, int(own), int(anybody)))
    return points


def _right(probability: float, first: bool) -> float:
    return 0.5 if probability == 0.5 else float((probability > 0.5) == first)
