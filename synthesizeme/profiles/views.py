"""A store as others like to see it: the mapping that judges take, and the users that a server keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from synthesizeme.feedback import UserWords
from synthesizeme.profile import UserProfile
from synthesizeme.profiles.store import PAGE, Deleted, ProfileStore, UserSummary
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


class StoredUsers:
    """Pairs and words of a store, in the methods that `synthesizeme.serving.users.UserStore` asks for."""

    def __init__(self, store: ProfileStore) -> None:
        self.store = store

    def pairs(self, user_id: str) -> Sequence[PreferencePair]:
        """All pairs of a user, oldest first; none for a user that is not there."""
        return self.store.pairs(user_id)

    def words(self, user_id: str) -> UserWords | None:
        """What a user said beside choices; None where nothing is known of it."""
        return self.store.words(user_id)

    def append(self, user_id: str, pairs: Sequence[PreferencePair], words: UserWords | None = None) -> None:
        """Keep further pairs of a user, and new words in place of the old; all or, if it raises, nothing.

        Raises:
            DataError: a pair is another user's, or differs from the stored one of the same `pair_id`.
        """
        self.store.add_pairs(user_id, pairs, words=words)

    def delete(self, user_id: str) -> Deleted:
        """Drop everything about a user, profiles too; what there was."""
        return self.store.delete(user_id)

    def users(self) -> Iterator[str]:
        """Ids of the users that have pairs or words here."""
        return (user.user_id for user in every_user(self.store) if user.pairs or user.words)

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()
