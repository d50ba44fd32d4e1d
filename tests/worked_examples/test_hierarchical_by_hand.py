"""The hierarchical model on one feature, worked out on paper.

**One pair.** Chosen minus rejected is x = 1 for everybody and z = 1 for the user; priors w ~ N(0, S), v ~ N(0, V).
The margin is f = w + v ~ N(0, k) with k = S + V. The mode of log sigma(f) - f^2 / 2k is where f = k (1 - sigma(f)).
With k = 4 ln 3 that is f = ln 3, since sigma(ln 3) = 3/4: the slope 1 - sigma = 1/4 is pulled back by f / k = 1/4.
Each part gets its share: w = S / 4, v = V / 4. The curvature of -log sigma there is W = 3/4 * 1/4 = 3/16, so

    posterior precision of f    1 / k + 3 / 16
    without the pair            nothing is known: mean 0, variance k

**Two people, one pair each.** Both chose the same thing, x = z = 1. Now f = w + v_u, and w is pulled twice: by
symmetry w = 2 S (1 - sigma(f)), v_u = V (1 - sigma(f)), so that f = ln 3 where 2 S + V = 4 ln 3. Without the first
person's pair the second's is a measurement of f_2 with working value t = ln 3 + (1/4) / (3/16) = ln 3 + 4/3 and noise
16/3; as cov(f_1, f_2) = S,

    left-out margin             S t / (S + V + 16/3),   left-out variance   S + V - S^2 / (S + V + 16/3)

**One text against new ones.** Two people, one pair each, neither of whom has any feature: both chose text a, one over
b and one over c, which nobody else judged and which have no effect. Then f = beta_a for both, which is pulled twice:
beta_a = 2 tau (1 - sigma(f)) is ln 3 where tau = 2 ln 3. Without the other pair, or with a not seen in any pair, there
is one measurement t = ln 3 + 4/3 with noise 16/3, or none:

    seen     mean tau t / (tau + 16/3),   variance tau - tau^2 / (tau + 16/3)
    new      mean 0,                      variance tau
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from reward_models._effects import NONE
from reward_models._hierarchy import Problem, Rows, Variances, fit_own
from reward_models._left_out import Factors, Hidden, Pairs, left_out

LN3 = math.log(3)


def same(n, sign=1):
    """n pairs of one user, each x = z = 1 (or -1)."""
    ones = np.full((n, 1), float(sign))
    return Rows(shared=ones, own=ones, items=np.full((n, 2), NONE))


def fitted(users, s, v):
    """The fit, and every margin as if its pair had not been seen."""
    problem = Problem(users, Variances(np.array([s]), np.array([v])))
    fit = problem.fit()
    hidden = Hidden(users, sum(map(len, users)), 0)
    return fit, left_out(problem.mode(), fit.covariance, hidden)["seen"]


def own_of(fit, rows, v):
    return fit_own(rows, fit.offsets(rows), np.array([v]))


@pytest.mark.parametrize("share", [0.5, 0.1, 0.999])
def test_one_pair(share):
    k = 4 * LN3
    s, v = share * k, (1 - share) * k
    fit, unseen = fitted([same(1)], s, v)
    assert fit.weights == pytest.approx([s / 4])
    own = own_of(fit, same(1), v)
    assert own.mean == pytest.approx([v / 4])
    # the prior precision of w, and the pair's: W^-1 plus the variance of v that it is seen through
    assert fit.covariance[0, 0] == pytest.approx(1 / (1 / s + 1 / (16 / 3 + v)))
    assert unseen.margins == pytest.approx([0], abs=1e-6)
    assert unseen.variances == pytest.approx([k])
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
    fit, unseen = fitted([same(2)], k / 2, k / 2)
    assert fit.weights == pytest.approx([k / 4])
    assert unseen.margins == pytest.approx([k * (LN3 + 4 / 3) / (k + 16 / 3)] * 2)
    assert unseen.variances == pytest.approx([k - k**2 / (k + 16 / 3)] * 2)


def test_two_people_who_chose_the_same():
    s, v = 1.5 * LN3, LN3  # 2 S + V = 4 ln 3
    fit, unseen = fitted([same(1), same(1)], s, v)
    assert fit.weights == pytest.approx([2 * s / 4])
    for _ in range(2):
        assert own_of(fit, same(1), v).mean == pytest.approx([v / 4])
    t, noise = LN3 + 4 / 3, 16 / 3
    assert unseen.margins == pytest.approx([s * t / (s + v + noise)] * 2)
    assert unseen.variances == pytest.approx([s + v - s**2 / (s + v + noise)] * 2)
    assert fit.covariance[0, 0] == pytest.approx(1 / (1 / s + 2 / (noise + v)))


def test_two_people_who_chose_the_opposite():
    """The pulls on w cancel; each deviation is that of one person alone with k = V = 4 ln 3."""
    v = 4 * LN3
    rows = [same(1), same(1, -1)]
    fit, unseen = fitted(rows, 1.0, v)
    assert fit.weights == pytest.approx([0], abs=1e-9)
    for sign, user in zip((1, -1), rows, strict=True):
        assert own_of(fit, user, v).mean == pytest.approx([sign * LN3])
    assert (unseen.margins < 0).all(), "the other person says the opposite"


def test_one_text_that_two_people_chose():
    tau, t, noise = 2 * LN3, LN3 + 4 / 3, 16 / 3
    nothing = np.zeros((1, 1))
    users = [Rows(nothing, nothing, np.array([[0, NONE]]))] * 2
    problem = Problem(users, Variances(np.ones(1), np.ones(1), items=tau), 1)
    fit = problem.fit()
    assert fit.effects == pytest.approx([LN3])
    assert fit.weights == pytest.approx([0])
    assert fit.offsets(users[0]) == pytest.approx([LN3])
    assert fit.covariance[1, 1] == pytest.approx(1 / (1 / tau + 2 / noise))
    exact = left_out(problem.mode(), fit.covariance, Hidden(users, 2, 0))
    for found in (exact, Pairs(users, Variances(np.ones(1), np.ones(1))).left_out(Factors(items=tau))):
        assert found["seen"].margins == pytest.approx([tau * t / (tau + noise)] * 2, rel=1e-5)
        assert found["seen"].variances == pytest.approx([tau - tau**2 / (tau + noise)] * 2, rel=1e-5)
        assert found["new"].margins == pytest.approx([0, 0], abs=1e-5)
        assert found["new"].variances == pytest.approx([tau, tau], rel=1e-5)
