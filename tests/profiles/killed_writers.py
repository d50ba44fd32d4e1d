"""Forks writers of one store, kills each at a moment of its own, and prints what they had been told was stored.

    python killed_writers.py STORE KEY_FILE ROUNDS SEED

Two writers a round: one appends pairs and puts profiles of the user they share, one deletes users of its own.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import psycopg  # noqa: F401  # imported once here, not by every child
import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401

from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.profiles import (
    _sql_store,  # noqa: F401
    open_store,
)
from synthesizeme.types import Message, PreferencePair

LINES = (0, 1, 2, 3)
"""How much a writer has told when it may be killed: nothing, that it has begun, further things."""
LONGEST = 0.03
"""Seconds it then works on at most."""
PADDING = "lorem ipsum dolor " * 300
"""Makes a row longer than a page of the database."""


def pair(pair_id: str, user_id: str) -> PreferencePair:
    return PreferencePair(
        pair_id=pair_id, user_id=user_id, prompt=(Message(role="user", content=f"{PADDING}?"),),
        chosen=(Message(role="assistant", content=f"secret of {user_id}."),),
        rejected=(Message(role="assistant", content="no"),),
    )  # fmt: skip


def profile(text: str) -> UserProfile:
    persona = Persona(sentences=(PersonaSentence(text=text),), made_by="test", prompt_id="theta@1")
    return UserProfile(user_id="shared", persona=persona)


def write(store: Any, name: str, told: Callable[[str], None]) -> None:
    for number in range(10_000):
        store.add_pairs("shared", [pair(f"{name}-{number}-{part}", "shared") for part in "ab"])
        told(f"pairs {name}-{number}")
        note = store.put_profile(profile(f"{name}-{number}"))
        told(f"version {note.version} {name}-{number}")
        time.sleep(0.005)  # no writer of the real world never rests


def forget(store: Any, name: str, told: Callable[[str], None]) -> None:
    for number in range(10_000):
        user = f"{name}-{number}!"
        store.add_pairs(user, [pair(f"p{part}", user) for part in range(4)])
        store.delete(user)
        told(f"deleted {user}")


def fork(work: Callable[..., None], name: str, place: str, key_file: str | None) -> tuple[int, int]:
    """A child that opens the store and works; its id, and where it tells what it has done."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    status = 1
    try:
        with open_store(place, key_file=key_file) as store:
            os.write(writing, b"begun\n")
            work(store, name, lambda line: os.write(writing, f"{line}\n".encode()))
        status = 0
    finally:
        os._exit(status)


def listen(reading: int, lines: int) -> bytes:
    """What a child tells, until that is so many lines."""
    heard = b""
    while heard.count(b"\n") < lines and (more := os.read(reading, 4096)):
        heard += more
    return heard


def main(place: str, key_file: str, rounds: int, seed: int) -> None:
    generator = random.Random(seed)
    told: list[str] = []
    for number in range(rounds):
        writers = [
            fork(work, f"{work.__name__}{number}", place, key_file or None) for work in (write, forget)
        ]
        for child, reading in writers:
            heard = listen(reading, generator.choice(LINES))
            time.sleep(generator.random() * LONGEST)
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            assert os.WIFSIGNALED(status), f"a writer ended by itself with {status}"
            with os.fdopen(reading, "rb") as stream:
                told += (heard + stream.read()).decode().split("\n")[:-1]
    json.dump([line for line in told if line != "begun"], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
