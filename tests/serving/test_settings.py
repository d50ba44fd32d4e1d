"""Cautious rewards and rewards on a trainer's scale: the same numbers through every adapter."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
import two_tastes

import reward_models
from synthesizeme.errors import ConfigError
from synthesizeme.scoring import as_answers
from synthesizeme.serving import openrlhf, verl
from synthesizeme.serving.rewards import RewardQuestion, ScalarRewards
from synthesizeme.serving.settings import Settings
from synthesizeme.serving.trl import async_reward_function, reward_function
from synthesizeme.types import Comparison, Message

PROMPT = (Message(role="user", content="Q?"),)
SHAPES = [
    {"pessimism": 1.5},
    {"normalize": True},
    {"normalize": True, "pessimism": 2.0},
    {"normalize": True, "clip": 0.1},
]


def of(user, text):
    return RewardQuestion(user, PROMPT, text)


def expected(model, text, user, pessimism=0.0, normalize=False, clip=math.inf):
    """What a setting should give, from the model's own numbers."""
    (reward,) = model.score(as_answers([PROMPT], [text], [user]))
    value = reward.value - pessimism * reward.standard_error
    if normalize:
        scale = model.reward_scale
        value = (value - scale.mean + pessimism * scale.standard_error) / scale.scale
    return float(np.clip(value, -clip, clip))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rewards_are_the_models_less_their_doubt_on_the_scale_of_the_training_answers(model, sunny, shape):
    scalar = ScalarRewards(model, Settings(**shape, unknown_user="population"))
    for user in ("u0", "u1", "nobody knows me"):
        (found,) = scalar.score([of(user, sunny)])
        assert found.value == pytest.approx(expected(model, sunny, user, **shape))
        (plain,) = model.score(as_answers([PROMPT], [sunny], [user]))
        shrunk = model.reward_scale.scale if "normalize" in shape else 1
        assert found.standard_error == pytest.approx(plain.standard_error / shrunk)
        assert found.probability == plain.probability
    assert scalar.typical is not None


def test_normalised_rewards_of_training_answers_have_mean_zero_and_deviation_one_and_are_clipped(model):
    pairs = two_tastes.population(6, 16)
    model.stand_on("none")  # the scale is that of tastes, and some of these toys seem to be no answers
    rows = [
        RewardQuestion(p.user_id, p.prompt, text) for p in pairs for text in (p.chosen_text, p.rejected_text)
    ]
    assert model.reward_scale.answers == len(rows)
    for pessimism in (0, 1):
        scalar = ScalarRewards(model, Settings(normalize=True, pessimism=pessimism))
        values = [score.value for score in scalar.score(rows)]
        assert np.mean(values) == pytest.approx(0, abs=1e-6)
        assert np.std(values) == pytest.approx(1, rel=0.2 * pessimism + 1e-6)
    clipped = [s.value for s in ScalarRewards(model, Settings(normalize=True, clip=1.0)).score(rows)]
    assert min(clipped) == -1
    assert max(clipped) == 1
    assert len(set(clipped)) > 2


def test_the_more_pessimistic_the_lower_and_a_margin_stays_as_it_is(model, sunny, frosty):
    rows = [Comparison(pair_id="p", user_id="u0", prompt=PROMPT, first=sunny, second=frosty)]
    values, margins = [], []
    for pessimism in (0, 1, 3):
        scalar = ScalarRewards(model, Settings(pessimism=pessimism))
        values.append(scalar.score([of("u0", sunny)])[0].value)
        margins.append(scalar.compare(rows)[0].value)
    assert values[0] - values[2] == pytest.approx(3 * (values[0] - values[1]))
    assert values[0] > values[1]
    assert len(set(margins)) == 1


def test_a_row_may_be_more_cautious_than_the_others(stub):
    scalar = ScalarRewards(stub, Settings(pessimism=2))
    plain = of("ann", "3")
    found = scalar.score([plain, plain._replace(pessimism=4.0), plain._replace(pessimism=0.0)])
    assert [score.value for score in found] == [2.5, 2.0, 3.0]


