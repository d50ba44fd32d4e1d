"""What users said beside choices, in every store: kept, replaced, exported, deleted, sealed."""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing as closed
from datetime import UTC, datetime
from pathlib import Path

import pytest

from synthesizeme.errors import DataError, SealError
from synthesizeme.feedback import OwnAnswer, UserWords
from synthesizeme.profiles.store import Deleted, UserStore, UserSummary
from synthesizeme.profiles.views import take_words

NOON = datetime(2024, 6, 25, 12, tzinfo=UTC)


def said(user="ada", about="I am a nutmeg trader.", **more):
    return UserWords(user_id=user, about=about, **more)


FULL = said(
    answers=(
        OwnAnswer(question="Why?", text="Пряности! 🙂\0", answered_at=NOON),
        OwnAnswer(question="Q", text="A"),
    ),
    wishes=("Be brief.", "Use metres."),
    demographics={"age": "30-39", "": "x"},
)


def test_words_come_back_whole_and_new_ones_take_their_place(store):
    assert store.words("ada") is None
    store.put_words(FULL)
    assert store.words("ada") == FULL
    store.put_words(said(about="I trade cloves."))
    assert store.words("ada") == said(about="I trade cloves.")
    assert store.words("bo") is None


def test_words_make_a_user_without_pairs(store):
    store.put_words(FULL)
    assert store.users() == (UserSummary(user_id="ada", pairs=0, version=0, words=True),)
    assert (store.totals().users, store.totals().words, store.totals().pairs) == (1, 1, 0)
    assert store.pairs("ada") == ()


def test_words_that_say_nothing_drop_what_was_said_and_enter_nobody(store, pair):
    store.put_words(UserWords(user_id="nobody"))
    assert store.users() == ()
    store.add_pairs("ada", [pair()], words=FULL)
    store.put_words(UserWords(user_id="ada"))
    assert store.words("ada") is None
    assert store.users() == (UserSummary(user_id="ada", pairs=1, version=0),)


def test_words_come_with_pairs_or_not_at_all(store, pair):
    assert store.add_pairs("ada", [pair("p1")], words=FULL) == 1
    assert (store.pairs("ada"), store.words("ada")) == ((pair("p1"),), FULL)
    with pytest.raises(DataError, match="says something else"):
        store.add_pairs("ada", [pair("p1").swapped_labels()], words=said(about="Lost."))
    assert store.add_pairs("ada", [pair("p2")]) == 1
    assert store.words("ada") == FULL


def test_words_of_another_user_or_of_no_json_are_refused(store):
    with pytest.raises(DataError, match="words are of user 'bo'; expected 'ada'"):
        store.add_pairs("ada", [], words=said("bo"))
    with pytest.raises(DataError, match="words of 'ada' cannot be written as JSON"):
        store.put_words(said(about="half \ud800"))
    with pytest.raises(DataError, match="NUL character"):
        store.put_words(said("a\0b"))
    assert store.users() == ()


def test_words_are_exported_and_deleted_with_the_user(store, pair, profile):
    for user in ("ada", "bo"):
        store.add_pairs(user, [pair("p1", user)], words=FULL.lent_to(user))
    store.put_profile(profile("ada"))
    document = json.loads(json.dumps(store.export("ada")))
    assert document["format"] == "synthesizeme-user-2"
    assert UserWords.model_validate(document["words"]) == FULL
    assert store.delete("ada") == Deleted(pairs=1, versions=1, words=True)
    assert (store.words("ada"), store.export("ada")) == (None, None)
    assert store.words("bo") == FULL.lent_to("bo")
    assert store.totals().words == 1
    store.add_pairs("ada", [pair("p1")])
    assert "words" not in store.export("ada")


def test_one_user_who_only_spoke_is_deleted_too(store):
    store.put_words(FULL)
    assert store.delete("ada") == Deleted(pairs=0, versions=0, words=True)
    assert store.users() == ()


def test_a_write_whose_acknowledgement_was_lost_is_not_made_twice(store, monkeypatch):
    once = store.database._patiently
    monkeypatch.setattr(store.database, "_patiently", lambda attempt: [once(attempt), once(attempt)][1])
    store.put_words(FULL)
    assert store.words("ada") == FULL


def test_taking_words_in_again_changes_nothing(store):
    some = [FULL, said("bo")]
    assert take_words(store, some).model_dump() == {"new": 2, "unchanged": 0}
    assert take_words(store, [*some, said("cy")]).model_dump() == {"new": 1, "unchanged": 2}
    assert take_words(store, [said("bo", "Another.")]).model_dump() == {"new": 1, "unchanged": 0}


def test_a_server_keeps_its_users_words_in_a_store(store, pair):
    kept: UserStore = store
    kept.add_pairs("ada", [pair()], words=FULL)
    kept.add_pairs("bo", (), words=said("bo"))
    assert (kept.words("ada"), kept.words("bo"), kept.words("cy")) == (FULL, said("bo"), None)
    assert sorted(user.user_id for user in kept.users()) == ["ada", "bo"]
    assert kept.delete("ada") == Deleted(pairs=1, versions=0, words=True)


def stored_bytes(place):
    return b"".join(path.read_bytes() for path in Path(place.url).parent.iterdir())


def test_sealed_words_are_nowhere_in_the_files(sealed_place):
    store = sealed_place.open()
    store.put_words(FULL)
    assert b"nutmeg" not in stored_bytes(sealed_place)
    store.close()
    assert sealed_place.open().words("ada") == FULL


def test_sealed_words_that_were_changed_or_moved_do_not_open(sealed_place):
    store = sealed_place.open()
    store.put_words(FULL)
    store.put_words(said("bo"))
    with closed(sqlite3.connect(sealed_place.url)) as raw, raw:
        raw.execute(
            "UPDATE profile_store_words SET content = (SELECT content FROM profile_store_words LIMIT 1)"
        )
    with pytest.raises(SealError, match="words of the user stored as"):
        _ = [store.words(user) for user in ("ada", "bo")]


def test_no_byte_of_deleted_or_replaced_words_is_left_in_a_file(sqlite_place):
    store = sqlite_place.open()
    store.put_words(FULL)
    store.put_words(said(about="I sell quinces."))
    assert b"quinces" in stored_bytes(sqlite_place)
    store.delete("ada")
    assert not any(word in stored_bytes(sqlite_place) for word in (b"nutmeg", b"quinces"))


def test_a_store_of_the_revision_before_is_brought_up_to_date(sqlite_place, pair):
    store = sqlite_place.open()
    store.add_pairs("ada", [pair()])
    store.close()
    with closed(sqlite3.connect(sqlite_place.url)) as raw, raw:
        raw.execute("DROP TABLE profile_store_words")
        raw.execute("DROP TABLE profile_store_feedback")
        raw.execute("UPDATE profile_store_version SET version_num = '0002'")
    store = sqlite_place.open()
    store.put_words(FULL)
    assert (store.pairs("ada"), store.words("ada")) == ((pair(),), FULL)


def test_words_are_in_no_log(store, caplog):
    caplog.set_level(logging.INFO)
    store.put_words(FULL)
    store.words("ada")
    store.export("ada")
    store.delete("ada")
    with pytest.raises(DataError) as caught:
        store.put_words(said(about="nutmeg \ud800"))
    assert "nutmeg" not in str(caught.value)
    assert "nutmeg" not in caplog.text
