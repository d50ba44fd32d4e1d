"""Caps hold to the last call, and what they left undone is done by the next run."""

from __future__ import annotations

import asyncio

import judging
import pytest
from openai_stub import Reply

from synthesizeme.backends import Budget, Caps, ModelSettings, Question, Session, model_budget, open_model
from synthesizeme.errors import BudgetError, ConfigError
from synthesizeme.induction import run
from synthesizeme.judges.messages import VERDICT
from synthesizeme.types import Message


def ask_for(text):
    return Question((Message(role="user", content=text),))


@pytest.fixture
def job(people, filled, job_at, openai_stub, tmp_path):
    openai_stub.answer = lambda body: Reply(judging.answer(body), delay_s=0.002)
    settings = ModelSettings(api_base=openai_stub.base_url, logprobs=False, max_tokens=100)

    def make(**fields):
        place = filled([pair for own in list(people.values())[:6] for pair in own])
        return job_at(
            place, model="m", model_settings=settings, cache_dir=tmp_path / "cache", concurrency=8, **fields
        )

    return make


def tokens(stub):
    return sum(
        len(message["content"].split()) for body in stub.requests for message in body["messages"]
    ) + sum(len(judging.answer(body).split()) for body in stub.requests)


@pytest.mark.parametrize("cap", [1, 37, 150])
def test_no_call_is_sent_beyond_the_cap(job, openai_stub, cap):
    summary = run(job(caps=Caps(calls=cap)))
    assert f"the budget of {cap} calls is used up: {cap} are spent" in summary.stopped
    assert len(openai_stub.requests) == cap
    assert summary.failed == 0
    assert summary.done < 6
    assert 0 < summary.usage.distinct_calls <= cap, "what was spent on users that were left is counted too"


def test_no_token_is_taken_beyond_the_cap_and_little_is_left(job, openai_stub):
    summary = run(job(caps=Caps(tokens=60_000)))
    assert "the budget of 60000 tokens is used up" in summary.stopped
    assert 40_000 < tokens(openai_stub) <= 60_000


def test_run_after_run_gets_everything_done_and_pays_nothing_twice(job, openai_stub, opened):
    rounds, finished = 0, 0
    while True:
        summary = run(job(caps=Caps(calls=90)))
        assert len(openai_stub.requests) <= 90 * (rounds := rounds + 1)
        finished += summary.done
        if not summary.stopped:
            break
    assert finished == 6
    assert opened(job().store).totals().done == 6
    sent = [str(body["messages"]) for body in openai_stub.requests]
    assert len(set(sent)) == len(sent)


def test_a_call_from_the_cache_takes_nothing(job, openai_stub):
    run(job())
    sent = len(openai_stub.requests)
    again = job(caps=Caps(calls=1))
    with again.open_session() as session:
        judged = [body["messages"] for body in openai_stub.requests if "<pair" not in str(body["messages"])]
        asked = [Question(tuple(Message(**turn) for turn in turns), form=VERDICT) for turns in judged[:20]]
        assert len(session.ledger().ask(asked)) == 20
    assert len(openai_stub.requests) == sent


def test_a_model_of_this_process_keeps_to_its_caps_too():
    with Session(open_model("builtin"), budget=Budget(Caps(calls=2))) as session:
        text = "<first_response>\na\n</first_response>\n<second_response>\nb\n</second_response>"
        ledger = session.ledger()
        ledger.ask([ask_for(text), ask_for(text + " ")])
        with pytest.raises(BudgetError, match="2 calls is used up"):
            ledger.ask([ask_for(text + "  ")])


def test_a_cost_that_is_not_known_cannot_be_capped_and_a_known_one_is(openai_stub, monkeypatch):
    settings = ModelSettings(api_base=openai_stub.base_url)
    with pytest.raises(ConfigError, match="price of this model is not known"):
        model_budget(open_model("m", settings), Caps(cost_usd=1.0))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    budget = model_budget(open_model("openai/gpt-4o", ModelSettings(max_tokens=10)), Caps(cost_usd=1e-6))
    with pytest.raises(BudgetError, match="US dollars is used up"):
        asyncio.run(admitted(budget))
    free = model_budget(open_model("builtin"), Caps(cost_usd=1e-6))
    assert asyncio.run(admitted(free)) == []


async def admitted(budget):
    async with budget.admitted(ask_for("How deep?")) as taken:
        return taken


@pytest.mark.parametrize(
    "caps", [{"calls": 0}, {"tokens": -1}, {"cost_usd": 0.0}, {"cost_usd": float("nan")}]
)
def test_an_impossible_cap_is_refused(caps):
    with pytest.raises(ConfigError, match="expected more than 0"):
        Caps(**caps)


def test_the_command_for_a_folder_keeps_to_its_tokens_too(tmp_path, monkeypatch, capfd):
    from synthesizeme.cli import induce_persona_main
    from synthesizeme.discovery import resource

    monkeypatch.chdir(tmp_path)
    sample = str(resource("data/sample/pairs.jsonl"))
    arguments = [sample, "--all-users", "--no-cache", "--json"]
    assert induce_persona_main([*arguments, "--budget-tokens", "20000"]) == 1
    assert "the budget of 20000 tokens is used up" in capfd.readouterr().err
    assert induce_persona_main([sample, "--user", "mara", "--budget-cost", "0"]) == 2
    assert "the budget of cost is 0; expected more than 0" in capfd.readouterr().err
