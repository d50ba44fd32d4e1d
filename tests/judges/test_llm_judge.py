"""The judge: what it sends, and what becomes of every kind of reply. Failures stay failures."""

from __future__ import annotations

import pytest
from invented import comparison, ledger, pair, sent

from synthesizeme.backends import ModelSettings
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.judges import LLMJudge
from synthesizeme.judges.messages import demonstration_turns
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.prompts import load_prompt
from synthesizeme.replies import read_choice
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import ORDERS, Demonstration, Failure, Verdict, preferred_side

FIRST = "Reasoning: It is short.\nPreference: First\nConfidence: 80"
UNREADABLE = "They are both good."
REFUSED = "I'm sorry, I can't judge this."


def persona(*sentences):
    return Persona(
        sentences=tuple(PersonaSentence(text=s) for s in sentences), made_by="me", prompt_id="none"
    )


def demonstration(number, order, reasoning=""):
    return Demonstration(
        comparison=pair(number).compare(order), preference=preferred_side(order), reasoning=reasoning
    )


PROFILE = UserProfile(
    user_id="ada",
    persona=persona("The user prefers short answers.", "The user dislikes lists."),
    demonstrations=(
        demonstration(1, "chosen_first", "It names the number at once."),
        demonstration(2, "rejected_first"),
    ),
)


def test_the_judge_is_a_pairwise_scorer():
    judge = LLMJudge(ledger([]), name="mine")
    assert isinstance(judge, PairwiseScorer)
    assert (judge.name, judge.order_sensitive) == ("mine", True)
    assert judge.compare([]) == []


def test_persona_and_demonstrations_really_are_in_the_messages_sent():
    asked = ledger([FIRST])
    shown = comparison("New first.", "New second.", prompt="New question?")
    LLMJudge(asked, {"ada": PROFILE}).compare([shown])
    (turns,) = sent(asked)
    assert [role for role, _ in turns] == ["system", "user", "assistant", "user", "assistant", "user"]
    system, reasoned_q, reasoned_a, labelled_q, labelled_a, last = (text for _, text in turns)
    block = "<persona>\nThe user prefers short answers.\nThe user dislikes lists.\n</persona>"
    assert system.count(block) == 1
    for question, number, order in ((reasoned_q, 1, "chosen_first"), (labelled_q, 2, "rejected_first")):
        drawn = pair(number).compare(order)
        assert f"<first_response>\n{drawn.first}\n</first_response>" in question
        assert f"<second_response>\n{drawn.second}\n</second_response>" in question
        assert drawn.prompt[0].content in question
    assert reasoned_a == "Reasoning: It names the number at once.\nPreference: First\nConfidence: 75"
    assert labelled_a == "Preference: Second\nConfidence: 75"
    assert "New first." in last
    assert "New question?" in last
    assert "fathom" not in last


def test_the_default_judge_knows_nobody():
    asked = ledger([FIRST, FIRST])
    LLMJudge(asked).compare([comparison()])
    LLMJudge(asked, {"ada": UserProfile(user_id="ada")}).compare([comparison("Other.")])
    for turns in sent(asked):
        assert [role for role, _ in turns] == ["system", "user"]
        assert "<persona>\n" not in turns[0][1]


def test_no_label_user_id_or_metadata_is_ever_sent():
    asked = ledger([FIRST, FIRST])
    one = pair(7, user="secret-user-id", gold="secret-gold", chosen_value=0.123)
    LLMJudge(asked).compare([one.compare(order) for order in ORDERS])
    for turns in sent(asked):
        text = " ".join(text for _, text in turns)
        assert "secret" not in text
        assert "0.123" not in text
        assert "chosen" not in text
        assert "rejected" not in text


def test_several_turns_of_a_conversation_are_all_shown():
    talk = (
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Depth?"},
    )  # fmt: skip
    asked = ledger([FIRST])
    shown = type(comparison()).model_validate(comparison().model_dump() | {"prompt": talk})
    LLMJudge(asked).compare([shown])
    last = sent(asked)[0][-1][1]
    assert [last.index(f'<turn role="{m["role"]}">\n{m["content"]}') for m in talk] == sorted(
        last.index(m["content"]) - len(f'<turn role="{m["role"]}">\n') for m in talk
    )


