"""A store as others see and fill it: the mapping that judges take, all its users, and what is taken in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from synthesizeme.feedback import Judgement, UserWords
from synthesizeme.pairs import by_user
from synthesizeme.profile import UserProfile
from synthesizeme.profiles.store import (
    PAGE,
    ProfileStore,
    ProfileVersion,
    UserStore,
    UserSummary,
    refuse_other_version,
)
from synthesizeme.types import Frozen, PreferencePair


def every_user(store: UserStore, page: int = PAGE, after: str | None = None) -> Iterator[UserSummary]:
    """All users of a store, or those that come after one, one page in memory at a time."""
    while found := store.users(after, page):
        yield from found
        after = found[-1].user_id


class StoredProfiles(Mapping[str, UserProfile]):
    """The latest profile of every user that has one, by user id; each is read when asked for."""

    def __init__(self, store: ProfileStore) -> None:
        self.store = store

    def __getitem__(self, user_id: str) -> UserProfile:
        found = self.store.profile(user_id)
        if found is None:
            raise KeyError(user_id)
        return found.profile

    def __iter__(self) -> Iterator[str]:
        return (user.user_id for user in every_user(self.store) if user.version)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def rewrite_stored(
    store: UserStore,
    user_id: str,
    change: Callable[[UserProfile], UserProfile],
    expected_version: int | None = None,
) -> ProfileVersion | None:
    """Change a user's profile, as the user's next version.

    Args:
        store: The store.
        user_id: The user; one without a profile has an empty one.
        change: Makes the new profile of the old one; what it raises leaves all as it was.
        expected_version: The version that the change was thought of with; None for whichever it is.

    Returns:
        The latest version, which is the one before where nothing changed; None where there is none.

    Raises:
        StoreConflictError: another writer was first.
    """
    latest = store.profile(user_id)
    version = 0 if latest is None else latest.version
    refuse_other_version(version, expected_version, user_id)
    before = UserProfile(user_id=user_id) if latest is None else latest.profile
    after = change(before)
    if after == before:
        return latest
    done = f"version {version}, corrected by the user" if version else "the user's own words"
    note = store.put_profile(after, made_from=done, expected_version=version)
    return ProfileVersion(**dict(note), profile=after)


class Taken(Frozen):
    """What was taken in, and what was there already."""

    new: int
    """Profiles stored as a new version, pairs or feedback appended, users whose words are new or replaced."""
    unchanged: int
    """What is stored already."""


def take_profiles(
    store: ProfileStore,
    profiles: Mapping[str, UserProfile],
    carried: Callable[[UserProfile, UserProfile], UserProfile] = lambda made, latest: made,
) -> Taken:
    """Store profiles one by one, each as its user's next version unless it is the latest already.

    What was stored stays when a later one fails; the same call goes on from there.

    Args:
        store: The store.
        profiles: The profiles.
        carried: Takes over into a profile what is to stay of the latest one, such as what the person
            corrected (`synthesizeme.personas.owner.carried`); by default nothing is.

    Raises:
        DataError: a profile cannot be read.
        StoreConflictError: another writer put a profile of the same user meanwhile.
        StoreError: the store cannot take it.
    """
    new = 0
    for profile in profiles.values():
        latest = store.profile(profile.user_id)
        made = profile if latest is None else carried(profile, latest.profile)
        if latest is None or latest.profile != made:
            store.put_profile(made, expected_version=0 if latest is None else latest.version)
            new += 1
    return Taken(new=new, unchanged=len(profiles) - new)


ROWS_AT_ONCE = 1000
"""Pairs in memory while they are taken in."""


def take_pairs(store: ProfileStore, pairs: Iterable[PreferencePair]) -> Taken:
    """Append pairs to their users. Pairs of the test split, which nothing may be learned from, are left out.

    The pairs are read as they are stored, a thousand at a time, in any order. What was stored stays when a
    later one fails; the same call goes on from there.

    Raises:
        DataError: a pair differs from the stored one of the same id; other users' pairs are stored.
        StoreError: the store cannot take it.
    """
    new = seen = 0
    rows = (pair for pair in pairs if pair.split != "test")
    while some := list(islice(rows, ROWS_AT_ONCE)):
        of_user: dict[str, list[PreferencePair]] = {}
        for pair in some:
            of_user.setdefault(pair.user_id, []).append(pair)
        new += sum(store.add_pairs(user_id, own) for user_id, own in of_user.items())
        seen += len(some)
    return Taken(new=new, unchanged=seen - new)


def take_feedback(store: ProfileStore, feedback: Iterable[Judgement]) -> Taken:
    """Append what users said of responses beside pairs; what is of the test split is left out, as of pairs.

    Raises:
        DataError: something differs from what is stored under the same id; what other users said is stored.
        StoreError: the store cannot take it.
    """
    new = seen = 0
    for user_id, own in by_user(said for said in feedback if said.split != "test").items():
        before = len(store.feedback(user_id))
        store.add_pairs(user_id, (), feedback=own)
        new += len(store.feedback(user_id)) - before
        seen += len(own)
    return Taken(new=new, unchanged=seen - new)


def take_words(store: ProfileStore, words: Iterable[UserWords]) -> Taken:
    """Store what users said, each in place of what there was of that user; users need not have pairs.

    What was stored stays when a later one fails; the same call goes on from there.

    Raises:
        StoreError: the store cannot take it.
    """
    new = seen = 0
    for said in words:
        seen += 1
        if store.words(said.user_id) != said:
            store.put_words(said)
            new += 1
    return Taken(new=new, unchanged=seen - new)
