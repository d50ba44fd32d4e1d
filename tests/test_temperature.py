from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression

from synthesizeme.temperature import TEMPERATURES, fit_margin_temperature, fit_temperature, with_temperature


def test_temperature_agrees_with_scipy_and_with_logistic_regression():
    generator = np.random.default_rng(0)
    p = generator.random(500)
    p_chosen = with_temperature(np.where(generator.random(500) < p**0.5, p, 1 - p), 0.4)
    logits = np.log(p_chosen / (1 - p_chosen))
    found = fit_temperature(p_chosen, spread=None)
    best = minimize_scalar(lambda t: np.logaddexp(0, -logits / t).mean(), bounds=(0.05, 20), method="bounded")
    assert found == pytest.approx(best.x, rel=1e-3)
    assert fit_margin_temperature(logits, spread=None) == pytest.approx(found, rel=1e-3), "not clipped"
    # Both sides of every pair: sklearn needs two classes, and the likelihood merely doubles.
    model = LogisticRegression(fit_intercept=False, C=1e8, tol=1e-8)
    model.fit(np.concatenate([logits, -logits])[:, None], np.repeat([1, 0], len(logits)))
    assert found == pytest.approx(1 / model.coef_[0, 0], rel=1e-3)


def test_temperature_recovers_what_was_applied():
    generator = np.random.default_rng(2)
    p = generator.uniform(0.02, 0.98, 50_000)
    p_chosen = np.where(generator.random(50_000) < p, p, 1 - p)
    assert fit_temperature(with_temperature(p_chosen, 1 / 3)) == pytest.approx(3, rel=0.05)


def test_temperature_at_its_limits():
    assert fit_temperature([0.9, 0.8], spread=None) == pytest.approx(0.05, rel=1e-3)  # always right: sharpen
    assert fit_temperature([0.1, 0.2], spread=None) == pytest.approx(20, rel=1e-3)  # always wrong
    assert fit_temperature([]) == 1.0
    assert fit_temperature([0.5, 0.5]) == 1.0
    assert fit_margin_temperature([]) == fit_margin_temperature([0.0]) == 1.0
    assert fit_margin_temperature([1e3, -1e3, 1e3], spread=None) == pytest.approx(20, rel=1e-3)
    assert np.isfinite(with_temperature([0.0, 1.0], 1e-3)).all()
    with pytest.raises(ValueError, match="above 0"):
        with_temperature([0.5], 0.0)


@pytest.mark.parametrize("margins", [[3.0] * 60, [0.3] * 60, [-2.0, 1.0, 4.0], [1.0]])
def test_few_pairs_move_the_temperature_a_little(margins):
    """The prior decides where pairs cannot: the posterior mode, here by scipy from many starts."""

    def loss(log_t):
        return np.logaddexp(0, -np.asarray(margins) / np.exp(log_t)).sum() + log_t**2 / (2 * 0.5**2)

    starts = np.linspace(-2.9, 2.9, 30)
    found = [minimize_scalar(loss, bounds=(a, a + 0.4), method="bounded") for a in starts - 0.2]
    best = min(found, key=lambda it: it.fun).x
    assert np.log(fit_margin_temperature(margins)) == pytest.approx(best, abs=1e-3)
    assert fit_margin_temperature(margins) > 1.5 * TEMPERATURES[0]


@pytest.mark.parametrize("bad", [[1.2], [float("nan")], [[0.5]]])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(ValueError, match="probabilities in"):
        fit_temperature(bad)
