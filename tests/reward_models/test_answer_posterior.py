"""What the hierarchical model believes of several answers of one user together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from opposites import judged, population

from reward_models._basis import STYLE
from reward_models._hierarchy import Rows
from reward_models._types import Item
from reward_models.hierarchical_stylometric import HierarchicalStylometric
from synthesizeme.errors import NotFittedError
from synthesizeme.types import Comparison


@pytest.fixture(scope="module")
def model():
    return HierarchicalStylometric().fit([pair for pair in population(7, 5) if pair.split != "test"])


def comparisons(user="c0"):
    pairs = [judged(user, number, calm=True, split="test") for number in range(40, 44)]
    return [pair.compare("chosen_first") for pair in pairs]


def margins(model, user, asked):
    """Means and covariance of the margins alone."""
    mean, covariance, _ = model.answer_posterior(user, asked)
    return mean, covariance[: len(asked), : len(asked)]


@pytest.mark.parametrize("user", ["c0", "l1", "a stranger"])
def test_means_are_the_margins_and_the_diagonal_is_the_users_part_of_their_variance(model, user, monkeypatch):
    asked = comparisons(user)
    mean, covariance = margins(model, user, asked)
    everything_is_usual = {f"{name}.usual": np.full(1, np.inf) for name in model.basis_.names}
    monkeypatch.setattr(model.basis_, "arrays", {**model.basis_.arrays, **everything_is_usual})
    verdicts = model.compare(asked)
    assert mean == pytest.approx([verdict.margin for verdict in verdicts], abs=1e-5)
    whole = np.array([verdict.standard_error**2 for verdict in verdicts])
    assert (np.diag(covariance) <= whole + 1e-6).all()
    known, variances = model.fit_, model.variances_
    model.fit_ = replace(known, covariance=np.zeros_like(known.covariance))
    model.variances_ = replace(variances, items=0.0)
    try:
        alone = [verdict.standard_error**2 for verdict in model.compare(asked)]
    finally:
        model.fit_, model.variances_ = known, variances
    assert np.diag(covariance) == pytest.approx(alone, rel=1e-3, abs=1e-6)


def test_the_margins_of_three_responses_hang_together(model):
    """f(a, c) = f(a, b) + f(b, c), so its variance is the sum of all four covariances."""
    shown = comparisons()[0]
    a, b, c = "It is calm.", "Wow!! It is LOUD!", "A list:\n- one\n- two"

    def asked(first, second):
        return Comparison(pair_id="x", user_id="c0", prompt=shown.prompt, first=first, second=second)

    mean, covariance = margins(model, "c0", [asked(a, b), asked(b, c), asked(a, c)])
    assert mean[2] == pytest.approx(mean[0] + mean[1])
    assert covariance[2, 2] == pytest.approx(covariance[:2, :2].sum(), rel=1e-4)
    assert covariance == pytest.approx(covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > -1e-6


def test_answers_make_a_user_better_known(model):
    asked = comparisons("new")
    before = np.diag(margins(model, "new", asked)[1])
    model.fit_user("new", [judged("new", number, calm=False, split="train") for number in range(8)])
    mean, covariance = margins(model, "new", asked)
    model.forget_user("new")
    assert (np.diag(covariance) < before).all()
    assert (mean < 0).all()


def test_the_taste_is_that_of_the_named_features_and_the_common_tastes(model):
    assert model.tastes_.count, "users differ in one thing"
    asked = comparisons()
    covariance = model.answer_posterior("c0", asked).covariance
    taste = covariance[len(asked) :, len(asked) :]
    vary = [feature for feature in range(STYLE) if model.basis_.trait(feature)[1].any()]
    assert 5 < len(vary) < STYLE, "some named features never differ in these texts"
    assert len(taste) == len(vary) + model.tastes_.count
    factor = model.users_["c0"]["own_factor"].astype(float)
    whole = np.diag(model.variances_.own) - factor.T @ factor
    named = np.stack([model.basis_.trait(feature)[1] for feature in vary])
    named = np.concatenate([named, named @ model.tastes_.features], axis=1)
    carried = np.concatenate([named, np.eye(len(whole))[len(whole) - model.tastes_.count :]])
    assert taste == pytest.approx(carried @ whole @ carried.T, abs=1e-9)
    (_, one), (_, two) = (
        model.basis_.rows([Item(asked[0].prompt, text)]) for text in (asked[0].first, asked[0].second)
    )
    items = model.judged_.numbers([Item(asked[0].prompt, t) for t in (asked[0].first, asked[0].second)])
    own = model.tastes_.joined([Rows(one, one - two, items[None])])[0].own[0]
    assert covariance[0, len(asked) :] == pytest.approx(carried @ whole @ own, abs=1e-6)


def test_an_unfitted_model_says_so():
    with pytest.raises(NotFittedError):
        HierarchicalStylometric().answer_posterior("u", comparisons())
