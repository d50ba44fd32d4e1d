from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from synthesizeme.evaluation.calibration import log_losses
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.evaluation.intervals import (
    _t_quantile,
    accuracy_interval,
    clustered_standard_error,
    interval,
    loss_interval,
    mean_difference,
    paired_difference,
    smallest_detectable_difference,
)
from synthesizeme.types import Verdict


def test_standard_error_worked_by_hand():
    # mean .6; user sums of residuals: a (1 + 1 - 1.2) = .8, b (0 + 1 + 0 - 1.8) = -.8
    # sqrt(2/1 * (.64 + .64)) / 5 = sqrt(2.56) / 5 = .32
    assert clustered_standard_error([1, 1, 0, 1, 0], list("aabbb")) == pytest.approx(0.32)


def test_standard_error_of_singletons_is_that_of_a_mean():
    values = np.random.default_rng(0).random(20)
    users = [f"u{i}" for i in range(20)]
    assert clustered_standard_error(values, users) == pytest.approx(stats.sem(values))
    assert clustered_standard_error(values, ["one"] * 20) == pytest.approx(stats.sem(values))


def test_standard_error_is_the_double_sum_within_users():
    generator = np.random.default_rng(1)
    users = [f"u{i}" for i in generator.integers(0, 7, size=60)]
    values = generator.random(60)
    residuals = values - values.mean()
    double_sum = sum(
        residuals[i] * residuals[j] for i in range(60) for j in range(60) if users[i] == users[j]
    )
    groups = len(set(users))
    assert clustered_standard_error(values, users) == pytest.approx(
        np.sqrt(groups / (groups - 1) * double_sum) / 60
    )


def test_interval_ends_are_those_of_the_exact_bootstrap():
    # Five users of unequal size: all 5^5 equally likely resamples can be written down.
    sums, counts = np.array([4.0, 1.0, 3.0, 5.0, 0.0]), np.array([5.0, 4.0, 4.0, 6.0, 2.0])
    users = [f"u{i}" for i, n in enumerate(counts) for _ in range(int(n))]
    values = [float(k < s) for s, n in zip(sums, counts, strict=True) for k in range(int(n))]
    draws = np.array(list(itertools.product(range(5), repeat=5)))
    exact = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    tail = stats.norm.cdf(-np.sqrt(5 / 4) * stats.t.ppf(0.9, 4))
    found = interval(values, users, level=0.8, resamples=40_000)
    assert found.value == pytest.approx(13 / 21)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(exact, [tail, 1 - tail])), abs=0.01)


@pytest.mark.parametrize("degrees", [3, 4, 10, 60, 1000])
def test_t_quantile_agrees_with_scipy(degrees):
    for probability in (0.9, 0.95, 0.975):
        assert _t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=0.01)


def _clustered(generator, n_users=40, per_user=12):
    """Users differ in how often they are predicted: Beta(2, 2) accuracies, mean exactly .5."""
    rates = generator.beta(2, 2, size=n_users)
    users = [f"u{i}" for i in range(n_users) for _ in range(per_user)]
    return (generator.random((n_users, per_user)) < rates[:, None]).astype(float).ravel(), users


def test_user_bootstrap_covers_95_percent_and_a_pair_bootstrap_does_not():
    generator = np.random.default_rng(2)
    runs, by_user, by_pair = 300, 0, 0
    for run in range(runs):
        values, users = _clustered(generator)
        clustered = interval(values, users, resamples=400, seed=run)
        naive = interval(values, [f"p{i}" for i in range(len(values))], resamples=400, seed=run)
        by_user += clustered.low <= 0.5 <= clustered.high
        by_pair += naive.low <= 0.5 <= naive.high
    assert 0.92 <= by_user / runs <= 0.98
    assert by_pair / runs < 0.85


def test_coverage_holds_with_as_few_as_eight_users():
    generator = np.random.default_rng(3)
    covered = 0
    for run in range(300):
        values, users = _clustered(generator, n_users=8)
        found = interval(values, users, resamples=400, seed=run)
        covered += found.low <= 0.5 <= found.high
    assert 0.92 <= covered / 300 <= 0.99


def test_single_user_resamples_pairs_and_says_so(outcome_of):
    found = accuracy_interval(outcome_of({"ann": [1, 1, 0, 1]}))
    assert (found.unit, found.n_users, found.n_pairs) == ("pair", 1, 4)
    assert found.low < 0.75 < found.high
    assert accuracy_interval(outcome_of({"ann": [1, 0], "bob": [1]})).unit == "user"


def test_degenerate_cases_are_defined():
    none = interval([], [])
    assert (none.value, none.low, none.high, none.standard_error, none.n_pairs) == (None, None, None, None, 0)
    one_tie = interval([0.5], ["a"])
    assert (one_tie.value, one_tie.standard_error) == (0.5, None)
    assert (one_tie.low, one_tie.high) == pytest.approx((0.0125, 0.9875))


