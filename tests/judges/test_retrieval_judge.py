"""The retrieval-augmented judge: what is in its prompts, the budget, and that it never sees the answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from invented import comparison, ledger, pair, sent, user_says

from synthesizeme.errors import DataError
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.judges import LLMJudge, RetrievalJudge
from synthesizeme.judges.retrieval_judge import count_pieces
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.retrieval import open_retriever
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import Failure

FIRST = "Preference: First\nConfidence: 80"
TOPICS = ["tax law", "garden herbs", "football goals", "tax forms", "sea depths"]
HISTORY = [pair(i, prompt=(user_says(f"Tell me about {topic}"),)) for i, topic in enumerate(TOPICS)]


def judge(asked, name="bm25", **options):
    return RetrievalJudge(asked, {"ada": HISTORY}, open_retriever(name).retrieve, **options)


def prompts(turns):
    """Questions of the demonstrations in a request, in the order sent."""
    return [text for role, text in turns if role == "user"][:-1]


def test_it_is_a_pairwise_scorer_that_shows_the_nearest_pairs_last():
    asked = ledger([FIRST])
    it = judge(asked, k=2)
    assert isinstance(it, PairwiseScorer)
    it.compare([comparison(prompt="new tax forms, please").model_copy(update={"pair_id": "new"})])
    (turns,) = sent(asked)
    shown = prompts(turns)
    assert ["tax law" in shown[0], "tax forms" in shown[1], len(shown)] == [True, True, 2]
    assert [role for role, _ in turns] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert all("Preference:" in text for role, text in turns if role == "assistant")


def test_without_retrieval_it_is_the_default_judge():
    asked, plain = ledger([FIRST]), ledger([FIRST])
    judge(asked, "none").compare([comparison()])
    LLMJudge(plain).compare([comparison()])
    assert sent(asked) == sent(plain)


def test_the_pair_asked_about_is_never_shown():
    asked = ledger(lambda request: FIRST)
    evaluate(judge(asked, k=99), HISTORY)
    for turns in sent(asked):
        question = next(text for role, text in reversed(turns) if role == "user")
        assert len(prompts(turns)) == len(HISTORY) - 1
        assert not any(part in "".join(prompts(turns)) for part in TOPICS if part in question)


def test_it_composes_with_a_persona_but_not_with_its_demonstrations():
    persona = Persona(sentences=(PersonaSentence(text="Likes numbers."),), made_by="me", prompt_id="x")
    known = UserProfile(user_id="ada", persona=persona)
    asked = ledger([FIRST])
    judge(asked, k=1, profiles={"ada": known}).compare([comparison()])
    ((_, system), *turns) = sent(asked)[0]
    assert "Likes numbers." in system
    assert len(turns) == 3


def test_unknown_users_are_refused_or_judged_as_anybody_and_a_user_without_a_past_is_known():
    asked = ledger([FIRST, FIRST])
    stranger = comparison(user="bob")
    (refused,) = judge(asked).compare([stranger])
    assert isinstance(refused, Failure)
    assert refused.kind == "unknown_user"
    judge(asked, unknown_user="default").compare([stranger])
    RetrievalJudge(asked, {"bob": []}, open_retriever("bm25").retrieve).compare([stranger])
    assert [len(turns) for turns in sent(asked)] == [2]  # the same question, asked once


def test_history_is_put_in_order_of_time():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    dated = [it.model_copy(update={"created_at": now - timedelta(days=i)}) for i, it in enumerate(HISTORY)]
    it = RetrievalJudge(ledger([]), {"ada": dated}, open_retriever("recency").retrieve, k=1)
    assert (
        it.shown(comparison(prompt="x").model_copy(update={"pair_id": "new"}))[0].comparison.pair_id
        == "ada-0"
    )
    undated = RetrievalJudge(ledger([]), {"ada": HISTORY}, open_retriever("recency").retrieve, k=1)
    assert undated.shown(comparison(user="ada"))[0].comparison.pair_id == "ada-4"


def long_pair(number, words):
    return pair(
        number, chosen="good " * words, rejected="bad " * words, prompt=(user_says(f"Topic {number}"),)
    )


@pytest.mark.parametrize("budget", [400, 700, 1200, 9000])
def test_the_budget_drops_and_cuts_demonstrations_and_leaves_the_input_whole(budget):
    history = [long_pair(number, 150) for number in range(6)]
    asked = ledger([FIRST])
    it = RetrievalJudge(asked, {"ada": history}, open_retriever("recency").retrieve, k=6, max_tokens=budget)
    question = comparison("first " * 40, "second " * 40).model_copy(update={"pair_id": "new"})
    it.compare([question])
    ((_, system), *turns) = sent(asked)[0]
    used = count_pieces(system) + sum(count_pieces(text) for _, text in turns)
    assert used <= max(budget, count_pieces(system) + count_pieces(turns[-1][1]))
    assert "second " * 39 in turns[-1][1]
    n_shown = len(turns) // 2
    assert n_shown == {400: 0, 700: 4, 1200: 6, 9000: 6}[budget]
    if n_shown:
        assert "Topic 5" in turns[-3][1]  # the newest is kept and stands last
        sides = [turns[-3][1].count(word) for word in ("good", "bad")]
        assert abs(sides[0] - sides[1]) <= 1
        assert sides[0] == 150 or sides[0] < 100


def test_a_retriever_that_makes_positions_up_is_an_error():
    with pytest.raises(DataError, match="each position at most once"):
        RetrievalJudge(ledger([]), {"ada": HISTORY}, lambda query, documents, k: [0, 0]).compare(
            [comparison(user="ada")]
        )
