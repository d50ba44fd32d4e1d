from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from calm_reader import calm_reader

from synthesizeme.discovery import resource


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An empty home and cache, and no network but loopback needed."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "LC_ALL") if name in os.environ}
    return {
        **kept, "HOME": str(tmp_path / "home"), "SYNTHESIZEME_CACHE_DIR": str(tmp_path / "cache"),
        "COLUMNS": "100", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts an installed command as a process: `start("induce-persona", ...)`."""
    processes: list[subprocess.Popen[str]] = []

    def run(command: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name(command)), *map(str, arguments)],
            cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            # A shell that starts the tests in the background has it ignored, and a child inherits that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def sample() -> Path:
    return resource("data/sample/pairs.jsonl")


class Watched:
    """Counts what a stub answered, and wakes whoever waits for the n-th answer."""

    def __init__(self, stub: Any, delay_s: float = 0.0) -> None:
        from openai_stub import Reply

        self.questions: list[str] = []
        self._changed = threading.Condition()

        def answer(body: dict[str, Any]) -> Any:
            with self._changed:
                self.questions.append(json.dumps(body["messages"]))
                self._changed.notify_all()
            return Reply(calm_reader(body), delay_s=delay_s)

        stub.answer = answer

    def wait_for(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.questions) >= number, timeout=60)


@pytest.fixture
def watched(openai_stub: Any) -> Watched:
    """A stub server with the calm reader behind it, 20 ms an answer."""
    return Watched(openai_stub, delay_s=0.02)
