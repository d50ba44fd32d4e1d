from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from page_servers import Process, Served


def items(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def serve(tmp_path):
    """Makes pages that end with the test."""
    made = []

    def one(**options):
        made.append(Served(options.pop("store", tmp_path / "choices.db"), **options))
        return made[-1]

    yield one
    for page in made:
        page.close()


@pytest.fixture
def start():
    """Starts pages in processes of their own, none of which outlives the test."""
    made = []

    def one(*given, **more):
        made.append(Process(*given, **more))
        return made[-1]

    yield one
    for page in made:
        if page.process.poll() is None:
            page.kill()


@pytest.fixture
def pool(tmp_path):
    """Writes a pool of rows."""

    def write(*rows):
        path = tmp_path / "pool.jsonl"
        path.write_text(items(*rows), encoding="utf-8")
        return path

    return write
