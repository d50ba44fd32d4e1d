from __future__ import annotations

import re

import pytest
from invented import pair

from synthesizeme.backends import RetryPolicy, Session, open_model
from synthesizeme.backends.scripted import scripted_model
from synthesizeme.errors import BackendError, ConfigError, DataError
from synthesizeme.induction.one_user import (
    InductionSettings,
    evaluation_calls,
    induce_user,
    judged_profiles,
)
from synthesizeme.induction.run import UNREACHABLE_USERS, induce_users
from synthesizeme.judges import memory_profile
from synthesizeme.profile import UserProfile


def shouting(number, user="ada", **more):
    """A pair of somebody who dislikes exclamation marks."""
    return pair(
        number, user=user, rejected=f"Wow! Fathom {number} is really great! So deep! Amazing!", **more
    )


def reader():
    return Session(open_model("builtin"))


def test_one_user_end_to_end():
    result = induce_user(reader(), [shouting(i) for i in range(20)], InductionSettings())
    assert result.pairs == {"train": 12, "validation": 4, "test": 4}
    sentence = result.profile.persona.sentences[0]
    assert sentence.record == "held in 16 of 16 choices where it applied"
    assert list(result.outcomes) == ["default", "persona", "demonstrations", "both"]
    assert result.outcomes["both"].micro == 1.0
    assert result.usage.distinct_calls <= result.call_limit == 84
    assert result.profile.provenance.split_rule.startswith("60/20/20")
    report = result.report(seed=0)
    assert [row.name for row in report.rows] == list(result.outcomes)
    assert report.rows[0].gain is None
    assert report.rows[3].gain is not None


def test_evaluation_is_counted_apart_and_as_planned():
    pairs = [shouting(i, user_profile={"age": 7}) for i in range(20)]
    settings = InductionSettings(baselines=True)
    result = induce_user(reader(), pairs, settings)
    assert set(result.outcomes) >= {"memory", "demographics"}
    history = [p for p in pairs if result.profile.provenance.splits[p.pair_id] != "test"]
    judged = judged_profiles(result.profile, history, settings)
    assert result.evaluation_usage.distinct_calls == evaluation_calls(judged, 4)
    assert result.profile.provenance.usage.distinct_calls == result.usage.distinct_calls


def test_judges_that_know_the_same_are_asked_once():
    empty = UserProfile(user_id="ada")
    judged = judged_profiles(empty, [], InductionSettings())
    assert evaluation_calls(judged, 3) == 2 * 3
    memory = memory_profile("ada", [pair(1)])
    assert evaluation_calls({"default": None, "memory": memory}, 3) == 2 * 2 * 3


def test_no_test_pairs_is_noted():
    result = induce_user(reader(), [shouting(i, split="train") for i in range(6)], InductionSettings())
    assert result.outcomes == {}
    assert "not evaluated: there are no test pairs" in result.notes


def test_test_pairs_never_reach_the_induction():
    pairs = [shouting(i, split="test" if i >= 8 else "train" if i < 5 else "validation") for i in range(12)]
    model = scripted_model(lambda request: "Reasoning: x\nPreference: First\nConfidence: 60")
    induce_user(Session(model), pairs, InductionSettings(evaluate=False))
    seen = {
        int(n)
        for r in model.lm.engine.requests
        for m in r.messages
        for n in re.findall(r"fathom (\d+)\?", m.text)
    }
    assert seen == set(range(8))


def test_a_budget_is_shared_and_what_is_left_over_goes_on():
    users = {name: [shouting(i, user=name) for i in range(n)] for name, n in (("a", 2), ("b", 20), ("c", 20))}
    found = []
    summary = induce_users(
        reader(), users, InductionSettings(), lambda user, so_far: found.append(user), budget_calls=150
    )
    spent = [user.record.usage.distinct_calls for user in found]
    assert [user.user_id for user in found] == list(users)
    assert sum(spent) == summary.usage.distinct_calls <= 150
    assert spent[1] > 50  # more than a third: the first user left most of its share
    with pytest.raises(ConfigError, match="9 in all"):
        induce_users(reader(), users, InductionSettings(), budget_calls=8)


def failing_for(name):
    """A model that drops every connection while it is asked about one user."""

    def script(request):
        if any(name in message.text for message in request.messages):
            return RuntimeError("connection reset")
        return "Reasoning: short\nPreference: First\nConfidence: 70"

    return Session(scripted_model(script), retry=RetryPolicy(give_up_after=3))


