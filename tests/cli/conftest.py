from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from synthesizeme.cli import induce_persona_main, main
from synthesizeme.discovery import resource


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Runs a command in this process, in an empty folder with an empty cache: `command("judge", ...)`."""
    monkeypatch.setenv("SYNTHESIZEME_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ran:
        words = [str(argument) for argument in arguments]
        alone = words[:1] == ["induce-persona"]
        status = induce_persona_main(words[1:]) if alone else main(words)
        captured = capfd.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


@pytest.fixture
def sample() -> Path:
    """The shipped sample: 60 pairs of mara, tobias and ilse."""
    return resource("data/sample/pairs.jsonl")


@pytest.fixture
def row() -> Callable[..., dict[str, Any]]:
    """A valid row; keywords replace its fields, None removes one."""

    def make(number: int = 0, **fields: Any) -> dict[str, Any]:
        base: dict[str, Any] = {
            "pair_id": f"p{number}",
            "user_id": "ann",
            "prompt": [{"role": "user", "content": f"Question {number}?"}],
            "chosen": [{"role": "assistant", "content": f"Yes, {number}."}],
            "rejected": [
                {
                    "role": "assistant",
                    "content": f"Well, perhaps one could possibly consider number {number}, and much else!",
                }
            ],
        }
        merged = {**base, **fields}
        return {key: value for key, value in merged.items() if value is not None}

    return make


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[..., Path]:
    """Writes objects as JSON Lines and gives the path."""

    def write(rows: list[dict[str, Any]], name: str = "pairs.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(item) + "\n" for item in rows), encoding="utf-8")
        return path

    return write
