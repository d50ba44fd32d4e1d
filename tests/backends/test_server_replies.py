"""What servers send in place of a plain chat completion: read, or named for what it is."""

from __future__ import annotations

import json

import pytest
from openai_stub import OpenAIStub, Reply

from synthesizeme.backends import Answer, ModelSettings, Question, RetryPolicy, Session, open_model
from synthesizeme.errors import BackendError
from synthesizeme.judges.messages import VERDICT, verdict_or_failure
from synthesizeme.types import Failure, Message

QUICK = RetryPolicy(retries=5, backoff_s=0.001)
GOOD = "Reasoning: it is short\nPreference: Second\nConfidence: 80"
GIVEN = {"reasoning": "it is short", "preference": "Second", "confidence": 80}


def ask(stub: OpenAIStub, *, form=None, number=1, **settings):
    model = open_model("m", ModelSettings(api_base=stub.base_url, **settings))
    questions = [Question((Message(role="user", content=f"Which, {n}?"),), form=form) for n in range(number)]
    with Session(model, retry=QUICK, concurrency=1) as session:
        outcomes = session.ledger().ask(questions)
    return outcomes[0] if number == 1 else outcomes


def completion(content=GOOD, finish="stop", **message):
    return {"choices": [{"message": {"content": content, **message}, "finish_reason": finish}]}


def events(*pieces, end="\n\ndata: [DONE]\n\n"):
    return "".join(f"event: x\ndata: {json.dumps(it)}\n\n" for it in pieces) + end


def delta(text, finish=None):
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}]}


def ollama(text, *, done=True, **more):
    return {"model": "m", "message": {"role": "assistant", "content": text}, "done": done, **more}