def test_one_user_that_fails_does_not_stop_the_others():
    users = {
        name: [pair(i, user=name, chosen=f"{name} {i}", split="train") for i in range(6)]
        for name in ("ann", "bob", "cy")
    }
    found = {}
    summary = induce_users(
        failing_for("bob"),
        users,
        InductionSettings(),
        lambda user, so_far: found.update({user.user_id: user}),
    )
    assert (summary.done, summary.failed, summary.stopped) == (2, 1, None)
    assert {user: done.result is None for user, done in found.items()} == {
        "ann": False,
        "bob": True,
        "cy": False,
    }
    assert "3 calls in a row failed" in found["bob"].error
    assert [(named.user_id, named.why) for named in summary.failures] == [("bob", found["bob"].error)]


def test_after_some_unreachable_users_in_a_row_the_rest_are_not_tried():
    users = {f"u{n}": [pair(i, user=f"u{n}", split="train") for i in range(6)] for n in range(30)}
    session = failing_for("Fathom")
    summary = induce_users(session, users, InductionSettings())
    assert UNREACHABLE_USERS <= summary.failed < 30
    assert f"the model failed for {UNREACHABLE_USERS} users in a row" in summary.stopped
    with pytest.raises(BackendError):
        induce_user(session, users["u0"], InductionSettings())


def test_the_evaluation_is_reserved_first_and_given_up_when_the_induction_needs_its_calls():
    pairs = [shouting(i) for i in range(20)]  # 12 train, 4 validation, 4 test: 4 judges, 32 calls
    both = induce_user(reader(), pairs, InductionSettings(), budget_calls=45)
    assert both.call_limit == 45 - 32
    assert both.usage.distinct_calls <= 13
    assert both.outcomes
    alone = induce_user(reader(), pairs, InductionSettings(), budget_calls=44)
    assert alone.call_limit == 44
    assert alone.outcomes == {}
    assert any("may take 32 calls and the induction needs 13, the budget is 44" in it for it in alone.notes)
    free = induce_user(reader(), pairs, InductionSettings(evaluate=False), budget_calls=44)
    assert free.call_limit == 44


def test_the_papers_search_runs_when_the_budget_pays_for_it():
    pairs, paper = [shouting(i) for i in range(20)], InductionSettings(search="paper")
    assert induce_user(reader(), pairs, paper, budget_calls=1000).outcomes
    assert induce_user(reader(), pairs, paper, budget_calls=2 * (12 + 40) + 2).outcomes == {}
    with pytest.raises(ConfigError, match="economical"):
        induce_user(reader(), pairs, paper, budget_calls=50)


def test_the_profile_survives_an_evaluation_that_fails():
    pairs = [shouting(i, split="test" if i > 15 else "train") for i in range(20)]

    def script(request):
        if any(f"Fathom {n} " in m.text for n in range(16, 20) for m in request.messages):
            return RuntimeError("connection reset")
        return "Reasoning: short\nPreference: First\nConfidence: 70"

    session = Session(scripted_model(script), retry=RetryPolicy(give_up_after=3))
    result = induce_user(session, pairs, InductionSettings())
    assert len(result.profile.provenance.splits) == 20
    assert result.outcomes == {}
    assert "3 calls in a row failed" in result.evaluation_error
    assert any(note.startswith("the evaluation failed, the profile is whole") for note in result.notes)


def test_malformed_survey_answers_are_refused_before_any_call():
    session = Session(scripted_model(lambda request: "Preference: First"))
    pairs = [shouting(i, user_profile="seven") for i in range(20)]
    with pytest.raises(DataError, match=r"user_profile"):
        induce_user(session, pairs, InductionSettings(baselines=True))
    assert session.model.lm.engine.requests == []


def test_an_evaluation_that_breaks_off_for_some_users_in_a_row_ends_the_run_with_its_reason():
    users = {
        f"u{n}": [shouting(i, user=f"u{n}", split="test" if i > 15 else "train") for i in range(20)]
        for n in range(12)
    }

    def script(request):
        if any(f"Fathom {n} " in m.text for n in range(16, 20) for m in request.messages):
            return RuntimeError("connection reset")
        return "Reasoning: short\nPreference: First\nConfidence: 70"

    session = Session(scripted_model(script), retry=RetryPolicy(give_up_after=3))
    summary = induce_users(session, users, InductionSettings())
    assert UNREACHABLE_USERS <= summary.done < 12
    assert "users in a row; " in summary.stopped
    assert "3 calls in a row failed" in summary.stopped
