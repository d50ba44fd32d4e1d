"""A store as others like to see it: the mapping that judges take, and the pairs that a server keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from synthesizeme.profile import UserProfile
from synthesizeme.profiles.store import PAGE, ProfileStore, UserSummary
from synthesizeme.types import PreferencePair


def every_user(store: ProfileStore, page: int = PAGE, after: str | None = None) -> Iterator[UserSummary]:
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


class StoredPairs:
    """The pairs of a store, in the four methods that `synthesizeme.serving.users.PairStore` asks for."""

    def __init__(self, store: ProfileStore) -> None:
        self.store = store

    def pairs(self, user_id: str) -> Sequence[PreferencePair]:
        """All pairs of a user, oldest first; none for a user that is not there."""
        return self.store.pairs(user_id)

    def append(self, user_id: str, pairs: Sequence[PreferencePair]) -> None:
        """Keep further pairs of a user, all of them or, if it raises, none.

        Raises:
            DataError: a pair is another user's, or differs from the stored one of the same `pair_id`.
        """
        self.store.add_pairs(user_id, pairs)

    def delete(self, user_id: str) -> int:
        """Drop everything about a user, profiles too; how many pairs there were."""
        return self.store.delete(user_id).pairs

    def users(self) -> Iterator[str]:
        """Ids of the users that have pairs here."""
        return (user.user_id for user in every_user(self.store) if user.pairs)

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()
