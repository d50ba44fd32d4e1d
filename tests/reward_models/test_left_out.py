"""Predictions of pairs that were not seen, against the dense regression from which they were taken by hand."""

from __future__ import annotations

import numpy as np
import pytest
from joint_posterior import Joint, chosen, planted, without_items
from scipy.optimize import minimize_scalar

from reward_models import _left_out
from reward_models._effects import NONE
from reward_models._hierarchy import Problem, Rows, Variances, fit_own
from reward_models._left_out import CASES, Factors, Hidden, LeftOut, Pairs, left_out, loss, sharpness

VARIANCES = Variances(np.array([0.5, 2.0, 1.0]), np.array([1.0, 0.25, 3.0, 0.5]), items=0.8)
ITEMS = 6


def users_of(seed=0, sizes=(1, 7, 2, 7)):
    rng = np.random.default_rng(seed)
    beta = rng.normal(size=ITEMS)
    return [chosen(rng, np.ones(3), rng.normal(size=4), n, beta) for n in sizes]


def everything(users):
    return Hidden(users, sum(map(len, users)), 0)


def fitted(users, variances=VARIANCES, effects=ITEMS):
    problem = Problem(users, variances, effects)
    return problem, problem.fit()


def exact(users, hidden, variances=VARIANCES, effects=ITEMS):
    problem, fit = fitted(users, variances, effects)
    return left_out(problem.mode(), fit.covariance, hidden)


def close(found, expected, tolerance=2e-4):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def unseen(users, case, pair):
    """The pairs that must not be seen, from the definition of the case."""
    items = np.concatenate([rows.items for rows in users])
    whose = np.repeat(np.arange(len(users)), [len(rows) for rows in users])
    found = {pair}
    for other in range(len(items)):
        shared = set(items[pair].tolist()) & set(items[other].tolist()) - {NONE}
        if ("new" in case and shared) or ("nobody" in case and whose[other] == whose[pair]):
            found.add(other)
    return found


def test_what_is_hidden_in_each_case():
    users = users_of()
    hidden = everything(users)
    assert hidden.cases() == CASES
    for case in CASES:
        assert hidden.targets(case).tolist() == list(range(17))
        sets = hidden.sets(case)
        for pair, found in enumerate(sets):
            assert found[0] == pair, "the target stands first"
            assert len(set(found.tolist())) == len(found)
            assert set(found.tolist()) == unseen(users, case, pair)
    items = np.concatenate([rows.items for rows in users])
    assert hidden.judged("new").tolist() == [NONE not in sides for sides in items.tolist()]


@pytest.mark.parametrize("seed", [0, 1])
def test_both_ways_are_the_regression_without_these_pairs(seed):
    users = users_of(seed)
    joint = Joint(users, VARIANCES, ITEMS)
    mode = joint.mode()
    hidden = everything(users)
    ways = exact(users, hidden), Pairs(users, VARIANCES).left_out(Factors(items=VARIANCES.items))
    for case in CASES:
        means, variances = joint.left_out(mode, hidden.sets(case))
        for found in ways:
            close(found[case].margins, means)
            close(found[case].variances, variances)
    spread = [ways[0][case].variances for case in CASES]
    for less, more in ((0, 1), (0, 2), (1, 3), (2, 3)):
        assert (spread[less] <= spread[more] + 1e-3).all(), "who sees less is less sure"
        assert spread[less].mean() < 0.97 * spread[more].mean()


def test_the_space_of_pairs_and_that_of_weights_say_the_same_of_more_pairs():
    users, *_ = planted(np.random.default_rng(3), users=20, pairs=12, items=30)
    hidden = everything(users)
    one, other = exact(users, hidden, effects=30), Pairs(users, VARIANCES).left_out(Factors(items=0.8))
    for case in CASES:
        assert len(other[case].margins) == (128 if "nobody" in case else 240)
        close(one[case].margins, other[case].margins, 2e-3)
        close(one[case].variances, other[case].variances, 2e-3)


def test_factors_multiply_the_variances():
    users = users_of(1)
    scaled = Pairs(users, VARIANCES).left_out(Factors(0.3, 5.0, 0.2))
    direct = exact(users, everything(users), Variances(0.3 * VARIANCES.shared, 5.0 * VARIANCES.own, 0.2))
    for case in CASES:
        close(scaled[case].margins, direct[case].margins)
        close(scaled[case].variances, direct[case].variances)


@pytest.mark.parametrize("before", [(1e4, 1e4, 1e2), (1e-4, 1e-4, 1e-3), (1e4, 1e-4, 0), (1e-4, 1e4, 10)])
def test_it_arrives_from_wherever_the_last_factors_left_off(before):
    users, *_ = planted(np.random.default_rng(8), users=4, pairs=12, items=ITEMS)
    pairs = Pairs(users, VARIANCES)
    pairs.left_out(Factors(*before))
    again, fresh = (some.left_out(Factors(items=0.8)) for some in (pairs, Pairs(users, VARIANCES)))
    for case in CASES:
        close(again[case].margins, fresh[case].margins, 2e-3)


