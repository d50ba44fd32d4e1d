"""Krippendorff's alpha against published tables and its definition; people who judged the same pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesizeme.datasets import read_pairs
from synthesizeme.errors import DataError
from synthesizeme.evaluation.agreement import (
    Judged,
    agreement,
    alpha_interval,
    alphas_without,
    judged_pairs,
    krippendorff_alpha,
)
from synthesizeme.evaluation.intervals import left_open
from synthesizeme.feedback import THUMBS, Rating, Tie
from synthesizeme.types import Message

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
_ = None
PUBLISHED = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3),
    (_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _),
)
"""Krippendorff (2011), section C: four observers, twelve units, values missing."""
TWO = ((1, 1, 2, 2, 4, 3, 3, 3, 5, 4, 4, 1), (2, 1, 2, 2, 2, 3, 3, 3, 5, 4, 4, 4))
"""Section B: two observers, twelve units, five nominal values a, b, c, d, e."""
TABLES = st.lists(
    st.lists(st.sampled_from([_, -1, 0, 1]), min_size=5, max_size=5), min_size=2, max_size=5
)  # fmt: skip
METRICS = ("nominal", "ordinal")


def judged(table):
    """A row for each annotator, a column for each item."""
    return [
        Judged(item, f"a{number}", value)
        for number, row in enumerate(table)
        for item, value in enumerate(row)
        if value is not None
    ]


def by_definition(table, metric):
    """Alpha from all ordered pairs of values, one by one."""
    columns = [[v for v in column if v is not None] for column in zip(*table, strict=True)]
    columns = [column for column in columns if len(column) > 1]
    values = [v for column in columns for v in column]
    n, count = len(values), values.count

    def delta(c, k):
        if metric == "nominal":
            return float(c != k)
        low, high = sorted((c, k))
        between = sum(low < v < high for v in values)
        return 0.0 if c == k else (count(low) / 2 + between + count(high) / 2) ** 2

    observed = sum(
        delta(c, k) / (len(column) - 1)
        for column in columns
        for i, c in enumerate(column)
        for j, k in enumerate(column)
        if i != j
    )
    expected = sum(delta(c, k) for i, c in enumerate(values) for j, k in enumerate(values) if i != j)
    return 1 - (n - 1) * observed / expected if expected else None


@pytest.mark.parametrize(("metric", "alpha"), [("nominal", 0.743), ("ordinal", 0.815)])
def test_the_published_example_comes_out(metric, alpha):
    assert round(krippendorff_alpha(judged(PUBLISHED), metric), 3) == alpha


def test_two_observers_of_five_nominal_values():
    assert round(krippendorff_alpha(judged(TWO)), 3) == 0.692


@given(TABLES, st.sampled_from(METRICS))
def test_alpha_is_what_its_definition_says(table, metric):
    found, expected = krippendorff_alpha(judged(table), metric), by_definition(table, metric)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


@given(TABLES, st.sampled_from(METRICS), st.lists(st.booleans(), min_size=5, max_size=5))
def test_mirrored_alpha_does_not_depend_on_how_an_item_is_turned(table, metric, turned):
    other = [
        [v if v is None or not turn else -v for v, turn in zip(row, turned, strict=True)] for row in table
    ]
    first, second = (krippendorff_alpha(judged(it), metric, mirrored=True) for it in (table, other))
    both_ways = [[*row, *(v if v is None else -v for v in row)] for row in table]
    doubled = by_definition(both_ways, metric)
    assert first == (None if doubled is None else pytest.approx(doubled, abs=1e-12))
    assert second == (None if doubled is None else pytest.approx(doubled, abs=1e-12))


@given(TABLES)
def test_leaving_one_out_is_alpha_without_that_row(table):
    for name, alpha in alphas_without(judged(table)).items():
        rest = [[_] * 5 if f"a{i}" == name else row for i, row in enumerate(table)]
        expected = by_definition(rest, "nominal")
        assert alpha == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_what_cannot_be_said_is_none_and_a_second_value_is_refused():
    assert krippendorff_alpha([]) is None
    assert krippendorff_alpha(judged([[1, 0, 1]])) is None
    assert krippendorff_alpha(judged([[1, 1], [1, 1]])) is None
    nothing = alpha_interval([])
    assert (nothing.value, nothing.low, nothing.n_pairs, nothing.n_users) == (None, None, 0, 0)
    with pytest.raises(ValueError, match="twice"):
        krippendorff_alpha([Judged("x", "ann", 1), Judged("x", "ann", 1), Judged("x", "bob", 1)])


def test_the_interval_is_about_people_and_a_second_one_about_items():
    found = alpha_interval(judged(PUBLISHED), "ordinal")
    assert found.low < found.value < found.high <= 1
    assert (found.n_pairs, found.n_users) == (11, 4)
    assert found.for_these_users[0] < found.value < found.for_these_users[1]
    assert found == alpha_interval(judged(PUBLISHED), "ordinal")
    perfect = alpha_interval(judged([[0, 1, 1, 0]] * 3))
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    assert perfect.low == left_open(1.0, 3, (-1.0, 1.0))[0] < 0


def test_people_who_throw_coins_agree_as_chance_would_have_it():
    rng = np.random.default_rng(0)
    covered = 0
    for _trial in range(20):
        found = alpha_interval(judged(rng.integers(0, 2, (12, 40)).tolist()), resamples=400)
        covered += found.low <= 0 <= found.high
        assert found.for_these_users is None
    assert covered >= 16


def test_pairs_and_ties_of_the_same_texts_meet_whichever_side_they_stood_on(make_pair):
    hello = (Message(role="user", content="Hello?"),)
    tie = Tie(feedback_id="t", user_id="cy", prompt=hello, responses=("B ", "A"))
    rating = Rating(feedback_id="r", user_id="cy", prompt=hello, response="A", value=1, scale=THUMBS)
    given = [
        make_pair("p1", "ann", chosen="A", rejected="B"),
        make_pair("p2", "bob", chosen="B", rejected=" A"),
        tie,
        rating,
        make_pair("p3", "ann", chosen="A", rejected="B"),
        make_pair("p4", "bob", chosen="A", rejected="B"),
        make_pair("p5", "ann", chosen="C", rejected="D"),
        make_pair("p6", "cy", chosen="C", rejected="D"),
        make_pair("p7", "ann", chosen="A", rejected="B", prompt=(Message(role="user", content="Other?"),)),
    ]  # fmt: skip
    found = agreement(given)
    assert found.alone == 1
    assert [(it.ids, it.votes, it.disagreement) for it in found.compared] == [
        (("p1", "p2", "t", "p3", "p4"), (1, 1, 1), 1.0),
        (("p5", "p6"), (2, 0, 0), 0.0),
    ]
    by_name = {it.name: it for it in found.annotators}
    assert [it.name for it in found.annotators] == ["bob", "ann", "cy"]
    assert (by_name["ann"].agrees, by_name["bob"].agrees, by_name["cy"].ties) == (0.5, 0.0, 1)
    assert (by_name["ann"].repeats, by_name["ann"].repeated_alike) == (1, 1)
    assert (by_name["bob"].repeats, by_name["bob"].repeated_alike) == (1, 0)
    rows = judged_pairs(given)[0]
    assert found.nominal.value == krippendorff_alpha(rows, mirrored=True)
    assert by_name["bob"].alpha_without == krippendorff_alpha(
        [it for it in rows if it.annotator != "bob"], mirrored=True
    )


def test_people_and_simulations_do_not_meet(make_pair):
    with pytest.raises(DataError, match="simulations"):
        agreement([make_pair("a"), make_pair("b", "v", metadata={"simulated": "role"})])


@pytest.mark.skipif(not (SHARED / "llmfao.jsonl.gz").exists(), reason="the shared human data is not there")
def test_crowd_workers_agree_more_than_by_chance_and_far_from_always():
    found = agreement(read_pairs(SHARED / "llmfao.jsonl.gz").pairs)
    assert found.nominal.n_users == 91
    assert 0.2 < found.nominal.low < found.nominal.value < found.nominal.high < 0.6
    assert sum(sum(it.votes) for it in found.compared) + found.alone == 3298
