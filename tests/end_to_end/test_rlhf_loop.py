"""The study of the RLHF loop in its quick size: each policy moves toward its own user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

STUDY = Path(__file__).parents[2] / "experiments" / "rlhf_loop"
USERS = ("calm", "lively")


@pytest.fixture(scope="module")
def tastes():
    sys.path.insert(0, str(STUDY))
    import tastes

    yield tastes
    sys.path.remove(str(STUDY))


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    pytest.importorskip("trl")
    out = tmp_path_factory.mktemp("rlhf_loop")
    done = subprocess.run(
        [sys.executable, str(STUDY / "run.py"), "--quick", "--out", str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads((out / "results.json").read_text())["seeds"][0]


def test_the_grammar_reads_what_it_says_and_nothing_else(tastes):
    rng = np.random.default_rng(0)
    for prompt in tastes.prompts():
        said = tastes.answer(rng, prompt)
        assert tastes.parses(prompt, said)
        for spoilt in (said[:-1], said + "…", said + said.lower(), "", said * 7):
            assert not tastes.parses(prompt, spoilt)
    assert not tastes.parses("Tell me about the old ship.", " The fox waits.")
    assert tastes.properties(" The old ship waits! The fox moves near the lamp.") == (10, 0.5)


def test_the_tastes_are_opposite(tastes):
    short, long = (
        " The ship waits.",
        " The old ship waits near the red lamp! The fox moves! The tower stands!",
    )
    assert tastes.chooses(tastes.TASTES["calm"], short, long) > 0.9
    assert tastes.chooses(tastes.TASTES["lively"], short, long) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("user", "other"), [USERS, USERS[::-1]])
def test_a_policy_moves_toward_its_own_user_only(seed, user, other):
    change = seed["policies"][user]["change"]

    def in_standard_errors(name):
        return change[name]["mean"] / change[name]["standard_error"]

    for kind in ("reward of", "chosen by"):
        assert in_standard_errors(f"{kind} {user}") > 4
        assert in_standard_errors(f"{kind} {other}") < -4
    toward = {"calm": -1, "lively": 1}[user]
    assert toward * in_standard_errors("words") > 4
    assert toward * in_standard_errors("exclaiming") > 4
    curve = seed["policies"][user]["curves"][f"reward of {user}"]
    assert np.mean(curve[-3:]) > np.mean(curve[:3]) + 0.1


@pytest.mark.slow
def test_text_stays_text(seed):
    for user in USERS:
        assert seed["policies"][user]["after"]["parses"]["mean"] > 0.5
