"""Feedback beside pairs, in every store: kept in order, exported, deleted, sealed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from synthesizeme.errors import DataError
from synthesizeme.feedback import KINDS, THUMBS, Edit, Ranking, Rating, Tie, Trait
from synthesizeme.profiles.store import Deleted, UserSummary


def given(user="ada", **more):
    shared = {"user_id": user, "prompt": ({"role": "user", "content": "Which spice? 🙂"},)}
    return (
        Tie(feedback_id="t", responses=("Nutmeg.", "Mace."), both="bad", **shared),
        Ranking(feedback_id="r", responses=("Cloves.", "Nutmeg.", "Mace."), ranks=(1, 2, 2), **shared),
        Rating(
            feedback_id="v", response="Nutmeg.", value=1, scale=THUMBS, reason="Пряности!", **shared, **more
        ),
        Edit(feedback_id="e", original="Nutmeg.", edited="Nutmeg and mace.", metadata={"n": 1}, **shared),
        Trait(feedback_id="l", user_id=user, feature="examples", answer="no matter"),
    )


ALL = given()


def test_every_kind_comes_back_whole_and_in_order_and_once(store, pair):
    assert {it.kind for it in ALL} == KINDS.keys()
    assert store.add_pairs("ada", [pair()], feedback=ALL[:2]) == 1
    assert store.add_pairs("ada", (), feedback=(*ALL[1:], ALL[3])) == 0
    assert store.feedback("ada") == ALL
    assert store.pairs("ada") == (pair(),)
    assert store.feedback("bo") == ()


def test_feedback_makes_a_user_without_pairs(store):
    store.add_pairs("ada", (), feedback=ALL)
    assert store.users() == (UserSummary(user_id="ada", pairs=0, version=0, feedback=5),)
    assert (store.totals().users, store.totals().pairs, store.totals().feedback) == (1, 0, 5)


def test_pairs_and_feedback_are_stored_together_or_not_at_all(store, pair):
    store.add_pairs("ada", (), feedback=ALL)
    later = datetime(2024, 5, 1, tzinfo=UTC)
    with pytest.raises(
        DataError, match="feedback 'v' of user 'ada' is there already and says something else"
    ):
        store.add_pairs("ada", [pair()], feedback=given(created_at=later))
    assert store.pairs("ada") == ()
    with pytest.raises(DataError, match="feedback 't' is of user 'bo'; expected 'ada'"):
        store.add_pairs("ada", (), feedback=given("bo"))


def test_what_is_taken_back_is_gone_and_another_takes_its_place_at_once(store, pair):
    store.add_pairs("ada", [pair("p1"), pair("p2")], feedback=ALL)
    store.add_pairs("bo", [pair("p1", "bo")])
    other = pair("p1").swapped_labels()
    assert store.add_pairs("ada", [other], taken_back=["p1", "t", "of nobody"]) == 1
    assert store.pairs("ada") == (pair("p2"), other)
    assert store.feedback("ada") == ALL[1:]
    assert store.add_pairs("ada", (), taken_back=["p1", "p2"]) == 0
    assert store.pairs("ada") == ()
    assert len(store.pairs("bo")) == 1
    with pytest.raises(DataError):
        store.add_pairs("ada", [pair("p3", "bo")], taken_back=["r"])
    assert store.feedback("ada") == ALL[1:]
    assert store.add_pairs("nobody", (), taken_back=["p1"]) == 0
    assert [user.user_id for user in store.users()].count("nobody") == 0


def test_feedback_is_exported_and_deleted_with_its_user(store, pair):
    for user in ("ada", "bo"):
        store.add_pairs(user, [pair("p1", user)], feedback=given(user))
    rows = json.loads(json.dumps(store.export("ada")))["feedback"]
    assert tuple(KINDS[row["kind"]].model_validate(row) for row in rows) == ALL
    assert store.delete("ada") == Deleted(pairs=1, versions=0, feedback=5)
    assert (store.feedback("ada"), store.export("ada"), store.totals().feedback) == ((), None, 5)
    store.add_pairs("ada", [pair("p1")])
    assert "feedback" not in store.export("ada")


def test_sealed_feedback_is_nowhere_in_the_files_and_deleted_feedback_leaves_no_byte(
    sealed_place, sqlite_place
):
    store = sealed_place.open()
    store.add_pairs("ada", (), feedback=ALL)
    files = Path(sealed_place.url).parent.iterdir()
    assert not any(b"Nutmeg" in path.read_bytes() for path in files if path.is_file())
    store.close()
    assert sealed_place.open().feedback("ada") == ALL
    plain = sqlite_place.open()
    plain.add_pairs("ada", (), feedback=ALL)
    plain.delete("ada")
    plain.close()
    assert b"Nutmeg" not in Path(sqlite_place.url).read_bytes()
