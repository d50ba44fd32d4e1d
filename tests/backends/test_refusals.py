"""Endpoints that refuse a part of a request: in words of all kinds, in words that tell nothing, and for good."""

from __future__ import annotations

import json

import pytest
from openai_stub import OpenAIStub, Reply

from synthesizeme.backends import CallCache, ModelSettings, Question, RetryPolicy, Session, open_model
from synthesizeme.errors import BackendError
from synthesizeme.types import Failure, Message

QUICK = RetryPolicy(retries=2, backoff_s=0.001)


def asked(number: int, sample_index: int = 0) -> Question:
    messages = Message(role="system", content="You judge."), Message(role="user", content=f"Which, {number}?")
    return Question(messages, sample_index)


def ask(stub: OpenAIStub, number: int = 1, *, cache=None, concurrency=1, sample_index=0):
    model = open_model("m", ModelSettings(api_base=stub.base_url))
    with Session(model, cache=cache, retry=QUICK, concurrency=concurrency) as session:
        return session.ledger().ask([asked(n, sample_index) for n in range(number)])


def held(body) -> set[str]:
    """What of the optional parts a request holds."""
    parts = {"logprobs", "seed", "temperature", "max_tokens", "max_completion_tokens"} & set(body)
    return parts | ({"system"} if body["messages"][0]["role"] == "system" else set())


def pydantic(*place, kind="extra_forbidden", words="Extra inputs are not permitted", **more):
    return json.dumps({"detail": [{"type": kind, "loc": ["body", *place], "msg": words, **more}]})


ROLES = "Input should be 'user' or 'assistant'"
SAID = [
    ("system", 400, "Only user and assistant roles are supported!"),
    ("system", 400, "Invalid role: system. Allowed roles are user, assistant."),
    ("system", 400, "invalid message role: SYSTEM"),
    ("system", 400, "messages[0].role: value must be one of user, assistant"),
    ("system", 400, "Developer instruction is not enabled for models/gemma-3-27b-it"),
    ("system", 500, "jinja2.exceptions.TemplateError: Only user and assistant roles are supported!"),
    ("system", 422, pydantic("messages", 0, "role", kind="literal_error", words=ROLES, input="system")),
    ("logprobs", 400, "This model does not support log probabilities."),
    ("logprobs", 400, "You have requested more than 5 token log-probabilities"),
    ("logprobs", 400, "top_logprobs must be between 0 and 5"),
    ("logprobs", 422, pydantic("top_logprobs")),
    ("temperature", 500, "temperature (=0.0) has to be a strictly positive float"),
    ("temperature", 422, "Input validation error: `temperature` must be strictly positive"),
    ("max_tokens", 422, pydantic("max_tokens")),
    ("max_tokens", 400, "max_tokens is deprecated; this model accepts max_completion_tokens only"),
    ("max_tokens", 400, "Unrecognized request argument supplied: max_tokens"),
    ("seed", 400, "property 'seed' is unsupported"),
]


@pytest.mark.parametrize(("part", "status", "words"), SAID)
def test_a_refusal_in_any_words_costs_one_request_and_only_what_it_names(openai_stub, part, status, words):
    body = words.encode() if words.startswith("{") else None
    refusal = Reply(status=status, error={"message": words}, body=body)
    openai_stub.answer = lambda sent: refusal if part in held(sent) else "First"
    answers = ask(openai_stub, 3, sample_index=int(part == "seed"))
    assert [answer.text for answer in answers] == ["First"] * 3
    first, *others = [held(sent) for sent in openai_stub.requests]
    instead = {"max_completion_tokens"} if part == "max_tokens" else set()
    assert others == [first - {part} | instead] * 3


