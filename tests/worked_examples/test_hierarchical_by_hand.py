"""The hierarchical model on one feature, worked out on paper.

**One pair.** Chosen minus rejected is x = 1 for everybody and z = 1 for the user; priors w ~ N(0, S), v ~ N(0, V).
The margin is f = w + v ~ N(0, k) with k = S + V. The mode of log sigma(f) - f^2 / 2k is where f = k (1 - sigma(f)).
With k = 4 ln 3 that is f = ln 3, since sigma(ln 3) = 3/4: the slope 1 - sigma = 1/4 is pulled back by f / k = 1/4.
Each part gets its share: w = S / 4, v = V / 4. The curvature of -log sigma there is W = 3/4 * 1/4 = 3/16, so

    posterior precision of f    1 / k + 3 / 16
    log evidence                ln(3/4) - (ln 3)^2 / 2k - ln(1 + 3k / 16) / 2,   and (ln 3)^2 / 2k = ln 3 / 8
    without the pair            nothing is known: mean 0, variance k

**Two people, one pair each.** Both chose the same thing, x = z = 1. Now f = w + v_u, and w is pulled twice: by
symmetry w = 2 S (1 - sigma(f)), v_u = V (1 - sigma(f)), so that f = ln 3 where 2 S + V = 4 ln 3. Without the first
person's pair the second's is a measurement of f_2 with working value t = ln 3 + (1/4) / (3/16) = ln 3 + 4/3 and noise
16/3; as cov(f_1, f_2) = S,

    left-out margin             S t / (S + V + 16/3),   left-out variance   S + V - S^2 / (S + V + 16/3)
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from reward_models._hierarchy import Problem, Rows, fit_own

LN3 = math.log(3)


def same(n):
    """n pairs of one user, each x = z = 1."""
    return Rows(shared=np.ones((n, 1)), own=np.ones((n, 1)))


def fitted(users, s, v):
    return Problem(users, np.array([s]), np.array([v])).fit()


@pytest.mark.parametrize("share", [0.5, 0.1, 0.999])
def test_one_pair(share):
    k = 4 * LN3
    s, v = share * k, (1 - share) * k
    fit = fitted([same(1)], s, v)
    assert fit.weights == pytest.approx([s / 4])
    own = fit_own(same(1), fit.weights, np.array([v]))
    assert own.mean == pytest.approx([v / 4])
    # the prior precision of w, and the pair's: W^-1 plus the variance of v that it is seen through
    assert fit.covariance[0, 0] == pytest.approx(1 / (1 / s + 1 / (16 / 3 + v)))
    assert fit.log_evidence == pytest.approx(math.log(3 / 4) - LN3 / 8 - math.log(1 + 3 * k / 16) / 2)
    assert fit.left_out == pytest.approx([0], abs=1e-6)
    assert fit.left_out_variance == pytest.approx([k])
    # the variance of w + v: that of v given w, and what w adds to it
    seen = own.own_factor[0, 0]
    given = v - seen**2
    assert given == pytest.approx(1 / (1 / v + 3 / 16))
    whole = given + (1 - own.shared_factor[0, 0] * seen) ** 2 * fit.covariance[0, 0]
    assert whole == pytest.approx(1 / (1 / k + 3 / 16))


def test_the_same_pair_twice_counts_twice():
    """f = 2 k (1 - sigma(f)) is ln 3 where k = 2 ln 3; without either pair the other one is left: that is the case
    of one pair, measured at t = ln 3 + 4/3 with noise 16/3.
    """
    k = 2 * LN3
    fit = fitted([same(2)], k / 2, k / 2)
    assert fit.weights == pytest.approx([k / 4])
    assert fit.log_evidence == pytest.approx(2 * math.log(3 / 4) - LN3 / 4 - math.log(1 + 6 * k / 16) / 2)
    assert fit.left_out == pytest.approx([k * (LN3 + 4 / 3) / (k + 16 / 3)] * 2)
    assert fit.left_out_variance == pytest.approx([k - k**2 / (k + 16 / 3)] * 2)


def test_two_people_who_chose_the_same():
    s, v = 1.5 * LN3, LN3  # 2 S + V = 4 ln 3
    fit = fitted([same(1), same(1)], s, v)
    assert fit.weights == pytest.approx([2 * s / 4])
    for _ in range(2):
        assert fit_own(same(1), fit.weights, np.array([v])).mean == pytest.approx([v / 4])
    t, noise = LN3 + 4 / 3, 16 / 3
    assert fit.left_out == pytest.approx([s * t / (s + v + noise)] * 2)
    assert fit.left_out_variance == pytest.approx([s + v - s**2 / (s + v + noise)] * 2)
    assert fit.covariance[0, 0] == pytest.approx(1 / (1 / s + 2 / (noise + v)))


def test_two_people_who_chose_the_opposite():
    """The pulls on w cancel; each deviation is that of one person alone with k = V = 4 ln 3."""
    v = 4 * LN3
    rows = [same(1), Rows(shared=-np.ones((1, 1)), own=-np.ones((1, 1)))]
    fit = fitted(rows, 1.0, v)
    assert fit.weights == pytest.approx([0], abs=1e-9)
    for sign, user in zip((1, -1), rows, strict=True):
        assert fit_own(user, fit.weights, np.array([v])).mean == pytest.approx([sign * LN3])
    assert (fit.left_out < 0).all(), "the other person says the opposite"
