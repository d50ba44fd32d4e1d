"""Tastes are believed where they help users they were not learned from; and how sharp probabilities may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from joint_posterior import planted
from planted_tastes import OWN, VARIANCES, fitted, population

from reward_models._hierarchy import Problem, Rows, Variances
from reward_models._left_out import CASES
from reward_models._tastes import MOST_TASTES, OWN_FACTORS, sharpness_by_case, tried, with_tastes

V = VARIANCES.own
WITH_ITEMS = replace(VARIANCES, items=0.5)


def test_tastes_are_kept_where_users_differ_and_refused_where_they_do_not():
    kept = {}
    for name, planted_ in (("alike", {}), ("apart", {"along": 2.0})):
        kept[name] = []
        for seed in range(3):
            users, _, _ = population(80, 10, seed=seed, **planted_)
            kept[name].append(tried(users, fitted(users), VARIANCES, V).tastes.count)
    assert sum(count > 0 for count in kept["alike"]) == 0
    assert sum(count > 0 for count in kept["apart"]) == 3


def test_tastes_of_responses_alone_are_kept():
    users, _, meaning = population(60, 14, items=12, apart=2.0)
    trial = tried(users, fitted(users, WITH_ITEMS, 12), WITH_ITEMS, V)
    assert trial.tastes.count == MOST_TASTES
    assert trial.tastes.items.shape == (12, MOST_TASTES)
    strongest = np.linalg.svd(trial.tastes.items)[0][:, 0]
    assert abs(np.corrcoef(strongest, meaning)[0, 1]) > 0.95
    assert trial.own_factor in OWN_FACTORS


def test_the_features_a_user_is_judged_with_are_learned_from_the_other_half():
    users, _, _ = population(80, 10, along=2.0)
    fit = fitted(users)
    trial = tried(users, fit, VARIANCES, V)
    assert trial.tastes.count, "believed"
    other = Rows(users[7].shared, np.random.default_rng(0).normal(size=(10, OWN)), users[7].items)
    changed = tried([*users[:7], other, *users[8:]], fit, VARIANCES, V)
    assert changed.tastes.count, "still believed"

    def learned_features(trial, u):
        rows = trial.crossed[u].own
        assert rows.shape == (10, OWN + MOST_TASTES)
        return rows[:, OWN:]

    same = [
        np.array_equal(learned_features(trial, u), learned_features(changed, u)) for u in range(80) if u != 7
    ]
    assert sum(same) == 39, "all others of the half that user 7 is in, and nobody else"
    mates = [u for u, equal in zip([u for u in range(80) if u != 7], same, strict=True) if equal]
    half = np.concatenate([trial.crossed[u].own for u in mates])
    features = np.linalg.lstsq(half[:, :OWN], half[:, OWN:], rcond=None)[0]
    for there in (trial, changed):  # what the user chose has no part in the user's own features
        expected = there.crossed[7].own[:, :OWN] @ features
        np.testing.assert_allclose(learned_features(there, 7), expected, atol=1e-8)


def test_where_tastes_are_refused_nothing_changes():
    users, _, _ = population(80, 10)
    trial = tried(users, fitted(users), VARIANCES, V)
    assert trial.tastes.features.shape == (OWN, 0)
    assert trial.crossed == users
    assert trial.own_factor == 1.0


def test_too_few_users_have_no_tastes():
    users, _, _ = population(9, 30, along=3.0)
    assert tried(users, fitted(users), VARIANCES, V).tastes.count == 0


def test_the_seed_divides_the_users():
    users, _, _ = population(80, 10, along=2.0)
    fit = fitted(users)
    one, same, other = (tried(users, fit, VARIANCES, V, seed=seed) for seed in (1, 1, 2))
    assert one.crossed[0].own.tobytes() == same.crossed[0].own.tobytes()
    assert one.crossed[0].own.tobytes() != other.crossed[0].own.tobytes()


def test_variances_beside_tastes():
    found = with_tastes(WITH_ITEMS, 3, 0.5)
    assert found.own.tolist() == [*(0.5 * V), 1, 1, 1]
    assert found.items == 0.5
    assert found.shared is WITH_ITEMS.shared


DRAWN = Variances(np.full(4, 0.6), np.full(4, 0.6), items=0.6)


@pytest.fixture(scope="module")
def drawn():
    """Pairs drawn from the prior `DRAWN`."""
    sizes = {"users": 80, "pairs": 20, "shared": 4, "own": 4, "items": 60}
    rng = np.random.default_rng(3)
    return planted(rng, **sizes, shared_variance=0.6, own_variance=0.6, item_variance=0.6)[0]


def sharp(users, variances, effects):
    """From a fit of these rows."""
    problem = Problem(users, variances, effects)
    return sharpness_by_case(users, variances, problem.fit(), 0, problem)


def test_rows_whose_problem_is_not_given_are_fitted_again(drawn):
    found = sharpness_by_case(drawn, DRAWN, Problem(drawn, DRAWN, 60).fit(), 0)
    assert found == pytest.approx(sharp(drawn, DRAWN, 60), rel=0.2)


def test_under_the_true_variances_probabilities_are_as_sharp_as_they_are(drawn):
    found = sharp(drawn, DRAWN, 60)
    assert set(found) == set(CASES)
    assert found == pytest.approx(dict.fromkeys(CASES, 1.0), abs=0.4)  # of nobody, from 128 pairs


def test_under_wrong_variances_they_are_made_softer_or_sharper(drawn):
    wide = Variances(DRAWN.shared, 30 * DRAWN.own, 20.0)
    narrow = Variances(DRAWN.shared / 30, DRAWN.own / 30, 0.02)
    too_sure, too_timid = (sharp(drawn, some, 60) for some in (wide, narrow))
    assert too_sure["seen"] < 0.85
    assert all(too_timid[case] > 1.15 for case in ("seen", "new"))


def test_cases_that_do_not_occur_have_the_sharpness_of_the_nearest(drawn):
    alone = sharp(drawn[:1], DRAWN, 60)
    assert alone["nobody"] == alone["seen"]
    assert alone["nobody, new"] == alone["new"]
    bare = [Rows(rows.shared, rows.own, np.full_like(rows.items, -1)) for rows in drawn]
    without = sharp(bare, replace(DRAWN, items=0.0), 0)
    assert without["new"] == without["seen"]
    assert without["nobody, new"] == without["nobody"] != without["seen"]
