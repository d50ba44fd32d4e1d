"""What servers send as log-probabilities and what is none: never used, never the end of a run, said once."""

from __future__ import annotations

import math

import pytest
from openai_stub import OpenAIStub, Reply

from synthesizeme.backends import ModelSettings, Question, Session, open_model
from synthesizeme.judges.messages import VERDICT, read_verdict
from synthesizeme.types import Message

LEAD, TAIL = "Reasoning: it is short\nPreference:", "\nConfidence: 80"


def token(text, logprob, *top):
    ranked = [{"token": word, "logprob": value} for word, value in top]
    return {"token": text, "logprob": logprob, "top_logprobs": ranked}


def verdicts(stub: OpenAIStub, second, first, *, own=None, rest=-0.01, number=2):
    """Verdicts of replies with these log-probabilities where the verdict stands, and what was said."""
    stands = token(" Second", second if own is None else own, (" Second", second), (" First", first))
    content = [token(LEAD, rest), stands, token(TAIL, rest)]
    stub.answer = lambda body: Reply(f"{LEAD} Second{TAIL}", logprobs={"content": content})
    with Session(open_model("m", ModelSettings(api_base=stub.base_url)), concurrency=1) as session:
        user = [Message(role="user", content=f"Which, {n}?") for n in range(number)]
        answers = session.ledger().ask([Question((it,), form=VERDICT) for it in user])
    return [read_verdict(answer) for answer in answers]


NONE = {
    "probabilities": (0.93, 0.05),
    "logits": (22.1, 21.0),
    "huge": (1e308, 3.0),
    "more than one together": (-0.1, -0.2),
    "all zero": (0.0, 0.0),
    "strings": ("-0.1", "-3.0"),
    "booleans": (True, False),
}


@pytest.mark.parametrize("name", NONE)
def test_what_cannot_be_log_probabilities_is_not_used_and_that_is_said_once(openai_stub, name, caplog):
    rest = 0.0 if name == "all zero" else -0.01
    found = verdicts(openai_stub, *NONE[name], rest=rest)
    assert {(it.probability_source, round(it.probability, 3)) for it in found} == {("stated", 0.2)}
    assert sum("token probabilities" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("nothing", [math.nan, None, "x"])
def test_one_that_is_no_number_is_left_out_by_itself(openai_stub, nothing, caplog):
    (verdict, _) = verdicts(openai_stub, -0.105, nothing)
    assert verdict.probability_source == "logprobs"
    assert verdict.probability == pytest.approx(0.1, abs=0.01)  # the other is at most what is left over
    assert sum("no numbers" in line for line in caplog.messages) == 1
    (verdict, _) = verdicts(openai_stub, nothing, nothing)
    assert (verdict.probability_source, verdict.probability) == ("stated", pytest.approx(0.2))


def test_those_that_are_some_are_used_also_where_they_are_rounded_or_without_end(openai_stub, caplog):
    for second, first, expected in (
        (math.log(0.9), math.log(0.1), 0.1), (-0.105, -2.3, 0.1), (1e-5, -20.0, 0.0),
        (-0.1, -3.4e38, 0.0), (-0.1, -math.inf, 0.0),
    ):  # fmt: skip
        (verdict, _) = verdicts(openai_stub, second, first)
        assert verdict.probability_source == "logprobs", second
        assert verdict.probability == pytest.approx(expected, abs=0.005)
    (verdict, _) = verdicts(openai_stub, math.log(0.9), math.log(0.1), own=-0.1)  # told twice, rounded once
    assert verdict.probability == pytest.approx(0.1, abs=0.005)
    assert caplog.messages == []
