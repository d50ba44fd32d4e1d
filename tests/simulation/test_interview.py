"""Asking one user: the right questions, answers kept and learned from at once."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from opposites import judged, population

from reward_models.hierarchical_stylometric import HierarchicalStylometric
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.feedback import STARS, Rating, Trait
from synthesizeme.questions import FAULTS, KINDS, ResponseQuestion, TraitQuestion
from synthesizeme.simulation.interview import Interview
from synthesizeme.simulation.pool import pool_of, read_pool
from synthesizeme.stylometry import FEATURE
from synthesizeme.types import Comparison, PreferencePair, respondents


@pytest.fixture
def model():
    return HierarchicalStylometric().fit([pair for pair in population() if pair.split != "test"])


LABELLED = [judged("asked", number, calm=False, split="train") for number in range(50, 62)]
LOUD = {pair.chosen_text for pair in LABELLED}


def taste(question):
    """What a user who likes it loud answers."""
    return "first" if question.asked.first in LOUD else "second"


def test_answers_refit_the_user_at_once_and_are_not_asked_again(model):
    interview = Interview(model, "new", pool_of(LABELLED))
    shared, seen, beliefs = model.fit_.weights.copy(), [], []
    for _ in range(5):
        (question,) = interview.next()
        assert question.asked.user_id == "new"
        seen.append(question.asked.pair_id)
        beliefs.append(question.probability if taste(question) == "first" else 1 - question.probability)
        answer = interview.answer(question, taste(question))
        assert answer.chosen_text in LOUD
    assert len(set(seen)) == 5
    assert interview.left == len(LABELLED) - 5
    assert beliefs[-1] > 0.8 > beliefs[0]
    assert (model.fit_.weights == shared).all()
    assert len(interview.history) == 5
    assert respondents(interview.history) == "human"


def test_questions_come_best_first_and_a_skipped_one_never_again(model):
    interview = Interview(model, "new", pool_of(LABELLED))
    several = interview.next(len(LABELLED) + 3)
    assert len(several) == len(LABELLED)
    assert all(a.bits >= b.bits - 1e-9 for a, b in pairwise(several[:2]))
    interview.skip(several[0])
    assert several[0].asked.pair_id not in {q.asked.pair_id for q in interview.next(20)}
    for question in several:
        interview.skip(question)
    assert interview.next() == []


def test_what_the_history_answers_is_not_asked(model):
    known = [pair.model_copy(update={"user_id": "new"}) for pair in LABELLED[:4]]
    interview = Interview(model, "new", pool_of(LABELLED), known)
    assert interview.left == len(LABELLED) - 4
    again = Interview(model, "new", pool_of(LABELLED), [interview.answer(interview.next()[0], "first")])
    assert again.left == len(LABELLED) - 1


def test_the_label_of_a_pair_does_not_show_in_the_order(model):
    pool = pool_of(LABELLED)
    assert pool == pool_of([pair.swapped_labels() for pair in LABELLED])
    sides = [taste(question) for question in Interview(model, "new", pool).next(len(pool))]
    assert 2 <= sides.count("first") <= len(sides) - 2


def test_a_user_known_from_elsewhere_is_not_replaced_by_one_answer(model):
    interview = Interview(model, "c0", pool_of(LABELLED))
    assert interview.would_forget
    with pytest.raises(DataError, match="from pairs that are not here"):
        interview.answer(interview.next()[0], "first")


def test_a_model_without_a_joint_posterior_is_refused():
    class Plain:
        name = "lore"

    with pytest.raises(ConfigError, match="lore does not know how sure"):
        Interview(Plain(), "u", [])


ROW = {"prompt": "Why?", "first": "Because.", "second": "For many reasons."}


def pool_file(tmp_path, *rows):
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_pool_takes_plain_rows_messages_and_pairs(tmp_path):
    messages = [{"role": "user", "content": "Where?"}]
    pair = {
        "user_id": "ann", "prompt": messages, "chosen": [{"role": "assistant", "content": "Here."}],
        "rejected": [{"role": "assistant", "content": "There."}], "pair_id": "mine",
    }  # fmt: skip
    swapped = {**ROW, "first": ROW["second"], "second": ROW["first"]}
    found = read_pool(pool_file(tmp_path, ROW, pair, swapped))
    assert [item.prompt[-1].content for item in found] == ["Why?", "Where?"]
    assert found[1].pair_id == "mine"
    assert {found[1].first, found[1].second} == {"Here.", "There."}
    assert {item.user_id for item in found} == {""}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"prompt": "Why?", "first": "Because."}, "holds no comparison"),
        ({**ROW, "second": " Because. "}, "same text"),
        ({**ROW, "second": ""}, "second.*is blank"),
        ({**ROW, "prompt": [{"role": "assistant", "content": "Hi"}]}, "does not end with a user turn"),
        ({**ROW, "prompt": " "}, "blank"),
        ({**ROW, "pair_id": 7}, "is no id"),
        ({**ROW, "first": 3}, "expected a string or messages"),
    ],
)
def test_a_bad_row_of_a_pool_is_named(tmp_path, row, problem):
    with pytest.raises(DataError, match=rf"pool\.jsonl:2: .*{problem}"):
        read_pool(pool_file(tmp_path, ROW, row))


def test_two_comparisons_with_one_id_and_an_empty_pool_are_refused(tmp_path):
    other = {"pair_id": "a", "prompt": "How?", "first": "So.", "second": "Thus."}
    with pytest.raises(DataError, match="two different comparisons have the id 'a'"):
        read_pool(pool_file(tmp_path, {**ROW, "pair_id": "a"}, other))
    with pytest.raises(DataError, match="the file is empty"):
        read_pool(pool_file(tmp_path))


def asked_for(interview, kind):
    return next(it for it in interview.next(interview.left) if isinstance(it.asked, kind))


def test_kinds_compete_by_what_they_tell(model):
    pool = pool_of(LABELLED)
    interview = Interview(model, "new", pool, kinds=("trait", "rating", "pair"))
    traits = len(FEATURE) - len(FAULTS)
    assert interview.left == len(pool) + 2 * len(pool) + traits
    (best,) = interview.next()
    each = {kind: Interview(model, "new", pool, kinds=(kind,)).next()[0].bits for kind in KINDS}
    assert best.bits == pytest.approx(max(each.values()))
    assert len({round(bits, 6) for bits in each.values()}) == 3


def test_each_answer_is_kept_as_what_it_is_and_asked_no_more(model):
    interview = Interview(model, "new", pool_of(LABELLED), kinds=KINDS)
    answers = ((TraitQuestion, "no matter"), (ResponseQuestion, 4), (Comparison, "first"))
    said = [interview.answer(asked_for(interview, kind), answer) for kind, answer in answers]
    assert [type(it) for it in said] == [Trait, Rating, PreferencePair]
    assert (said[0].answer, said[1].level, said[1].scale) == ("no matter", 4, STARS)
    assert {it.user_id for it in said} == {"new"}
    assert all(it.metadata["information_bits"] > 0 for it in said)
    again = Interview(model, "new", pool_of(LABELLED), said, kinds=KINDS)
    assert again.left == interview.left
    assert said[0].feature not in {getattr(it.asked, "feature", "") for it in again.next(again.left)}


@pytest.mark.parametrize(
    ("kind", "answer", "problem"),
    [
        ("pair", "third", "expected first or second"),
        ("rating", 6, "value is 6; expected 1 to 5"),
        ("rating", "good", "valid number"),
        ("trait", "perhaps", "'yes', 'no' or 'no matter'"),
    ],
)
def test_an_answer_that_the_question_does_not_have_is_refused_and_changes_nothing(
    model, kind, answer, problem
):
    interview = Interview(model, "new", pool_of(LABELLED), kinds=(kind,))
    (question,) = interview.next()
    with pytest.raises(DataError, match=f"no answer to the question.*{problem}"):
        interview.answer(question, answer)
    assert (interview.history, interview.next()) == ([], [question])


def test_a_kind_that_there_is_not_is_named(model):
    with pytest.raises(ConfigError, match="found 'essay'; expected some of pair, rating, trait"):
        Interview(model, "u", [], kinds=("pair", "essay"))
    with pytest.raises(ConfigError, match="found none"):
        Interview(model, "u", [], kinds=())
