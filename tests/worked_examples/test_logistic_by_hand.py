"""The rivals' regressions by hand, and against scikit-learn shown every pair both ways round."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from reward_models._effects import NONE
from reward_models.pooled import MARK, Design, Weights, regress

LN3 = math.log(3)


def rows(features, texts=None):
    features = np.asarray(features, dtype=np.float64)
    none = np.full(len(features), NONE)
    return Design(features, none if texts is None else np.asarray(texts, dtype=np.int64))


def test_four_like_pairs_of_one_feature():
    # w = C sum sigma(-w) x: with four differences of 1 and w = ln 3, sigma(-ln 3) = 1/4, so C = ln 3.
    found = regress(rows([[1.0]] * 4), rows([[0.0]] * 4), LN3)
    assert found.features == pytest.approx([LN3], rel=1e-4)
    assert found.values(rows([[1.0], [-2.0]])) == pytest.approx([LN3, -2 * LN3], rel=1e-4)


def test_one_pair_is_enough():
    # w = C sigma(-w) with w = ln 3 and one difference of 1: C = 4 ln 3.
    found = regress(rows([[1.0]]), rows([[0.0]]), 4 * LN3)
    assert found.features == pytest.approx([LN3], rel=1e-4)


def test_a_text_that_is_always_chosen_over_another_is_worth_half_the_margin():
    # Columns a and -a of height 1/2 make the margin a; a = C 4 sigma(-a) / 2 with a = ln 3: C = 2 ln 3.
    chosen, rejected = rows([[0.0]] * 4, [3] * 4), rows([[0.0]] * 4, [7] * 4)
    found = regress(chosen, rejected, 2 * LN3)
    assert found.features == pytest.approx([0.0], abs=1e-9)
    assert found.numbers.tolist() == [3, 7]
    assert found.texts == pytest.approx([LN3 / 2, -LN3 / 2], rel=1e-4)
    unknown = rows([[0.0]] * 4, [3, 7, 5, NONE])
    assert found.values(unknown) == pytest.approx([LN3 / 2, -LN3 / 2, 0, 0], rel=1e-4)


def test_weights_without_texts():
    found = Weights(np.array([2.0]), np.zeros(0, dtype=np.int64), np.zeros(0))
    assert found.values(rows([[1.5]], [0])).tolist() == [3.0]


@pytest.mark.parametrize("n", [3, 5, 200], ids=["more columns than pairs", "as many", "more pairs"])
def test_the_optimum_is_that_of_the_mirrored_pairs(n):
    rng = np.random.default_rng(n)
    first, second = rng.normal(size=(2, n, 3)) + np.array([[[0.7, 0, 0]], [[0, 0, 0]]])
    texts = rng.integers(-1, 2, size=(2, n))
    found = regress(rows(first, texts[0]), rows(second, texts[1]), 3.0)
    marks = [(texts[0] == k).astype(float) - (texts[1] == k) for k in (0, 1)]
    design = np.concatenate([first - second, MARK * np.stack(marks, axis=1)], axis=1)
    oracle = LogisticRegression(C=1.5, fit_intercept=False, tol=1e-10, max_iter=5000).fit(
        np.concatenate([design, -design]), np.repeat([1, 0], n)
    )
    worth = dict(zip(found.numbers.tolist(), found.texts, strict=True))
    assert found.features == pytest.approx(oracle.coef_[0][:3], abs=1e-4)
    assert [worth.get(k, 0) for k in (0, 1)] == pytest.approx(MARK * oracle.coef_[0][3:], abs=1e-4)
