"""Stage 3: what is better wins, what is lucky does not, and nothing is judged beyond the limit."""

from __future__ import annotations

import random

import pytest
from dspy.utils.exceptions import ContextWindowExceededError
from hypothesis import given
from hypothesis import strategies as st
from invented import pair

from synthesizeme.backends import Session, open_model
from synthesizeme.backends.scripted import scripted_model
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.personas import SynthesizeMe, selection
from synthesizeme.personas.selection import (
    CandidateSet,
    TracePool,
    candidate_report,
    draw_demonstrations,
    draw_orders,
    successive_halving,
)
from synthesizeme.personas.stages import FEW
from synthesizeme.types import ORDERS, Demonstration, Failure, Verdict, preferred_side


class Skilled:
    """Is right about a pair with probability `skill`, by a hash of its name: the same in both orders."""

    order_sensitive = True

    def __init__(self, name, skill):
        self.name, self.skill, self.asked = name, skill, []

    def compare(self, comparisons):
        self.asked += comparisons
        return [self.verdict(comparison) for comparison in comparisons]

    def verdict(self, comparison):
        right = random.Random(f"{self.name}/{comparison.pair_id}").random() < self.skill
        side = "first" if right == comparison.first.startswith("Six feet") else "second"
        return Verdict(preference=side, probability=float(side == "first"))


def validation(count, world):
    return [(pair(n, user=f"world-{world}"), order) for n in range(count) for order in ORDERS]


def candidate(name, skill, demonstrations=()):
    return CandidateSet(name, tuple(demonstrations), Skilled(name, skill))


def shown(number):
    """So many demonstrations of pairs that nothing is scored on."""
    return [
        Demonstration(comparison=pair(n, user="shown").compare(ORDERS[0]), preference="first")
        for n in range(number)
    ]


def run(world, n_validation, *, base=0.6, skills=(0.6,) * 4, calls=60, out_of_fold=()):
    """One race in one invented world; returns (base, candidates, winner)."""
    items = validation(n_validation, world)
    start = candidate(f"base-{world}", base)
    start.judge_items([*items, *out_of_fold])
    others = [candidate(f"{world}-{n}", skill, shown(7)) for n, skill in enumerate(skills)]
    winner = successive_halving(start, others, items, out_of_fold, calls_left=lambda: calls - spent(others))
    return start, others, winner


def spent(candidates):
    return sum(len(one.judge.asked) for one in candidates)


def accuracy(one):
    return sum(one.scores.values()) / max(1, len(one.scores))


WORLDS = 200


def test_without_a_pair_to_score_on_demonstrations_are_taken_and_clear_losses_are_not():
    base, one = candidate("base", 0), candidate("one", 0, shown(7))
    assert one.beats(base), "on average they gain"
    base.scores, one.scores = {("a", ORDERS[0]): 1.0}, {("a", ORDERS[0]): 0.0}
    assert not one.beats(base)


@pytest.mark.parametrize("n_validation", [5, 8])
def test_luck_is_recorded_as_what_it_is(n_validation):
    """Of useless candidates the chosen one looks far better by bare accuracy than the record says."""
    races = [run(world, n_validation) for world in range(WORLDS)]
    chosen = [(start, winner) for start, _, winner in races if winner is not start]
    bare = [accuracy(winner) - accuracy(start) for start, winner in chosen]
    recorded = [winner.shrunken_gain(start) for start, winner in chosen]
    assert sum(recorded) < 0.9 * sum(bare)
    clear = [
        start for start, winner in chosen if winner.shrunken_gain(start) > 2 * winner.standard_error(start)
    ]
    assert len(clear) < 0.1 * WORLDS


def test_a_small_true_gain_is_mostly_taken():
    """Demonstrations that are worth eight points are chosen in most worlds, though none could prove it."""
    races = [run(world, 8, skills=(0.68,) * 4) for world in range(WORLDS)]
    assert sum(winner is not start for start, _, winner in races) > 0.6 * WORLDS


