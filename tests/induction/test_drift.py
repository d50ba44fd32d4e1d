"""The check for drift, by hand and by enumeration."""

from __future__ import annotations

import doctest
from math import comb, sqrt

import pytest

from synthesizeme.induction import drift
from synthesizeme.profiles.store import Track


def track(n, k, recent):
    return Track(base_pairs=n, base_correct=k, recent=tuple(map(float, recent)))


def test_the_examples_of_the_documentation():
    found = doctest.testmod(drift, extraglobs={"Track": Track})
    assert found.attempted >= 3
    assert found.failed == 0


def test_the_statistic_by_hand():
    found = drift.check(track(8, 6, [1, 0, 0, 0]))
    before, since = 7 / 10, 2 / 6
    assert found.loss == pytest.approx(before - since)
    assert found.standard_error == pytest.approx(sqrt(0.7 * 0.3 / 10 + since * (1 - since) / 6))
    assert not found.drifted  # 0.367 is 1.5 standard errors


@pytest.mark.parametrize(("n", "m"), [(0, 20), (1, 20), (20, 0), (20, 3)])
def test_too_few_pairs_are_not_compared(n, m):
    assert drift.check(track(n, n, [0] * m)) is None


def test_a_track_fills_its_base_first_and_then_its_window():
    assert drift.extended(track(0, 0, []), [1, 0, 1]) == track(2, 1, [1])
    assert drift.extended(track(5, 4, []), [1, 0.5]) == track(5, 4, [1, 0.5])
    full = drift.extended(track(5, 4, [0] * 19), [1] * 4)
    assert full == track(8, 4, [0] * 16 + [1] * 4)
    assert len(full.recent) == drift.WINDOW
    assert drift.extended(full, []) == full
    assert drift.started([1, 0, 1]) == track(3, 2, [])


def flagged(p, later, n, m):
    """P(flag) where every score is an independent coin."""
    chance = 0.0
    for k in range(n + 1):
        for j in range(m + 1):
            found = drift.check(track(n, k, [1] * j + [0] * (m - j)))
            weight = comb(n, k) * p**k * (1 - p) ** (n - k) * comb(m, j) * later**j * (1 - later) ** (m - j)
            chance += weight * (found is not None and found.drifted)
    return chance


@pytest.mark.parametrize("p", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_false_alarms_are_about_one_in_a_hundred_at_most(p):
    assert max(flagged(p, p, n, m) for n in (2, 4, 8, 20, 40) for m in (4, 10, 20)) < 0.02


def test_a_reversed_taste_is_found_where_there_are_pairs():
    assert flagged(0.8, 0.2, 20, 20) > 0.95
    assert flagged(0.8, 0.2, 20, 10) > 0.85
    assert flagged(0.8, 0.2, 2, 4) < 0.2, "too few pairs tell nothing, and the documentation says so"
