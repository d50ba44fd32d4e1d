"""What a store of profiles is: one interface, and the values it speaks in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, Self

from pydantic import Field

from synthesizeme.errors import StoreConflictError
from synthesizeme.feedback import Judgement, UserWords
from synthesizeme.profile import PersonaSentence, UserProfile
from synthesizeme.types import Demonstration, Frozen, PreferencePair, Usage

EXPORT_FORMAT = "synthesizeme-user-2"
"""Names the document that `ProfileStore.export` makes."""
PAGE = 1000
"""Users of one page, unless asked otherwise."""


class VersionNote(Frozen):
    """One version of a user's profile, without the profile."""

    version: int
    """1 for a user's first profile; the order of the versions, whatever the clock did."""
    created_at: datetime
    """When it was put, UTC; never earlier than the version before it."""
    made_from: str
    """What it was made from, in words."""


class ProfileVersion(VersionNote):
    """One version of a user's profile."""

    profile: UserProfile
    """The profile."""


class UserSummary(Frozen):
    """What a store holds of one user."""

    user_id: str
    """The user."""
    pairs: int
    """How many pairs."""
    version: int
    """Latest version of the profile; 0 when there is none."""
    words: bool = False
    """Whether there are words of the user."""
    feedback: int = 0
    """How much feedback beside pairs."""
    induced: InductionNote | None = None
    """How the latest induction ended; None when there was none."""


class ProfileChange(Frozen):
    """What one version of a profile says and another does not; each list in the order of its profile."""

    sentences_added: tuple[PersonaSentence, ...] = ()
    """Persona sentences that only the later one has, by their text."""
    sentences_removed: tuple[PersonaSentence, ...] = ()
    """Persona sentences that only the earlier one has."""
    demonstrations_added: tuple[Demonstration, ...] = ()
    """Demonstrations that only the later one has."""
    demonstrations_removed: tuple[Demonstration, ...] = ()
    """Demonstrations that only the earlier one has."""


class Deleted(Frozen):
    """What a deletion dropped."""

    pairs: int
    """Pairs of the user."""
    versions: int
    """Versions of the profile."""
    words: bool = False
    """Whether there were words of the user."""
    feedback: int = 0
    """Feedback beside pairs."""


class UserStore(Protocol):
    """Pairs, other feedback, words and profiles of users: as much of a `ProfileStore` as a server needs."""

    def add_pairs(
        self,
        user_id: str,
        pairs: Sequence[PreferencePair],
        *,
        words: UserWords | None = None,
        feedback: Sequence[Judgement] = (),
        taken_back: Collection[str] = (),
    ) -> int:
        """Append pairs and feedback of a user, all or none; what is stored already is passed over.

        Args:
            user_id: The user.
            pairs: Their pairs.
            words: What the user said, as for `put_words`, together with the pairs or not at all.
            feedback: What else they said of responses.
            taken_back: Ids of pairs and feedback that the user takes back, which are dropped first; those
                that are not there are passed over.

        Returns:
            How many pairs were new.

        Raises:
            DataError: something is another user's, or differs from what is stored under the same id.
        """

    def pairs(self, user_id: str) -> tuple[PreferencePair, ...]:
        """A user's pairs in the order in which they came; none for a user that is not there."""

    def feedback(self, user_id: str) -> tuple[Judgement, ...]:
        """What a user said of responses beside pairs, in the order in which it came."""

    def words(self, user_id: str) -> UserWords | None:
        """What a user said beside choices; None where nothing is known of it."""

    def put_profile(
        self, profile: UserProfile, *, made_from: str | None = None, expected_version: int | None = None
    ) -> VersionNote:
        """Store a profile as the user's next version.

        Args:
            profile: The profile.
            made_from: What it was made from; by default what its provenance says.
            expected_version: Latest version the writer knows of, 0 for none; None puts without looking.

        Raises:
            StoreConflictError: the latest version is another one.
        """

    def profile(self, user_id: str, version: int | None = None) -> ProfileVersion | None:
        """A version of a user's profile, by default the latest; None when there is no such version."""

    def versions(self, user_id: str) -> tuple[VersionNote, ...]:
        """All versions of a user's profile, oldest first."""

    def delete(self, user_id: str) -> Deleted:
        """Drop everything about a user, leaving no byte of it in any file of an embedded database."""

    def users(self, after: str | None = None, limit: int = PAGE) -> tuple[UserSummary, ...]:
        """A page of users, in an order of the store's own.

        Args:
            after: Last user of the page before; None for the first page.
            limit: Most users of the page.
        """

    def close(self) -> None:
        """Let go of the database."""