@pytest.mark.parametrize(
    ("value", "users"), [(0.75, list("abc")), (0.5, ["one"] * 4), (0.3, list("ab" * 15))]
)
def test_units_that_are_all_alike_leave_open_what_a_binomial_bound_does(value, users):
    units = len(set(users)) if len(set(users)) > 1 else len(users)
    unlike = stats.binomtest(0, units).proportion_ci(0.95, method="exact").high
    found = interval([value] * len(users), users)
    assert (found.low, found.high) == pytest.approx((value * (1 - unlike), value + (1 - value) * unlike))


def test_few_units_that_hardly_differ_are_no_surer_than_alike_ones():
    nearly, alike = interval([0.75, 0.75, 0.76], list("abc")), interval([0.75] * 3, list("abc"))
    assert (nearly.low, nearly.high) == pytest.approx((alike.low, alike.high), abs=0.01)
    plain = interval([0.75, 0.75, 0.76], list("abc"), bounds=(-1.0, 1.0))
    assert plain.low < nearly.low


def test_alike_users_are_covered_though_a_bootstrap_sees_no_variation():
    generator = np.random.default_rng(8)
    covered = 0
    for run in range(400):  # one user in ten is never predicted: mostly unseen among four
        found = interval((generator.random(4) < 0.9).astype(float), list("abcd"), resamples=200, seed=run)
        covered += found.low <= 0.9 <= found.high
    assert covered / 400 >= 0.95


def test_a_difference_has_no_width_only_between_the_same_answers(outcome_of, make_pair, scripted):
    outcome = outcome_of({"ann": [1, 0.5], "bob": [0]})
    same = paired_difference(outcome, outcome)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    pairs = [make_pair(f"p{i}", f"u{i}") for i in range(4)]

    def always(side):
        verdict = Verdict(
            preference=side, probability=0.9 if side == "first" else 0.1, probability_source="model"
        )
        return evaluate(scripted({(p.pair_id, t): verdict for p in pairs for t in ("good", "bad")}), pairs)

    other = paired_difference(always("first"), always("second"))
    assert other.value == 0.0
    assert other.low < -0.5 < 0.5 < other.high


@pytest.mark.parametrize("users", [list("abcdefgh"), ["one"] * 8])
def test_all_right_or_all_wrong_has_the_exact_binomial_bound(users):
    exact = stats.binomtest(8, 8).proportion_ci(0.95, method="exact")
    right, wrong = interval([1.0] * 8, users), interval([0.0] * 8, users)
    assert (right.low, right.high) == pytest.approx((exact.low, 1.0))
    assert (wrong.low, wrong.high) == pytest.approx((0.0, 1 - exact.low))


def test_same_seed_same_interval_and_order_of_pairs_is_irrelevant():
    values, users = _clustered(np.random.default_rng(4), n_users=10)
    shuffled = np.random.default_rng(5).permutation(len(values))
    again = interval(values[shuffled], [users[i] for i in shuffled], seed=7)
    assert interval(values, users, seed=7) == again
    assert interval(values, users, seed=8) != again


def test_memory_is_bounded_for_many_users(monkeypatch):
    values, users = _clustered(np.random.default_rng(6), n_users=50)
    whole = interval(values, users, resamples=100)
    monkeypatch.setattr("synthesizeme.evaluation.intervals._CELLS", 500)
    assert interval(values, users, resamples=100) == whole


def test_mismatched_lengths_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        interval([1.0, 0.0], ["a"])


def test_paired_difference_is_over_the_pairs_both_answered(outcome_of):
    a = outcome_of({"ann": [1, 1, 0, None], "bob": [1, 0.5]})
    b = outcome_of({"ann": [1, 0, 0, 1], "bob": [None, 0]})
    found = paired_difference(a, b)  # 0, 1, 0 and .5
    assert found.value == pytest.approx(1.5 / 4)
    assert (found.n_pairs, found.n_users) == (4, 2)
    assert found.low <= found.value <= found.high
    back = paired_difference(b, a)
    assert back.value == pytest.approx(-found.value)
    nothing = paired_difference(outcome_of({"ann": [1]}), outcome_of({"bob": [1]}))
    assert (nothing.value, nothing.low, nothing.n_pairs) == (None, None, 0)


def test_pairing_removes_what_is_hard_for_both(outcome_of):
    generator = np.random.default_rng(7)
    hard = {f"u{i}": list((generator.random(20) < generator.random()).astype(float)) for i in range(30)}
    better = {user: [1.0, *row[1:]] for user, row in hard.items()}
    a, b = outcome_of(better), outcome_of(hard)
    difference = paired_difference(a, b)
    assert difference.low > 0
    assert difference.high - difference.low < accuracy_interval(a).high - accuracy_interval(a).low
    assert accuracy_interval(a).low < accuracy_interval(b).high


