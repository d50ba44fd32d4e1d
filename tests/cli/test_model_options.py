"""The flags of a model, as they reach the server."""

from __future__ import annotations

import json

import pytest

TEXTS = ["--prompt", "How long do I boil an egg?", "--first", "Seven minutes.", "--second", "It depends."]


@pytest.fixture
def judge(command, openai_stub, tmp_path):
    """Runs ``judge`` on an empty profile of somebody against the stub."""
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"user_id": "ann"}))

    def run(*flags):
        base = ("--store", profile, "--model", "m", "--api-base", openai_stub.base_url)
        return command("judge", *base, *TEXTS, *flags, "--json")

    openai_stub.answer = lambda body: (
        '{"reasoning": "", "preference": "First"}' if "response_format" in body else "Preference: First"
    )
    return run


def test_fields_and_headers_are_sent_as_given(judge, openai_stub, monkeypatch):
    monkeypatch.setenv("MY_SECRET", "s-1")
    ran = judge(
        "--extra-body", "top_k=1", "--extra-body", 'chat_template_kwargs={"enable_thinking": false}',
        "--extra-body", "tier=flex", "--header", "X-Org=acme", "--header", "Api-Key=$MY_SECRET", "--no-cache",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    body, headers = openai_stub.requests[0], openai_stub.headers[0]
    assert (body["top_k"], body["tier"]) == (1, "flex")
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert (headers["X-Org"], headers["Api-Key"]) == ("acme", "s-1")
    assert "s-1" not in ran.out + ran.err


def test_another_field_is_another_call_and_another_header_is_not(judge, openai_stub):
    for flags, sent in (
        ((), 2), (("--header", "X-Org=a"), 0), (("--extra-body", "top_k=1"), 2), (("--extra-body", "top_k=2"), 2),
        (("--extra-body", "top_k=2", "--header", "X-Org=b"), 0), (("--structure", "json"), 2),
    ):  # fmt: skip
        openai_stub.requests.clear()
        assert judge(*flags).status == 0
        assert len(openai_stub.requests) == sent, flags


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--extra-body", "top_k"], "expected KEY=VALUE"),
        (["--extra-body", "messages=[]"], "is set by the program"),
        (["--header", "X Y=1"], "expected NAME=VALUE"),
        (["--header", "X-Key=$NOT_SET_AT_ALL\nother: 1"], "--header X-Key"),
        (["--structure", "xml"], "--structure"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_without_showing_a_value(judge, openai_stub, flags, words):
    ran = judge(*flags)
    assert ran.status == 2
    assert words in ran.err
    assert "other: 1" not in ran.err
    assert openai_stub.requests == []


@pytest.mark.parametrize("value", ["$NOPE", "Bearer ${NOPE}"])
def test_a_header_whose_variable_is_not_set_is_refused(judge, openai_stub, monkeypatch, value):
    ran = judge("--header", f"X-Key={value}")
    assert ran.status == 1
    assert "the environment variable NOPE (--header X-Key) is not set" in ran.err
    assert openai_stub.requests == []
    monkeypatch.setenv("NOPE", "s-1$OTHER")
    assert judge("--header", f"X-Key={value}", "--header", "X-Price=5 $").status == 0
    assert openai_stub.headers[0]["X-Key"] == value.replace("$NOPE", "s-1$OTHER").replace(
        "${NOPE}", "s-1$OTHER"
    )


def test_what_the_builtin_model_does_not_take_is_refused(command, tmp_path):
    (tmp_path / "profile.json").write_text(json.dumps({"user_id": "ann"}))
    for flags in (["--structure", "json"], ["--extra-body", "a=1"], ["--header", "A=1"]):
        assert command("judge", "--store", tmp_path / "profile.json", *TEXTS, *flags).status == 2


def test_the_highest_effort_samples(command, openai_stub, sample):
    openai_stub.answer = lambda body: "Preference: First"
    base = ("induce-persona", sample, "--user", "mara", "--no-evaluate", "--no-cache")
    asked = (*base, "--model", "m", "--api-base", openai_stub.base_url, "--budget-calls", 4)
    for flags, sent in (
        (("--effort", "medium"), {0.0}), (("--effort", "high"), {0.7}),
        (("--effort", "high", "--temperature", "0.2"), {0.2}),
    ):  # fmt: skip
        openai_stub.requests.clear()
        command(*asked, *flags)
        assert {body["temperature"] for body in openai_stub.requests} == sent


def test_a_user_of_a_store_whom_no_reply_told_of_is_tried_again_when_the_server_is_mended(
    command, openai_stub, sample, tmp_path
):
    asked = (
        "induce-persona", sample, "--user", "mara", "--no-evaluate", "--store", tmp_path / "store.db",
        "--model", "m", "--api-base", openai_stub.base_url, "--retries", 0,
    )  # fmt: skip
    openai_stub.answer = lambda body: "Hm, both."
    assert command(*asked).status == 1
    openai_stub.requests.clear()
    openai_stub.answer = lambda body: (
        "The user prefers short answers. [1]" if "<pair" in str(body["messages"]) else "Preference: First"
    )
    again = command(*asked)
    assert again.status == 0, again.err
    assert openai_stub.requests
    openai_stub.requests.clear()
    assert command(*asked).status == 0
    assert openai_stub.requests == []