READ = {
    "events": events(delta(GOOD[:20]), delta(GOOD[20:]), delta(None, "stop")),
    "one event": events(completion()),
    "events of an older endpoint": events(*({"choices": [{"text": it}]} for it in (GOOD[:9], GOOD[9:]))),
    "comments": "\n\n: keep-alive\n\n" + json.dumps(completion()),
    "lines": json.dumps(completion()) + "\n" + json.dumps({"done": True}),
    "a list": json.dumps([completion()]),
    "Ollama": json.dumps(ollama(GOOD, prompt_eval_count=700, eval_count=20)),
    "Ollama's lines": "\n".join(
        json.dumps(it) for it in (ollama(GOOD[:5], done=False), ollama(GOOD[5:]))
    ),
    "Ollama's generate": json.dumps({"response": GOOD, "done": True}),
    "an older endpoint": json.dumps({"choices": [{"text": GOOD, "finish_reason": "stop"}]}),
    "strings": json.dumps(completion([GOOD[:7], GOOD[7:]])),
    "one part": json.dumps(completion({"type": "text", "text": GOOD})),
    "a part without text": json.dumps(completion([{"type": "text", "text": None}, {"type": "text", "text": GOOD}])),
    "thoughts in parts": json.dumps(
        completion([{"type": "reasoning", "text": "Preference: First"}, {"type": "text", "text": GOOD}])
    ),
    "thoughts of parts": json.dumps(
        completion([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": GOOD}])
    ),
    "no error": json.dumps(completion() | {"error": None}),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_a_reply_in_a_shape_of_its_own_is_read(openai_stub, name):
    openai_stub.script(Reply(body=READ[name].encode()))
    answer = ask(openai_stub)
    assert isinstance(answer, Answer), answer
    assert answer.text == GOOD
    assert answer.cut_off == (name == "events of an older endpoint")  # nothing said that it had ended
    assert len(openai_stub.requests) == 1
    assert (answer.prompt_tokens, answer.completion_tokens) == ((700, 20) if name == "Ollama" else (0, 0))


def test_an_answer_in_the_arguments_of_a_tool_is_read_and_else_the_tool_is_named(openai_stub):
    def called(arguments):
        function = {"name": "answer", "arguments": arguments}
        return Reply(
            None, finish_reason="tool_calls", message={"tool_calls": [{"id": "1", "function": function}]}
        )

    openai_stub.answer = lambda body: called(json.dumps(GIVEN))
    assert verdict_or_failure(ask(openai_stub, form=VERDICT)).probability == pytest.approx(0.2)
    for arguments in (json.dumps({"city": "Berlin"}), "{", None):
        openai_stub.answer = lambda body, given=arguments: called(given)
        failure = ask(openai_stub, form=VERDICT)
        assert failure == Failure(kind="parse", detail="the model called a tool (answer) and said nothing")


TOLD = {
    "an object called error": ({"object": "error", "message": "Internal Server Error", "code": 50001}, "Internal", 6),
    "a list of errors": ({"errors": [{"message": "no such route"}]}, "no such route", 1),
    "something else": ({"object": "list", "data": []}, "an object with 'object', 'data'", 2),
    "no choices": ({"id": "x", "choices": []}, "an object with 'id', 'choices'", 2),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_what_is_no_reply_is_told_in_its_own_words_and_not_asked_for_in_vain(openai_stub, name):
    body, words, most = TOLD[name]
    openai_stub.script("First")
    openai_stub.answer = lambda sent: Reply(body=json.dumps(body).encode())
    _, failure = ask(openai_stub, number=2)
    assert (failure.kind, words in failure.detail) == ("transport", True), failure
    assert len(openai_stub.requests) == 1 + most


@pytest.mark.parametrize(
    "body",
    [
        {"error_code": 17, "error_msg": "Open api daily request limit reached"},
        {"choices": None, "message": "quota exhausted"},
    ],
)
def test_an_account_that_is_spent_ends_the_run_at_once(openai_stub, body):
    openai_stub.answer = lambda sent: Reply(body=json.dumps(body).encode())
    with pytest.raises(
        BackendError, match=r"(daily request limit reached|quota exhausted) Cure: .* the account"
    ):
        ask(openai_stub)
    assert len(openai_stub.requests) == 1


def test_a_quota_of_this_minute_is_waited_for(openai_stub):
    openai_stub.script(Reply(body=b'{"error": {"message": "Quota exceeded: requests per minute"}}'))
    assert ask(openai_stub).text == "First"


def test_a_blocked_prompt_is_a_refusal(openai_stub):
    openai_stub.script(
        Reply(body=json.dumps({"promptFeedback": {"blockReason": "SAFETY"}, "choices": []}).encode())
    )
    failure = ask(openai_stub)
    assert (failure.kind, "SAFETY" in failure.detail) == ("refusal", True)


def test_a_server_of_something_else_ends_the_run_soon_and_says_what_it_is(openai_stub):
    openai_stub.answer = lambda body: Reply(body=b'{"object": "list", "data": []}')
    with pytest.raises(BackendError, match=r"does not answer as such an API does.*Cure: give the address"):
        ask(openai_stub, number=9)
    assert len(openai_stub.requests) <= 4


DRAFT = "Reasoning: a natural first guess would be this.\nPreference: Second\nNow I weigh the tone of the"


@pytest.mark.parametrize(
    "reason",
    [
        "length",
        "max_tokens",
        "MAX_TOKENS",
        "model_length",
        "length_limit",
        "abort",
        "FinishReason.MAX_TOKENS",
        "odd",
    ],
)
def test_a_cut_by_any_name_and_an_unknown_end_are_no_end(openai_stub, reason, caplog):
    openai_stub.answer = lambda body: Reply(DRAFT, finish_reason=reason)
    answer = ask(openai_stub)
    assert answer.cut_off
    assert verdict_or_failure(answer).kind == "parse"
    assert [("'odd'" in line) for line in caplog.messages] == [True] * (reason == "odd")


@pytest.mark.parametrize(
    "reason", ["stop", "eos_token", "end_turn", "STOP", "<|im_end|>", "COMPLETE", "", None, "tool_calls"]
)
def test_an_end_by_any_name_is_one(openai_stub, reason):
    openai_stub.answer = lambda body: Reply(GOOD, finish_reason=reason)
    assert not ask(openai_stub).cut_off


def test_a_reply_without_a_reason_that_is_as_long_as_it_may_be_was_cut(openai_stub):
    openai_stub.answer = lambda body: Reply("one two three", finish_reason=None)
    assert [ask(openai_stub, max_tokens=most).cut_off for most in (3, 4)] == [True, False]


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "PROHIBITED_CONTENT", "guardrail_intervened"])
def test_a_reply_that_was_withheld_by_any_name_is_a_refusal(openai_stub, reason):
    openai_stub.answer = lambda body: Reply("Preference: Sec", finish_reason=reason)
    assert ask(openai_stub).kind == "refusal"
