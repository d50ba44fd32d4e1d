"""``evaluate --benchmark reward-bench-2``: checkpoints, a folder of data, and what is wrong input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

RECORDED = Path(__file__).parents[1] / "comparison" / "reward_bench_2.jsonl"


@pytest.fixture
def data(tmp_path):
    (tmp_path / "reward-bench-2.jsonl").write_bytes(RECORDED.read_bytes())
    return tmp_path


def test_a_checkpoint_is_measured_with_and_without_its_users(command, data, sample):
    trained = command("train", "--data", sample, "--out", "out/model", "--method", "hierarchical-stylometric")
    assert trained.status == 0, trained.err
    asked = ("evaluate", "--benchmark", "reward-bench-2", "--scorers", "out/model", "--data-dir", data)
    ran = command(*asked, "--max-users", 2, "--out", "r")
    assert ran.status == 0, ran.err
    assert "| mean of subsets |" in ran.out
    [row] = json.loads(Path("r/results.json").read_text())["rows"]
    assert (row["name"], row["users"]) == ("out/model", 2)
    assert set(row["scores"]) == {
        "Factuality", "Precise IF", "Math", "Safety", "Focus", "Ties", "mean of subsets",
    }  # fmt: skip
    assert command(*asked, "--json").json["rows"][0]["users"] == 3


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "expected e.g. --scorers out/model"),
        (["--scorers", "default,longer"], 2, "trained reward models alone.*found default, longer"),
        (
            ["--scorers", "x", "--controls"],
            2,
            "--controls, --sycophancy: reward-bench-2 asks trained models alone",
        ),
        (["--scorers", "."], 1, "no checkpoint can be read here"),
    ],
)
def test_what_cannot_be_measured_is_said(command, arguments, status, said):
    ran = command("evaluate", "--benchmark", "reward-bench-2", *arguments)
    assert ran.status == status
    assert re.search(said, " ".join(ran.err.split())), ran.err
