"""Test pairs that a profile was made from: on those it is not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthesizeme.errors import DataError
from synthesizeme.profile import UserProfile
from synthesizeme.types import PreferencePair


def refuse_known_pairs(profiles: Mapping[str, UserProfile], test: Sequence[PreferencePair]) -> None:
    """Refuse to measure a profile on pairs that it was made from.

    Raises:
        DataError: a test pair was a train or validation pair of its user's profile, or is shown in it.
    """
    asked: dict[str, set[str]] = {}
    for pair in test:
        asked.setdefault(pair.user_id, set()).add(pair.pair_id)
    for user_id, pair_ids in asked.items():
        if user_id in profiles and (known := pair_ids & _learned_from(profiles[user_id])):
            raise DataError(
                f"the profile of user {user_id[:60]!r} was made from {len(known)} of the {len(pair_ids)} "
                f"test pairs of that user as train or validation pairs, e.g. {min(known)[:60]!r}",
                field="profiles",
                cure="induce it from a file with the splits of this benchmark, or leave the profiles out to "
                "have them induced from the benchmark's own history",
            )


def _learned_from(profile: UserProfile) -> set[str]:
    """Ids of the pairs that a profile was made from."""
    splits = profile.provenance.splits if profile.provenance else {}
    shown = {demonstration.comparison.pair_id for demonstration in profile.demonstrations}
    return shown | {pair_id for pair_id, split in splits.items() if split != "test"}
