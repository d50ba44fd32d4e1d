"""verl's ``compute_score``: prompt and user in ``extra_info``, the model read once in a process."""

from __future__ import annotations

import importlib.util
import math

import pytest

import reward_models
from synthesizeme.errors import ConfigError, RewardError, UnknownUserError
from synthesizeme.serving import verl
from synthesizeme.types import Message


@pytest.fixture
def compute_score():
    """The function of the file, loaded by its path as verl loads it."""
    spec = importlib.util.spec_from_file_location("custom_module", verl.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.compute_score


@pytest.fixture
def score(compute_score, checkpoint):
    def run(response, user="u0", prompt="Q?", **kwargs):
        info = {"prompt": prompt, "user_id": user, "index": 3}
        return compute_score("source", response, "truth", info, **{"model": str(checkpoint)} | kwargs)

    return run


def test_the_reward_is_that_of_the_users_own_model(score, model, sunny, frosty):
    expected = model.rewards([(Message(role="user", content="Q?"),)], [sunny], ["u0"])[0]
    assert score(sunny) == {"score": expected, "scored": 1, "status": "ok"}
    assert score(sunny, prompt=[{"role": "user", "content": "Q?"}])["score"] == expected
    assert score(sunny)["score"] > score(frosty)["score"]
    assert score(sunny, "u1")["score"] < score(frosty, "u1")["score"]


def test_the_model_is_read_once_and_may_be_named_by_the_environment(
    compute_score, checkpoint, sunny, monkeypatch, tmp_path
):
    copy = tmp_path / "copy"
    reward_models.load(checkpoint).save(copy)
    monkeypatch.setenv("SYNTHESIZEME_REWARD_MODEL", str(copy))
    info = {"prompt": "Q?", "user_id": "u0"}
    first = compute_score("s", sunny, "t", info)
    (copy / "model.json").unlink()
    assert compute_score(data_source="s", solution_str=sunny, ground_truth="t", extra_info=info) == first


def test_an_unknown_user_is_named_or_answered_by_the_population(score, sunny):
    with pytest.raises(UnknownUserError, match="user 'mallory' is unknown") as caught:
        score(sunny, "mallory")
    assert caught.value.user_id == "mallory"
    found = score(sunny, "mallory", unknown_user="population")
    assert math.isfinite(found["score"])
    assert (found["scored"], found["status"]) == (0, "population")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": None}, {"prompt": ""}, {"prompt": [{"role": "assistant", "content": "x"}]}, {"prompt": 7},
        {"prompt": [{"role": "robot", "content": "x"}]}, {"user": None}, {"user": 7}, {"user": ""},
    ],
    ids=str,
)  # fmt: skip
def test_a_row_that_cannot_be_read_never_ends_the_training(score, sunny, row):
    assert score(sunny)["scored"] == 1
    found = score(sunny, **row)
    assert math.isfinite(found["score"])
    assert (found["scored"], found["status"]) == (0, "error")
    with pytest.raises(RewardError):
        score(sunny, on_error="raise", **row)


@pytest.mark.parametrize("info", [None, {}, "text", []])
def test_nor_does_a_row_without_extra_info(compute_score, checkpoint, sunny, info):
    found = compute_score("s", sunny, "t", info, model=str(checkpoint))
    assert (found["scored"], found["status"]) == (0, "error")
    assert (
        compute_score("s", None, "t", {"prompt": "Q?", "user_id": "u0"}, model=str(checkpoint))["status"]
        == "error"
    )


def test_wrong_settings_end_it_at_once(score, compute_score, sunny, monkeypatch):
    with pytest.raises(ConfigError, match="on_error is 'hope'"):
        score(sunny, on_error="hope")
    monkeypatch.delenv("SYNTHESIZEME_REWARD_MODEL", raising=False)
    with pytest.raises(ConfigError, match="model=DIR"):
        compute_score("s", sunny, "t", {"prompt": "Q?", "user_id": "u0"})
