"""Tastes: found where they were planted, in features and in single responses."""

from __future__ import annotations

import numpy as np
import pytest
from planted_tastes import DIRECTION, OWN, SHARED, VARIANCES, WEIGHTS, nobodys, population
from scipy.special import expit

from reward_models import _tastes
from reward_models._effects import NONE
from reward_models._hierarchy import Rows, fit_own
from reward_models._tastes import MOST_TASTES, Tastes, learned, no_tastes

V = VARIANCES.own


def leading(tastes):
    """The strongest taste, in features and responses together, with its strength and that of the next."""
    whole = np.concatenate([tastes.features, tastes.items])
    directions, strengths, _ = np.linalg.svd(whole, full_matrices=False)
    return directions[:, 0], strengths[0], strengths[1]


def test_the_planted_direction_comes_first_at_about_its_size():
    users, _, _ = population(300, 12, along=1.5)
    tastes = learned(users, nobodys(users), V, 0)
    assert tastes.count == MOST_TASTES
    assert tastes.features.shape == (OWN, MOST_TASTES)
    assert tastes.items.shape == (0, MOST_TASTES)
    direction, strength, next_ = leading(tastes)
    assert abs(direction @ DIRECTION) > 0.95
    assert 0.4 < strength < 1.5, "the penalty shrinks it"
    assert next_ < strength / 3


def test_choices_that_everybody_would_make_say_nothing_of_tastes():
    for seed in range(2):
        users, _, _ = population(300, 12, along=1.5, seed=seed, weights=3 * WEIGHTS)
        direction, strength, next_ = leading(learned(users, nobodys(users, 3 * WEIGHTS), V, 0))
        assert abs(direction @ DIRECTION) > 0.95
        assert next_ < strength / 5


def test_what_responses_mean_to_users_is_found_with_the_direction_and_without_it():
    for along in (1.0, 0.0):
        users, _, meaning = population(200, 20, along=along, items=30, apart=1.5)
        tastes = learned(users, nobodys(users), V, 30)
        direction, strength, next_ = leading(tastes)
        assert abs(np.corrcoef(direction[OWN:], meaning)[0, 1]) > 0.95
        assert next_ < strength / 3
        if along:
            assert direction[:OWN] @ DIRECTION * np.sign(direction[OWN:] @ meaning) > 0, "in the same users"
            assert np.abs(direction[:OWN]).argmax() == DIRECTION.argmax()


def likelihood(users, tastes):
    """Log likelihood of the choices, the users' tastes integrated out over draws from their prior."""
    draws = np.random.default_rng(5).normal(size=(tastes.count, 4000))
    total = 0.0
    for rows, base in zip(users, nobodys(users), strict=True):
        each = -np.logaddexp(0, -(base[:, None] + tastes.of(rows) @ draws)).sum(axis=0)
        total += np.logaddexp.reduce(each) - np.log(draws.shape[1])
    return total


def test_every_pass_makes_the_choices_more_likely_and_the_moments_are_where_it_starts(monkeypatch):
    users, _, _ = population(100, 16, along=1.5, items=20, apart=1.0)
    found = []
    for passes in range(5):
        monkeypatch.setattr(_tastes, "PASSES", passes)
        found.append(likelihood(users, learned(users, nobodys(users), V, 20)))
    nothing = likelihood(users, Tastes(np.zeros((OWN, 1)), np.zeros((20, 1))))
    assert found[0] > nothing + 1, "the moments know something"
    assert (np.diff(found) > 0).all()
    assert found[-1] > found[0] + 10


def right(users, tastes, learned_from=12):
    """Share of the users' later pairs told right by the tastes of their first ones."""
    found = []
    for rows, base in zip(users, nobodys(users), strict=True):
        q = tastes.of(rows)
        known = Rows(rows.shared[:learned_from], q[:learned_from], rows.items[:learned_from])
        own = fit_own(known, base[:learned_from], np.ones(tastes.count))
        found.append(base[learned_from:] + q[learned_from:] @ own.mean > 0)
    return np.concatenate(found).mean()


def test_learned_tastes_tell_more_of_new_users_than_the_moments_and_the_plain_features(monkeypatch):
    users, _, _ = population(200, 16, along=1.0, items=30, apart=1.5)
    new, _, _ = population(300, 30, along=1.0, items=30, apart=1.5, seed=9)
    plain = Tastes(np.diag(np.sqrt(V)), np.zeros((30, OWN)))
    by_em = learned(users, nobodys(users), V, 30)
    monkeypatch.setattr(_tastes, "PASSES", 0)
    by_moments = learned(users, nobodys(users), V, 30)
    assert right(new, by_em) > right(new, by_moments) + 0.05
    assert right(new, by_moments) > right(new, plain) - 0.01


