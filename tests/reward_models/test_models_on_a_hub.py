"""Reward models brought to a hub and taken from it; the hub is one on this machine."""

import json
import os
import subprocess
import sys

import planted_words
import pytest
import yaml
from loopback_hub import LoopbackHub

import reward_models
from synthesizeme.errors import DataError

BRING = """
import sys
import planted_words
from reward_models import method, push_to_hub
pairs = planted_words.population(n_users=3, n_pairs=8, split="train")
model = method("hierarchical-stylometric")(unknown_user="refuse").fit(pairs)
print(push_to_hub(model, "owner/taste", users=sys.argv[1] == "with-users"))
"""
TAKE = """
import json
from synthesizeme import load_reward_model
model = load_reward_model("hub:owner/taste", unknown_user="population")
print(json.dumps([list(model.model.users), model.score("What is a ship?", "A vessel.", user="u0").value]))
"""


@pytest.fixture
def hub():
    with LoopbackHub({}) as served:
        yield served


@pytest.fixture
def run(hub, tmp_path):
    def run(script, *arguments, **more):
        path = os.pathsep.join(filter(None, (os.path.dirname(__file__), os.environ.get("PYTHONPATH"))))
        env = {**os.environ, "PYTHONPATH": path, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.address,
               "HF_TOKEN": hub.token, **more}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], env=env, capture_output=True, text=True, timeout=120
        )
        return done.stdout.strip() or done.stderr

    return run


@pytest.mark.parametrize("users", ["with-users", "without"])
def test_what_is_brought_can_be_taken_and_users_stay_unless_they_are_meant_to_go(hub, run, users):
    assert run(BRING, users) == f"{hub.address}/owner/taste"
    files = hub.repositories["models/owner/taste"]
    assert hub.private == {"models/owner/taste": True}
    card = files["README.md"].decode()
    _, front, body = card.split("---\n", 2)
    assert yaml.safe_load(front)["library_name"] == "synthesizeme-rewards"
    assert "24 pairs" in body
    assert "is refused" in body
    goes = users == "with-users"
    assert ("3 users" in body) == goes
    assert any(b'"u0"' in content for content in files.values()) == goes
    known, value = json.loads(run(TAKE))
    assert known == (["u0", "u1", "u2"] if goes else [])
    assert isinstance(value, float)
    # Fetched once: the hub is not needed again.
    assert run(TAKE, HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9") == run(TAKE)


def test_a_token_that_may_not_write_and_a_name_that_is_none_are_said(hub, run, monkeypatch):
    assert "hf auth login" in run(BRING, "without", HF_TOKEN="hf_other")
    pairs = planted_words.population(n_users=2, n_pairs=4, split="train")
    model = reward_models.method("hierarchical-stylometric")().fit(pairs)
    with pytest.raises(DataError, match="owner/name"):
        reward_models.push_to_hub(model, "no/such/name")
    assert "the hub has no model of this name" in run(TAKE.replace("owner/taste", "owner/absent"))