def test_every_kind_of_reply_has_its_type_and_its_place():
    replies = {"a": FIRST, "b": UNREADABLE, "c": REFUSED, "d": RuntimeError("broken"), "e": "Preference: Tie"}

    def script(request):
        text = request.messages[-1].text
        return next(reply for name, reply in replies.items() if f"\n{name}\n" in text)

    asked = ledger(script)
    judge = LLMJudge(asked)
    results = judge.compare([comparison(name, "other") for name in replies])
    assert [getattr(r, "kind", None) or r.preference for r in results] == [
        "first",
        "parse",
        "refusal",
        "transport",
        "tie",
    ]
    assert asked.failures == {"transport": 1}  # the call itself; unread replies are the judge's to tell
    assert sorted(failure.kind for failure in judge.unread.values()) == ["parse", "refusal"]
    assert "They are both good." in results[1].detail


def test_a_failure_is_never_a_tie_never_wrong_and_never_dropped():
    """Four pairs: two right, one unreadable in both orders, one refused in both orders."""
    bad = {"Six feet, sailor 2.": UNREADABLE, "Six feet, sailor 3.": REFUSED}

    def script(request):
        text = request.messages[-1].text
        for sign, reply in bad.items():
            if sign in text:
                return reply
        side = "First" if text.index("Six feet") < text.index("unit of length") else "Second"
        return f"Preference: {side}"

    outcome = evaluate(LLMJudge(ledger(script)), [pair(n) for n in range(4)])
    assert outcome.micro == 1.0
    assert outcome.ties == 0
    assert outcome.failures == {"parse": 2, "refusal": 2}
    assert (outcome.n_pairs, outcome.coverage) == (4, 0.5)


def test_a_tie_is_a_verdict():
    outcome = evaluate(LLMJudge(ledger(lambda request: "Preference: Tie")), [pair()])
    assert (outcome.micro, outcome.ties, outcome.failures, outcome.coverage) == (0.5, 2, {}, 1.0)


def test_an_unknown_user_is_a_failure_that_asks_nothing():
    asked = ledger(lambda request: FIRST)
    judge = LLMJudge(asked, {"ada": PROFILE})
    results = judge.compare([comparison(user="bob"), comparison(), comparison("x", user="eve")])
    assert [type(r) for r in results] == [Failure, Verdict, Failure]
    assert results[0] == Failure(kind="unknown_user", detail="no profile for user 'bob'")
    assert len(sent(asked)) == 1
    assert judge.question(comparison(user="bob")) is None


def test_an_unknown_user_may_get_the_default_judge():
    asked = ledger(lambda request: FIRST)
    judge = LLMJudge(asked, {"ada": PROFILE}, unknown_user="default")
    assert isinstance(judge.compare([comparison(user="bob")])[0], Verdict)
    assert [role for role, _ in sent(asked)[0]] == ["system", "user"]
    assert judge.question(comparison(user="bob")) == LLMJudge(asked).question(comparison())


def test_an_empty_reply_and_a_missing_script_line_are_failures():
    results = LLMJudge(ledger([" \n"])).compare([comparison(), comparison("other")])
    assert [r.kind for r in results] == ["parse", "transport"]


@pytest.mark.parametrize("temperature", [None, 0.0, 0.7])
def test_the_users_temperature_is_sent_as_it_is_and_zero_without(temperature):
    asked = ledger([FIRST], settings=ModelSettings(temperature=temperature))
    LLMJudge(asked).compare([comparison()])
    assert asked.model.lm.engine.requests[0].config.temperature == (temperature or 0.0)


def test_samples_are_other_questions_and_another_prompt_is_another_question():
    asked = ledger([FIRST] * 4)
    for judge in (
        LLMJudge(asked),
        LLMJudge(asked, sample_index=1),
        LLMJudge(asked),
        LLMJudge(asked, sample_index=1),
    ):
        judge.compare([comparison()])
    mine = load_prompt("judge/default").with_section("system", "Decide.")
    LLMJudge(asked, prompt=mine).compare([comparison()])
    assert asked.usage.distinct_calls == 3
    assert sent(asked)[-1][0] == ("system", "Decide.")


@pytest.mark.parametrize("name", ["judge/default", "simulation/default"])
@pytest.mark.parametrize(("confidence", "stated"), [(None, 0.75), (0.5, 0.5), (0.834, 0.83), (1.0, 1.0)])
@pytest.mark.parametrize("reasoning", ["", "It names the number at once."])
def test_a_demonstration_is_an_answer_in_the_form_that_is_asked_for(name, confidence, stated, reasoning):
    shown = demonstration(1, "rejected_first", reasoning).model_copy(update={"confidence": confidence})
    _, answer = demonstration_turns(shown, load_prompt(name))
    said = read_choice(answer.content)
    assert (said.side, said.confidence, said.reasoning) == ("second", stated, reasoning)
    labels = [line.partition(":")[0] for line in load_prompt(name).sections["system"].splitlines()[-3:]]
    assert [line.partition(":")[0] for line in answer.content.splitlines()] == labels[not reasoning :]