def test_what_has_no_value_stays_without_one(stub):
    unknown, broken = ScalarRewards(stub, Settings(pessimism=1)).scores([of("eve", "3"), of("ann", "nan")])
    assert (unknown.value, unknown.status) == (None, "unknown_user")
    assert (broken.value, broken.status) == (None, "error")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pessimism": -1}, "pessimism is -1; expected a number of standard errors from 0 on"),
        ({"pessimism": math.nan}, "pessimism is nan"),
        ({"pessimism": math.inf}, "pessimism is inf"),
        ({"pessimism": "2"}, "pessimism is '2'"),
        ({"pessimism": True}, "pessimism is True"),
        ({"normalize": "yes"}, "normalize is 'yes'; expected True or False"),
        ({"normalize": True, "clip": 0}, "clip is 0; expected a number above 0"),
        ({"normalize": True, "clip": math.nan}, "clip is nan"),
        ({"clip": 5}, "clip is in units of the scale; give normalize too"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused_in_words(wrong, said, model):
    with pytest.raises(ConfigError) as caught:
        Settings(**wrong)
    assert said in str(caught.value)
    for make in (reward_function, async_reward_function):
        with pytest.raises(ConfigError):
            make(model, **wrong)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as caught:
        Settings(on_error="hope", pessimism=-1, clip=2)
    assert len(caught.value.problems) == 3


def test_a_model_without_standard_errors_or_scale_is_refused(stub):
    stub.standard_errors, stub.reward_scale = False, None
    assert ScalarRewards(stub, Settings()).score([of("ann", "3")])[0].value == 3
    with pytest.raises(ConfigError) as caught:
        ScalarRewards(stub, Settings(pessimism=1, normalize=True))
    doubt, scale = caught.value.problems
    assert "stub has no standard errors, which pessimism needs; leave pessimism at 0, or use" in doubt
    assert "stub knows no mean and scale" in scale
    with pytest.raises(ConfigError, match="no standard errors"):
        reward_function(stub, pessimism=1)


def test_the_scale_is_kept_in_the_checkpoint_and_left_alone_by_later_users(model, checkpoint, tmp_path):
    assert reward_models.load(checkpoint).reward_scale == model.reward_scale is not None
    before = model.reward_scale
    model.fit_user("new", two_tastes.asked_as(two_tastes.population(1, 6), "new"))
    model.save(tmp_path / "again")
    assert reward_models.load(tmp_path / "again").reward_scale == before


# The same through every adapter.


def through_trl(checkpoint, patch, text, shape):
    function = reward_function(checkpoint, **shape)
    return function(prompts=["Q?"], completions=[text], user_id=["u0"])[0]


def through_openrlhf(checkpoint, patch, text, shape):
    patch.setenv("SYNTHESIZEME_REWARD_MODEL", str(checkpoint))
    for name, value in shape.items():
        patch.setenv(f"SYNTHESIZEME_{name.upper()}", str(value))
    return float(_loaded(openrlhf, "reward_func")(["Q?" + text], ["Q?"], ["u0"])["rewards"][0])


def through_verl(checkpoint, patch, text, shape):
    info = {"prompt": "Q?", "user_id": "u0"}
    return _loaded(verl, "compute_score")("s", text, "t", info, model=str(checkpoint), **shape)["score"]


def _loaded(module, name):
    """A function of the file, loaded by its path as training loops do."""
    spec = importlib.util.spec_from_file_location("loaded", module.__file__)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return getattr(found, name)


@pytest.mark.parametrize("through", [through_trl, through_openrlhf, through_verl])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_training_loop_gets_the_same_number(through, shape, model, checkpoint, sunny, monkeypatch):
    found = through(checkpoint, monkeypatch, sunny, shape)
    assert found == pytest.approx(expected(model, sunny, "u0", **shape), rel=1e-5)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PESSIMISM", "much"), ("PESSIMISM", "nan"), ("NORMALIZE", "maybe"), ("CLIP", "-1")],
)
def test_a_wrong_variable_ends_the_training_with_its_name(variable, value, checkpoint, monkeypatch):
    with pytest.raises(ConfigError, match=rf"{variable.lower()} is '?{value}"):
        through_openrlhf(checkpoint, monkeypatch, "x", {variable.lower(): value})


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_server_gives_it_too(shape, serve, model, sunny):
    live = serve(model, **shape)
    row = {"user_id": "u0", "prompt": "Q?", "response": sunny}
    want = expected(model, sunny, "u0", **shape)
    assert live.post("/v1/score", row).json()["value"] == pytest.approx(want)
    asked = {"query": ["Q?" + sunny], "prompts": ["Q?"], "labels": ["u0"]}
    assert live.post("/get_reward", asked).json()["rewards"] == [pytest.approx(want)]


def test_a_row_sent_to_the_server_may_name_its_pessimism(serve, model, sunny):
    live = serve(model)
    row = {"user_id": "u0", "prompt": "Q?", "response": sunny}
    rows = [row, {**row, "pessimism": 2}, {**row, "pessimism": None}]
    found = live.post("/v1/score", {"rows": rows}).json()["results"]
    want = expected(model, sunny, "u0", pessimism=2)
    assert [it["value"] for it in found] == pytest.approx([found[0]["value"], want, found[0]["value"]])
    for wrong in (-1, "2", True, 1e300, [1]):
        refused = live.post("/v1/score", {**row, "pessimism": wrong})
        assert refused.status_code == 422
        assert refused.json()["field"] == "pessimism"


def test_a_row_cannot_be_cautious_where_the_model_knows_no_doubt(serve, stub):
    stub.standard_errors = False
    live = serve(stub)
    row = {"user_id": "ann", "prompt": "Q?", "response": "3"}
    assert live.post("/v1/score", {**row, "pessimism": 0}).json()["value"] == 3
    refused = live.post("/v1/score", {**row, "pessimism": 1})
    assert refused.status_code == 422
    assert "stub has no standard errors" in refused.json()["error"]
