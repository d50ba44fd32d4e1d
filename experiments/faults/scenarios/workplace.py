"""A folder with an endpoint, simulated users, and the installed commands as processes."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenarios.endpoint import Endpoint
from synthesizeme.backends import ModelSettings
from synthesizeme.datasets import write_pairs
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.induction import InductionJob, RunSummary, run
from synthesizeme.profile import UserProfile
from synthesizeme.profiles import open_store
from synthesizeme.profiles.views import every_user, take_pairs
from synthesizeme.types import PreferencePair, Usage

MODEL = "m"
IMPATIENT_S = 1.0
"""Seconds a process waits for a reply where some are slow on purpose."""
_MARK = re.compile(r"m[0-9a-f]{16}")


@dataclass
class Ran:
    """A command that has ended."""

    status: int
    said: str
    """Standard error."""
    out: str

    @property
    def summary(self) -> dict[str, Any]:
        """What it printed as JSON, nothing if it printed nothing."""
        return json.loads(self.out) if self.out.strip() else {}

    @property
    def sent(self) -> int:
        """Calls that it says it sent."""
        usage = Usage(**self.summary.get("usage", {}))
        return usage.distinct_calls - usage.cached_calls + usage.retries + usage.follow_ups


class Workplace:
    """Use it as a context: nothing runs on afterwards.

    Args:
        folder: Where everything is written.
        users: How many simulated users.
        pairs: Pairs of each.
        concurrency: Calls in flight of one process.
        timeout_s: Seconds a process waits for a reply.
        latency_s: Seconds the endpoint takes.
    """

    def __init__(
        self, folder: Path, *, users: int, pairs: int, concurrency: int = 8, timeout_s: float = 60.0,
        latency_s: float = 0.02,
    ) -> None:  # fmt: skip
        self.folder, self.concurrency, self.timeout_s = folder, concurrency, timeout_s
        self.people = planted_population(users, pairs, seed=7).by_user
        self.file = folder / "pairs.jsonl"
        self.endpoint = Endpoint(latency_s, slow_s=2 * timeout_s)
        self._closing = ExitStack()
        self._closing.callback(self.endpoint.close)
        self._reference: dict[str, UserProfile] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        write_pairs(self.file, self.pairs)

    def __enter__(self) -> Workplace:
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    @property
    def pairs(self) -> list[PreferencePair]:
        """All pairs."""
        return [pair for own in self.people.values() for pair in own]

    def reference(self) -> dict[str, UserProfile]:
        """The profiles of an undisturbed run; the endpoint forgets it."""
        if self._reference is None:
            store = "reference.db"
            self.take_in(store)
            rate, self.endpoint.rate = self.endpoint.rate, 0.0
            self.go_on(store, cache=None)
            self._reference = self.profiles(store)
            assert set(self._reference) == set(self.people)
            self.endpoint.forget()
            self.endpoint.rate = rate
        return self._reference

    def go_on(self, store: object, *, cache: object | None = "cache") -> RunSummary:
        """What the next command over the users of a store does, in this process."""
        job = InductionJob(
            str(self.place(store)), model=MODEL,
            model_settings=ModelSettings(api_base=self.endpoint.address, timeout_s=60.0),
            cache_dir=None if cache is None else self.folder / str(cache), concurrency=self.concurrency,
        )  # fmt: skip
        return run(job)

    def take_in(self, store: object) -> None:
        """Put the pairs into a store."""
        with open_store(str(self.place(store))) as opened:
            take_pairs(opened, self.pairs)

    def induce(
        self, store: object, *flags: object, cache: object = "cache", pairs: bool = True,
        env: Mapping[str, str] | None = None, **popen: Any,
    ) -> subprocess.Popen[str]:  # fmt: skip
        """Start ``induce-persona`` over all users of a store."""
        model = ("--model", MODEL, "--api-base", self.endpoint.address, "--timeout", self.timeout_s)
        base = (*(("pairs.jsonl",) if pairs else ()), "--all-users", "--store", store, *model,
                "--concurrency", self.concurrency, "--cache-dir", cache, "--json", *flags)  # fmt: skip
        return self.start("induce-persona", *base, env=env, **popen)

    def start(
        self, command: str, *arguments: object, env: Mapping[str, str] | None = None, **popen: Any
    ) -> subprocess.Popen[str]:
        """Start an installed command; it is killed at the end if it has not ended."""
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name(command)), *map(str, arguments)],
            cwd=self.folder, env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}, text=True,
            stdout=subprocess.PIPE, **{"stderr": subprocess.PIPE} | popen,
        )  # fmt: skip
        self._closing.callback(_end, process)
        return process

    def profiles(self, store: object) -> dict[str, UserProfile]:
        """The latest profile of every user of a store that has one."""
        with open_store(str(self.place(store)), create=False) as opened:
            found = {
                user.user_id: opened.profile(user.user_id) for user in every_user(opened) if user.version
            }
        return {user: version.profile for user, version in found.items() if version is not None}

    def versions(self, store: object) -> dict[str, list[Any]]:
        """Number and time of each version, by user."""
        with open_store(str(self.place(store)), create=False) as opened:
            return {
                user.user_id: [(note.version, note.created_at) for note in opened.versions(user.user_id)]
                for user in every_user(opened)
            }

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Tell the endpoint, several times a second, which replies are in the call cache."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.3):
                self.endpoint.saw(self.recorded())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def recorded(self, cache: object = "cache") -> set[str]:
        """Marks of the replies in a call cache."""
        path = self.folder / str(cache) / "calls.sqlite"
        if not path.exists():
            return set()
        with closing(sqlite3.connect(path, timeout=30)) as opened:
            try:
                rows = opened.execute("SELECT value FROM replies").fetchall()
            except sqlite3.OperationalError:  # killed before there was a table
                return set()
        return {mark for (reply,) in rows for mark in _MARK.findall(json.loads(reply)["text"])}

    def place(self, store: object) -> object:
        """A store as this process names it."""
        return store if "://" in str(store) else self.folder / str(store)


def finish(process: subprocess.Popen[str], seconds: float = 300.0) -> Ran:
    """Wait for a command."""
    out, said = process.communicate(timeout=seconds)
    return Ran(process.returncode, said, out)


def kill(process: subprocess.Popen[str]) -> bool:
    """Kill a command at once; whether it was still running."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()
