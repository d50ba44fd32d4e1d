"""Several processes with one store: nothing that was acknowledged is lost, even when they are killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

WRITER = """
import sys
from killed_writers import pair, profile
from synthesizeme.profiles import open_store

place, key_file, name = sys.argv[1:]
with open_store(place, key_file=key_file or None) as store:
    for number in range(15):
        store.add_pairs("shared", [pair(f"{name}-{number}", "shared"), pair("both", "shared")])
        store.put_profile(profile(f"{name}-{number}"))
"""


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True
    )


def test_two_processes_lose_nothing(place):
    writers = [start("-c", WRITER, place.url, place.key_file or "", name) for name in ("one", "two")]
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    store = place.open()
    names = {f"{name}-{number}" for name in ("one", "two") for number in range(15)}
    assert {it.pair_id for it in store.pairs("shared")} == names | {"both"}
    assert [note.version for note in store.versions("shared")] == list(range(1, 31))
    texts = [it["profile"]["persona"]["sentences"][0]["text"] for it in store.export("shared")["profiles"]]
    assert set(texts) == names


def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(place):
    killer = start("killed_writers.py", place.url, place.key_file or "", 10, 7)
    told = json.loads(killer.communicate(timeout=120)[0])
    assert killer.returncode == 0
    store = place.open()
    document = store.export("shared")
    stored = {row["pair_id"] for row in document["pairs"]}
    versions = {
        it["version"]: it["profile"]["persona"]["sentences"][0]["text"] for it in document["profiles"]
    }
    deleted = []
    for line in told:
        kind, *words = line.split(" ")
        if kind == "pairs":
            assert {f"{words[0]}-a", f"{words[0]}-b"} <= stored
        elif kind == "version":
            assert versions[int(words[0])] == words[1]
        else:
            deleted.append(words[0])
    assert len(told) >= 10, "too little was acknowledged to lose anything"
    assert all(f"{name[:-1]}{other}" in stored for name in stored for other in "ab"), "a batch came apart"
    assert sorted(versions) == list(range(1, len(versions) + 1))
    assert not {user.user_id for user in store.users()} & set(deleted)
    store.add_pairs("after", [])
    store.close()
    if place.url.endswith(".db"):
        left = b"".join(path.read_bytes() for path in Path(place.url).parent.iterdir())
        assert deleted
        assert [user for user in deleted if f"secret of {user}".encode() in left] == []
