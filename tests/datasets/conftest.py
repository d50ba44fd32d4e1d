import gzip
import json
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


def message(role, content):
    return {"role": role, "content": content}


@pytest.fixture
def pair_row():
    """A valid row in our own format, numbered; keywords replace fields."""

    def build(number=0, **changes):
        row = {
            "pair_id": f"p{number}",
            "user_id": "ada",
            "prompt": [message("user", f"How deep is fathom {number}?")],
            "chosen": [message("assistant", f"Six feet ({number}).")],
            "rejected": [message("assistant", f"A fathom is a unit of length ({number}).")],
        }
        return {**row, **changes}

    return build


@pytest.fixture
def write_lines(tmp_path):
    """Write rows (objects, text or bytes) as the lines of a file."""

    def write(*rows, name="pairs.jsonl"):
        lines = [
            row
            if isinstance(row, bytes)
            else row.encode()
            if isinstance(row, str)
            else json.dumps(row).encode()
            for row in rows
        ]
        content = b"".join(line + b"\n" for line in lines)
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


@pytest.fixture(scope="session")
def shared_data():
    """Folder of the human data that lies beside a checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"the human data is not beside this checkout ({SHARED})")
    return SHARED
