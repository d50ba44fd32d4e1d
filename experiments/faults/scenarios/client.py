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

from scenarios.workplace import Workplace, finish
from synthesizeme.datasets import write_pairs

METHOD = "hierarchical-stylometric"
GIVE_UP_S = 60.0


def serve(place: Workplace, store: object, env: Mapping[str, str] | None = None) -> str:
    """Train a model, start a server of it on a store; its address, once it takes requests."""
    rows = [pair.model_copy(update={"split": "train"}) for pair in place.pairs]
    write_pairs(place.folder / "train.jsonl", rows)
    trained = finish(
        place.start("synthesizeme", "train", "--method", METHOD, "--data", "train.jsonl", "--out", "model")
    )
    assert trained.status == 0, trained.said
    process = place.start(
        "synthesizeme", "serve", "--model", "model", "--profiles", store, "--port", 0, env=env,
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

    def __init__(self, address: str) -> None:
        self.address = address
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
        pair = {"pair_id": name, "prompt": f"Question {number}?", "chosen": "Yes!", "rejected": "No, never."}
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
