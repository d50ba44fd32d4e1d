"""A model whose replies mostly cannot be read stops the run, with what it said."""

from __future__ import annotations

import pickle

import pytest
from invented import comparison, ledger, pair

from synthesizeme.backends import Session
from synthesizeme.backends._ledger import LEAST_REPLIES
from synthesizeme.backends.scripted import scripted_model
from synthesizeme.errors import UnreadableError
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.judges import LLMJudge


def replying(readable, of=10):
    """A script that gives a verdict to so many of every `of` questions, whatever is asked about a reply."""
    seen = {}

    def script(request):
        number = seen.setdefault(request.messages[0].text, len(seen))
        return "Preference: First" if number % of < readable else "A fine pair\nof answers."

    return script


@pytest.mark.parametrize(("readable", "goes_on"), [(0, False), (4, False), (6, True), (10, True)])
@pytest.mark.parametrize("asked", [LEAST_REPLIES - 1, 100])
def test_half_of_eight_or_more_replies_have_to_be_verdicts(readable, goes_on, asked):
    asking = ledger(replying(readable))
    comparisons = [comparison(prompt=f"Question {number}?") for number in range(asked)]
    judge = LLMJudge(asking)
    if goes_on or asked < LEAST_REPLIES:
        assert len(judge.compare(comparisons)) == asked
        return
    with pytest.raises(UnreadableError) as stopped:
        judge.compare(comparisons)
    said = str(stopped.value)
    assert "user 'ada': scripted: only " in said
    assert "It says: 'A fine pair of answers.'. Cure: another model (--model)" in said
    assert "--structure" in said
    assert "--max-tokens" in said
    assert LEAST_REPLIES <= asking.usage.distinct_calls <= 10
    assert str(pickle.loads(pickle.dumps(stopped.value))) == said
    sent = len(asking.model.lm.engine.requests)
    with pytest.raises(UnreadableError):
        judge.compare([comparison(prompt="Another one?")])
    assert len(asking.model.lm.engine.requests) == sent


def test_who_is_named_is_the_one_the_model_was_asked_about():
    asking = ledger(lambda request: "Preference: First" if "ship" in request.messages[0].text else "Hm.")
    ships = [pair(number, user="ann", chosen=f"A ship {number}.") for number in range(10)]
    boats = [pair(number, user="bob", chosen=f"A boat {number}.") for number in range(20)]
    with pytest.raises(UnreadableError, match=r"^user 'bob': "):
        evaluate(LLMJudge(asking), [*ships, *boats])


def test_failed_calls_are_no_replies_and_what_became_of_replies_is_told_as_they_come():
    told = []

    def script(request):
        text = request.messages[0].text
        if "fathom 1" in text:
            return RuntimeError("down")
        if "fathom 2" in text:
            return "I'm sorry, I can't do that."
        return "Hm." if "fathom 3" in text else "Preference: Second"

    session = Session(scripted_model(script), progress=told.append)
    evaluate(LLMJudge(session.ledger()), [pair(number) for number in range(10)])
    last = told[-1].usage
    assert (last.distinct_calls, last.failed, last.refused, last.unreadable) == (20, 2, 2, 2)
    assert [now.usage.unreadable for now in told] == sorted(now.usage.unreadable for now in told)
    assert told[7].usage.unreadable == 2, "told as it happens"