@pytest.mark.parametrize(("n_validation", "wins"), [(8, 0.75), (15, 0.85)])
def test_a_really_better_candidate_wins(n_validation, wins):
    """One candidate is always right, the base and the others six times in ten."""
    won = 0
    for world in range(WORLDS):
        _, others, winner = run(world, n_validation, skills=(0.6, 1.0, 0.6, 0.6))
        won += winner is others[1]
    assert won > wins * WORLDS


def test_a_worse_candidate_never_wins():
    for world in range(50):
        start, _, winner = run(world, 6, base=1.0, skills=(0.3,) * 4)
        assert winner is start


def test_the_gain_by_hand():
    """Gains of 1, 1 and -.5 on three pairs, three demonstrations: (1.5 + 4 * .02) / (3 + 4)."""
    base, one = candidate("base", 0), candidate("one", 0, shown(3))
    base.scores = {("a", o): 0.0 for o in ORDERS} | {
        ("b", ORDERS[0]): 0.0,
        ("c", ORDERS[0]): 1.0,
        ("e", ORDERS[0]): 1.0,
    }
    one.scores = {("a", o): 1.0 for o in ORDERS} | {
        ("b", ORDERS[0]): 1.0,
        ("c", ORDERS[0]): 0.5,
        ("d", ORDERS[0]): 1.0,
    }
    assert one.shrunken_gain(base) == pytest.approx(1.58 / 7)
    # variance ((1 - m)^2 + (1 - m)^2 + (-.5 - m)^2 + 4 * .5) / 7 with m = .2257: error sqrt(.532 / 7) = .2757
    assert one.standard_error(base) == pytest.approx(0.2757, abs=2e-4)
    many = {(str(n), ORDERS[0]): 0.0 for n in range(8)}
    base.scores, one.scores = many, dict.fromkeys(many, 1.0)
    assert one.shrunken_gain(base) == pytest.approx(8.08 / 12)
    assert one.beats(base)
    assert candidate("unscored", 0, shown(3)).shrunken_gain(base) == pytest.approx(0.02)
    one.failures = 4  # a call that failed is a pair lost against a coin
    assert one.shrunken_gain(base) == pytest.approx((8.08 - 2) / 16)


def test_a_candidate_is_never_scored_on_pairs_it_shows_nor_twice():
    items = validation(4, "x")
    own = [
        Demonstration(comparison=one.compare(order), preference=preferred_side(order))
        for one, order in items[:2]
    ]
    one = candidate("one", 1.0, own)
    assert one.pair_ids == {items[0][0].pair_id}
    one.judge_items(items)
    one.judge_items(items)
    assert [c.pair_id for c in one.judge.asked] == [p.pair_id for p, _ in items[2:]]
    assert set(one.scores) == {(p.pair_id, order) for p, order in items[2:]}


def test_ties_count_half_and_failures_are_counted_apart():
    class Odd(Skilled):
        def verdict(self, comparison):
            if comparison.pair_id.endswith("0"):
                return Verdict(preference="tie", probability=0.5)
            if comparison.pair_id.endswith("1"):
                return Failure(kind="parse", detail="?")
            return super().verdict(comparison)

    one = CandidateSet("odd", (), Odd("odd", 1.0))
    one.judge_items(validation(3, "x"))
    assert sorted(one.scores.values()) == [0.5, 0.5, 1.0, 1.0]
    report = candidate_report(one, candidate("base", 0), selected=True)
    assert (report.correct, report.judged, report.failures, report.selected) == (3.0, 4, 2, True)
    assert report.name == "odd"
    assert candidate_report(one, one, selected=False).shrunken_gain == 0.0


