"""What is in the files of a SQLite store, and what it says when it cannot have them."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing as closed
from pathlib import Path

import pytest
from sqlalchemy import event

from synthesizeme.errors import ConfigError, DataError, StoreUnavailableError
from synthesizeme.profiles import open_store
from synthesizeme.types import Message

REMAINS_AFTER = 210
"""Steps of the test below after which overwriting alone (`PRAGMA secure_delete`) had left a deleted text behind."""


def bytes_of(place):
    """All bytes of all files beside the database, the log included."""
    return b"".join(path.read_bytes() for path in sorted(Path(place.url).parent.iterdir()))


def texts_of(number):
    """Texts that nobody else has: an id, a pair of several pages, a persona."""
    generator = random.Random(number)
    word = f"word{generator.randrange(10**12):012d}"
    return f"user {word}", f"short {word}", f"{word} " * generator.choice((1, 30, 1500)), f"Likes {word}."


def fill(store, pair, profile, number, pairs=6):
    user, short, long, persona = texts_of(number)
    for row in range(pairs):
        answer = (Message(role="assistant", content=f"{long} {row}"),)
        prompt = (Message(role="user", content=f"{short} {row}"),)
        store.add_pairs(user, [pair(f"p{row}", user, chosen=answer, prompt=prompt)])
    store.put_profile(profile(user, persona), made_from=f"of {short}")
    return user


def test_deletion_leaves_no_byte_in_any_file(sqlite_place, pair, profile):
    store, other = sqlite_place.open(), sqlite_place.open()
    users = [fill(store, pair, profile, number) for number in range(12)]
    words = [user.removeprefix("user ").encode() for user in users]
    assert all(word in bytes_of(sqlite_place) for word in words)
    assert Path(f"{sqlite_place.url}-wal").stat().st_size > 0
    for number in (3, 0, 11, 7):
        assert other.pairs(users[number])  # a second connection knows the old pages
        store.delete(users[number])
        left = bytes_of(sqlite_place)
        gone = {3: {3}, 0: {3, 0}, 11: {3, 0, 11}, 7: {3, 0, 11, 7}}[number]
        assert {index for index, word in enumerate(words) if word not in left} == gone
    assert other.pairs(users[1]) == store.pairs(users[1]) != ()


def test_what_sqlite_leaves_on_its_pages_goes_too(sqlite_place, pair, monkeypatch):
    """Pages that are split and merged keep bytes of moved rows, although what is deleted is overwritten."""
    store, generator = sqlite_place.open(), random.Random(35)
    scrub, alive, words = store.database.scrub, [], []
    monkeypatch.setattr(store.database, "scrub", lambda: None)
    for step in range(REMAINS_AFTER):
        if generator.random() < 0.65 or not alive:
            words.append(f"word{generator.randrange(10**12):012d}")
            alive.append(words[-1])
            answers = [
                f"{words[-1]} " * generator.choice((1, 5, 20, 60)) for _ in range(generator.choice((1, 2, 5)))
            ]
            texts = [(Message(role="assistant", content=answer),) for answer in answers]
            store.add_pairs(
                words[-1], [pair(f"p{row}", words[-1], chosen=text) for row, text in enumerate(texts)]
            )
        else:
            if step == REMAINS_AFTER - 1:
                monkeypatch.setattr(store.database, "scrub", scrub)
            store.delete(alive.pop(generator.randrange(len(alive))))
    left = bytes_of(sqlite_place)
    assert [word for word in words if word.encode() in left] == alive


def test_a_deletion_that_was_cut_short_is_finished_by_the_next_to_open(
    sqlite_place, pair, profile, monkeypatch
):
    store = sqlite_place.open()
    fill(store, pair, profile, 1)
    user = fill(store, pair, profile, 2)
    word = user.removeprefix("user ").encode()

    def killed():
        raise KeyboardInterrupt

    monkeypatch.setattr(store.database, "scrub", killed)
    with pytest.raises(KeyboardInterrupt):
        store.delete(user)
    assert word in bytes_of(sqlite_place), "nothing would be left to finish"
    sqlite_place.open()
    assert word not in bytes_of(sqlite_place)


def test_a_reader_of_old_pages_makes_the_deletion_say_so_and_again_finishes_it(sqlite_place, pair, profile):
    store = sqlite_place.open(patience=0.2)
    user = fill(store, pair, profile, 1)
    with closed(sqlite3.connect(sqlite_place.url, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM profile_store_users").fetchall()
        with pytest.raises(
            StoreUnavailableError, match=r"traces may be left there. Cure: delete the user again"
        ):
            store.delete(user)
        assert store.export(user) is None
        reader.execute("COMMIT")
    store.delete(user)
    assert user.removeprefix("user ").encode() not in bytes_of(sqlite_place)


def test_only_the_owner_may_read_the_files(sqlite_place, pair):
    sqlite_place.open().add_pairs("ada", [pair()])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in Path(sqlite_place.url).parent.iterdir()}
    assert modes == dict.fromkeys(("profiles.db", "profiles.db-shm", "profiles.db-wal"), 0o600)


@pytest.mark.parametrize("name", ["a b.db", "q?mode=ro", "h#x", "100%41", "é🙂.db", "file:x.db", "'"])
def test_a_path_is_taken_as_it_is(tmp_path, monkeypatch, pair, name):
    monkeypatch.chdir(tmp_path)
    for url in (name, f"sqlite:///{name}", f"sqlite:///{tmp_path}/{name}", tmp_path / name):
        with open_store(url) as store:
            store.add_pairs("ada", [pair()])
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.iterdir()} == {name}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "names no file"), (":memory:", "names no file"), ("sqlite://", "names no file"), ("sqlite:///", "names no file"),
        ("mysql://x/y", "'mysql' is no database known here"), ("postgresql://host:port/x", "cannot be read"), ("a\0b", "names no file"),
    ],
)  # fmt: skip
def test_what_names_no_store_is_refused(url, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=problem):
        open_store(url)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named_with_a_cure(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "store.db", tmp_path, Path("/proc/none/store.db")):
        with pytest.raises(DataError, match=r"cannot be .*Cure: check the path, its permissions") as caught:
            open_store(path)
        assert str(path) in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is writable for root")
def test_a_file_that_may_only_be_read_is_named(sqlite_place, pair):
    sqlite_place.open().close()
    Path(sqlite_place.url).chmod(0o400)
    with pytest.raises(DataError, match="Cure: check the path, its permissions"):
        sqlite_place.open()


def test_another_file_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n" * 300)
    with pytest.raises(DataError, match="is no profile store, or damaged"):
        open_store(path)
    assert path.read_text() == "my notes\n" * 300


def test_a_full_disk_keeps_what_was_stored(sqlite_place, pair):
    store = sqlite_place.open()
    store.add_pairs("ada", [pair("p0")])

    def no_room(connection, *_):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 1}")

    event.listen(store.database.engine, "connect", no_room)
    store.database.engine.dispose()
    long = (Message(role="user", content="long " * 10_000),)
    with pytest.raises(
        DataError, match=r"full.*Cure: check the path, its permissions and the disk space; what was"
    ):
        store.add_pairs("ada", [pair("p1", prompt=long)])
    assert store.pairs("ada") == (pair("p0"),)
    event.remove(store.database.engine, "connect", no_room)
    store.database.engine.dispose()
    assert store.add_pairs("ada", [pair("p1", prompt=long)]) == 1


def test_a_writer_waits_for_another_but_not_for_ever(sqlite_place, pair):
    patient, hasty = sqlite_place.open(), sqlite_place.open(patience=0.1)
    other = sqlite3.connect(sqlite_place.url, isolation_level=None, check_same_thread=False)
    with closed(other):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="another process keeps it busy"):
            hasty.add_pairs("ada", [pair("p1")])
        assert hasty.pairs("ada") == ()
        timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        timer.start()
        assert patient.add_pairs("ada", [pair("p1")]) == 1
        timer.join()


def test_a_store_opened_twice_is_still_shared_with_other_processes(sqlite_place, pair):
    look = [
        sys.executable,
        "-m",
        "synthesizeme.cli",
        "profiles",
        "list",
        "--store",
        sqlite_place.url,
        "--json",
    ]

    def seen():
        return subprocess.run(look, check=True, capture_output=True, text=True).stdout

    store = sqlite_place.open()
    store.add_pairs("first", [pair("p0", "first")])
    sqlite_place.open()
    assert "first" in seen()
    store.add_pairs("second", [pair("p1", "second")])
    assert "second" in seen()


def test_a_row_that_is_no_pair_any_more_is_named(sqlite_place, pair, profile):
    store = sqlite_place.open()
    store.add_pairs("ada", [pair("p1")])
    store.put_profile(profile())
    with closed(sqlite3.connect(sqlite_place.url)) as raw, raw:
        raw.execute("UPDATE profile_store_pairs SET content = X'7B7D'")
        raw.execute("UPDATE profile_store_profiles SET content = X'00'")
    with pytest.raises(DataError, match="field 'pair_id': a pair as stored is none: Field required"):
        store.pairs("ada")
    with pytest.raises(DataError, match="version 1 of the profile as stored is none: Invalid JSON"):
        store.profile("ada")
    assert store.delete("ada").pairs == 1
