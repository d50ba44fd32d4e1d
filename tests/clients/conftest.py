"""Clients as they are: their own code, and the lines that the guide tells their users. Run by `make test-clients`."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests" / folder) for folder in ("contracts", "profiles", "reward_models")]
CLIENTS = ("openrlhf", "verl", "trl", "ray", "torch", "tensordict", "hydra-core")


def pytest_configure(config: pytest.Config) -> None:
    """A client that is not here makes the run fail."""
    found, missing = [], []
    for name in CLIENTS:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        pytest.exit(f"not installed: {', '.join(missing)}; run `make test-clients`", returncode=1)
    config.clients = ", ".join(found)


def pytest_report_header(config: pytest.Config) -> str:
    """The versions that are run."""
    return f"clients: {config.clients}"


@pytest.fixture(scope="session", autouse=True)
def _workers_are_run() -> None:
    """Ray gives its workers a low priority, with which a busy machine hardly runs them."""
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `two_tastes.saved`."""
    import two_tastes

    return two_tastes.saved(tmp_path_factory.mktemp("trained") / "model")


@pytest.fixture(scope="session")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random decoder with a ChatML tokenizer."""
    import tiny_backbones
    import transformers
    import two_tastes

    texts = two_tastes.texts(two_tastes.population(2, 8))
    folder = tiny_backbones.make(tmp_path_factory.mktemp("policy") / "tiny", texts, shape="qwen")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens(
        {"eos_token": "<|im_end|>", "pad_token": "<|pad|>", "additional_special_tokens": ["<|im_start|>"]}
    )
    tokenizer.chat_template = tiny_backbones.CHATML
    tokenizer.padding_side = "left"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer))
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(policy: Path) -> Any:
    """The policy's tokenizer."""
    import transformers

    return transformers.AutoTokenizer.from_pretrained(policy)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], tuple[str, Path]]]:
    """Runs `synthesizeme serve ...`; gives its address, and the file with what it says."""
    running = []

    def start(line: str) -> tuple[str, Path]:
        said = tmp_path / f"server{len(running)}.log"
        program = [str(Path(sys.executable).with_name("synthesizeme")), *line.split()[1:], "--port", "0"]
        with said.open("w") as output:
            running.append(subprocess.Popen(program, stdout=output, stderr=output))
        for _ in range(600):
            if match := re.search(r"Serving .* on (http://\S+);", said.read_text()):
                return match[1], said
            assert running[-1].poll() is None, said.read_text()
            with suppress(subprocess.TimeoutExpired):
                running[-1].wait(0.2)
        raise AssertionError(said.read_text())

    yield start
    for process in running:
        process.terminate()
        process.wait(30)
