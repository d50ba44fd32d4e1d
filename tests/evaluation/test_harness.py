from __future__ import annotations

import pytest

from synthesizeme.errors import DataError, SynthesizeMeError
from synthesizeme.evaluation.harness import Outcome, evaluate, pool, repeated
from synthesizeme.types import Failure, Verdict

FIRST = Verdict(preference="first", probability=0.9)
SECOND = Verdict(preference="second", probability=0.2)
TIE = Verdict(preference="tie", probability=0.5)
LOST = Failure(kind="transport", detail="connection reset")
GARBLED = Failure(kind="parse", detail="no verdict in the reply")


@pytest.fixture
def worked(make_pair, scripted):
    """Five pairs of two users. What is said when "good" (chosen) / "bad" (rejected) is shown first:

    | pair | user | good first | bad first     | score                          |
    | a    | ann  | first (+)  | second (+)    | 1                              |
    | b    | ann  | first (+)  | first (-)     | 1/2, inconsistent              |
    | c    | ann  | tie        | second (+)    | 3/4 (half) or 1/2 (wrong)      |
    | d    | bob  | second (-) | transport     | 0, one order lost              |
    | e    | bob  | parse      | parse         | none: a failure, not wrong     |
    """
    said = {
        "a": (FIRST, SECOND),
        "b": (FIRST, FIRST),
        "c": (TIE, SECOND),
        "d": (SECOND, LOST),
        "e": (GARBLED, GARBLED),
    }
    pairs = [make_pair(i, "ann" if i in "abc" else "bob") for i in said]
    table = {
        (i, first): result
        for i, two in said.items()
        for first, result in zip(("good", "bad"), two, strict=True)
    }
    return pairs, scripted(table)


def test_worked_example_ties_half(worked):
    pairs, scorer = worked
    outcome = evaluate(scorer, pairs)
    assert outcome.scores == {"a": 1.0, "b": 0.5, "c": 0.75}, "d failed in one order, e in both"
    assert outcome.micro == pytest.approx(2.25 / 3)
    assert outcome.macro == pytest.approx(0.75), "the second user has d and e alone"
    assert (outcome.n_pairs, outcome.n_users, outcome.n_questions) == (5, 2, 10)
    assert outcome.ties == 1
    assert outcome.failures == {"parse": 2, "transport": 1}
    assert outcome.coverage == 3 / 5
    assert outcome.order_consistency == pytest.approx(1 / 3)  # a of a, b, c
    # a: first, second; b: first, first; c: tie, second -> 3 first, 2 second, 1 tie of 6
    assert outcome.position_bias == pytest.approx((3 + 0.5) / 6 - 0.5)


def test_worked_example_ties_wrong_is_the_paper_protocol(worked):
    pairs, scorer = worked
    outcome = evaluate(scorer, pairs, ties="wrong")
    assert outcome.scores == {"a": 1.0, "b": 0.5, "c": 0.5}
    full = Outcome(scorer="s", pairs=outcome.pairs[:3])
    over_orders = [r.choice == "chosen" for p in full.pairs for r in p.results]
    assert full.micro == pytest.approx(sum(over_orders) / len(over_orders))  # 4 of 6


def test_probability_of_the_chosen_text_is_averaged_over_both_orders(worked):
    pairs, scorer = worked
    by_id = {p.pair_id: p for p in evaluate(scorer, pairs).pairs}
    assert by_id["a"].p_chosen == pytest.approx((0.9 + (1 - 0.2)) / 2)
    assert by_id["b"].p_chosen == pytest.approx((0.9 + (1 - 0.9)) / 2)
    assert [by_id[i].p_chosen for i in "de"] == [None, None], "what one order says depends on the order"
    assert [by_id[i].score for i in "de"] == [None, None]
    assert [by_id[i].consistent for i in "abcde"] == [True, False, False, None, None]


def test_everything_is_asked_in_one_batch_without_the_label(worked):
    pairs, scorer = worked
    evaluate(scorer, pairs)
    assert len(scorer.batches) == 1
    asked = scorer.batches[0]
    assert len(asked) == 10
    assert {(c.pair_id, c.first) for c in asked} == set(scorer.table)
    assert not any("chosen" in field for c in asked for field in type(c).model_fields)


