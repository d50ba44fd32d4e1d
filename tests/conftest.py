from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "backends"))

from openai_stub import OpenAIStub

THEIRS = ("SYNTHESIZEME_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "LITELLM_", "DSPY_", "RAY_", "PG")
KEYS = ("_API_KEY", "_API_BASE", "_BASE_URL", "_API_TOKEN", "_AI_TOKEN", "_AD_TOKEN", "_PROXY")
NAMED = ("XDG_CACHE_HOME", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "LOCAL_RANK", "RANK", "WORLD_SIZE")

settings.register_profile("tests", deadline=None, max_examples=50)  # a slow machine is no failed example
settings.load_profile("tests")


def changes_the_product(variable: str) -> bool:
    """Whether the product, or a library under it, reads an environment variable and does otherwise for it."""
    name = variable.upper()
    return name.startswith(THEIRS) or name.endswith(KEYS) or name in NAMED


def pytest_configure() -> None:
    """Whoever runs the tests may have set up the product; neither a test nor a process it starts sees that."""
    for name in filter(changes_the_product, list(os.environ)):
        del os.environ[name]
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (at Ray's low priority a busy machine hardly runs them)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes into the cache of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNTHESIZEME_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds for which the code under test chooses to wait, in order; it goes on at once."""
    chosen: list[float] = []
    let_others_run = asyncio.sleep

    async def noted(seconds: float) -> None:
        if seconds > 0:
            chosen.append(seconds)
        await let_others_run(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    monkeypatch.setattr(time, "sleep", chosen.append)
    return chosen


@pytest.fixture
def openai_stub() -> Iterator[OpenAIStub]:
    """A real HTTP server on loopback with OpenAI's chat protocol; see tests/backends/openai_stub.py."""
    stub = OpenAIStub().start()
    yield stub
    stub.stop()
