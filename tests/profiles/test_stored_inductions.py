"""How an induction ended is stored with the profile it made: both or neither, whatever the database."""

from __future__ import annotations

import sqlite3

import pytest

from synthesizeme.errors import StoreConflictError
from synthesizeme.profiles import migrate_store, open_store
from synthesizeme.profiles.store import DriftCheck, InductionNote, InductionRecord, StoreTotals, Track


def record(**fields):
    base = {"state": "done", "pairs": 3, "settings": "f" * 64}
    return InductionRecord(**base | fields)


def test_a_profile_and_its_record_come_back_together(store, pair, profile):
    store.add_pairs("ada", [pair()])
    check = DriftCheck(base_pairs=9, recent_pairs=4, loss=0.5, standard_error=0.2, drifted=True)
    track = Track(base_pairs=2, base_correct=1.5, recent=(1.0, 0.5))
    put = record(drifted=True, drift=check, track=track, accuracy={"both": (1.5, 2)})
    kept = store.put_induction("ada", put, profile("ada"), expected_version=0)
    assert kept == put.model_copy(update={"version": 1})
    assert store.induction("ada") == kept
    assert store.profile("ada").profile == profile("ada")
    (summary,) = store.users()
    assert summary.induced == InductionNote(
        **{name: getattr(put, name) for name in InductionNote.model_fields}
    )
    assert store.export("ada")["induction"] == kept.model_dump(mode="json")
    assert store.induction("nobody") is None


def test_a_writer_who_comes_second_stores_neither(store, profile):
    store.put_induction("ada", record(pairs=1), profile("ada"), expected_version=0)
    with pytest.raises(StoreConflictError):
        store.put_induction("ada", record(pairs=2), profile("ada", "Other."), expected_version=0)
    assert store.induction("ada").pairs == 1
    assert len(store.versions("ada")) == 1


def test_a_failure_leaves_the_profile_and_a_deletion_leaves_nothing(store, profile):
    store.put_induction("ada", record(), profile("ada"))
    store.put_induction("ada", record(state="failed", error="out of reach", attempts=2))
    assert store.profile("ada").version == 1
    assert store.induction("ada").error == "out of reach"
    assert store.totals() == StoreTotals(users=1, pairs=0, words=0, feedback=0, done=0, failed=1, drifted=0)
    store.delete("ada")
    assert store.induction("ada") is None
    assert store.totals() == StoreTotals(users=0, pairs=0, words=0, feedback=0, done=0, failed=0, drifted=0)


def test_totals_count_each_user_once(store, pair, profile):
    for number, fields in enumerate(({}, {"drifted": True}, {"state": "failed"})):
        user = f"u{number}"
        store.add_pairs(user, [pair("p", user), pair("q", user)])
        store.put_induction(user, record(**fields))
    store.add_pairs("new", [pair("p", "new")])
    assert store.totals() == StoreTotals(users=4, pairs=7, words=0, feedback=0, done=2, failed=1, drifted=1)


def test_a_store_of_the_first_tables_is_brought_up_to_date(tmp_path, pair, profile):
    place = tmp_path / "old.db"
    with open_store(place) as store:
        store.add_pairs("ada", [pair()])
        store.put_profile(profile("ada"))
    with sqlite3.connect(place) as raw:
        raw.execute("DROP TABLE profile_store_inductions")
        raw.execute("DROP TABLE profile_store_words")
        raw.execute("DROP TABLE profile_store_feedback")
        raw.execute("UPDATE profile_store_version SET version_num = '0001'")
    raw.close()
    assert migrate_store(place) == ("0001", "0004")
    with open_store(place) as store:
        assert store.users()[0].induced is None
        assert store.put_induction("ada", record(), profile("ada")).version == 2
