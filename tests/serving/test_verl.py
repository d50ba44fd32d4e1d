"""verl's ``compute_score``: prompt and user in ``extra_info``, the model read once in a process."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest

import reward_models
from synthesizeme.errors import ConfigError, DataError, RewardError, UnknownUserError
from synthesizeme.scoring import as_answers
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
    (reward,) = model.score(as_answers([(Message(role="user", content="Q?"),)], [sunny], ["u0"]))
    expected = reward.value
    assert score(sunny) == {
        "score": expected, "scored": 1, "status": "ok",
        "taste": reward.taste, "floor": reward.floor, "below_floor": 0, "stripped": 0,
    }  # fmt: skip
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


def test_a_batch_is_asked_for_in_the_plural_and_gives_what_its_rows_give(
    score, compute_score, checkpoint, sunny, frosty
):
    infos = np.array([{"prompt": "Q?", "user_id": user} for user in ("u0", "u0", "u1")], dtype=object)
    found = compute_score(
        data_sources=np.array(["s"] * 3), solution_strs=[sunny, frosty, sunny], ground_truths=["t"] * 3,
        extra_infos=infos, model=str(checkpoint),
    )  # fmt: skip
    assert found == [score(sunny), score(frosty), score(sunny, "u1")]
    assert [it[0] for it in found] == [it["score"] for it in found], (
        "the manager prime takes the first of a result"
    )
    with pytest.raises(DataError, match="found 1 for 2 responses"):
        compute_score(solution_strs=[sunny] * 2, extra_infos=infos[:1], model=str(checkpoint))
    with pytest.raises(UnknownUserError):
        compute_score(
            solution_strs=[sunny], extra_infos=[{"prompt": "Q?", "user_id": "mallory"}], model=str(checkpoint)
        )


def test_an_unknown_user_is_named_or_answered_by_the_population(score, sunny):
    with pytest.raises(UnknownUserError, match="user 'mallory' is unknown") as caught:
        score(sunny, "mallory")
    assert caught.value.user_id == "mallory"
    found = score(sunny, "mallory", unknown_user="population")
    assert math.isfinite(found["score"])
    assert (found["scored"], found["status"]) == (0, "population")


def test_what_is_no_answer_is_told_and_the_floor_may_be_left_out(score, monkeypatch):
    asked = {"prompt": "How does a ship sail home?", "response": "How does a ship sail home?"}
    echo, bare = score(**asked), score(**asked, floor="none")
    assert echo["score"] == echo["taste"] + echo["floor"] < echo["taste"] - 5
    assert echo["below_floor"] == 1
    assert (bare["score"], bare["floor"], bare["below_floor"]) == (echo["taste"], 0, 0)
    monkeypatch.setenv("SYNTHESIZEME_FLOOR", "none")
    assert score(**asked) == bare
    assert score(**asked, floor="base") == echo
    with pytest.raises(ConfigError, match="unknown floor 'bass'"):
        score(**asked, floor="bass")


def test_the_messages_that_parquet_gives_as_an_array_are_read(score, sunny):
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Q?"}]
    assert score(sunny, prompt=np.array(turns, dtype=object)) == score(sunny, prompt=turns)
    assert score(sunny, prompt=np.array(turns, dtype=object))["scored"] == 1


@pytest.mark.parametrize(
    ("row", "field", "found"),
    [
        ({"prompt": None}, "prompt", "None"),
        ({"prompt": ""}, "prompt", "''"),
        ({"prompt": 7}, "prompt", "7"),
        ({"prompt": np.array([], dtype=object)}, "prompt", "[]"),
        ({"prompt": [{"role": "assistant", "content": "x"}]}, "prompt", "'assistant'"),
        ({"prompt": [{"role": "robot", "content": "x"}]}, "prompt", "'robot'"),
        ({"user": None}, "user_id", "None"),
        ({"user": 7.5}, "user_id", "7.5"),
        ({"user": ""}, "user_id", "''"),
        ({"user": " "}, "user_id", "' '"),
    ],
    ids=str,
)
def test_data_without_a_user_or_a_prompt_end_the_training_with_the_cure(score, sunny, row, field, found):
    assert score(sunny)["scored"] == 1
    for on_error in ("population", "raise"):
        with pytest.raises(DataError) as caught:
            score(sunny, on_error=on_error, **row)
        assert caught.value.field == field
        assert caught.value.problem.startswith("found ")
        assert found in caught.value.problem
        assert "Cure: give every row of the data set extra_info=" in str(caught.value)


@pytest.mark.parametrize("info", [None, "text", []])
def test_so_do_data_without_extra_info(compute_score, checkpoint, sunny, info):
    with pytest.raises(DataError, match=r"'extra_info': found .*; expected a dict with prompt and user_id"):
        compute_score("s", sunny, "t", info, model=str(checkpoint))
    with pytest.raises(DataError, match="'user_id': found None"):
        compute_score("s", sunny, "t", {}, model=str(checkpoint))


def test_a_response_that_cannot_be_read_never_ends_it_unless_told_to(score, sunny):
    assert score(sunny)["scored"] == 1
    found = score(None)
    assert math.isfinite(found["score"])
    assert (found["scored"], found["status"]) == (0, "error")
    assert (found["taste"], found["floor"], found["below_floor"]) == (found["score"], 0, 0)
    with pytest.raises(RewardError):
        score(None, on_error="raise")


def test_wrong_settings_end_it_at_once(score, sunny):
    with pytest.raises(ConfigError, match="on_error is 'hope'"):
        score(sunny, on_error="hope")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("unknown_users", "unknown_user"), ("pessimisim", "pessimism"), ("normalise", "normalize"), ("profile", "profiles"),
        ("onerror", "on_error"), ("Model", "model"), ("models", "model"), ("clips", "clip"), ("floors", "floor"),
    ],
)  # fmt: skip
def test_a_misspelt_setting_ends_it_at_once_and_the_cure_works(score, sunny, name, meant):
    with pytest.raises(TypeError, match=f"unexpected keyword argument {name!r}. Cure: write {meant!r}"):
        score(sunny, **{name: "1"})
    assert isinstance(score(sunny, **{meant: None})["score"], float)


def test_what_verl_hands_over_itself_is_let_pass_and_what_nobody_knows_is_said_once(score, sunny, caplog):
    plain = score(sunny)
    from_verl = {"reward_router_address": None, "reward_model_tokenizer": object()}
    assert score(sunny, **from_verl) == plain
    assert "changes nothing" not in caplog.text
    assert score(sunny, format_weight=0.5) == score(sunny, format_weight=0.5) == plain
    assert caplog.text.count("'format_weight' in reward_kwargs is no setting of compute_score") == 1


def test_without_a_model_the_shipped_population_answers(compute_score, sunny, monkeypatch):
    monkeypatch.delenv("SYNTHESIZEME_REWARD_MODEL", raising=False)
    found = compute_score("s", sunny, "t", {"prompt": "Q?", "user_id": "u0"})
    prompt = (Message(role="user", content="Q?"),)
    (expected,) = reward_models.load().score(as_answers([prompt], [sunny], ["u0"]))
    assert found == {
        "score": expected.value, "scored": 0, "status": "population",
        "taste": expected.taste, "floor": expected.floor, "below_floor": 0, "stripped": 0,
    }  # fmt: skip
