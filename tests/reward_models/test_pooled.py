from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from invented import pair, user_says

import reward_models
from reward_models._features import open_features
from reward_models.pooled import STRENGTHS, UNTRIED, Columns, Pooled, Side, most_likely, read_pairs, regress
from reward_models.pooled_own import PooledOwn

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))
import two_tastes

pytestmark = pytest.mark.usefixtures("taste_alone")

STYLE = open_features("stylometric")
WEATHER = (user_says("What is it like?"),)


def asked(pairs):
    return [one.compare("chosen_first") for one in pairs]


def margins(model, pairs):
    return [verdict.margin for verdict in model.compare(asked(pairs))]


@pytest.fixture(scope="module")
def pairs():
    return two_tastes.population(n_users=4, n_pairs=12, validation=3)


@pytest.fixture(scope="module")
def own(pairs):
    return PooledOwn(features="stylometric").fit(pairs)


def test_both_margins_are_added_and_calibrated(pairs, own):
    columns = Columns.learn(*read_pairs(STYLE, pairs))
    sides = [columns.rows(side) for side in read_pairs(STYLE, pairs)]
    mine = [columns.rows(side) for side in read_pairs(STYLE, [p for p in pairs if p.user_id == "u1"])]
    shared = regress(*sides, own.strength_)
    alone = regress(*mine, own.own_strength_)
    expected = sum(w.values(mine[0]) - w.values(mine[1]) for w in (shared, alone))
    found = margins(own, [p for p in pairs if p.user_id == "u1"])
    assert found == pytest.approx(expected / own.own_temperature_)
    population = margins(own, two_tastes.asked_as([p for p in pairs if p.user_id == "u1"], "nobody"))
    assert population == pytest.approx((shared.values(mine[0]) - shared.values(mine[1])) / own.temperature_)


def test_nobody_is_answered_as_by_the_pooled_one(pairs, own):
    pooled = Pooled(features="stylometric").fit(pairs)
    assert margins(pooled, pairs) == margins(own, two_tastes.asked_as(pairs, "nobody"))
    assert pooled.parameters < own.parameters


def test_c_is_the_most_likely_on_held_out_pairs():
    def margins_of(strength):
        return np.repeat([1.0, -1.0], [9, 1] if strength == 1 else [6, 4])

    strength, temperature, found = most_likely(margins_of, 10)
    assert (strength, found.tolist()) == (1.0, [1.0] * 9 + [-1.0])
    assert temperature < 1
    assert most_likely(lambda strength: pytest.fail("nothing to choose by"), 0)[:2] == (UNTRIED, 1.0)
    assert UNTRIED in STRENGTHS


def test_a_text_in_two_training_pairs_has_a_column_and_no_text_is_kept():
    one, other, third = (
        pair(i, chosen=chosen, rejected=rejected, prompt=WEATHER)
        for i, (chosen, rejected) in enumerate([("sun", "rain"), ("sun", "hail"), ("fog", "rain")])
    )
    columns = Columns.learn(*read_pairs(STYLE, [one, other, third]))
    sun, rain = (columns.rows(side).texts.tolist() for side in read_pairs(STYLE, [one, other, third]))
    assert len(columns.keys) == 2
    assert sun[0] == sun[1] >= 0
    assert rain[0] == rain[2] >= 0
    assert sun[2] == rain[1] == -1
    elsewhere = one.model_copy(update={"prompt": (user_says("another question"),)})
    assert columns.rows(read_pairs(STYLE, [elsewhere])[0]).texts.tolist() == [-1]


def test_a_typical_row_has_length_one_and_extremes_are_cut():
    rng = np.random.default_rng(0)
    side = Side(rng.normal(3, 5, size=(500, 40)), np.arange(500, dtype=np.uint64))
    columns = Columns.learn(side, side)
    lengths = np.linalg.norm(columns.rows(side).features, axis=1)
    assert lengths.mean() == pytest.approx(1, abs=0.02)
    far = columns.rows(Side(np.full((1, 40), 1e9), np.zeros(1, dtype=np.uint64))).features
    assert far == pytest.approx(8 / np.sqrt(40))


def test_texts_that_recur_are_known_again(tmp_path):
    """Where features cannot tell two texts apart, their columns can."""
    pairs = [
        pair(i, user=user, chosen="good red tea", rejected="good tea red", prompt=WEATHER, split="train")
        for user in ("ada", "bob")
        for i in range(6)
    ]
    pooled = Pooled(features="stylometric").fit(pairs)
    assert margins(pooled, pairs[:1])[0] > 0.5
    pooled.save(tmp_path / "model")
    assert margins(reward_models.load(tmp_path / "model"), pairs[:1]) == margins(pooled, pairs[:1])
    other = pair(99, chosen="good red tea", rejected="good tea red")
    assert margins(pooled, [other]) == [0.0]


def test_the_report_names_what_was_chosen(own):
    told = own.fit_report()
    assert told["C"] in np.round(STRENGTHS, 3)
    assert told["C of the users' own"] in np.round(STRENGTHS, 3)
    assert told["texts with a column"] == 0
    assert told["temperature of known users"] > 0
