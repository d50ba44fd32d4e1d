from __future__ import annotations

import json

import pytest
from dspy import lm15

from synthesizeme.backends import Answer, Question, Session, open_model
from synthesizeme.backends.scripted import KIND, scripted_model
from synthesizeme.errors import BackendError, ConfigError, CredentialError
from synthesizeme.types import Failure, Message


def ask_for(text: str) -> Question:
    return Question((Message(role="system", content="Judge."), Message(role="user", content=text)))


def test_replies_come_in_turn_and_tokens_are_words():
    model = scripted_model(["one", "two words"])
    with Session(model) as session:
        answers = session.ledger().ask([ask_for("a b"), ask_for("c")])
    assert answers == [
        Answer("one", prompt_tokens=2, completion_tokens=1),
        Answer("two words", prompt_tokens=1, completion_tokens=2),
    ]
    assert [request.messages[0].text for request in model.lm.engine.requests] == ["a b", "c"]
    assert (model.name, model.kind, model.asynchronous) == ("scripted", KIND, False)


def test_a_function_answers_from_the_request():
    with Session(scripted_model(lambda request: request.messages[-1].text.upper())) as session:
        assert [answer.text for answer in session.ledger().ask([ask_for("x"), ask_for("y")])] == ["X", "Y"]


def test_an_exception_it_returns_is_a_failure_of_its_kind():
    errors = {
        "too_long": lm15.ContextLengthError("too long"),
        "transport": lm15.ServerError("overloaded"),
        "refusal": lm15.InvalidRequestError("no", provider_code="content_filter"),
    }
    with Session(scripted_model(list(errors.values()))) as session:
        outcomes = session.ledger().ask([ask_for(kind) for kind in errors])
    assert [outcome.kind for outcome in outcomes] == list(errors)


def test_an_empty_reply_is_a_failure_here_too():
    with Session(scripted_model(["", "  "])) as session:
        ledger = session.ledger()
        assert (
            ledger.ask([ask_for("a"), ask_for("b")])
            == [Failure(kind="parse", detail="the reply is empty")] * 2
        )
    assert ledger.failures == {"parse": 2}


@pytest.mark.parametrize(
    ("error", "raised"),
    [(lm15.AuthError("no key"), CredentialError), (lm15.BillingError("pay"), BackendError)],
)
def test_what_no_call_can_survive_stops_the_run(error, raised):
    with Session(scripted_model([error])) as session, pytest.raises(raised):
        session.ledger().ask([ask_for("a")])


def test_a_script_that_ends_says_so():
    with Session(scripted_model(["only"])) as session:
        outcomes = session.ledger().ask([ask_for("a"), ask_for("b")])
    assert outcomes[0].text == "only"
    assert "no reply left" in outcomes[1].detail


def test_a_file_of_replies_starts_over_at_its_end(tmp_path):
    path = tmp_path / "replies.json"
    path.write_text(json.dumps(["First", "Second ☃"]), encoding="utf-8")
    with Session(open_model(f"scripted:{path}")) as session:
        answers = session.ledger().ask([ask_for(str(n)) for n in range(5)])
    assert [answer.text for answer in answers] == ["First", "Second ☃", "First", "Second ☃", "First"]


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '["a", 1]', '"a"', "not json", b"\xff\xfe"])
def test_a_file_that_is_no_list_of_replies_is_refused(tmp_path, content):
    path = tmp_path / "replies.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=r"replies\.json.*expected a JSON list of strings"):
        open_model(f"scripted:{path}")
