"""One call to a real HTTP server: what is sent, what is read, and what each fault becomes."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import pytest
from openai_stub import OpenAIStub, Reply

from synthesizeme.backends import Answer, ModelSettings, Question, RetryPolicy, Session, open_model
from synthesizeme.backends._chat_bodies import retry_after
from synthesizeme.errors import BackendError, ConfigError, CredentialError
from synthesizeme.types import Failure, Message

ONCE = RetryPolicy(retries=0)
QUICK = RetryPolicy(retries=3, backoff_s=0.001)


def question(text: str = "Which one?", sample_index: int = 0) -> Question:
    system = Message(role="system", content="You judge.")
    return Question((system, Message(role="user", content=text)), sample_index)


def ask(stub: OpenAIStub, *, retry: RetryPolicy = ONCE, **settings) -> Answer | Failure:
    model = open_model("my/Model-7B", ModelSettings(api_base=stub.base_url, **settings))
    with Session(model, retry=retry) as session:
        return session.ledger().ask([question()])[0]


def test_sends_the_name_the_messages_and_the_users_settings(openai_stub):
    answer = ask(openai_stub, temperature=0.7, max_tokens=33)
    assert answer == Answer(text="First", prompt_tokens=4, completion_tokens=1)
    assert openai_stub.requests == [
        {
            "model": "my/Model-7B",
            "messages": [
                {"role": "system", "content": "You judge."},
                {"role": "user", "content": "Which one?"},
            ],
            "max_tokens": 33,
            "temperature": 0.7,
            "logprobs": True,
            "top_logprobs": 5,
        }
    ]


def test_no_temperature_is_left_to_the_server(openai_stub):
    ask(openai_stub, logprobs=False)
    assert set(openai_stub.requests[0]) == {"model", "messages", "max_tokens", "temperature"}
    model = open_model("m", ModelSettings(api_base=openai_stub.base_url))
    with Session(model, concurrency=1) as session:
        session.ledger().ask([question(sample_index=index) for index in range(3)])
    assert [body["temperature"] for body in openai_stub.requests] == [0.0, 0.0, 0.7, 0.7]


@pytest.mark.parametrize("temperature", [0.0, 1.0, 2.0])
def test_sends_exactly_the_temperature_given(openai_stub, temperature):
    ask(openai_stub, temperature=temperature)
    assert openai_stub.requests[0]["temperature"] == temperature


def test_further_samples_carry_their_index_as_seed(openai_stub):
    model = open_model("m", ModelSettings(api_base=openai_stub.base_url, temperature=1.0))
    with Session(model, concurrency=1) as session:
        session.ledger().ask([question(sample_index=index) for index in range(3)])
    assert [body.get("seed") for body in openai_stub.requests] == [None, 1, 2]


def test_sends_the_given_key_and_never_a_providers_own(openai_stub, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.delenv("SYNTHESIZEME_API_KEY", raising=False)
    ask(openai_stub)
    monkeypatch.setenv("SYNTHESIZEME_API_KEY", "of-the-environment")
    ask(openai_stub)
    ask(openai_stub, api_key="of-the-settings")
    sent = [headers.get("Authorization") for headers in openai_stub.headers]
    assert sent == [None, "Bearer of-the-environment", "Bearer of-the-settings"]


def test_reads_token_probabilities_the_likeliest_first(openai_stub):
    content = [
        {
            "token": "Second",
            "logprob": -1.5,
            "top_logprobs": [{"token": "Second", "logprob": -1.5}, {"token": "First", "logprob": -0.25}],
        }
    ]
    openai_stub.script(Reply("Second", logprobs={"content": content}))
    answer = ask(openai_stub)
    assert [token.text for token in answer.tokens] == ["Second"]
    assert answer.tokens[0].alternatives == (("First", -0.25), ("Second", -1.5))


@pytest.mark.parametrize(
    "logprobs", [None, {"content": None}, {"tokens": ["First"]}, "none", {"content": [{"token": 1}]}]
)
def test_a_server_that_gives_no_readable_probabilities_is_fine(openai_stub, logprobs):
    openai_stub.script(Reply(logprobs=logprobs))
    assert ask(openai_stub) == Answer(text="First", prompt_tokens=4, completion_tokens=1)


def test_a_server_that_objects_to_logprobs_is_asked_without_them(openai_stub):
    def objects(body):
        refused = Reply(status=400, error={"message": "logprobs is not supported by this model"})
        return refused if "logprobs" in body else "First"

    openai_stub.answer = objects
    model = open_model("m", ModelSettings(api_base=openai_stub.base_url))
    with Session(model, concurrency=4, retry=ONCE) as session:
        ledger = session.ledger()
        answers = ledger.ask([question(str(n)) for n in range(12)])
    assert [answer.text for answer in answers] == ["First"] * 12
    assert ledger.failures == {}
    assert sum("logprobs" in body for body in openai_stub.requests) <= 4


def test_a_reply_cut_off_at_max_tokens_says_so(openai_stub):
    openai_stub.script(Reply("I think that", finish_reason="length"))
    assert ask(openai_stub).cut_off


def test_content_in_parts_is_joined(openai_stub):
    openai_stub.script(Reply([{"type": "text", "text": "Fir"}, {"type": "text", "text": "st"}]))
    assert ask(openai_stub).text == "First"


def test_a_lone_surrogate_in_a_reply_becomes_a_question_mark(openai_stub):
    openai_stub.script(Reply("First \ud800"))
    assert ask(openai_stub).text == "First ?"


FAULTS = {
    "bad request": (Reply(status=400, error={"message": "no such field"}), "transport", "no such field"),
    "too long, code": (
        Reply(status=400, error={"message": "too big", "code": "context_length_exceeded"}), "too_long", "too big",
    ),
    "too long, vLLM": (
        Reply(status=400, error={"message": "This model's maximum context length is 2048 tokens."}), "too_long", "2048",
    ),
    "too long, llama.cpp": (
        Reply(status=400, error={"code": 400, "message": "request exceeds", "type": "exceed_context_size_error"}),
        "too_long", "exceeds",
    ),
    "server error": (Reply(status=500, error={"message": "CUDA out of memory"}), "transport", "out of memory"),
    "rate limit": (Reply(status=429, error={"message": "slow down"}), "transport", "slow down"),
    "gateway time-out": (Reply(status=504, error={"message": "upstream"}), "transport", "upstream"),
    "not JSON": (Reply(body=b"all slots are busy"), "transport", "not JSON"),
    "JSON of something else": (Reply(body=b'{"object": "list"}'), "transport", "not a chat completion"),
    "a list": (Reply(body=b"[]"), "transport", "not a chat completion"),
    "error with status 200": (Reply(body=b'{"error": {"message": "overloaded"}}'), "transport", "overloaded"),
    "not UTF-8": (Reply(body=b"\xff\xfe{"), "transport", "not JSON"),
    "reset": (Reply(drop="before"), "transport", "chat/completions"),
    "truncated": (Reply(drop="midway"), "transport", "cut short"),
    "content filter": (Reply(None, finish_reason="content_filter"), "refusal", "content filter"),
    "refusal": (Reply(None, message={"refusal": "I can't help"}), "refusal", "content filter"),
    "filtered prompt": (
        Reply(status=400, error={"message": "flagged", "code": "content_filter"}), "refusal", "flagged",
    ),
    "empty": (Reply(""), "parse", "empty"),
    "blank": (Reply(" \n"), "parse", "empty"),
    "null": (Reply(None), "parse", "empty"),
    "cut off before any text": (Reply("", finish_reason="length"), "parse", "max_tokens"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_kind_and_the_servers_words(openai_stub, name):
    reply, kind, words = FAULTS[name]
    openai_stub.answer = lambda body: reply
    failure = ask(openai_stub)
    assert isinstance(failure, Failure)
    assert failure.kind == kind
    assert words in failure.detail
    assert "To fix" not in failure.detail


def test_a_web_page_at_the_address_ends_the_run_soon(openai_stub):
    openai_stub.answer = lambda body: Reply(body=b"<!DOCTYPE html><title>Welcome</title>")
    with pytest.raises(BackendError, match="a web page answers there, not an OpenAI-compatible API"):
        ask(openai_stub, retry=QUICK)
    assert len(openai_stub.requests) <= 3


def test_a_web_page_in_between_is_a_transient_fault(openai_stub):
    openai_stub.script(Reply("First"), Reply(body=b"<html>busy</html>"), Reply("Second"))
    with Session(open_model("m", ModelSettings(api_base=openai_stub.base_url)), retry=QUICK) as session:
        asked = session.ledger()
        questions = [Question((Message(role="user", content=text),)) for text in "ab"]
        assert [asked.ask([question])[0].text for question in questions] == ["First", "Second"]


TRANSIENT = [
    "server error",
    "rate limit",
    "gateway time-out",
    "not JSON",
    "truncated",
    "reset",
    "empty",
    "null",
]
FINAL = [
    "too long, code", "too long, vLLM", "content filter", "refusal", "filtered prompt",
    "cut off before any text",
]  # fmt: skip


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_transient_fault_is_asked_again(openai_stub, name):
    openai_stub.script(FAULTS[name][0])
    assert ask(openai_stub, retry=QUICK).text == "First"
    assert len(openai_stub.requests) == 2


@pytest.mark.parametrize("name", FINAL)
def test_a_final_fault_is_not_asked_again(openai_stub, name):
    openai_stub.script(FAULTS[name][0])
    assert isinstance(ask(openai_stub, retry=QUICK), Failure)
    assert len(openai_stub.requests) == 1


def test_an_empty_reply_is_asked_again_only_once(openai_stub):
    openai_stub.answer = lambda body: Reply("")
    assert ask(openai_stub, retry=QUICK).kind == "parse"
    assert len(openai_stub.requests) == 2


def test_a_late_reply_is_a_failure_of_transport(openai_stub):
    openai_stub.script(Reply(delay_s=5))
    assert ask(openai_stub, timeout_s=0.2) == Failure(kind="transport", detail="no reply within 0.2 s")


def test_retry_after_is_waited_for(openai_stub, waits):
    openai_stub.script(Reply(status=429, headers={"Retry-After": "40"}))
    assert ask(openai_stub, retry=QUICK).text == "First"
    assert waits == [40]


def test_retry_after_may_be_a_number_or_a_date(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1e9)
    assert retry_after({"Retry-After": "2.5"}) == 2.5
    assert retry_after({"Retry-After": "-3"}) == 0
    assert retry_after({"Retry-After": formatdate(time.time() + 30, usegmt=True)}) == 30
    assert retry_after({"Retry-After": formatdate(time.time() - 30, usegmt=True)}) == 0
    assert [retry_after({"Retry-After": it}) for it in ("soon", "nan", "inf", "-inf")] == [None] * 4


def test_a_date_to_wait_for_is_read_by_the_clock_of_the_server(monkeypatch):
    said = time.time() + 86_400
    headers = {"Retry-After": formatdate(said + 7, usegmt=True), "Date": formatdate(said, usegmt=True)}
    assert retry_after(headers) == 7
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert retry_after(headers) == 7
    assert retry_after(headers | {"Date": "today"}) == pytest.approx(said + 7, abs=1)
    assert retry_after({}) is None


@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_key_stops_the_run_and_names_the_variable(openai_stub, status):
    openai_stub.script(Reply(status=status, error={"message": "bad key"}))
    with pytest.raises(CredentialError, match=r"127\.0\.0\.1.*bad key.*SYNTHESIZEME_API_KEY"):
        ask(openai_stub, retry=QUICK)
    assert len(openai_stub.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=404, error={"message": "The model does not exist", "code": "model_not_found"}),
        Reply(status=404, body=b'{"detail": "Not Found"}'),
        Reply(status=429, error={"message": "You exceeded your quota", "code": "insufficient_quota"}),
        Reply(status=402, error={"message": "pay first"}),
        Reply(status=307, headers={"Location": "http://127.0.0.1:1/v1"}),
    ],
)  # fmt: skip
def test_what_no_call_can_survive_stops_the_run(openai_stub, reply):
    openai_stub.script(reply)
    with pytest.raises(BackendError, match=r"my/Model-7B at http://127\.0\.0\.1"):
        ask(openai_stub, retry=QUICK)
    assert len(openai_stub.requests) == 1


def test_an_overlong_reply_is_not_read_to_its_end(openai_stub, monkeypatch):
    monkeypatch.setattr("synthesizeme.backends.local_server.MAX_REPLY_BYTES", 10_000)
    openai_stub.script(Reply("long " * 10_000))
    assert "longer than 10000 bytes" in ask(openai_stub).detail


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://host/v1", "http://", "", "http://h:99999/v1"])
def test_an_address_that_cannot_be_right_is_refused(address):
    with pytest.raises(
        ConfigError, match=r"api_base is .*; expected an address like http://127\.0\.0\.1:8000/v1"
    ):
        open_model("m", ModelSettings(api_base=address))


@pytest.mark.parametrize("name", ["", "builtin", "org/"])
def test_a_server_needs_the_name_of_its_model(name):
    with pytest.raises(ConfigError, match="the model is"):
        open_model(name, ModelSettings(api_base="http://127.0.0.1:8000/v1"))


def test_the_full_address_of_the_endpoint_is_an_address_too(openai_stub):
    model = open_model("m", ModelSettings(api_base=openai_stub.base_url + "/chat/completions"))
    with Session(model) as session:
        assert session.ledger().ask([question()])[0].text == "First"


def test_the_model_can_be_called_without_awaiting_even_in_a_running_loop(openai_stub):
    import dspy
    from dspy import lm15

    lm = open_model("m", ModelSettings(api_base=openai_stub.base_url)).lm
    request = lm15.Request(model="m", messages=(lm15.Message.user("Which?"),))

    async def inside():
        return lm(request)

    with dspy.context(disable_history=True):
        assert lm(request).text == "First"
        assert asyncio.run(inside()).text == "First"
    lm.engine.close()
    assert [body["messages"] for body in openai_stub.requests] == [
        [{"role": "user", "content": "Which?"}]
    ] * 2