def test_as_many_alternatives_are_asked_for_as_an_endpoint_gives(openai_stub, tmp_path, caplog):
    def answer(body):
        too_many = body.get("top_logprobs", 0) > 3
        return (
            Reply(status=400, error={"message": "top_logprobs must be between 0 and 3"})
            if too_many
            else "First"
        )

    openai_stub.answer = answer
    with CallCache(tmp_path) as cache:
        ask(openai_stub, 8, cache=cache, concurrency=8)
        assert all("logprobs" in body for body in openai_stub.requests)
        assert sum("3 alternatives are asked for" in line for line in caplog.messages) == 1
        openai_stub.requests.clear()
        ask(openai_stub, 9, cache=cache)
    assert [body["top_logprobs"] for body in openai_stub.requests] == [3]


def test_no_limit_of_a_reply_is_sent_where_neither_name_of_it_is_taken(openai_stub):
    def answer(body):
        for name in ("max_tokens", "max_completion_tokens"):
            if name in body:
                return Reply(status=422, body=pydantic(name).encode())
        return "First"

    openai_stub.answer = answer
    assert [it.text for it in ask(openai_stub, 2)] == ["First"] * 2
    assert len(openai_stub.requests) == 3 + 1


@pytest.mark.parametrize(
    "refused",
    [{"temperature"}, {"system"}, {"max_tokens"}, {"logprobs", "temperature"}, {"max_tokens", "max_completion_tokens"}],
)  # fmt: skip
def test_what_is_refused_without_a_word_is_found_out_once_and_remembered(openai_stub, tmp_path, refused):
    def answer(body):
        return Reply(status=400, error={"message": "Bad Request"}) if held(body) & refused else "First"

    openai_stub.answer = answer
    with CallCache(tmp_path) as cache:
        assert [it.text for it in ask(openai_stub, 8, cache=cache, concurrency=8)] == ["First"] * 8
        assert len(openai_stub.requests) < 8 + 8 + 12
        openai_stub.requests.clear()
        ask(openai_stub, 12, cache=cache)
    assert len(openai_stub.requests) == 4
    kept = {"logprobs", "temperature", "system"} - refused if len(refused) == 1 else set()
    assert all(kept <= held(body) for body in openai_stub.requests)


def test_a_refusal_that_does_not_come_twice_teaches_nothing(openai_stub, caplog):
    openai_stub.script(Reply(status=400, error={"message": "Bad Request"}))
    assert [it.text for it in ask(openai_stub, 2)] == ["First"] * 2
    assert [held(body) for body in openai_stub.requests] == [
        {"logprobs", "temperature", "max_tokens", "system"}
    ] * 3
    assert caplog.messages == []


def test_where_all_is_refused_the_run_ends_with_the_providers_words_and_a_cure_that_fits(openai_stub):
    openai_stub.answer = lambda body: Reply(status=400, error={"message": "Bad Request"})
    with pytest.raises(
        BackendError, match=r"refuses what it is asked: \[m\] Bad Request Cure: change what"
    ) as ended:
        ask(openai_stub, 50)
    assert "server is up" not in str(ended.value)
    assert len(openai_stub.requests) < 16
    sent = [held(body) for body in openai_stub.requests]
    assert set() in sent
    assert sent[-1] == sent[0]


def test_one_call_that_is_refused_after_others_were_answered_fails_alone(openai_stub):
    openai_stub.answer = lambda body: (
        Reply(status=400, error={"message": "Bad Request"}) if "2?" in str(body["messages"]) else "First"
    )
    outcomes = ask(openai_stub, 5)
    assert [isinstance(it, Failure) for it in outcomes] == [False, False, True, False, False]
    assert len(openai_stub.requests) == 5


def test_a_web_page_in_place_of_an_error_is_told_by_its_title(openai_stub):
    page = b"<!DOCTYPE html><html><title>502 Bad Gateway</title><style>x</style><h1>502</h1></html>"
    openai_stub.answer = lambda body: Reply(status=502, body=page)
    (failure,) = ask(openai_stub)
    assert failure.detail == "[m] a web page: 502 Bad Gateway"