def test_only_the_cases_asked_for_are_predicted():
    pairs = Pairs(users_of(), VARIANCES)
    assert list(pairs.left_out(Factors(items=0.8), ("seen", "nobody"))) == ["seen", "nobody"]


def test_texts_that_do_not_recur_and_a_single_user_have_fewer_cases():
    once = [Rows(rows.shared, rows.own, np.full_like(rows.items, NONE)) for rows in users_of(sizes=(4, 3))]
    assert everything(once).cases() == ("seen", "nobody")
    assert everything(once[:1]).cases() == ("seen",)
    assert everything(users_of(sizes=(9,))).cases() == ("seen", "new")
    assert set(exact(once, everything(once), effects=0)) == {"seen", "nobody"}


def test_a_bounded_number_of_pairs_is_predicted_chosen_by_the_seed():
    users = [without_items(np.ones((50, 1)), np.ones((50, 1)))] * 8
    for seed in range(2):
        hidden = Hidden(users, 300, seed)
        targets = hidden.targets("seen"), hidden.targets("nobody")
        assert [len(some) for some in targets] == [300, _left_out.OF_NOBODY]
        assert all((np.diff(some) > 0).all() for some in targets)
        assert set(targets[1].tolist()) < set(targets[0].tolist())
    assert hidden.targets("seen").tolist() != Hidden(users, 300, 0).targets("seen").tolist()


def test_of_too_many_pairs_to_leave_out_the_first_are(monkeypatch):
    monkeypatch.setattr(_left_out, "_MOST_LEFT_OUT", 3)
    users = users_of(sizes=(9, 9))
    sets = everything(users).sets("nobody")
    assert [found.tolist() for found in sets[:5]] == [[0, 1, 2], [1, 0, 2], [2, 0, 1], [3, 0, 1], [4, 0, 1]]
    assert sets[17].tolist() == [17, 9, 10]


def test_sets_are_solved_in_parts_of_bounded_size(monkeypatch):
    users = users_of()
    whole = exact(users, everything(users))
    monkeypatch.setattr(_left_out, "_MOST_CELLS", 1)
    parts = exact(users, everything(users))
    for case in CASES:
        close(parts[case].margins, whole[case].margins, 1e-9)
        close(parts[case].variances, whole[case].variances, 1e-9)


def test_a_left_out_margin_is_near_that_of_refitting_without_the_pair():
    users, *_ = planted(np.random.default_rng(7), users=4, pairs=10)
    variances = Variances(VARIANCES.shared, VARIANCES.own)
    _, fit = fitted(users, variances, 0)
    found = exact(users, everything(users), variances, 0)["seen"].margins
    refitted = []
    for u, rows in enumerate(users):
        for i in range(len(rows)):
            kept = np.arange(len(rows)) != i
            fewer = Rows(rows.shared[kept], rows.own[kept], rows.items[kept])
            again = Problem([*users[:u], fewer, *users[u + 1 :]], variances).fit()
            own = fit_own(fewer, again.offsets(fewer), variances.own).mean
            refitted.append(rows.shared[i] @ again.weights + rows.own[i] @ own)
    seen = [
        fit.offsets(rows) + rows.own @ fit_own(rows, fit.offsets(rows), variances.own).mean for rows in users
    ]
    assert np.corrcoef(found, refitted)[0, 1] > 0.99
    off = np.abs(found - refitted).mean()
    assert off < 0.2 * np.abs(np.concatenate(seen) - refitted).mean(), (
        "far nearer than the margins that saw it"
    )


def test_the_sharpness_is_the_factor_that_makes_the_pairs_most_likely():
    rng = np.random.default_rng(2)
    for factor in (0.4, 1.0, 2.5):
        true = rng.normal(size=4000)
        signs = np.where(rng.random(4000) < 1 / (1 + np.exp(-true)), 1, -1)
        said = LeftOut(signs * true / factor, np.zeros(4000))
        found = minimize_scalar(
            lambda s, said=said: np.logaddexp(0, -np.exp(s) * said.margins).mean(), bounds=(-3, 3)
        )
        assert sharpness(said) == pytest.approx(np.exp(found.x), rel=0.02)
        assert sharpness(said) == pytest.approx(factor, rel=0.15)
        assert loss({"seen": said}) == pytest.approx(found.fun, abs=1e-4)


def test_the_loss_is_the_mean_over_what_was_seen_and_what_is_new():
    seen, new = LeftOut(np.array([3.0, 2.0, -1.0]), np.ones(3)), LeftOut(np.array([1.0, -1.0]), np.ones(2))
    both = {"seen": seen, "new": new, "nobody": LeftOut(np.zeros(2), np.ones(2))}
    assert loss(both) == pytest.approx((loss({"seen": seen}) + loss({"new": new})) / 2)
    assert loss(both, ("nobody",)) == pytest.approx(np.log(2))


def test_margins_are_moderated_by_their_variance():
    said = LeftOut(np.array([2.0, -2.0]), np.array([0.0, 8 / np.pi * 3]))
    assert said.moderated == pytest.approx([2, -1])
