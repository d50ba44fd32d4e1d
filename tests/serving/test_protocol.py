"""One path to a scalar: every row has a status, every status is counted, nothing becomes a number in silence."""

from __future__ import annotations

import logging
import math

import pytest
import two_tastes
from invented import user_says

from synthesizeme.errors import ConfigError, RewardError
from synthesizeme.scoring import as_answers
from synthesizeme.serving.rewards import Margin, RewardQuestion, ScalarRewards, Score
from synthesizeme.serving.settings import Settings
from synthesizeme.types import Comparison

PROMPT = (user_says("What of the sea?"),)


def asked(*rows):
    return [RewardQuestion(user, PROMPT, response) for user, response in rows]


def comparison(user, first, second):
    return Comparison(pair_id="p", user_id=user, prompt=PROMPT, first=first, second=second)


def test_scores_are_those_of_the_model_row_by_row(model):
    pairs = two_tastes.population(4, 3, seed=5)
    rows = [RewardQuestion(pair.user_id, pair.prompt, pair.chosen_text) for pair in pairs]
    rewards = model.score(
        as_answers([q.prompt for q in rows], [q.response for q in rows], [q.user_id for q in rows])
    )
    scalar = ScalarRewards(model)
    found = scalar.score(rows)
    assert [(s.value, s.probability, s.standard_error) for s in found] == [
        (r.value, r.probability, r.standard_error) for r in rewards
    ]
    assert {s.status for s in found} == {"ok"}
    assert {s.scored for s in found} == {1}
    assert scalar.counts == {"ok": 12}
    margins = scalar.compare([pair.compare("chosen_first") for pair in pairs])
    verdicts = model.compare([pair.compare("chosen_first") for pair in pairs])
    assert [(m.value, m.preference) for m in margins] == [(v.margin, v.preference) for v in verdicts]


def test_nothing_to_score_is_no_error(model):
    assert ScalarRewards(model).score([]) == []
    assert ScalarRewards(model).compare([]) == []


def test_an_unknown_user_is_refused_and_the_model_is_not_asked(stub):
    scalar = ScalarRewards(stub)
    known, unknown = scalar.score(asked(("ann", "3"), ("eve", "4")))
    assert known.value == 3
    assert unknown == Score(None, None, None, "unknown_user")
    assert unknown.scored == 0
    assert stub.asked == [["ann"]]
    assert scalar.counts == {"ok": 1, "unknown_user": 1}
    assert scalar.compare([comparison("eve", "1", "2")]) == [Margin(None, None, None, "unknown_user")]


@pytest.mark.parametrize("trained_to", ["refuse", "population"])
def test_the_population_answers_for_an_unknown_user_however_the_model_was_trained(model, trained_to, sunny):
    model.unknown_user = "population"
    expected = model.rewards(as_answers([PROMPT], [sunny], ["nobody knows me"]))
    model.unknown_user = trained_to
    scalar = ScalarRewards(model, Settings(unknown_user="population"))
    (found,) = scalar.score(asked(("nobody knows me", sunny)))
    assert (found.value, found.status, found.scored) == (expected[0], "population", 0)
    assert scalar.counts == {"population": 1}
    (margin,) = scalar.compare([comparison("nobody knows me", sunny, "no")])
    assert (margin.status, margin.scored) == ("population", 0)
    assert margin.value is not None


@pytest.mark.parametrize("trained_to", ["refuse", "population"])
def test_an_unknown_user_is_refused_however_the_model_was_trained(model, trained_to, sunny):
    model.unknown_user = trained_to
    (found,) = ScalarRewards(model).score(asked(("nobody knows me", sunny)))
    assert (found.value, found.status) == (None, "unknown_user")


def test_a_row_that_fails_gets_the_populations_value_and_the_others_their_own(stub):
    scalar = ScalarRewards(stub)
    rows = asked(*[("ann", str(i)) for i in range(5)], ("bob", "raise for own"), ("ann", "7"), ("bob", "8"))
    found = scalar.score(rows)
    assert [s.value for s in found] == [0, 1, 2, 3, 4, 999, 7, 8]
    assert found[5].status == "error"
    assert found[5].scored == 0
    assert isinstance(found[5].error, ValueError)
    assert scalar.counts == {"ok": 7, "error": 1}


@pytest.mark.parametrize(
    ("response", "status"), [("raise", "error"), ("nan", "error"), ("too long", "too_long")]
)
def test_where_the_population_cannot_answer_either_there_is_no_value(stub, response, status):
    scalar = ScalarRewards(stub)
    good, bad = scalar.score(asked(("ann", "3"), ("ann", response)))
    assert good.value == 3
    assert (bad.value, bad.probability, bad.status, bad.scored) == (None, None, status, 0)
    assert bad.error is not None
    assert scalar.typical == 3, "the mean of what was scored, for loops that need a number"


@pytest.mark.parametrize("response", ["raise", "nan", "too long", "raise for own"])
def test_on_error_raise_raises_and_says_which_row(stub, response):
    scalar = ScalarRewards(stub, Settings(on_error="raise"))
    with pytest.raises(RewardError, match=r"row 1 cannot be scored .*Cure"):
        scalar.score(asked(("ann", "3"), ("ann", response)))
    with pytest.raises(RewardError, match="row 0"):
        scalar.compare([comparison("ann", "too long", "1")])
    assert scalar.score(asked(("eve", "3")))[0].status == "unknown_user", "a refusal is no error"


def test_a_failed_row_is_logged_without_its_text(stub, caplog):
    caplog.set_level(logging.INFO)
    (found,) = ScalarRewards(stub).score([RewardQuestion("ann", (user_says("my secret"),), "raise")])
    assert found.status == "error"
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text


def test_margins_fail_and_are_substituted_like_scores(stub):
    scalar = ScalarRewards(stub)
    own, lent, none = scalar.compare(
        [
            comparison("ann", "5", "3"),
            comparison("ann", "raise for own", "3"),
            comparison("ann", "raise", "3"),
        ]
    )
    assert (own.value, own.preference, own.status) == (2, "first", "ok")
    assert (lent.value, lent.status, lent.scored) == (-4, "error", 0)
    assert (none.value, none.preference, none.status) == (None, None, "error")


def test_wrong_settings_are_named_together():
    with pytest.raises(ConfigError) as caught:
        Settings(unknown_user="guess", on_error="ignore")
    assert len(caught.value.problems) == 2


def test_a_blank_response_is_scored_like_any_other(model):
    (found,) = ScalarRewards(model).score(asked(("u0", "")))
    assert found.status == "ok"
    assert math.isfinite(found.value)


def test_a_users_own_taste_decides(model, sunny, frosty):
    scalar = ScalarRewards(model)
    for user, liked, disliked in (("u0", sunny, frosty), ("u1", frosty, sunny)):
        better, worse = scalar.score(asked((user, liked), (user, disliked)))
        assert better.value > worse.value
