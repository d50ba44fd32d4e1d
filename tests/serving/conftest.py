from __future__ import annotations

import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

import reward_models
from synthesizeme.errors import StoreUnavailableError
from synthesizeme.scoring import RewardScale
from synthesizeme.serving.app import BoundedHead, ServerSettings, build_app
from synthesizeme.serving.rewards import ScalarRewards
from synthesizeme.serving.settings import Settings
from synthesizeme.serving.stores import MemoryUsers
from synthesizeme.types import Comparison, Failure, Reward, Verdict

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

import two_tastes

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of plain HTTP; to read the certificates of the world takes longer than most tests."""
KEPT_OPEN = httpx.Limits(keepalive_expiry=None)
"""A client closes no connection: one that has just been given to a thread still counts as idle to another."""


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `two_tastes.saved`."""
    return two_tastes.saved(tmp_path_factory.mktemp("served") / "model")


@pytest.fixture
def model(checkpoint: Path) -> Any:
    """A copy of its own for each test."""
    return reward_models.load(checkpoint)


class Stub:
    """A model whose reward is the number its response begins with, and that waits until it may answer.

    A response "too long", "raise" or "nan" does what it says; "raise for own" only where the user is known.
    """

    name, order_sensitive, parameters, unknown_user = "stub", False, 0, "population"
    standard_errors, reward_scale = True, RewardScale(mean=2.0, scale=4.0, standard_error=0.5, answers=9)
    reads_words = False
    reads_feedback: frozenset[str] = frozenset()

    def __init__(self, users: tuple[str, ...] = ("ann", "bob")) -> None:
        self.users_: dict[str, Any] = {user: {} for user in users}
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked: list[list[str]] = []
        """User ids of each call."""

    def fit(self, pairs: Any, words: Any = None) -> Stub:
        return self

    def fit_users(self, histories: Any, words: Any = None, feedback: Any = None) -> Stub:
        for user, pairs in histories.items():
            self.users_.pop(user, None)
            if pairs:
                self.users_[user] = {"pairs": list(pairs)}
        return self

    def fit_user(self, user_id: str, pairs: Any, words: Any = None, feedback: Any = ()) -> Stub:
        return self.fit_users({user_id: pairs})

    def forget_user(self, user_id: str) -> Stub:
        self.users_.pop(user_id, None)
        return self

    def score(self, answers: Any) -> list[Reward | Failure]:
        self.asked.append([it.user_id for it in answers])
        assert self.may_answer.wait(120)
        return [self._one(it.response, it.user_id) for it in answers]

    def compare(self, comparisons: list[Comparison]) -> list[Verdict | Failure]:
        found: list[Verdict | Failure] = []
        for row in comparisons:
            first, second = self._one(row.first, row.user_id), self._one(row.second, row.user_id)
            if isinstance(first, Failure) or isinstance(second, Failure):
                found.append(Failure(kind="too_long", detail="of the stub"))
            else:
                margin = first.value - second.value
                found.append(
                    Verdict(preference="first" if margin > 0 else "second", probability=0.5, margin=margin)
                )
        return found

    def _one(self, text: str, user: str) -> Reward | Failure:
        if text == "too long":
            return Failure(kind="too_long", detail="of the stub")
        if text == "raise" or (text == "raise for own" and user in self.users_):
            raise ValueError("the stub was told to")
        words = text.split()
        number = float(words[0]) if words and words[0].lstrip("-").replace(".", "").isdigit() else -1.0
        value = float("nan") if text == "nan" else number if user in self.users_ else 1000 + number
        return Reward(value=value, probability=0.5, standard_error=0.25,
                      status="scored" if user in self.users_ else "population")  # fmt: skip


@pytest.fixture
def stub() -> Stub:
    return Stub()


class AwayStore(MemoryUsers):
    """A store that cannot be reached while it is `away`."""

    away = False

    def pairs(self, user_id: str) -> Any:
        if self.away:
            raise StoreUnavailableError("postgresql://secret@host is away")
        return super().pairs(user_id)


@pytest.fixture
def away_store() -> AwayStore:
    return AwayStore()


@dataclass
class Live:
    """A server on loopback."""

    url: str
    rewards: ScalarRewards
    endpoints: Any
    server: uvicorn.Server
    thread: threading.Thread
    client: httpx.Client

    def stop(self) -> None:
        """Tell it to stop, as a signal would, and wait for its end."""
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return self.client.post(path, json=body, **more)

    def in_thread(self, call: Callable[[], Any]) -> Background:
        return Background(call)

    def wait_for_rows(self, number: int) -> None:
        """Until so many rows wait."""
        until(lambda: self.endpoints.queue.waiting >= number)

    def hold(self, answer: str = "0") -> Background:
        """Let the stub keep a first request, so that all later ones wait until it may answer."""
        self.rewards.model.may_answer.clear()
        row = {"user_id": "ann", "prompt": "Q?", "response": answer}
        first = self.in_thread(lambda: self.post("/v1/score", row))
        until(lambda: len(self.rewards.model.asked) == 1)
        return first

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that must come."""
        until(true)


class Background:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._found: list[Any] = []
        self._thread = threading.Thread(target=lambda: self._found.append(call()), daemon=True)
        self._thread.start()

    def result(self) -> Any:
        self._thread.join(30)
        (found,) = self._found
        return found


def until(true: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    for _ in range(4000):
        if true():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come")


@pytest.fixture
def serve() -> Iterator[Callable[..., Live]]:
    """Starts servers, which end with the test: `serve(model, settings=..., unknown_user=...)`."""
    running: list[Live] = []

    def start(
        model: Any,
        *,
        settings: ServerSettings | None = None,
        access: Any = None,
        store: Any = None,
        **rules: Any,
    ) -> Live:
        rewards = ScalarRewards(model, Settings(**rules))
        app = build_app(rewards, store=store, access=access, settings=settings)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                port=0,
                http=BoundedHead,
                access_log=False,
                log_level="warning",
                timeout_graceful_shutdown=15,
                timeout_keep_alive=600,
            )
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        client = httpx.Client(base_url=url, timeout=120, verify=NO_CERTIFICATES, limits=KEPT_OPEN)
        live = Live(url, rewards, app.state.endpoints, server, thread, client)
        running.append(live)
        return live

    yield start
    for live in running:
        if hasattr(live.rewards.model, "may_answer"):
            live.rewards.model.may_answer.set()
        live.client.close()
        live.stop()


@pytest.fixture
def sunny() -> str:
    return "the sunny ship sails home!"


@pytest.fixture
def frosty() -> str:
    return "the frosty ship sails home?"
