"""docs/python.md is true: its blocks run, one after the other, as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
RUN = """
import sys
blocks = sys.stdin.read().split("\\0")
names = {}
for number, block in enumerate(blocks):
    print(f"--- {number}")
    exec(compile(block, f"block {number}", "exec"), names)
"""
SAID = {
    "print(profile.persona.text)": r"The user .*\.",
    "type(given).__name__": r"list 20\nDataFrame 20\nDataset 20\nstr 60\nstr 60\ntuple 20",
    "found.format": r"PreferencePair\(pair_id='row-.* trl-rows \(\) \{\}",
    "except DataError": r"list row 21: field 'rejected': .*Cure: ",
    "answer.preference": r"(first|second|tie) 0\.\d+ (True|False)",
    "score.standard_error": r"Score\([+-]\d\.\d+ ± \d\.\d+, ok\) -?\d\.\d+ \d\.\d+ ok",
    '"nobody"': r"\['ok', 'population'\]",
    "best.response": r"(Yes, up|It depends).* [01] -?\d",
    "print(model.weights": r"OwnTaste\(.*p = 0\.\d+\)",
    "print(load_reward_model": r"LoadedRewardModel\(hierarchical-stylometric, 3 users\)",
    "print(rewards(": r"\[-?\d\.\d+\]",
    "LLMJudge(session": r"Outcome\(.*pairs 4, users 1",
    "evaluate(shorter": r"Outcome\(shorter, accuracy \d+\.\d %.*\nOutcome\(hierarchical-form, accuracy",
}
"""What a block prints, by a piece of the block."""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    (folder / "data").symlink_to(ROOT / "data")
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=folder, env=os.environ | {"HF_HUB_OFFLINE": "1"}, input="\0".join(BLOCKS),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return re.split(r"^--- \d+\n", done.stdout, flags=re.MULTILINE)[1:]


def test_every_block_runs(printed):
    assert len(printed) == len(BLOCKS) >= 15


@pytest.mark.parametrize("piece", SAID)
def test_a_block_prints_what_it_promises(printed, piece):
    [number] = [number for number, block in enumerate(BLOCKS) if piece in block]
    assert re.search(SAID[piece], printed[number]), printed[number]
