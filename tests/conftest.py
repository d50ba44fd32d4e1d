from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "backends"))

from openai_stub import OpenAIStub


@pytest.fixture
def openai_stub() -> Iterator[OpenAIStub]:
    """A real HTTP server on loopback with OpenAI's chat protocol; see tests/backends/openai_stub.py."""
    stub = OpenAIStub().start()
    yield stub
    stub.stop()
