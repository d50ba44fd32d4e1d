"""A reward server as a process, and a client that goes on asking it whatever happens."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from typing import Any

from scenarios.rows import Row, counted
from scenarios.workplace import Workplace, finish
from synthesizeme.datasets import write_pairs
from synthesizeme.profiles import open_store

METHOD = "hierarchical-stylometric"
GIVE_UP_S, LONG_S = 60.0, 10.0
"""Seconds after which nothing more is waited for, and those that no answer may take."""


def serve(place: Workplace, store: object, env: Mapping[str, str] | None = None) -> str:
    """Train a model, start a server of it on a store; its address, once it takes requests."""
    rows = [pair.model_copy(update={"split": "train"}) for pair in place.pairs]
    write_pairs(place.folder / "train.jsonl", rows)
    trained = finish(
        place.start("synthesizeme", "train", "--method", METHOD, "--data", "train.jsonl", "--out", "model")
    )
    assert trained.status == 0, trained.said
    process = place.start(
        "synthesizeme", "serve", "--reward-model", "model", "--store", store, "--port", 0, env=env,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(r"http://[\d.]+:\d+", line):
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return found[0]
    raise AssertionError(f"the server did not start: {said}")


class Client:
    """Two threads that ask a server for scores and give it pairs, and remember every answer."""

    def __init__(self, address: str, padding: int = 0) -> None:
        self.address, self._padding = address, padding
        self.codes: Counter[tuple[str, int]] = Counter()
        self.acknowledged: dict[str, set[str]] = {}
        self.without_time, self.slowest = 0, 0.0
        self._over = threading.Event()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._repeat, args=(it,)) for it in (self._score, self._add)]

    def __enter__(self) -> Client:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(GIVE_UP_S)

    def until(self, happened: Any) -> None:
        """Wait until something is true of the answers."""
        with self._changed:
            assert self._changed.wait_for(happened, timeout=GIVE_UP_S), f"only {dict(self.codes)}"

    def page_counts(self) -> int:
        """Answers 503 to pairs, as the server counts them."""
        with urllib.request.urlopen(f"{self.address}/metrics", timeout=GIVE_UP_S) as answer:
            page = answer.read().decode()
        lines = re.findall(r'requests_total\{code="503",route="add_pairs"\} ([\d.]+)', page)
        return int(float(lines[0])) if lines else 0

    def _repeat(self, ask: Any) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            ask(number)
            time.sleep(0.05)

    def _score(self, number: int) -> None:
        body = {"user_id": "planted-00000", "prompt": "How?", "response": f"Like this, {number} times."}
        self._post("score", "/v1/score", body)

    def _add(self, number: int) -> None:
        user, name = f"new-{number % 3}", f"p{number}"
        pair = {
            "pair_id": name,
            "prompt": f"Question {number}?",
            "chosen": "Yes!" + " so" * (self._padding // 3),
            "rejected": "No, never.",
        }
        if self._post("pairs", f"/v1/users/{user}/pairs", {"pairs": [pair]}) == 200:
            self.acknowledged.setdefault(user, set()).add(name)

    def _post(self, kind: str, path: str, body: dict[str, Any]) -> int:
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=GIVE_UP_S) as answer:
                code = answer.status
        except urllib.error.HTTPError as error:
            code = error.code
            self.without_time += code == 503 and "Retry-After" not in error.headers
            error.close()
        self.slowest = max(self.slowest, time.monotonic() - began)
        with self._changed:
            self.codes[kind, code] += 1
            self._changed.notify_all()
        return code


def judge(row: Row, client: Client) -> None:
    """Promised of a server whose store is away or full: scores go on, pairs get 503 and a time."""
    codes = client.codes
    wrong = {f"{kind} {code}": n for (kind, code), n in codes.items()
             if code not in (200, 503) or (kind, code) == ("score", 503)}  # fmt: skip
    row.promise(not wrong, f"answers {wrong}")
    row.promise(not client.without_time, f"{client.without_time} answers 503 without Retry-After")
    row.promise(client.slowest < LONG_S, f"an answer took {client.slowest:.1f} s")
    row.promise(client.page_counts() == codes["pairs", 503], "/metrics counts other failures")
    row.shown = counted({"503 with Retry-After, on /metrics": codes["pairs", 503]})
    row.finished = f"{sum(map(len, client.acknowledged.values()))} pairs, {codes['score', 200]} scores"


def nothing_lost(row: Row, client: Client, store: object) -> None:
    """Promised: what was acknowledged is in the store."""
    with open_store(str(store)) as opened:
        stored = {user: {pair.pair_id for pair in opened.pairs(user)} for user in client.acknowledged}
    row.lost = sum(len(ids - stored[user]) for user, ids in client.acknowledged.items())
    row.promise(row.lost == 0, f"{row.lost} acknowledged pairs are gone")