def test_the_moments_are_those_of_the_formula():
    users, _, _ = population(7, 3, along=1.0, seed=1)
    moments, curvature = np.zeros((OWN, OWN)), np.zeros((OWN, OWN))
    for rows, base in zip(users, nobodys(users), strict=True):
        p = expit(base)
        z = rows.own * np.sqrt(V)
        for i in range(3):
            curvature += p[i] * (1 - p[i]) * np.outer(z[i], z[i])
            for j in range(3):
                moments += (i != j) * (1 - p[i]) * (1 - p[j]) * np.outer(z[i], z[j])
    ridged = curvature + np.trace(curvature) / OWN * np.eye(OWN)
    found = _tastes._moments(users, nobodys(users), V) / np.sqrt(V)[:, None]
    assert 2 <= found.shape[1] <= MOST_TASTES
    inner = found.T @ ridged @ found / 7  # directions are orthogonal under the ridged curvature
    np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-9)
    assert (np.diff(np.diag(inner)) <= 1e-12).all(), "the largest first"
    for column, variance in zip(found.T, np.diag(inner), strict=True):
        np.testing.assert_allclose(moments @ column, variance * (ridged @ column), atol=1e-9)


def test_the_last_step_solves_the_ridge_regression():
    """C and e as one dense regression of the pairs' targets on products of features and tastes."""
    rng = np.random.default_rng(2)
    users, _, _ = population(6, 5, along=1.0, items=4, apart=1.0)
    k, n = 2, 30
    x = np.concatenate([np.concatenate([rows.own for rows in users]), np.zeros((n, 4))], axis=1)
    for row, (first, second) in zip(x, np.concatenate([rows.items for rows in users]), strict=True):
        row[OWN + first] += 1
        row[OWN + second] -= 1
    curvature, target, mean = rng.uniform(0.1, 0.3, n), rng.normal(size=n), rng.normal(size=(n, k))
    second = mean[:, :, None] * mean[:, None, :] + np.eye(k) / 2
    start = Tastes(rng.normal(size=(OWN, k)), rng.normal(size=(4, k)))
    found = _tastes._Regression(users, V, 4).solved(start, curvature, target, mean, second)
    penalty = _tastes.PENALTY * np.concatenate([1 / V, np.ones(4)])
    hessian = np.einsum("n,nkl,ni,nj->ikjl", curvature, second, x, x).reshape(16 * k, 16 * k)
    hessian += np.diag(np.repeat(penalty, k))
    aim = np.einsum("n,nk,ni->ik", curvature * target, mean, x).ravel()
    expected = np.linalg.solve(hessian, aim).reshape(16, k)
    np.testing.assert_allclose(np.concatenate([found.features, found.items]), expected, atol=1e-3)


def test_taste_features_of_pairs_and_how_they_are_joined():
    rng = np.random.default_rng(0)
    tastes = Tastes(rng.normal(size=(OWN, 2)), rng.normal(size=(3, 2)))
    rows = Rows(np.zeros((3, SHARED)), rng.normal(size=(3, OWN)), np.array([[0, 2], [1, NONE], [NONE, NONE]]))
    e = tastes.items
    expected = rows.own @ tastes.features + [e[0] - e[2], e[1], [0, 0]]
    np.testing.assert_allclose(tastes.of(rows), expected, atol=1e-12)
    (joined,) = tastes.joined([rows])
    np.testing.assert_array_equal(joined.own, np.concatenate([rows.own, tastes.of(rows)], axis=1))
    assert joined.shared is rows.shared
    assert joined.items is rows.items
    assert no_tastes(OWN, 3).joined([rows]) == [rows]


def test_rows_that_do_not_differ_have_no_tastes():
    nothing = Rows(np.ones((4, SHARED)), np.zeros((4, OWN)), np.full((4, 2), NONE))
    tastes = learned([nothing] * 20, [np.zeros(4)] * 20, V, 0)
    assert tastes.features.shape == (OWN, 0)
    sure = learned([nothing] * 20, [np.full(4, 800.0)] * 20, V, 0)
    assert sure.count == 0


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_features_of_any_size_have_finite_tastes(scale):
    users, _, _ = population(30, 6, along=1.0, items=5, apart=1.0)
    scaled = [Rows(rows.shared, scale * rows.own, rows.items) for rows in users]
    tastes = learned(scaled, nobodys(users), V, 5)
    assert np.isfinite(tastes.features).all()
    assert np.isfinite(tastes.items).all()
