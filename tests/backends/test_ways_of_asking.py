"""How a verdict is got out of endpoints of all kinds: in words, by a schema, by a turn begun, by a question more."""

from __future__ import annotations

import itertools
from contextlib import nullcontext

import pytest
from openai_stub import OpenAIStub, Reply

from synthesizeme.backends import CallCache, ModelSettings, Question, RetryPolicy, Session, open_model
from synthesizeme.errors import ConfigError, JudgeError
from synthesizeme.judges.messages import RATING, VERDICT, read_rating, read_verdict
from synthesizeme.types import Message

QUICK = RetryPolicy(retries=2, backoff_s=0.001)
CLEAR = "Reasoning: it is short\nPreference: Second\nConfidence: 80"
VAGUE = "Both have their merits, it seems to me."
JSON = '{"reasoning": "it is short", "preference": "Second", "confidence": 80}'


def questions(number=1, form=VERDICT):
    system = Message(role="system", content="You judge.")
    return [
        Question((system, Message(role="user", content=f"Which one, {n}?")), form=form) for n in range(number)
    ]


def ask(stub: OpenAIStub, asked=None, *, cache=None, concurrency=1, **settings):
    model = open_model("m", ModelSettings(api_base=stub.base_url, **settings))
    with Session(model, cache=cache, retry=QUICK, concurrency=concurrency) as session:
        ledger = session.ledger()
        return ledger.ask(asked or questions()), ledger.usage


def way(body) -> str:
    """How a request was put."""
    if "response_format" in body:
        return "json"
    last = body["messages"][-1]
    if last["role"] == "assistant":
        return "continue"
    return "mend" if "by what you just said" in last["content"] else "words"


def ways(stub) -> list[str]:
    return [way(body) for body in stub.requests]


def server(**replies):
    """Answers each way with a reply of its own; what has none is vague."""
    return lambda body: replies.get(way(body), VAGUE)


def refuses(words, of, then=CLEAR, status=400):
    """A server that refuses requests that hold something."""
    return lambda body: Reply(status=status, error={"message": words}) if of(body) else then


def test_a_reply_that_can_be_read_costs_one_call_in_words(openai_stub):
    openai_stub.answer = server(words=CLEAR)
    answers, usage = ask(openai_stub, questions(5), concurrency=4)
    assert ways(openai_stub) == ["words"] * 5
    assert {read_verdict(answer).preference for answer in answers} == {"second"}
    assert (usage.constrained, usage.mended, usage.unreadable, usage.follow_ups) == (0, 0, 0, 0)


def test_where_words_fail_and_a_schema_helps_it_is_sent_from_then_on(openai_stub, tmp_path):
    openai_stub.answer = server(json=JSON)
    with CallCache(tmp_path) as cache:
        answers, usage = ask(openai_stub, questions(6), cache=cache, concurrency=4)
        assert ways(openai_stub) == ["words", "json"] + ["json"] * 5
        assert all(read_verdict(answer).reasoning.startswith("it is short") for answer in answers)
        assert (usage.constrained, usage.mended, usage.unreadable, usage.distinct_calls) == (6, 0, 0, 6)
        fields = openai_stub.requests[1]["response_format"]["json_schema"]["schema"]["properties"]
        assert list(fields) == ["reasoning", "preference", "confidence"]  # it thinks before it decides
        openai_stub.requests.clear()
        ask(openai_stub, questions(8), cache=cache)
    assert ways(openai_stub) == ["json"] * 2  # what was learned is remembered


def test_one_strange_reply_later_does_not_change_how_the_others_are_asked(openai_stub):
    def answer(body):
        strange = "Which one, 2?" in body["messages"][1]["content"]
        return JSON if way(body) == "json" else VAGUE if strange else CLEAR

    openai_stub.answer = answer
    _, usage = ask(openai_stub, questions(6))
    assert ways(openai_stub) == ["words", "words", "words", "json", "words", "words", "words"]
    assert (usage.constrained, usage.mended) == (1, 0)


