"""Directions in which users differ: found where they were planted, believed only where they help others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from reward_models._common_directions import believed, directions
from reward_models._hierarchy import Problem, Rows, fit_own

SHARED, OWN = 3, 12
V = np.full(OWN, 0.02)
P = np.ones(SHARED)
PLANTED = np.eye(OWN)[4]


def population(users, pairs, *, along=0.0, seed=0):
    """Rows of pairs as chosen minus rejected, users deviating along `PLANTED` with this standard deviation."""
    rng = np.random.default_rng(seed)
    w = np.array([1.0, -0.5, 0.0])
    found = []
    for _ in range(users):
        v = along * rng.normal() * PLANTED
        shared, own = rng.normal(size=(pairs, SHARED)), rng.normal(size=(pairs, OWN))
        sign = np.where(rng.random(pairs) < expit(shared @ w + own @ v), 1.0, -1.0)[:, None]
        found.append(Rows(shared * sign, own * sign))
    return found, w


def losses(fit):
    return np.logaddexp(0, -fit.left_out)


def cosine(column):
    return abs(column @ PLANTED) / np.linalg.norm(column)


def test_the_planted_direction_comes_first_at_about_its_size():
    users, w = population(300, 12, along=1.5)
    found = directions(users, w, V)
    assert cosine(found[:, 0]) > 0.95
    assert 0.3 < np.linalg.norm(found[:, 0]) < 1.5, "the ridge shrinks it"
    assert (np.linalg.norm(found[:, 1:], axis=0) < np.linalg.norm(found[:, 0]) / 2).all()


def test_the_moments_are_those_of_the_formula():
    users, w = population(7, 3, along=1.0, seed=1)
    moments, curvature = np.zeros((OWN, OWN)), np.zeros((OWN, OWN))
    for rows in users:
        p = expit(rows.shared @ w)
        z = rows.own * np.sqrt(V)
        for i in range(3):
            curvature += p[i] * (1 - p[i]) * np.outer(z[i], z[i])
            for j in range(3):
                moments += (i != j) * (1 - p[i]) * (1 - p[j]) * np.outer(z[i], z[j])
    ridged = curvature + np.trace(curvature) / OWN * np.eye(OWN)
    found = directions(users, w, V) / np.sqrt(V)[:, None]
    inner = found.T @ ridged @ found  # directions are orthogonal under the ridged curvature
    np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-9)
    for column, variance in zip(found.T, np.diag(inner) / 7, strict=True):
        np.testing.assert_allclose(moments @ column, variance * (ridged @ column), atol=1e-9)


def test_directions_are_believed_where_users_differ_and_not_where_they_do_not():
    found = {along: [] for along in (0.0, 1.5)}
    for along, kept in found.items():
        for seed in range(12):
            users, w = population(120, 10, along=along, seed=seed)
            kept.append(believed(users, w, (P, V), losses, seed=0))
    assert sum(common.shape[1] > 0 for common in found[0.0]) <= 2
    assert all(cosine(common[:, 0]) > 0.9 for common in found[1.5])


def test_believed_directions_predict_users_who_were_not_seen():
    users, w = population(150, 12, along=1.5)
    new, _ = population(600, 24, along=1.5, seed=9)
    common = believed(users, w, (P, V), losses, seed=0)
    right = {}
    for name, c in (("without", None), ("with", common)):
        fits = [fit_own(Rows(r.shared[:12], r.own[:12]), w, V, c) for r in new]
        margins = [r.shared[12:] @ w + r.own[12:] @ fit.mean for r, fit in zip(new, fits, strict=True)]
        right[name] = np.concatenate(margins) > 0
    assert right["with"].mean() > right["without"].mean() + 0.015


def test_too_few_users_have_no_directions():
    users, w = population(8, 10, along=2.0)
    assert believed(users, w, (P, V), losses, seed=0).shape == (OWN, 0)


def test_constant_rows_have_no_directions():
    users = [Rows(np.ones((4, SHARED)), np.zeros((4, OWN)))] * 20
    assert directions(users, np.zeros(SHARED), V).shape == (OWN, 0)
    assert believed(users, np.zeros(SHARED), (P, V), losses, seed=0).shape == (OWN, 0)


def test_a_common_part_of_the_prior_is_the_same_as_further_features():
    """Covariance V + C C^T on z is V on z and 1 on z C, side by side."""
    users, _ = population(6, 5, along=1.0)
    common = np.random.default_rng(3).normal(size=(OWN, 2))
    wide = [Rows(r.shared, np.concatenate([r.own, r.own @ common], axis=1)) for r in users]
    both = np.concatenate([V, np.ones(2)])
    one, other = Problem(users, P, V, common).fit(), Problem(wide, P, both).fit()
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-6)
    np.testing.assert_allclose(one.left_out, other.left_out, atol=1e-6)
    assert one.log_evidence == pytest.approx(other.log_evidence)
    own, wider = fit_own(users[0], one.weights, V, common), fit_own(wide[0], one.weights, both)
    fold = np.concatenate([np.eye(OWN), common], axis=1)
    np.testing.assert_allclose(own.mean, fold @ wider.mean, atol=1e-6)
    np.testing.assert_allclose(own.own_factor, wider.own_factor @ fold.T, atol=1e-6)