class ProfileStore(UserStore, Protocol):
    """Pairs, feedback, words and profiles of many users. Safe with several threads and processes.

    A user's id is any text without NUL characters. What a method has acknowledged by returning is durable.
    Every method may raise `StoreUnavailableError` (the database is away or busy for too long), `DataError` (a
    user id or stored row is wrong, the disk is full), `SealError` (see there) or another `StoreError`.
    """

    def put_words(self, words: UserWords) -> None:
        """Store what a user said beside choices, in place of what was there; words that say nothing drop it.

        Raises:
            DataError: the words cannot be written as JSON.
        """

    def put_induction(
        self,
        user_id: str,
        record: InductionRecord,
        profile: UserProfile | None = None,
        *,
        expected_version: int | None = None,
    ) -> InductionRecord:
        """Store how an induction ended, and the profile it made as the user's next version: both or neither.

        Args:
            user_id: The user.
            record: The record, in place of the one before.
            profile: The profile, if one was made.
            expected_version: As `put_profile`, whether or not there is a profile.

        Returns:
            The record with the version of the profile in it.

        Raises:
            StoreConflictError: the latest version is another one.
        """

    def induction(self, user_id: str) -> InductionRecord | None:
        """How a user's latest induction ended; None when there was none."""

    def diff(self, user_id: str, earlier: int, later: int) -> ProfileChange:
        """What changed between two versions.

        Raises:
            DataError: there is no such version.
        """

    def roll_back(self, user_id: str, version: int) -> VersionNote:
        """Store an old version once more, as the latest.

        Raises:
            DataError: there is no such version.
        """

    def export(self, user_id: str) -> dict[str, Any] | None:
        """Everything about a user as one JSON document; None for a user that is not there."""

    def totals(self) -> StoreTotals:
        """How much there is of everything."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *reason: object) -> None: ...


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
    feedback: int
    """Feedback beside pairs."""
    done: int
    """Users whose latest induction made a profile."""
    failed: int
    """Users whose latest induction failed."""
    drifted: int
    """Users whose newest pairs contradicted their profile."""


def refuse_other_version(version: int, expected: int | None, user_id: str) -> None:
    """Refuse to go on from a version that is not the latest.

    Args:
        version: The latest.
        expected: The one that the writer knows of; None for whichever it is.
        user_id: Whose profile it is.

    Raises:
        StoreConflictError: they differ.
    """
    if expected is not None and expected != version:
        raise StoreConflictError(
            f"the profile of user {user_id[:60]!r} is at version {version}; expected {expected}: "
            "another writer was first. Cure: read the latest version and decide again"
        )


def difference(earlier: UserProfile, later: UserProfile) -> ProfileChange:
    """Sentences and demonstrations that only one of two profiles has; what merely moved is no change."""
    return ProfileChange(
        sentences_added=_sentences_missing(earlier, later),
        sentences_removed=_sentences_missing(later, earlier),
        demonstrations_added=_demonstrations_missing(earlier, later),
        demonstrations_removed=_demonstrations_missing(later, earlier),
    )


def _sentences(profile: UserProfile) -> tuple[PersonaSentence, ...]:
    return () if profile.persona is None else profile.persona.statements


def _sentences_missing(here: UserProfile, there: UserProfile) -> tuple[PersonaSentence, ...]:
    known = {sentence.text for sentence in _sentences(here)}
    return tuple(sentence for sentence in _sentences(there) if sentence.text not in known)


def _demonstrations_missing(here: UserProfile, there: UserProfile) -> tuple[Demonstration, ...]:
    known = {item.model_dump_json() for item in here.demonstrations}
    return tuple(item for item in there.demonstrations if item.model_dump_json() not in known)
