"""Texts that are no answers are shown to a reward model beside the answers that its users chose."""

from __future__ import annotations

import opposites
import pytest

import reward_models
from synthesizeme.evaluation.controls import LongerResponse
from synthesizeme.evaluation.measurement import joined
from synthesizeme.evaluation.no_answers import KINDS, Beaten, KindBeaten, answers_beaten
from synthesizeme.evaluation.personal import measure_fold
from synthesizeme.evaluation.report import measured_row
from synthesizeme.evaluation.tables import leaderboard
from synthesizeme.types import Failure, Message, Reward

MODEL = "hierarchical-stylometric"
PAIRS = opposites.population(2, 1)
ELSEWHERE = "another prompt's answer"


class Rates:
    """A reward that is a function of user, prompt and response, and remembers what it was asked."""

    def __init__(self, reward):
        self.reward, self.asked = reward, []

    def score(self, answers):
        self.asked += [(it.user_id, it.prompt, it.response) for it in answers]
        found = [self.reward(it.user_id, it.prompt[-1].content, it.response) for it in answers]
        return [it if isinstance(it, Failure) else Reward(value=it, probability=0.5) for it in found]


def chosen_of(pairs):
    return {(pair.user_id, pair.prompt[-1].content): pair.chosen_text for pair in pairs}


def test_nothing_beats_a_reward_that_knows_the_answers_and_all_beats_its_opposite():
    answers = chosen_of(PAIRS)
    for sign, share in ((1, 0.0), (-1, 1.0)):
        model = Rates(lambda user, prompt, text, sign=sign: sign * (text == answers[user, prompt]))
        found = answers_beaten(model, PAIRS)
        assert found.pairs == len(PAIRS)
        assert set(found.kinds) == set(KINDS) - {"keywords"}, "these prompts have too few words for it"
        assert (found.mean, found.worst[1]) == (share, share)
    assert answers_beaten(Rates(lambda *_: 1.0), PAIRS).mean == 0, "as high is not above"


def test_each_text_is_put_for_the_pairs_own_user_and_prompt_and_counted_under_its_kind():
    prompts = {pair.prompt[-1].content for pair in PAIRS}
    model = Rates(lambda user, prompt, text: 1.0 * (text.split("\n")[0] in prompts))
    found = answers_beaten(model, PAIRS)
    echoes = {"echo", "echo twice"}
    assert {kind for kind, it in found.kinds.items() if it.above} <= echoes | {"echo as a question"}
    for kind in echoes:
        assert found.kinds[kind].share == 1
    assert found.worst == ("echo", 1.0)
    assert found.mean == pytest.approx(sum(it.share for it in found.kinds.values()) / len(found.kinds))
    assert {(user, prompt[-1].content) for user, prompt, _ in model.asked} == set(chosen_of(PAIRS))
    assert len(model.asked) == found.pairs + sum(it.asked for it in found.kinds.values())


def test_another_answer_is_a_chosen_one_to_another_prompt_and_there_is_none_where_all_have_one():
    answers = chosen_of(PAIRS)
    model = Rates(
        lambda user, prompt, text: 1.0 * (text in answers.values() and text != answers[user, prompt])
    )
    found = answers_beaten(model, PAIRS)
    assert found.worst == (ELSEWHERE, 1.0)
    same = tuple([Message(role="user", content="Well?")])
    alone = answers_beaten(Rates(lambda *_: 0.0), [it.model_copy(update={"prompt": same}) for it in PAIRS])
    assert {ELSEWHERE, "glued to another answer"} & set(alone.kinds) == set()
    assert "echo" in alone.kinds


def test_pairs_are_drawn_by_the_seed_and_texts_do_not_depend_on_the_other_pairs_drawn():
    few, again, others, every = (Rates(lambda *_: 0.0) for _ in range(4))
    assert answers_beaten(few, PAIRS, 7).pairs == 7
    answers_beaten(again, PAIRS, 7)
    answers_beaten(others, PAIRS, 7, seed=1)
    answers_beaten(every, PAIRS, 10**6)
    assert few.asked == again.asked != others.asked
    assert set(few.asked) < set(every.asked)


def test_who_gives_no_reward_is_not_asked_and_a_refused_user_is_left_out():
    assert answers_beaten(LongerResponse(), PAIRS) is None
    model = Rates(lambda *_: 0.0)
    assert answers_beaten(model, PAIRS, 0) is None
    assert answers_beaten(model, []) is None
    assert model.asked == []
    refused = Failure(kind="unknown_user", detail="refused")
    known = Rates(lambda user, *_: refused if user == "c0" else 0.0)
    assert answers_beaten(known, PAIRS).pairs == sum(pair.user_id != "c0" for pair in PAIRS)
    assert answers_beaten(Rates(lambda *_: refused), PAIRS) is None


def test_the_mean_is_over_kinds_and_the_worst_is_the_first_of_the_highest():
    kinds = {"echo": (100, 1), "json": (2, 1), "hex": (4, 2), "base64": (1, 0)}
    found = Beaten(
        pairs=100,
        kinds={kind: KindBeaten(asked=asked, above=above) for kind, (asked, above) in kinds.items()},
    )
    assert found.mean == pytest.approx((0.01 + 0.5 + 0.5 + 0) / 4)
    assert found.worst == ("json", 0.5)
    assert Beaten.model_validate_json(found.model_dump_json()) == found


def test_a_floor_is_what_keeps_them_down_and_the_row_and_the_table_say_so():
    whole = opposites.benchmark()
    (fold,) = whole.folds
    rows = []
    for floor in ("none", "base"):
        model = reward_models.method(MODEL)(floor=floor)
        part = measure_fold(model, whole, fold, no_answers=12)
        assert part.no_answers.pairs == 12
        found = joined(floor, "reward model", [part])
        assert found.no_answers == part.no_answers
        rows.append(measured_row(found, pairs=fold.test, everyone=fold.test))
    bare, floored = (row.no_answers for row in rows)
    assert bare.kinds.keys() == floored.kinds.keys()
    assert floored.mean < bare.mean / 2
    for kind in ("first sentence repeated", "doubled"):
        assert bare.kinds[kind].share > 0.5
        assert floored.kinds[kind].share == 0
    assert measure_fold(model, whole, fold).no_answers is None
    kind, share = bare.worst
    text = leaderboard([*rows, rows[0].model_copy(update={"name": "judge", "no_answers": None})])
    assert f" {100 * bare.mean:.1f} ({kind} {100 * share:.1f}) |" in text
    assert "- **no answer beats chosen**: " in text
    assert "beats chosen" not in leaderboard([row.model_copy(update={"no_answers": None}) for row in rows])
