"""The endpoint of the suite: the tests' OpenAI-like server on loopback, which fails as told and remembers.

Each reply carries a mark that stands for its request, so that the call cache shows which were recorded.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from email.utils import formatdate
from typing import Any

from calm_reader import calm_reader
from openai_stub import OpenAIStub, Reply

KINDS = (
    "429", "429 until a date", "500", "reset", "cut short", "slow", "not JSON", "a web page", "another shape",
    "empty", "nonsense",
)  # fmt: skip
ANSWERED = ("", "nonsense")
"""What is recorded: nonsense is a reply too, which no judge can read."""
_PAGE = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"


class Endpoint:
    """A server in a thread of this process.

    Args:
        latency_s: Seconds a good reply takes.
        slow_s: Seconds a slow one takes.
    """

    def __init__(self, latency_s: float = 0.02, slow_s: float = 3.0) -> None:
        self.latency_s, self.slow_s = latency_s, slow_s
        self.rate, self.kinds = 0.0, KINDS
        self._changed = threading.Condition()
        self._stub = OpenAIStub()
        self._stub.answer = self._answer
        self._stub.start()
        self.address = self._stub.base_url
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        with self._changed:
            self.asked: Counter[str] = Counter()
            """Requests by mark."""
            self._bodies: set[str] = set()
            self.given: Counter[str] = Counter()
            """Replies by kind of fault; "" for good ones."""
            self.answers: dict[str, str] = {}
            """Kind of the latest reply to each mark that can be recorded."""
            self.late = 0
            """Requests that came well after the reply to an equal one was seen in the call cache."""
            self._seen: dict[str, float] = {}
            self._stub.requests.clear()
            self._stub.headers.clear()

    def fail(self, rate: float, kinds: Sequence[str] = KINDS) -> None:
        """From now on fail this share of the requests, in these ways."""
        self.rate, self.kinds = rate, tuple(kinds)

    @property
    def calls(self) -> int:
        """Requests so far."""
        return self.asked.total()

    @property
    def repeated(self) -> int:
        """Requests beyond the first of each body."""
        return self.calls - len(self._bodies)

    def wait_for(self, calls: int, seconds: float = 120.0) -> bool:
        """Wait until so many requests have come; whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: self.calls >= calls, timeout=seconds)

    def saw(self, recorded: Iterable[str]) -> None:
        """Learn which replies are in the call cache now."""
        now = time.monotonic()
        with self._changed:
            for mark in recorded:
                self._seen.setdefault(mark, now)

    def close(self) -> None:
        """Stop the server."""
        self._stub.stop()

    def _answer(self, body: Mapping[str, Any]) -> Reply:
        mark = mark_of(body)
        with self._changed:
            self.asked[mark] += 1
            self._bodies.add(f"{mark} {json.dumps(body.get('response_format'))}")
            self.late += time.monotonic() - self._seen.get(mark, float("inf")) > GRACE_S
            kind = self._kind(mark, self.asked[mark])
            self.given[kind] += 1
            if kind in ANSWERED:
                self.answers[mark] = kind
            self._changed.notify_all()
        return self._reply(kind, mark, body)

    def _kind(self, mark: str, attempt: int) -> str:
        chance = random.Random(f"{mark} {attempt}")
        return chance.choice(self.kinds) if chance.random() < self.rate else ""

    def _reply(self, kind: str, mark: str, body: Mapping[str, Any]) -> Reply:
        if kind == "429":
            return Reply(status=429, headers={"Retry-After": "0"})
        if kind == "429 until a date":
            return Reply(status=429, headers={"Retry-After": formatdate(time.time() + 1, usegmt=True)})
        faults = {
            "500": Reply(status=500), "reset": Reply(drop="before"), "cut short": Reply(drop="midway"),
            "not JSON": Reply(body=b'{"choices": [{"mess'), "a web page": Reply(body=_PAGE),
            "another shape": Reply(body=b'{"choices": {"message": 7}}'), "empty": Reply(content=""),
            "nonsense": Reply(f"Colourless green ideas sleep furiously {mark}"),
            "slow": Reply(marked(calm_reader(dict(body)), mark), delay_s=self.slow_s),
        }  # fmt: skip
        return faults.get(kind) or Reply(marked(calm_reader(dict(body)), mark), delay_s=self.latency_s)


GRACE_S = 2.0
"""Seconds that a request may be under way after its sender looked into the call cache."""


def mark_of(body: Mapping[str, Any]) -> str:
    """What stands for a request: a hash of its messages and its seed."""
    said = json.dumps([body["messages"], body.get("seed")])
    return "m" + hashlib.sha256(said.encode()).hexdigest()[:16]


def marked(reply: str, mark: str) -> str:
    """A reply of the calm reader with a mark in it."""
    said = reply.replace("it is the calm one.", f"it is the calm one, {mark}.").replace(
        "ships", f"ship {mark}"
    )
    return said if mark in said else f"{said}\n({mark})"
