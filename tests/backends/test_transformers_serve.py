"""A real `transformers serve` on loopback, driven through the local-server backend."""

from __future__ import annotations

import importlib.util
import os
import random
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import tiny_llama

from synthesizeme.backends import CallCache, ModelSettings, Question, RetryPolicy, Session, open_model
from synthesizeme.types import Message

COMMAND = Path(sys.executable).with_name("transformers")
NEEDS = ("torch", "transformers", "accelerate", "fastapi", "uvicorn")
MISSING = [name for name in NEEDS if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"transformers serve needs {', '.join(MISSING)}")


def free_port():
    """A port below those that the system gives out: nothing else takes it before the server does."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a hundred ports are taken")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tiny_llama.make(tmp_path_factory.mktemp("served"))
    port = free_port()
    command = [COMMAND, "serve", str(folder), "--device", "cpu", "--dtype", "float32"]
    with (folder / "serve.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    assert server.poll() is None, (folder / "serve.log").read_text()
    yield str(folder), f"http://127.0.0.1:{port}/v1"
    server.kill()
    server.wait()


def test_a_real_server_answers_in_order_and_from_the_cache(served, tmp_path):
    name, address = served
    questions = [Question((Message(role="user", content="long " * n + "is better"),)) for n in range(5)]
    model = open_model(name, ModelSettings(api_base=address, max_tokens=6, timeout_s=60))
    found = []
    for concurrency in (1, 4):
        with Session(model, concurrency=concurrency, retry=RetryPolicy(retries=2, backoff_s=0.1)) as session:
            found.append([answer.text for answer in session.ledger().ask(questions)])
    assert found[0] == found[1]
    assert set(" ".join(found[0]).split()) <= set(tiny_llama.WORDS)

    in_process = open_model(f"hf:{name}", ModelSettings(max_tokens=6, temperature=0.0, device="cpu"))
    with Session(in_process) as session:
        assert [answer.text for answer in session.ledger().ask(questions)] == found[0]

    with CallCache(tmp_path) as cache:
        for cached in (0, 5):
            with Session(model, cache=cache) as session:
                ledger = session.ledger()
                assert [answer.text for answer in ledger.ask(questions)] == found[0]
                assert ledger.usage.cached_calls == cached
                assert ledger.usage.completion_tokens > 0
