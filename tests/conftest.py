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


@pytest.fixture
def openai_stub() -> Iterator[OpenAIStub]:
    """A real HTTP server on loopback with OpenAI's chat protocol; see tests/backends/openai_stub.py."""
    stub = OpenAIStub().start()
    yield stub
    stub.stop()
