from __future__ import annotations

import math

import pytest

from synthesizeme.comparison.personalization_tax import Rewards, best_of_n, ties_score


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [(2, [1, 0, -1], 1), (2, [2, 0, -1], 1 / 2), (2, [2, 2, 2], 1 / 4), (0, [1, 0, 0], 0), (0, [0.1], 0)],
)
def test_the_right_one_must_win_and_shares_with_its_equals(right, wrong, expected):
    assert best_of_n(Rewards([right], wrong)) == expected


def test_ties_by_hand():
    # 0: gap 2, spread 1, counterpart's gap 3. 1: gap 1, spread 2, counterpart right by .5. 2: wrong both times.
    one = {"0": Rewards([4], [1, 0]), "1": Rewards([1], [0.5, 0]), "2": Rewards([0], [1, 0])}
    several = {"0": Rewards([4, 3], [1, 0]), "1": Rewards([3, 1], [0, -1]), "2": Rewards([0, 0], [1, 1])}
    margins = (math.tanh(2 / 1 - 1) + math.tanh(0.5 / 2 - 1) + math.tanh(-math.inf)) / 3
    expected = 0.3 * 2 / 3 + 0.3 * 2 / 3 + 0.2 * 1 / 3 + 0.2 * 1 / 3 + 0.01 * margins
    assert ties_score(one, several) == pytest.approx(expected)


def test_the_smaller_gap_of_prompt_and_counterpart_decides_the_hard_part():
    several = {"0": Rewards([4, 3], [1, 0])}
    easy, hard = {"0": Rewards([9], [1])}, {"0": Rewards([1.5], [1])}
    lost = ties_score(easy, several) - ties_score(hard, several)
    assert lost == pytest.approx(0.2 + 0.01 * (math.tanh(1) - math.tanh(-0.5)))


def test_prompts_without_a_counterpart_count_for_accuracy_alone():
    assert ties_score({"0": Rewards([2], [1])}, {"1": Rewards([2, 2], [1])}) == pytest.approx(0.6)
    assert ties_score({"0": Rewards([2], [1])}, {}) == pytest.approx(0.3)
    same = {"0": Rewards([1, 1], [1, 1])}
    assert ties_score({"0": Rewards([1], [1])}, same) == 0, "nothing over nothing is no margin"
