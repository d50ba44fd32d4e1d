"""A reward model asked as a person asks it: texts, messages and rows of any shape, the same scores as ever."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from reward_models import load
from synthesizeme import best_of, evaluate, load_reward_model, read_pairs
from synthesizeme.discovery import resource
from synthesizeme.errors import ConfigError, DataError, RewardError
from synthesizeme.feedback import UserWords
from synthesizeme.scoring import Answer
from synthesizeme.types import Message

pandas = pytest.importorskip("pandas")
SAMPLE = resource("data/sample/pairs.jsonl")
ROWS = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
MARA = [row for row in ROWS if row["user_id"] == "mara"]
ASKED, YES, LONG = (
    "Can I freeze cooked rice?",
    "Yes, up to three months.",
    "It depends on a lot of things!!! " * 20,
)


@pytest.fixture(scope="module")
def model():
    return load_reward_model().fit_users(ROWS)


def test_a_score_is_that_of_the_model_itself(model):
    [reward] = (
        load()
        .fit_user("mara", read_pairs(MARA).pairs)
        .score([Answer((Message(role="user", content=ASKED),), YES, "mara")])
    )
    score = model.score(ASKED, YES, user="mara")
    assert (score.value, score.standard_error, score.status) == (reward.value, reward.standard_error, "ok")


@pytest.mark.parametrize(
    ("prompt", "response"),
    [
        ([{"role": "user", "content": ASKED}], YES),
        ((Message(role="user", content=ASKED),), Message(role="assistant", content=YES)),
        (np.str_(ASKED), [{"role": "assistant", "content": YES}]),
        ([{"from": "human", "value": ASKED}], {"role": "model", "content": YES}),
    ],
)
def test_texts_and_messages_of_any_kind_are_one_question(model, prompt, response):
    assert model.score(prompt, response, "mara") == model.score(ASKED, YES, "mara")


def test_a_system_turn_is_part_of_the_prompt(model):
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASKED}]
    assert model.score(chat, YES, "mara").status == "ok"
    assert [score.status for score in model.score(chat, [YES, LONG], "mara")] == ["ok", "ok"]


def test_lists_have_one_prompt_or_user_for_all_or_one_for_each(model):
    alone = [model.score(ASKED, text, user) for text, user in ((YES, "mara"), (LONG, "tobias"))]
    assert model.score([ASKED, ASKED], [YES, LONG], ["mara", "tobias"]) == alone
    assert model.score(ASKED, pandas.Series([YES, LONG]), np.array(["mara", "tobias"])) == alone
    assert model.score(ASKED, [YES], "mara") == alone[:1]
    assert model.score(ASKED, [], "mara") == []


def test_nobody_and_who_is_unknown_get_the_population_and_say_so(model):
    assert model.score(ASKED, YES).status == "population"
    assert model.score(ASKED, YES, "maria")._replace(stripped=()) == model.score(ASKED, YES)
    refusing = load_reward_model(unknown_user="refuse").fit_user("mara", MARA)
    assert refusing.score(ASKED, YES, "maria").value is None
    with pytest.raises(RewardError, match=r"no candidate got a reward \(unknown_user\)\. Cure: fit the user"):
        best_of(refusing, ASKED, [YES, LONG], "maria")


def test_the_first_of_two_is_judged_against_the_second(model):
    margin = model.judge(ASKED, YES, LONG, "mara")
    assert margin.preference == ("first" if margin.value > 0 else "second")
    assert model.judge(ASKED, LONG, YES, "mara").value == pytest.approx(-margin.value)


def test_the_best_of_several_has_the_largest_value_and_is_given_back_as_it_was(model):
    candidates = [LONG, {"role": "assistant", "content": YES}, "rice rice rice"]
    best = best_of(model, ASKED, candidates, "mara")
    values = [score.value for score in best.scores]
    assert best.score.value == max(values)
    assert best.response is candidates[values.index(max(values))] is candidates[best.index]
    assert best_of(None, ASKED, [YES]).index == 0


@pytest.mark.parametrize("rows", [MARA, pandas.DataFrame(MARA), read_pairs(MARA).pairs, SAMPLE, iter(ROWS)])
def test_a_user_is_fitted_from_rows_of_any_shape(model, rows):
    fitted = load_reward_model().fit_user("mara", rows)
    assert fitted.users == ("mara",)
    assert fitted.score(ASKED, YES, "mara").value == pytest.approx(model.score(ASKED, YES, "mara").value)


def test_rows_that_name_nobody_are_of_the_user_and_test_rows_are_left_out(caplog):
    nameless = [{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in MARA]
    with caplog.at_level(logging.WARNING):
        fitted = load_reward_model().fit_user("me", [*nameless[:4], {**nameless[4], "split": "test"}])
    assert "user 'me': 1 test pair left out" in caplog.text
    same = load_reward_model().fit_user("me", nameless[:4])
    assert fitted.score(ASKED, YES, "me") == same.score(ASKED, YES, "me")
    assert fitted.fit_user("me", []).users == ()


def test_words_alone_make_a_user_known_to_a_model_that_reads_them(tmp_path):
    from reward_models.hierarchical import Hierarchical

    trained = Hierarchical(encoder="static").fit(read_pairs(ROWS).pairs)
    said = UserWords(user_id="ada", about="I like it short.")
    for about in ("I like it short.", {"about": "I like it short."}, said):
        assert "ada" in load_reward_model(trained).fit_user("ada", [], about).users
        trained.forget_user("ada")


def test_it_is_a_scorer(model):
    found = evaluate(model, MARA)
    assert found.scorer == "hierarchical-form"
    assert found.n_questions == len(MARA)


def test_progress_of_many_rows_is_told(model):
    seen = []
    assert len(model.score(ASKED, [YES] * 300, "mara", progress=seen.append)) == 300
    assert [(step.done, step.total) for step in seen] == [(256, 300), (300, 300)]


def test_weights_are_shown_and_their_lack_is_said(model):
    assert model.weights("mara").set_apart
    with pytest.raises(
        DataError, match=r"the model knows 3 users, 'maar' is none of them\. Did you mean 'mara'"
    ):
        model.weights("maar")
    with pytest.raises(ConfigError, match=r"has no weights that can be named; these have: .*hierarchical"):
        load_reward_model("judge:builtin").weights("mara")


def test_it_says_in_short_what_it_is(model):
    assert repr(model) == "LoadedRewardModel(hierarchical-form, 3 users)"
    assert repr(load()) == "HierarchicalForm(0 users)"


@pytest.mark.parametrize(
    ("prompt", "response", "user", "said"),
    [
        (3, YES, "mara", r"^field 'prompt': found 3; expected a string or messages.*Cure: give a prompt"),
        ("", YES, "mara", r"^field 'prompt': a message is wrong"),
        ([], YES, "mara", r"^found 0 prompts and 1 response; expected one, or as many"),
        ([{"role": "assistant", "content": "x"}], YES, "mara", r"field 'prompt': does not end with a user turn"),
        (ASKED, None, "mara", r"^field 'response': is missing"),
        (ASKED, float("nan"), "mara", r"^field 'response': found nan"),
        (ASKED, [YES, 3], "mara", r"^response row 2: field 'response': found 3; expected a string"),
        ([ASKED, ASKED], YES, "mara", r"^found 2 prompts and 1 response; expected one, or as many"),
        ([ASKED, ASKED], [YES], "mara", r"^found 2 prompts and 1 response"),
        (ASKED, [YES, YES], ["mara"], r"^found 1 users and 2 responses"),
        (ASKED, YES, 1.5, r"^field 'user_id': found 1.5, which names no user"),
        (ASKED, [{"role": "assistant", "content": "a"}] * 2, "mara", r"found 2 messages; expected one"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_named(model, prompt, response, user, said):
    with pytest.raises(DataError, match=said):
        model.score(prompt, response, user)


def test_what_is_no_model_no_candidates_and_no_rows_is_refused(model, tmp_path):
    with pytest.raises(
        ConfigError, match="model is 3, a int; expected a checkpoint's path or a fitted model"
    ):
        load_reward_model(3)
    with pytest.raises(DataError, match=str(tmp_path)):
        load_reward_model(tmp_path)
    with pytest.raises(DataError, match="there are no candidates"):
        best_of(model, ASKED, [], "mara")
    with pytest.raises(DataError, match="candidates is a str; expected a list"):
        best_of(model, ASKED, YES, "mara")
    with pytest.raises(DataError, match="candidate row 2: field 'response': found 3"):
        best_of(model, ASKED, [YES, 3], "mara")
    with pytest.raises(DataError, match="no row is a choice of user 'nobody'"):
        load_reward_model().fit_user("nobody", MARA)
    with pytest.raises(DataError, match="all pairs of user 'mara' are of the split test"):
        load_reward_model().fit_user("mara", [{**row, "split": "test"} for row in MARA])


def test_a_method_asked_with_rows_or_texts_says_where_these_are_taken():
    with pytest.raises(
        DataError, match=r"row 1: found .*, a dict; expected a PreferencePair\. Cure: read rows"
    ):
        load().fit_user("mara", MARA)
    with pytest.raises(
        DataError, match=r"Cure: load_reward_model\(model\)\.score\(prompt, response, user=ID\)"
    ):
        load().score([ASKED, YES, "mara"])
