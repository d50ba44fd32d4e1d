"""Encryption at rest: nothing readable in the files, and no key but the right one opens them."""

from __future__ import annotations

import base64
import logging
import os
import sqlite3
from contextlib import closing as closed
from pathlib import Path

import pytest

from synthesizeme.errors import ConfigError, SealError
from synthesizeme.profiles import open_store
from synthesizeme.profiles._contents import Seal, open_seal

WORDS = ("zebrafish", "marmalade", "question of", "Likes", '"prompt"', '"user_id"', "quince")


def fill(place, pair, profile):
    store = place.open()
    store.add_pairs("zebrafish", [pair("quince-1", "zebrafish"), pair("quince-2", "zebrafish")])
    store.put_profile(profile("zebrafish", "Likes one."), made_from="marmalade")
    store.put_profile(profile("zebrafish", "Likes two."), made_from="marmalade")
    store.add_pairs("zebra", [pair("quince-1", "zebra")])
    return store


def readable(place):
    files = [path.read_bytes() for path in Path(place.url).parent.iterdir()]
    return {word for word in WORDS if any(word.encode() in content for content in files)}


def change(place, statement):
    with closed(sqlite3.connect(place.url)) as raw, raw:
        assert raw.execute(statement).rowcount > 0


def test_no_text_and_no_id_is_in_the_files(sqlite_place, new_key, tmp_path, pair, profile):
    fill(sqlite_place, pair, profile)
    assert readable(sqlite_place) == set(WORDS)
    sqlite_place.url = str(tmp_path / "sealed" / "store.db")
    sqlite_place.key_file = new_key("right")
    store = fill(sqlite_place, pair, profile)
    assert readable(sqlite_place) == set()
    store.close()
    assert readable(sqlite_place) == set()
    assert [it.pair_id for it in sqlite_place.open().pairs("zebrafish")] == ["quince-1", "quince-2"]


def test_equal_texts_and_ids_look_different_in_every_row(sealed_place, pair, profile):
    fill(sealed_place, pair, profile)
    with closed(sqlite3.connect(sealed_place.url)) as raw:
        contents = [
            row[0]
            for row in raw.execute(
                "SELECT made_from FROM profile_store_profiles UNION ALL SELECT content FROM profile_store_pairs"
            )
        ]
        names = [row[0] for row in raw.execute("SELECT pair_key FROM profile_store_pairs")]
    assert len(set(contents)) == len(contents) == 5
    assert len(set(names)) == 3


@pytest.mark.parametrize(
    ("made_with", "opened_with", "problem"),
    [
        ("right", "wrong", "encrypted with another key. Cure: name the key file it was made with"),
        ("right", None, "is encrypted and no key was given. Cure: name its key with --key-file"),
        (None, "right", "is not encrypted, and a key was given"),
    ],
)
def test_another_key_opens_nothing_and_harms_nothing(
    sqlite_place, new_key, pair, profile, made_with, opened_with, problem
):
    sqlite_place.key_file = made_with and new_key(made_with)
    fill(sqlite_place, pair, profile).close()
    before = Path(sqlite_place.url).read_bytes()
    with pytest.raises(SealError, match=problem):
        open_store(sqlite_place.url, key_file=opened_with and new_key(opened_with))
    assert Path(sqlite_place.url).read_bytes() == before
    assert len(sqlite_place.open().pairs("zebrafish")) == 2


def test_the_first_to_write_decides_the_key(sqlite_place, new_key, pair):
    early, late = sqlite_place.open(key_file=new_key("right")), sqlite_place.open(key_file=new_key("wrong"))
    plain = sqlite_place.open()
    assert early.users() == late.users() == plain.users() == ()
    early.add_pairs("ada", [pair()])
    for other in (late, plain):
        with pytest.raises(SealError, match=r"another key|no key was given"):
            other.add_pairs("ada", [pair("p2")])
    assert early.pairs("ada") == (pair(),)


@pytest.mark.parametrize(
    ("statement", "read"),
    [
        ("UPDATE profile_store_pairs SET content = CAST(substr(content, 1, 60) || X'00' || substr(content, 62) AS BLOB) WHERE number = 2", "pairs"),
        ("UPDATE profile_store_pairs SET content = substr(content, 1, length(content) - 1)", "pairs"),
        ("UPDATE profile_store_pairs SET content = X''", "pairs"),
        ("UPDATE profile_store_pairs SET content = CAST(X'02' || substr(content, 2) AS BLOB)", "pairs"),
        ("UPDATE profile_store_pairs SET content = (SELECT content FROM profile_store_pairs AS p WHERE p.pair_key <> profile_store_pairs.pair_key)", "pairs"),
        ("UPDATE profile_store_pairs SET pair_key = substr(pair_key, 2) || 'a'", "pairs"),
        ("UPDATE profile_store_profiles SET content = (SELECT content FROM profile_store_profiles WHERE version = 1)", "profile"),
        ("UPDATE profile_store_profiles SET made_from = (SELECT made_from FROM profile_store_profiles WHERE version = 1)", "versions"),
        ("UPDATE profile_store_users SET user_id = (SELECT content FROM profile_store_pairs)", "users"),
    ],
)  # fmt: skip
def test_what_was_changed_or_moved_does_not_open(sealed_place, pair, profile, statement, read):
    store = fill(sealed_place, pair, profile)
    change(sealed_place, statement)
    with pytest.raises(SealError, match="does not open: it was changed, moved, or sealed with another key"):
        store.users() if read == "users" else getattr(store, read)("zebrafish")
    assert store.profile("zebrafish", 1).profile == profile("zebrafish", "Likes one.")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        base64.b64encode(b"x" * 31),
        base64.b64encode(b"x" * 33),
        b"x" * 32,
        b"g" * 64,
        b"\xff" * 44,
    ],
)
def test_what_is_no_key_is_refused_with_how_to_make_one(tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(
        ConfigError, match=r"holds no key; expected 32 bytes in base64.*openssl rand -base64 32"
    ) as caught:
        open_store(tmp_path / "store.db", key_file=path)
    assert content.decode("latin-1") not in str(caught.value) or not content
    assert not (tmp_path / "store.db").exists()
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            open_seal(missing)


def test_a_key_in_hexadecimal_is_the_same_key(tmp_path):
    (tmp_path / "a").write_text(base64.b64encode(b"k" * 32).decode())
    (tmp_path / "b").write_text((b"k" * 32).hex() + "\n")
    seals = [open_seal(tmp_path / name) for name in "ab"]
    assert seals[0].name("user", "ada") == seals[1].name("user", "ada") != Seal(b"l" * 32).name("user", "ada")
    assert seals[1].open("u", "place", seals[0].close("u", "place", b"text")) == b"text"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_key_that_others_can_read_is_warned_about(new_key, caplog):
    path = new_key("right")
    with caplog.at_level(logging.WARNING):
        open_seal(path)
        assert caplog.messages == []
        path.chmod(0o640)
        open_seal(path)
    assert caplog.messages == [f"key file {path} can be read by others. Cure: chmod 600 {path}"]
