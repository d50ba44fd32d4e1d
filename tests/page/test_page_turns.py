"""What is asked, in which order and on which side, and what an answer makes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from synthesizeme.errors import DataError
from synthesizeme.feedback import Ranking, Rating, Tie
from synthesizeme.page.next_turn import APART, GOLD_EVERY, ONE_IN, next_turn
from synthesizeme.page.pool import Item, read_items, sample_pool, with_gold
from synthesizeme.page.turns import AGAIN, History, Turn, chosen_side, read_answer, said_id
from synthesizeme.questions import AnswerBeliefs
from synthesizeme.types import Message, PreferencePair


def item(number, responses=("b", "a"), gold=None):
    texts = tuple(sorted(f"{text} {number}" for text in responses))
    return Item(f"q{number}", (Message(role="user", content=f"Q {number}?"),), texts, gold)


def read(tmp_path, *rows, **more):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_items(path, **more)


class Telling:
    """A model that is unsure of one item more than of all others."""

    def __init__(self, prompt):
        self.prompt = prompt

    def answer_posterior(self, user_id, questions):
        own = np.array([2.0 if it.prompt[0].content == self.prompt else 0.1 for it in questions])
        read = np.concatenate([own, [1.0]])
        return AnswerBeliefs(np.zeros(len(own)), np.outer(read, read), [(0.0,)] * len(own))


def answers(items, history, number, choice="first", user="ann", model=None):
    """The history after so many answers to what comes next."""
    asked = []
    for _ in range(number):
        turn = next_turn(items, user, history, (), model)
        asked.append(turn)
        said = read_answer(turn, {"choice": choice}, {})
        history = History([*history.pairs, *([said] if isinstance(said, PreferencePair) else [])],
                          [it for it in (*history.given, said) if not isinstance(it, PreferencePair)])  # fmt: skip
    return asked, history


def test_the_sample_has_sixty_questions_with_two_answers_each():
    found = read_items(sample_pool())
    assert len({it.key for it in found}) == len(found) == 60
    assert {it.kind for it in found} == {"pair"}


def test_rows_without_labels_say_how_much_is_asked_of_them(tmp_path):
    found = read(
        tmp_path, {"prompt": "Q?", "responses": ["a", "b", "c"]}, {"prompt": "R?", "first": "x", "second": "y"},
        {"prompt": "S?", "response": "z"}, {"item_id": "t", "prompt": [{"role": "user", "content": "T?"}]},
        {"prompt": "R?", "first": "y", "second": "x"},
    )  # fmt: skip
    assert [(it.kind, len(it.responses)) for it in found] == [
        ("ranking", 3),
        ("pair", 2),
        ("rating", 1),
        ("rating", 0),
    ]
    assert found[3].item_id == "t"
    for row, wrong in (
        ({"prompt": "Q?", "responses": ["a", "a "]}, "same text"), ({"prompt": "Q?", "responses": ["a"] * 9}, "same"),
        ({"prompt": "Q?", "responses": [str(n) for n in range(9)]}, "at most 8"), ({"prompt": "Q?", "response": " "}, "no text"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=wrong):
            read(tmp_path, row)


def test_every_format_of_the_importers_is_a_pool_and_labels_are_left_behind(tmp_path):
    rows = (
        {"prompt": "Q?", "chosen": "b", "rejected": "a"},
        {"prompt": "R?", "response_a": "x", "response_b": "y", "winner": "tie"},
    )
    (one,) = read(tmp_path, rows[0])
    assert one.responses == ("a", "b")
    (other,) = read(tmp_path, rows[1])
    assert other.responses == ("x", "y")
    (rated,) = read(tmp_path, {"prompt": "Q?", "completion": "c", "label": True})
    assert rated.kind == "rating"


def test_gold_pairs_know_the_better_answer_and_stand_for_their_equals(tmp_path):
    gold = read(tmp_path, {"prompt": "Q?", "chosen": "b", "rejected": "a"}, gold=True)
    assert [it.gold for it in gold] == ["b"]
    plain = read(
        tmp_path, {"prompt": "Q?", "first": "a", "second": "b"}, {"prompt": "R?", "first": "a", "second": "b"}
    )
    assert [(it.prompt[0].content, it.gold) for it in with_gold(plain, gold)] == [("Q?", "b"), ("R?", None)]


def test_sides_are_drawn_for_each_person_and_stay():
    items = [item(number) for number in range(200)]
    first = [Turn(it, "ann").responses[0] == it.responses[0] for it in items]
    assert 70 < sum(first) < 130
    assert first == [Turn(it, "ann").responses[0] == it.responses[0] for it in items]
    other = [Turn(it, "bo").responses[0] == it.responses[0] for it in items]
    assert 60 < sum(one == two for one, two in zip(first, other, strict=True)) < 140
    turn = Turn(items[0], "ann")
    assert Turn(items[0], "ann", again=True).responses == turn.responses[::-1]
    many = Turn(item(1, "abcd"), "ann")
    assert sorted(many.responses) == list(many.item.responses)


@pytest.mark.parametrize("side", ["first", "second"])
def test_a_choice_is_a_pair_with_what_was_shown(side):
    turn = Turn(item(1), "ann")
    pair = read_answer(turn, {"choice": side, "reason": " it is \n short "}, {"agreed": "x"})
    place = ("first", "second").index(side)
    assert pair.chosen_text == turn.responses[place]
    assert pair.rejected_text == turn.responses[1 - place]
    assert pair.reason == "it is short"
    assert pair.metadata["shown_first"] == ("chosen" if side == "first" else "rejected")
    assert pair.metadata["agreed"] == "x"
    assert chosen_side(turn, pair) == side
    assert pair.created_at is not None


def test_ties_ratings_and_rankings_are_of_their_kinds():
    tie = read_answer(Turn(item(1), "ann"), {"choice": "bad"}, {})
    assert isinstance(tie, Tie)
    assert (tie.both, chosen_side(Turn(item(1), "ann"), tie)) == ("bad", "bad")
    rating = read_answer(Turn(item(1, "a"), "ann"), {"value": "4"}, {})
    assert isinstance(rating, Rating)
    assert (rating.value, rating.scale.levels) == (4, 5)
    turn = Turn(item(1, "abc"), "ann")
    ranking = read_answer(turn, {"rank_1": "5", "rank_2": "2", "rank_3": "5"}, {})
    assert isinstance(ranking, Ranking)
    assert ranking.responses[0] == turn.responses[1]
    assert ranking.ranks == (1, 2, 2)


@pytest.mark.parametrize(("responses", "form", "wrong"), [
    ("ab", {}, "no answer"), ("ab", {"choice": "third"}, "no answer"), ("a", {"value": "6"}, "1 to 5"),
    ("a", {"value": "²"}, "1 to 5"), ("abc", {"rank_1": "1"}, "rank is missing"),
    ("abc", {"rank_1": "1", "rank_2": "1", "rank_3": "1"}, "same rank"), ("abc", {f"rank_{n}": "1e3" for n in (1, 2, 3)}, "missing"),
])  # fmt: skip
def test_a_form_without_an_answer_is_refused(responses, form, wrong):
    with pytest.raises(DataError, match=wrong):
        read_answer(Turn(item(1, responses), "ann"), form, {})


def test_one_in_ten_comes_again_with_the_sides_exchanged_and_some_time_later():
    items = [item(number) for number in range(50)]
    asked, history = answers(items, History((), ()), 40)
    again = [place for place, turn in enumerate(asked, 1) if turn.again]
    assert again == [ONE_IN * n for n in range(1, 5)]
    for place in again:
        turn = asked[place - 1]
        earlier = next(n for n, it in enumerate(asked, 1) if it.item == turn.item)
        assert place - earlier > APART
        assert turn.responses == asked[earlier - 1].responses[::-1]
        assert turn.said_id == asked[earlier - 1].said_id + AGAIN
    assert len({turn.said_id for turn in asked}) == 40
    assert history.consistency == (0, 4)  # who always takes the left one contradicts themself
    _, steady = answers(items, History((), ()), 40, "tie")
    assert steady.consistency == (4, 4)


def test_the_same_history_asks_the_same_and_the_end_comes():
    items = [item(number) for number in range(8)]
    asked, history = answers(items, History((), ()), 8)
    assert next_turn(items, "ann", history, (), None) is None
    assert [turn.item for turn in answers(items, History((), ()), 8)[0]] == [turn.item for turn in asked]


def test_what_tells_most_comes_first_unless_the_order_is_that_of_the_file():
    items = [item(number) for number in range(6)]
    model = Telling("Q 4?")
    assert next_turn(items, "ann", History((), ()), (), model).item == items[4]
    assert next_turn(items, "ann", History((), ()), (), model, "file").item == items[0]


def test_pairs_come_before_ratings_and_these_before_rankings_and_skipped_ones_last():
    items = [item(1, "abc"), item(2, "a"), item(3), item(4)]
    assert [turn.item.kind for turn in (next_turn(items, "ann", History((), ()), (), None),)] == ["pair"]
    passed = [Turn(it, "ann").said_id for it in items[2:]]
    assert next_turn(items, "ann", History((), ()), passed, None).item == items[1]
    everything = [Turn(it, "ann").said_id for it in items]
    assert next_turn(items, "ann", History((), ()), everything, None).item == items[2]
    assert next_turn([Item("p", items[0].prompt, ())], "ann", History((), ()), (), None) is None


def test_known_answers_are_mixed_in():
    items = [item(0, gold="a 0"), item(1, gold="b 1"), *(item(number) for number in range(2, 40))]
    asked, _ = answers(items, History((), ()), 2 * GOLD_EVERY)
    assert [place for place, turn in enumerate(asked) if turn.item.gold] == [2, 2 + GOLD_EVERY]


def test_history_is_in_the_order_of_time_and_knows_every_kind():
    items = [item(1), item(2)]
    first = read_answer(Turn(items[0], "ann"), {"choice": "tie"}, {})
    second = read_answer(Turn(items[1], "ann"), {"choice": "first"}, {})
    history = History([second], [first])
    assert [said_id(it) for it in history.given] == ["q1@ann", "q2@ann"]
    assert history.last == second
    assert history.of_pool(items) == 2
    assert History((), ()).last is None