@given(calls=st.integers(0, 40) | st.just(1000), n_validation=st.integers(0, 8), count=st.integers(0, 8))
def test_a_race_never_spends_more_calls_than_are_left(calls, n_validation, count):
    train = [(pair(n, user="train"), ORDERS[0]) for n in range(5)]
    _, others, _ = run("x", n_validation, skills=(0.5,) * count, calls=calls, out_of_fold=train)
    assert spent(others) <= calls


def test_poor_candidates_stop_early_and_the_calls_go_to_the_rest():
    _, others, winner = run("x", 12, skills=(0.0, 0.0, 0.0, 1.0), calls=200)
    assert winner is others[3]
    assert sorted(len(one.scores) for one in others) == [8, 8, 16, 24]


def test_a_race_without_contenders_keeps_the_base_and_without_items_takes_the_first():
    _, others, winner = run("x", 0)
    assert winner is others[0]
    start, _, winner = run("x", 5, skills=())
    assert winner is start


TRAIN = [pair(n, user="train") for n in range(10)]
ORDER = draw_orders(TRAIN, seed=0)


def pool_of(explained):
    pool = TracePool()
    for n, one in enumerate(TRAIN):
        side = preferred_side(ORDER[one.pair_id])
        said = side if n in explained else "tie"
        pool.add(one, ORDER[one.pair_id], Verdict(preference=said, probability=0.5, reasoning=f"r{n}"))
    return pool


def draw(explained, count=4, largest=8, seed=0):
    return draw_demonstrations(pool_of(explained), TRAIN, ORDER, count=count, largest=largest, seed=seed)


def test_drawn_sets_differ_fit_and_show_no_pair_twice():
    drawn = draw(range(6))
    assert len(drawn) == 4
    assert len({name for name, _ in drawn}) == 4
    sets = [frozenset(d.comparison.pair_id for d in demonstrations) for _, demonstrations in drawn]
    assert len(set(sets)) == 4
    for (_, demonstrations), ids in zip(drawn, sets, strict=True):
        assert len(demonstrations) == len(ids) <= 8
        for demonstration in demonstrations:
            one = next(p for p in TRAIN if p.pair_id == demonstration.comparison.pair_id)
            assert getattr(demonstration.comparison, demonstration.preference) == one.chosen_text
            assert bool(demonstration.reasoning) == (TRAIN.index(one) < 6)


def test_draws_depend_on_the_seed_alone():
    assert draw(range(6)) == draw(range(6))
    assert draw(range(6)) != draw(range(6), seed=1)


def test_a_small_pool_gives_fewer_sets_and_none_gives_labels_only():
    assert all(not d.reasoning for _, demonstrations in draw(()) for d in demonstrations)
    only = draw_demonstrations(pool_of(()), TRAIN[:1], ORDER, count=8, largest=12, seed=0)
    assert [len(demonstrations) for _, demonstrations in only] == [1]


def test_a_set_is_no_longer_than_what_is_shown_of_it_may_be(monkeypatch):
    size = max(len(p.prompt[-1].content) + len(p.chosen_text) + len(p.rejected_text) for p in TRAIN) + 40
    monkeypatch.setattr(selection, "MOST_CHARACTERS", 3 * size)
    assert {len(demonstrations) for _, demonstrations in draw(range(6))} <= {3, 4}


def test_a_model_with_a_small_window_is_shown_few_demonstrations():
    """Larger sets fail whole; they do not win by the gain that demonstrations bring on average."""
    reader = open_model("builtin").lm.engine

    def script(request):
        if len(request.messages) > 2 * FEW + 1:
            return ContextWindowExceededError()
        return reader.complete(request).message.text

    pairs = planted_population(1, 40, seed=3, split=True).by_user
    (own,) = pairs.values()
    found = SynthesizeMe(Session(scripted_model(script))).fit(own)
    assert 0 < len(found.demonstrations) <= FEW
    assert found.provenance.failures["too_long"] > 0
    assert len(SynthesizeMe("builtin").fit(own).demonstrations) > FEW
