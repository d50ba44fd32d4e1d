from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "backends"))

from openai_stub import OpenAIStub

settings.register_profile("tests", deadline=None)  # a slow machine is no failed example
settings.load_profile("tests")


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes into the cache of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNTHESIZEME_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def openai_stub() -> Iterator[OpenAIStub]:
    """A real HTTP server on loopback with OpenAI's chat protocol; see tests/backends/openai_stub.py."""
    stub = OpenAIStub().start()
    yield stub
    stub.stop()