def test_the_scorer_decides_on_orders_unless_told(make_pair, scripted):
    pairs = [make_pair("a")]
    table = {("a", "good"): FIRST, ("a", "bad"): SECOND}
    for sensitive, told, questions in [(True, None, 2), (False, None, 1), (True, False, 1), (False, True, 2)]:
        outcome = evaluate(scripted(table, order_sensitive=sensitive), pairs, both_orders=told)
        assert outcome.n_questions == questions


class AlwaysFirst:
    name = "always first"
    order_sensitive = False

    def compare(self, comparisons):
        return [FIRST for _ in comparisons]


class EvenPlaces(AlwaysFirst):
    """Guesses that even places of the batch show the chosen response first."""

    name = "even places"

    def compare(self, comparisons):
        return [SECOND if i % 2 else FIRST for i in range(len(comparisons))]


def test_neither_position_nor_place_in_the_batch_carries_the_label(make_pair):
    pairs = [make_pair(f"pair-{i}") for i in range(2000)]
    one_order = evaluate(AlwaysFirst(), pairs)
    assert one_order.micro == pytest.approx(0.5, abs=0.035)  # three standard errors
    assert one_order.position_bias is None
    both = evaluate(AlwaysFirst(), pairs, both_orders=True)
    assert (both.micro, both.order_consistency, both.position_bias) == (0.5, 0.0, 0.5)
    assert evaluate(EvenPlaces(), pairs, both_orders=True).micro == pytest.approx(0.5, abs=0.035)


def test_drawn_orders_depend_on_pair_and_seed_only(make_pair):
    pairs = [make_pair(f"pair-{i}") for i in range(64)]

    def orders(seed, given):
        return {p.pair_id: p.results[0].order for p in evaluate(AlwaysFirst(), given, seed=seed).pairs}

    assert orders(0, pairs) == orders(0, pairs[::-1])
    assert orders(0, pairs) != orders(1, pairs)


def test_a_scorer_that_drops_an_answer_is_an_error(make_pair):
    class Short(AlwaysFirst):
        def compare(self, comparisons):
            return [FIRST] * (len(comparisons) - 1)

    with pytest.raises(SynthesizeMeError, match="returned 1 results for 2 comparisons"):
        evaluate(Short(), [make_pair("a"), make_pair("b")])


def test_repeated_pair_ids_are_refused(make_pair):
    with pytest.raises(DataError, match="'a'"):
        evaluate(AlwaysFirst(), [make_pair("a", "x"), make_pair("a", "y")])


def test_no_pairs_and_nothing_answered_have_no_accuracy(make_pair, outcome_of):
    empty = evaluate(AlwaysFirst(), [])
    assert (empty.micro, empty.macro, empty.coverage, empty.order_consistency) == (None, None, None, None)
    failed = outcome_of({"ann": [None, None]})
    assert (failed.micro, failed.macro, failed.coverage) == (None, None, 0.0)
    assert failed.failures == {"parse": 2}


def test_pool_joins_folds_and_refuses_overlap(outcome_of):
    first, second = outcome_of({"ann": [1, 0]}), outcome_of({"bob": [1, 1, None]})
    joined = pool([first, second])
    assert (joined.n_pairs, joined.n_users, joined.micro) == (5, 2, 0.75)
    with pytest.raises(DataError, match="more than once"):
        pool([first, first])
    with pytest.raises(ValueError, match="at least one"):
        pool([])


def test_an_outcome_round_trips_through_json(worked):
    outcome = evaluate(worked[1], worked[0])
    again = Outcome.model_validate_json(outcome.model_dump_json())
    assert again.pairs == outcome.pairs
    assert again.micro == outcome.micro


def test_pairs_asked_several_times_count_by_their_mean(outcome_of):
    first, second = outcome_of({"ann": [1, 0], "bob": [1]}), outcome_of({"ann": [0, 0], "bob": [1]})
    assert (first.micro, second.micro) == (2 / 3, 1 / 3)  # computed, and not carried over
    found = repeated([first, second])
    assert list(found.scores.values()) == [0.5, 0.0, 1.0]
    assert (found.n_pairs, found.n_users, found.n_questions) == (3, 2, 6)
    assert repeated([first, outcome_of({"ann": [1, 0], "bob": [None]})]).coverage == 2 / 3
    with pytest.raises(ValueError, match="same pairs"):
        repeated([first, outcome_of({"ann": [1, 0]})])
