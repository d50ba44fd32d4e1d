"""Whether a user shows any taste: its level among coins, its power, its blocks and its factor, by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from invented import pair
from scipy.stats import binomtest, chi2

from synthesizeme.perceived import FEATURES
from synthesizeme.profile import APART_LEVEL
from synthesizeme.stylometry import difference
from synthesizeme.taste import FEW, as_sure_as_they_are, chance, measured, p_value


def test_few_pairs_are_counted_out():
    """Of all outcomes of four coins with one measure, the share that is as far from what is expected."""
    block, p = np.array([[1.0], [2.0], [0.5], [1.0]]), np.array([0.5, 0.6, 0.3, 0.8])
    spread = (block[:, 0] ** 2 * p * (1 - p)).sum()
    observed = (block[:, 0] @ (1 - p)) ** 2 / spread
    exact = 0.0
    for same in product((0, 1), repeat=4):
        made = np.array(same)
        if (block[:, 0] @ (made - p)) ** 2 / spread >= observed - 1e-9:
            exact += np.where(made == 1, p, 1 - p).prod()
    assert chance([block], p, seed=0) == pytest.approx(exact, abs=0.04)


def test_with_many_pairs_it_is_the_chi_square_of_the_score():
    rng = np.random.default_rng(1)
    block, p = rng.normal(size=(400, 3)), np.full(400, 0.5)
    score = ((block.T @ (1 - p)) ** 2 / ((block**2).T @ (p * (1 - p)))).sum()
    assert chance([block], p, seed=0) == pytest.approx(chi2(3).sf(score), abs=0.05)


@pytest.mark.parametrize("few", [(False, False), (True, False)])
def test_of_coins_as_many_pass_as_the_level_says(few):
    rng = np.random.default_rng(2)
    passed = []
    for _ in range(200):
        blocks = [rng.normal(size=(20, 28)), rng.normal(size=(20, 60))]
        passed.append(chance(blocks, np.full(20, 0.5), seed=0, few=few) <= APART_LEVEL)
    assert binomtest(sum(passed), len(passed), APART_LEVEL).pvalue > 0.01, np.mean(passed)


def test_a_taste_in_few_of_many_measures_is_seen_better_by_its_largest_terms():
    rng = np.random.default_rng(3)
    seen = {True: 0, False: 0}
    for _ in range(80):
        block = rng.normal(size=(30, 40))
        same = rng.random(30) < 1 / (1 + np.exp(-1.2 * block[:, :FEW].sum(axis=1)))
        signed = np.where(same[:, None], block, -block)
        for few in seen:
            seen[few] += chance([signed], np.full(30, 0.5), seed=0, few=[few]) <= APART_LEVEL
    assert seen[True] > seen[False] > 0.5 * 80


def test_who_tosses_coins_is_held_against_coins_and_who_agrees_with_all_against_all():
    agrees = as_sure_as_they_are(np.full(40, 0.9))
    assert agrees == pytest.approx(np.full(40, agrees[0]))
    assert agrees[0] > 0.9
    tossed = as_sure_as_they_are(np.array([0.9, 0.1] * 20))
    assert np.abs(tossed - 0.5).max() < 0.1
    assert as_sure_as_they_are(np.zeros(0)).shape == (0,)


def test_the_blocks_are_named_features_and_embeddings_of_chosen_less_rejected():
    one = pair(0, chosen="Plant trees!", rejected="Cut the taxes for everybody in town.")
    style, about = measured([one, one.swapped_labels()])
    asked = "How deep is fathom 0?"
    expected = difference(one.chosen_text, one.rejected_text, asked, clip=1.5, features=FEATURES)
    assert style.shape == (2, len(FEATURES))
    np.testing.assert_allclose(style[0], expected)
    np.testing.assert_allclose(style[1], -style[0])
    np.testing.assert_allclose(about[1], -about[0])


def test_one_mind_about_form_or_about_content_shows_and_nothing_shows_nothing():
    form = [pair(n, chosen=f"Wow {n}! So deep!", rejected=f"It is fathom {n}.") for n in range(10)]
    towns = ["Plant more trees along the river", "Clean the lakes and woods", "Protect the wild birds"] * 4
    roads = ["Build wider roads for cars", "Repair the motorway bridges", "Add parking lots downtown"] * 4
    content = [pair(n, chosen=a, rejected=b) for n, (a, b) in enumerate(zip(towns, roads, strict=True))]
    for pairs in (form, content):
        assert p_value(pairs, np.full(len(pairs), 0.5), seed=0) < 0.05
    assert chance([np.zeros((5, 3))], np.full(5, 0.5), seed=0) == 1.0
