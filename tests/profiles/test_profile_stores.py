"""What every store does, whatever database it is in."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from synthesizeme.errors import DataError, StoreConflictError
from synthesizeme.profile import Provenance, UserProfile
from synthesizeme.profiles import StoredProfiles
from synthesizeme.profiles._sql_store import SqlProfileStore
from synthesizeme.profiles.store import Deleted, ProfileStore, UserStore, UserSummary
from synthesizeme.profiles.views import every_user

STRANGE = [
    "../../etc/passwd", "/", ".", "'; DROP TABLE users; --", '" OR 1=1', "%", "_", "\\", "a\nb", " ", "é", "e\u0301",
    "🙂", "x" * 10_000, "None", "0", "{user}", "%(user)s", ":key", "?", "\u202eabc", "\x1b[2J", "\x7f",
]  # fmt: skip


def test_pairs_come_back_in_the_order_in_which_they_came(store, pair):
    some = [pair(f"p{number}") for number in (3, 1, 2)]
    assert store.add_pairs("ada", some[:2]) == 2
    assert store.add_pairs("ada", some) == 1
    assert store.add_pairs("ada", []) == 0
    assert store.pairs("ada") == tuple(some)
    assert store.pairs("nobody") == ()


def test_pairs_keep_everything_they_say(store, pair):
    full = pair(
        text := "p\0\n🙂",
        split="train",
        created_at=datetime(2025, 5, 1, 12, tzinfo=UTC),
        metadata={"text": "\0'\"", "list": [1, 2.5, None, True], "more": {"b": 1, "a": {}}},
    )
    store.add_pairs("ada", [full, pair("q")])
    assert store.pairs("ada") == (full, pair("q"))
    assert (
        store.add_pairs("ada", [full.model_copy(update={"metadata": dict(reversed(full.metadata.items()))})])
        == 0
    )
    assert store.pairs("ada")[0].pair_id == text


def test_another_pair_of_the_same_id_is_refused_with_all_that_came_with_it(store, pair):
    store.add_pairs("ada", [pair("p1")])
    with pytest.raises(DataError, match="pair 'p1' of user 'ada' is there already and says something else"):
        store.add_pairs("ada", [pair("p2"), pair("p1").swapped_labels()])
    with pytest.raises(DataError, match="says something else"):
        store.add_pairs("ada", [pair("p3"), pair("p3").swapped_labels()])
    assert store.pairs("ada") == (pair("p1"),)
    assert store.add_pairs("bo", [pair("p1", "bo"), pair("p1", "bo")]) == 1


def test_a_pair_of_another_user_or_of_no_json_is_refused(store, pair):
    with pytest.raises(DataError, match="is of user 'bo'; expected 'ada'"):
        store.add_pairs("ada", [pair("p1", "bo")])
    with pytest.raises(DataError, match="cannot be written as JSON"):
        store.add_pairs("ada", [pair("p1", metadata={"thing": object()})])
    assert store.users() == ()


def test_many_pairs_at_once(store, pair):
    some = [pair(f"p{number}") for number in range(1200)]
    assert store.add_pairs("ada", some) == 1200
    assert store.add_pairs("ada", some) == 0
    assert store.pairs("ada") == tuple(some)


def test_every_put_makes_a_version(store, profile):
    before = datetime.now(UTC)
    first = store.put_profile(profile("ada", "Likes ships."))
    second = store.put_profile(profile("ada", "Likes boats."), made_from="a whim")
    assert [first.version, second.version] == [1, 2]
    assert (first.made_from, second.made_from) == ("written by hand", "a whim")
    assert before <= first.created_at <= second.created_at <= datetime.now(UTC)
    assert first.created_at.utcoffset() == timedelta(0)
    assert store.versions("ada") == (first, second)
    latest, old = store.profile("ada"), store.profile("ada", 1)
    assert (latest.version, latest.made_from, latest.created_at) == (2, "a whim", second.created_at)
    assert latest.profile == profile("ada", "Likes boats.")
    assert old.profile == profile("ada", "Likes ships.")
    assert store.profile("ada", 3) is None
    assert store.profile("bo") is None
    assert store.versions("bo") == ()


def test_a_profile_says_what_it_was_made_from(store):
    made = Provenance(
        model="m", model_kind="k", search="economical", effort="low", seed=0, split_rule="drawn here",
        splits={"p1": "train", "p2": "train"}, data_fingerprint="0123456789abcdef",
    )  # fmt: skip
    note = store.put_profile(UserProfile(user_id="ada", provenance=made))
    assert note.made_from == "m, economical search, 2 pairs, data 0123456789ab"


def test_the_second_of_two_writers_is_told(store, profile):
    store.put_profile(profile("ada", "One."), expected_version=0)
    store.put_profile(profile("ada", "Two."), expected_version=1)
    for expected in (0, 1, 3):
        with pytest.raises(StoreConflictError, match=f"'ada' is at version 2; expected {expected}"):
            store.put_profile(profile("ada", "Three."), expected_version=expected)
    with pytest.raises(StoreConflictError, match="is at version 0; expected 1"):
        store.put_profile(profile("bo"), expected_version=1)
    assert [note.version for note in store.versions("ada")] == [1, 2]
    assert [user.user_id for user in store.users()] == ["ada"]


def test_a_difference_names_what_came_and_what_went(store, profile):
    store.put_profile(profile("ada", "Same.", "Old.", shows=("p1", "p2")))
    store.put_profile(profile("ada", "New.", "Same.", shows=("p3", "p1")))
    store.put_profile(UserProfile(user_id="ada"))
    change = store.diff("ada", 1, 2)
    assert [sentence.text for sentence in change.sentences_added] == ["New."]
    assert [sentence.text for sentence in change.sentences_removed] == ["Old."]
    assert [item.comparison.pair_id for item in change.demonstrations_added] == ["p3"]
    assert [item.comparison.pair_id for item in change.demonstrations_removed] == ["p2"]
    back = store.diff("ada", 2, 1)
    assert (back.sentences_added, back.sentences_removed) == (
        change.sentences_removed,
        change.sentences_added,
    )
    assert len(store.diff("ada", 2, 3).sentences_removed) == 2
    assert not any(store.diff("ada", 1, 1).model_dump().values())


def test_rolling_back_is_a_version_of_its_own(store, profile):
    store.put_profile(profile("ada", "One."), made_from="pairs")
    store.put_profile(profile("ada", "Two."))
    note = store.roll_back("ada", 1)
    assert (note.version, note.made_from) == (3, "version 1 again, which was made from: pairs")
    assert store.profile("ada").profile == profile("ada", "One.")
    assert store.profile("ada", 2).profile == profile("ada", "Two.")
    with pytest.raises(DataError, match="no version 4 of this profile; there are 1 to 3"):
        store.roll_back("ada", 4)
    with pytest.raises(DataError, match="no version 1 of this profile; the user has none"):
        store.diff("bo", 1, 2)
    assert len(store.versions("ada")) == 3
    assert [user.user_id for user in store.users()] == ["ada"]


def test_an_export_is_everything_as_json(store, pair, profile):
    assert store.export("ada") is None
    store.add_pairs("ada", [pair("p1"), pair("p2")])
    store.put_profile(profile("ada", "One."), made_from="x")
    store.put_profile(profile("ada", "Two."))
    store.add_pairs("bo", [pair("p1", "bo")])
    document = json.loads(json.dumps(store.export("ada")))
    assert document["format"] == "synthesizeme-user-2"
    assert document["user_id"] == "ada"
    assert [type(pair("x")).model_validate(row) for row in document["pairs"]] == [pair("p1"), pair("p2")]
    assert [(row["version"], row["made_from"]) for row in document["profiles"]] == [
        (1, "x"),
        (2, "written by hand"),
    ]
    assert UserProfile.model_validate(document["profiles"][1]["profile"]) == profile("ada", "Two.")
    assert store.export("bo")["profiles"] == []


def test_deletion_takes_one_user_and_all_of_it(store, pair, profile):
    for user in ("ada", "bo"):
        store.add_pairs(user, [pair("p1", user), pair("p2", user)])
        store.put_profile(profile(user))
    assert store.delete("ada") == Deleted(pairs=2, versions=1)
    assert store.delete("ada") == Deleted(pairs=0, versions=0)
    assert (store.pairs("ada"), store.profile("ada"), store.versions("ada")) == ((), None, ())
    assert store.export("ada") is None
    assert store.users() == (UserSummary(user_id="bo", pairs=2, version=1),)
    assert len(store.export("bo")["pairs"]) == 2
    assert store.put_profile(profile("ada"), expected_version=0).version == 1


def test_a_user_is_called_anything(store, pair, profile):
    for number, user in enumerate(STRANGE):
        store.add_pairs(user, [pair(f"p{number}", user)])
        store.put_profile(profile(user, f"Is number {number}."))
    for number, user in enumerate(STRANGE):
        assert store.pairs(user) == (pair(f"p{number}", user),)
        assert store.profile(user).profile.persona.text == f"Is number {number}."
    assert sorted(user.user_id for user in store.users()) == sorted(STRANGE)
    for user in STRANGE[:5]:
        store.delete(user)
    assert sorted(user.user_id for user in every_user(store, page=4)) == sorted(STRANGE[5:])


@pytest.mark.parametrize(
    ("user", "problem"),
    [
        ("", "expected text"),
        ("a\0b", "NUL character"),
        ("a\ud800", "half of a surrogate pair"),
        (None, "expected text"),
    ],
)
def test_what_cannot_be_a_user_id_is_refused(store, profile, user, problem):
    calls = [
        lambda: store.pairs(user), lambda: store.add_pairs(user, []), lambda: store.profile(user),
        lambda: store.versions(user), lambda: store.export(user), lambda: store.delete(user),
        lambda: store.roll_back(user, 1), lambda: store.diff(user, 1, 2),
        lambda: store.put_profile(profile("a").model_copy(update={"user_id": user})),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(DataError, match=problem):
            call()


def test_users_come_in_pages_each_of_them_once(store, pair):
    names = {f"user {number}" for number in range(25)}
    for name in names:
        store.add_pairs(name, [pair("p", name)])
    seen, after = [], None
    while page := store.users(after, 7):
        assert len(page) <= 7
        seen += [user.user_id for user in page]
        after = seen[-1]
        store.delete(after)  # the next page begins after a user who is gone
    assert sorted(seen) == sorted(names)
    assert len(store.users()) == 25 - 4


def test_versions_keep_their_order_when_the_clock_does_not(place, profile):
    store = place.open()
    times = iter([datetime(2026, 1, day, tzinfo=UTC) for day in (5, 9, 2, 10)])
    jumping = SqlProfileStore(store.database, store._seal, clock=lambda: next(times))
    notes = [jumping.put_profile(profile("ada", f"Number {number}.")) for number in range(4)]
    assert [note.created_at.day for note in notes] == [5, 9, 9, 10]
    assert store.versions("ada") == tuple(notes)
    assert store.profile("ada").profile == profile("ada", "Number 3.")


def test_threads_lose_nothing(store, pair, profile):
    def work(number):
        store.add_pairs("ada", [pair(f"p{number}"), pair("shared")])
        store.put_profile(profile("ada", f"Number {number}."))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))
    assert {it.pair_id for it in store.pairs("ada")} == {f"p{number}" for number in range(24)} | {"shared"}
    assert [note.version for note in store.versions("ada")] == list(range(1, 25))
    texts = {
        version["profile"]["persona"]["sentences"][0]["text"] for version in store.export("ada")["profiles"]
    }
    assert len(texts) == 24


def test_writers_and_deleters_of_one_user_do_not_fail(store, pair):
    def work(number):
        return store.delete("ada").pairs if number % 3 == 0 else -store.add_pairs("ada", [pair(f"p{number}")])

    with ThreadPoolExecutor(6) as pool:
        balance = sum(pool.map(work, range(30)))
    assert len(store.pairs("ada")) == -balance


def test_a_write_whose_acknowledgement_was_lost_is_not_made_twice(store, pair, profile, monkeypatch):
    once = store.database._patiently
    monkeypatch.setattr(store.database, "_patiently", lambda attempt: [once(attempt), once(attempt)][1])
    assert store.put_profile(profile("ada", "One."), expected_version=0).version == 1
    assert store.put_profile(profile("ada", "Two."), expected_version=1).version == 2
    assert store.roll_back("ada", 1).version == 3
    store.add_pairs("ada", [pair("p1")])
    assert len(store.versions("ada")) == 3
    assert len(store.pairs("ada")) == 1


def test_a_store_is_a_mapping_of_profiles_and_keeps_the_pairs_of_a_server(store, pair, profile):
    contract: ProfileStore = store
    kept: UserStore = contract
    kept.add_pairs("ada", [pair("p1")])
    kept.add_pairs("ada", [pair("p1"), pair("p2")])
    store.put_profile(profile("bo"))
    store.put_profile(profile("cy"))
    assert kept.pairs("ada") == (pair("p1"), pair("p2"))
    assert [user.user_id for user in kept.users() if user.pairs] == ["ada"]
    known = StoredProfiles(store)
    assert (sorted(known), len(known), known["bo"]) == (["bo", "cy"], 2, profile("bo"))
    assert "ada" not in known
    with pytest.raises(KeyError):
        known["ada"]
    assert (kept.delete("ada").pairs, kept.delete("ada").pairs) == (2, 0)
    assert kept.pairs("ada") == ()