def test_the_models_own_reply_is_gone_on_with_where_no_schema_is_taken(openai_stub):
    def answer(body):
        if way(body) == "json":
            return Reply(status=400, error={"message": "response_format is not supported"})
        begun = way(body) == "continue"
        assert not begun or (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
        return Reply(" First\nConfidence: 9", finish_reason="length") if begun else VAGUE

    openai_stub.answer = answer
    answers, usage = ask(openai_stub, questions(2))
    assert ways(openai_stub) == ["words", "json", "continue", "words", "continue"]
    begun = openai_stub.requests[2]["messages"][-1]["content"]
    assert begun == f"{VAGUE}\nPreference:"
    assert answers[0].text == f"{VAGUE}\nPreference: First"
    verdict = read_verdict(answers[0])
    assert (verdict.preference, verdict.reasoning) == ("first", VAGUE)
    assert (usage.constrained, usage.mended, usage.unreadable) == (2, 2, 0)


@pytest.mark.parametrize(
    "said", ["Second", "Second.", "**Second**", "Preference: Second", " the second\n\nI think"]
)
def test_one_more_question_mends_a_reply_that_cannot_be_read(openai_stub, said):
    openai_stub.answer = server(mend=said)
    answers, usage = ask(openai_stub, questions(2))
    assert ways(openai_stub) == ["words", "json", "continue", "mend", "words", "mend"]
    quoted, asked = openai_stub.requests[3]["messages"][-2:]
    assert (quoted["role"], quoted["content"]) == ("assistant", VAGUE)
    assert "Answer with one word" in asked["content"]
    assert {read_verdict(answer).preference for answer in answers} == {"second"}
    assert (usage.mended, usage.constrained, usage.unreadable) == (2, 0, 0)
    assert usage.distinct_calls + usage.follow_ups == len(openai_stub.requests)


def test_what_nothing_mends_is_unreadable_and_as_the_model_said_it(openai_stub):
    openai_stub.answer = server()
    answers, usage = ask(openai_stub, questions(2))
    assert [(answer.text, answer.readable) for answer in answers] == [(VAGUE, False)] * 2
    assert (usage.unreadable, usage.mended, usage.refused, usage.failed) == (2, 0, 0, 0)
    words = sum(
        len(message["content"].split()) for body in openai_stub.requests for message in body["messages"]
    )
    assert usage.prompt_tokens == words  # all that was tried is paid for


def test_a_refusal_is_not_asked_about(openai_stub):
    openai_stub.answer = server(words="I'm sorry, I can't compare these.", mend="First", json=JSON)
    (answer,), usage = ask(openai_stub)
    assert ways(openai_stub) == ["words"]
    with pytest.raises(JudgeError):
        read_verdict(answer)
    assert (usage.refused, usage.unreadable) == (1, 0)


def test_a_rating_is_mended_too(openai_stub):
    openai_stub.answer = server(mend="72")
    (answer,), _ = ask(openai_stub, questions(form=RATING))
    assert read_rating(answer) == pytest.approx(0.72)
    openai_stub.answer = server(**{"continue": " 31, I'd say"})
    (answer,), _ = ask(openai_stub, questions(form=RATING), structure="continue")
    assert read_rating(answer) == pytest.approx(0.31)


@pytest.mark.parametrize(
    ("structure", "replies", "sent"),
    [
        ("words", {"json": JSON, "continue": " First", "mend": "First"}, ["words", "mend"]),
        ("json", {"json": JSON}, ["json"]),
        ("continue", {"continue": " First"}, ["continue"]),
        ("json", {"words": CLEAR, "json": VAGUE, "mend": "First"}, ["json", "mend"]),
        ("continue", {"mend": "First"}, ["continue", "mend"]),
    ],
)  # fmt: skip
def test_the_structure_that_is_asked_for_is_used(openai_stub, structure, replies, sent):
    openai_stub.answer = server(**replies)
    (answer,), _ = ask(openai_stub, structure=structure)
    assert ways(openai_stub) == sent
    assert read_verdict(answer).preference in ("first", "second")


def test_a_structure_that_is_refused_gives_way_to_words(openai_stub, caplog):
    openai_stub.answer = refuses("json_schema is not available here", lambda body: "response_format" in body)
    answers, _ = ask(openai_stub, questions(3), structure="json")
    assert ways(openai_stub) == ["json", "words", "words", "words"]
    assert all(answer.readable for answer in answers)
    assert sum("json_schema is not available here" in line for line in caplog.messages) == 1


def test_a_model_that_has_no_such_structure_is_refused():
    with pytest.raises(ConfigError, match="structure is 'json'; builtin takes auto or words"):
        open_model("builtin", ModelSettings(structure="json"))
    with pytest.raises(ConfigError, match="structure is 'xml'; expected auto, json, words, continue"):
        ModelSettings(structure="xml")


@pytest.mark.parametrize(
    ("name", "settings", "refused"),
    [
        (
            "builtin",
            {"extra_body": {"top_k": 1}},
            "extra_body is given, but builtin is asked in this process",
        ),
        ("builtin", {"headers": {"A": "1"}}, "headers are given, but builtin is not asked at an api_base"),
        ("openai/x", {"headers": {"A": "1"}}, "headers are given, but openai/x is not asked at an api_base"),
        ("openai/x", {"extra_body": {"top_k": 1}}, None),
        ("x", {"extra_body": {"top_k": 1}, "headers": {"A": "1"}, "api_base": "http://127.0.0.1:1/v1"}, None),
    ],
)
def test_what_a_model_does_not_take_is_refused(name, settings, refused):
    with nullcontext() if refused is None else pytest.raises(ConfigError, match=refused):
        open_model(name, ModelSettings(api_key="k", **settings))


@pytest.mark.parametrize("structure", ["auto", "json", "words", "continue"])
def test_nothing_depends_on_the_number_of_workers(openai_stub, structure):
    def answer(body):
        number = int(body["messages"][1]["content"].removesuffix("?").rpartition(" ")[2])
        choice = "First" if number % 2 else "Second"
        if way(body) == "words":
            return f"Preference: {choice}" if number % 3 else f"{VAGUE} {number}"
        return {"json": f'{{"reasoning": "", "preference": "{choice}"}}', "continue": f" {choice}"}.get(
            way(body), choice
        )

    openai_stub.answer = answer
    alone = ask(openai_stub, questions(20), concurrency=1, structure=structure)
    together = ask(openai_stub, questions(20), concurrency=8, structure=structure)
    assert alone == together
    assert all(answer.readable for answer in alone[0])


def test_what_cannot_be_read_is_asked_again_by_the_next_run_and_what_can_never(openai_stub, tmp_path):
    asked = questions(3)
    mended = itertools.chain([False, False], itertools.repeat(True))
    for run, (good, readable) in enumerate(zip(mended, [0, 0, 3, 3], strict=False)):
        openai_stub.requests.clear()
        openai_stub.answer = server(words=CLEAR) if good else server()
        with CallCache(tmp_path) as cache:
            model = open_model("m", ModelSettings(api_base=openai_stub.base_url))
            with Session(model, cache=cache) as session:
                ledger = session.ledger()
                answers = ledger.ask(asked)
                sent = len(openai_stub.requests)
                assert session.ledger().ask(asked) == answers  # within the run nothing is asked twice
                assert len(openai_stub.requests) == sent
        assert sum(answer.readable for answer in answers) == readable, run
        assert (sent > 0) == (run < 3)
        assert ledger.usage.cached_calls == (3 if run == 3 else 0)


REFUSALS = {
    "max_tokens": (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        lambda body: "max_tokens" in body, lambda body: body["max_completion_tokens"] == 1024,
    ),
    "temperature": (
        "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is supported.",
        lambda body: "temperature" in body, None,
    ),
    "seed": ("Unrecognized request argument supplied: seed", lambda body: "seed" in body, None),
    "logprobs": (
        "Out of range float values are not JSON compliant", lambda body: "logprobs" in body,
        lambda body: "top_logprobs" not in body,
    ),
    "top_logprobs": ("top_logprobs must be at most 0", lambda body: "top_logprobs" in body, None),
    "system": (
        "System role not supported", lambda body: body["messages"][0]["role"] == "system",
        lambda body: body["messages"] == [{"role": "user", "content": "You judge.\n\nWhich one, 0?"}],
    ),
    "alternating": (
        "Conversation roles must alternate user/assistant/user/assistant/...",
        lambda body: body["messages"][0]["role"] == "system", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_an_endpoint_refuses_is_said_once_and_not_sent_again(openai_stub, tmp_path, caplog, name):
    words, of, then = REFUSALS[name]
    openai_stub.answer = refuses(words, of)
    seed = int(name == "seed")
    asked = [Question(it.messages, seed, it.form) for it in questions(4)]
    with CallCache(tmp_path) as cache:
        answers, usage = ask(openai_stub, asked[:3], cache=cache)
        assert all(answer.readable for answer in answers)
        assert [bool(of(body)) for body in openai_stub.requests] == [True, False, False, False]
        assert then is None or then(openai_stub.requests[1])
        assert sum(words in line for line in caplog.messages) == 1
        assert (usage.failed, usage.retries) == (0, 0)
        openai_stub.requests.clear()
        ask(openai_stub, asked, cache=cache)
        assert [bool(of(body)) for body in openai_stub.requests] == [False]


def test_several_refusals_are_learned_one_by_one(openai_stub):
    def answer(body):
        for name in ("logprobs", "temperature", "max_tokens"):
            if name in body:
                hint = "; use max_completion_tokens" if name == "max_tokens" else ""
                return Reply(status=422, error={"message": f"{name} is not allowed{hint}"})
        return CLEAR

    openai_stub.answer = answer
    answers, _ = ask(openai_stub, questions(2))
    assert [answer.readable for answer in answers] == [True, True]
    assert len(openai_stub.requests) == 3 + 2


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_verdict_that_stands_in_the_thoughts_is_read_and_else_that_is_said(openai_stub, field):
    openai_stub.answer = lambda body: Reply(None, message={field: f"Let me see.\n{CLEAR}"})
    (answer,), _ = ask(openai_stub)
    assert read_verdict(answer).preference == "second"
    openai_stub.answer = lambda body: Reply(None, message={field: "Let me see."})
    (failure,), _ = ask(openai_stub, questions(2)[1:])
    assert (failure.kind, "thought in 11 characters" in failure.detail) == ("parse", True)
    openai_stub.answer = lambda body: Reply(None, message={field: CLEAR}, finish_reason="length")
    (failure,), _ = ask(openai_stub, questions(3)[2:])
    assert "cut off at max_tokens" in failure.detail


@pytest.mark.parametrize(
    ("said", "preference"),
    [
        (" Second", "second"), ("Preference: Second", "second"), ("Second, since it is short", "second"),
        (" First or Second", None), ("First/Second", None), (" Secondly, it", None), ("Hm.", None),
        ("First of all, both are fine", None), ("First, let me think", None), (" First\nConfidence: 70", "first"),
        ("**First** response", "first"), ("second.", "second"),
    ],
)  # fmt: skip
def test_a_turn_that_was_begun_is_read_with_or_without_its_beginning(openai_stub, said, preference):
    openai_stub.answer = server(**{"continue": said})
    (answer,), usage = ask(openai_stub, structure="continue")
    assert answer.readable == (preference is not None)
    assert preference is None or read_verdict(answer).preference == preference
    assert usage.constrained == 1


@pytest.mark.parametrize("structure", ["json", "continue"])
def test_a_structure_that_was_asked_for_is_no_habit(openai_stub, tmp_path, structure):
    openai_stub.answer = server(words=CLEAR, json=JSON, **{"continue": " First"})
    with CallCache(tmp_path) as cache:
        ask(openai_stub, questions(3), cache=cache, structure=structure)
        ask(openai_stub, questions(3), cache=cache)
    assert ways(openai_stub) == [structure] * 3 + ["words"] * 3
