"""The search of a few factors, which a loss that is flat near its lowest point leaves."""

from __future__ import annotations

import numpy as np
import pytest
from joint_posterior import planted

from reward_models._effects import NONE
from reward_models._hierarchy import Rows, Variances
from reward_models._left_out import SEEN_OR_NEW, START, Factors, Pairs, loss, lowest, searched


@pytest.mark.parametrize("dimensions", [2, 3])
def test_it_finds_the_lowest_point_of_a_quadratic_surface(dimensions):
    rng = np.random.default_rng(dimensions)
    missed, left = [], []
    for _ in range(40):
        centre = rng.uniform(-2.5, 2.5, size=dimensions)
        turn = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
        bend = (turn * rng.uniform(0.3, 2, size=dimensions)) @ turn.T

        def surface(at, centre=centre, bend=bend):
            return float((at - centre) @ bend @ (at - centre))

        found = lowest(surface, dimensions)
        missed.append(np.linalg.norm(found - centre))
        left.append(surface(found) / surface(np.zeros(dimensions)))
    assert np.median(missed) < 0.15
    assert np.quantile(missed, 0.8) < 0.4
    assert max(left) < 0.25, "of the way down"


@pytest.mark.parametrize("dimensions", [2, 3])
def test_it_never_ends_worse_than_where_it_began_and_stays_within_bounds(dimensions):
    rng = np.random.default_rng(7)
    for trial in range(30):
        a, b = rng.normal(size=(2, dimensions))
        tried = {}

        def rough(at, a=a, b=b, tried=tried):
            return tried.setdefault(
                tuple(at), float(np.sin(3 * at @ a) + np.cos(2 * at @ b) - 0.2 * at.sum())
            )

        found = lowest(rough, dimensions)
        assert tried[tuple(found)] == min(tried.values()) <= tried[(0.0,) * dimensions], trial
        assert np.abs(list(tried)).max() <= 4
        assert len(tried) <= 1 + 2 * dimensions + 10, "no more points than it may try"


def test_a_slope_without_end_is_followed_to_the_bound_and_a_plain_one_left_where_it_began():
    assert lowest(lambda at: -float(at[0]), 2)[0] >= 3.5
    assert lowest(lambda at: 1.0, 2).tolist() == [0, 0]


def test_equal_points_are_tried_once():
    asked = []
    lowest(lambda at: asked.append(tuple(at)) or float((at**2).sum()), 3)
    assert len(set(asked)) == len(asked)


ONES = Variances(np.ones(4), np.ones(4))


def users_of(*, shared=1.0, own=1.0, items=0.0, texts=24, seed=0):
    rng = np.random.default_rng(seed)
    sizes = {"users": 16, "pairs": 14, "shared": 4, "own": 4, "items": texts}
    return planted(rng, **sizes, shared_variance=shared, own_variance=own, item_variance=items)[0]


def test_the_factors_found_predict_better_than_where_the_search_began_and_than_the_built_in_ones():
    for drawn in ({"own": 0.05, "items": 2.0}, {"shared": 0.1, "own": 2.0, "items": 0.1}):
        pairs = Pairs(users_of(**drawn), ONES)
        found = loss(pairs.left_out(searched(pairs), SEEN_OR_NEW))
        for other in (START, Factors(1, 1, 1), Factors(1, 1, 0.1)):
            assert found <= loss(pairs.left_out(other, SEEN_OR_NEW)) + 1e-4
    assert found < loss(pairs.left_out(START, SEEN_OR_NEW)) - 1e-3


def test_the_factors_follow_what_the_pairs_were_drawn_with():
    alike, apart = (searched(Pairs(users_of(own=own, items=0.5), ONES)) for own in (0.02, 2.0))
    assert alike.own < apart.own / 5
    plain, strong = (searched(Pairs(users_of(own=0.3, items=items), ONES)) for items in (0.02, 3.0))
    assert plain.items < strong.items / 5


def test_texts_that_do_not_recur_have_no_variance_of_effects():
    users = [Rows(rows.shared, rows.own, np.full_like(rows.items, NONE)) for rows in users_of()]
    assert searched(Pairs(users, ONES)).items == 0.0