def test_outcomes_with_different_tie_policies_are_not_compared(outcome_of):
    with pytest.raises(ValueError, match="count ties differently"):
        paired_difference(outcome_of({"a": [1]}), outcome_of({"a": [1]}, ties="wrong"))


def test_smallest_detectable_difference_is_found_four_times_in_five(outcome_of):
    outcome = outcome_of({f"u{i}": [float(i % 3 > 0), 1.0, 0.0] for i in range(60)})
    found = smallest_detectable_difference(outcome)
    error = accuracy_interval(outcome).standard_error
    assert found == pytest.approx((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * error)
    power = stats.norm.sf(stats.norm.ppf(0.975) - found / error)
    assert power == pytest.approx(0.8, abs=1e-6)
    assert smallest_detectable_difference(outcome, outcome) is None
    few = outcome_of({f"u{i}": [1.0, 0.0, float(i % 2)] for i in range(9)})
    assert smallest_detectable_difference(few) is None


def test_a_mean_over_parts_counts_every_part_the_same(outcome_of):
    long, short = outcome_of({"a": [1, 1, 0, 0], "b": [1, 0]}), outcome_of({"a": [1], "c": [1]})
    found = accuracy_interval(long, short)
    assert found.value == pytest.approx((3 / 6 + 1) / 2)
    assert found.low <= found.value <= found.high
    assert found.n_users == 3
    silent = outcome_of({"a": [None]})
    assert accuracy_interval(long, silent) == accuracy_interval(long), "who says nothing counts for nothing"
    assert accuracy_interval(silent).value is None


def test_the_same_pairs_asked_twice_make_an_interval_no_narrower(outcome_of):
    generator = np.random.default_rng(3)
    once = outcome_of({f"u{i}": [float(x) for x in generator.random(4) < 0.7] for i in range(15)})
    assert accuracy_interval(once, once).standard_error == pytest.approx(
        accuracy_interval(once).standard_error
    )


def test_a_mean_difference_is_over_the_pairs_that_both_answered(outcome_of):
    a, b = outcome_of({"a": [1, 1, None], "b": [1]}), outcome_of({"a": [0, 1, 1], "b": [0]})
    found = mean_difference([(a, b), (b, a), (a, b)])
    assert found.value == pytest.approx(2 / 3 * (1 - 1 + 1) / 3)
    assert mean_difference([]).value is None


def test_losses_are_in_nats_with_an_interval(outcome_of):
    outcome = outcome_of({f"u{i}": [0.9, 0.2, 1.0] for i in range(12)})
    losses, users = log_losses(outcome)
    assert losses[:3] == pytest.approx([-np.log(0.9), -np.log(0.2), 1e-6], abs=1e-9)
    assert users[:4] == ["u0", "u0", "u0", "u1"]
    found = loss_interval(outcome)
    assert found.value == pytest.approx(losses.mean())
    assert found.low <= found.value <= found.high
    assert log_losses(outcome_of({"a": [0.0]}))[0] == pytest.approx([-np.log(1e-6)])


def test_few_users_have_a_second_interval_over_their_own_pairs(outcome_of):
    apart = outcome_of({"always": [1] * 40, "never": [0] * 40})
    mixed = outcome_of({"always": [1, 0] * 20, "never": [0, 1] * 20})
    low, high = accuracy_interval(apart).for_these_users
    assert low <= 0.5 <= high
    assert high - low < 0.2 < accuracy_interval(apart).high - accuracy_interval(apart).low
    # 80 independent coins: two standard errors either way
    low, high = accuracy_interval(mixed).for_these_users
    assert (low, high) == pytest.approx((0.5 - 0.11, 0.5 + 0.11), abs=0.02)


@pytest.mark.parametrize(("users", "there"), [(1, False), (2, True), (9, True), (10, False)])
def test_who_has_a_second_interval(outcome_of, users, there):
    outcome = outcome_of({f"u{i}": [1, 0, 1] for i in range(users)})
    assert (accuracy_interval(outcome).for_these_users is not None) is there
    assert (paired_difference(outcome, outcome).for_these_users is not None) is there


def test_the_second_interval_covers_the_mean_of_these_users():
    generator, covered = np.random.default_rng(8), 0
    shares = [0.95, 0.4, 0.7]
    users = [f"u{i}" for i in range(3) for _ in range(12)]
    for _ in range(200):
        values = [float(generator.random() < shares[int(user[1])]) for user in users]
        low, high = interval(values, users, resamples=400).for_these_users
        covered += low <= np.mean(shares) <= high
    assert covered / 200 >= 0.93
