"""What sets a user apart: a test whose level holds, and the right feature first for every unanimous user."""

from __future__ import annotations

import numpy as np
import planted_forms
import pytest
from scipy.stats import binomtest

import reward_models
from reward_models._own_taste import deviations
from reward_models.hierarchical import Hierarchical
from reward_models.hierarchical_stylometric import HierarchicalStylometric
from synthesizeme.datasets import read_pairs
from synthesizeme.discovery import resource
from synthesizeme.errors import DataError
from synthesizeme.profile import APART_LEVEL
from synthesizeme.stylometry import FEATURE, FEATURES, difference
from synthesizeme.taste import chance
from synthesizeme.types import Evidence

pytestmark = pytest.mark.usefixtures("taste_alone")

CHOICES = 30


def mixed(users=12, pairs=20):
    """People who take more of a feature, or less, four times in five; each feature is disputed."""
    rng = np.random.default_rng(3)
    names, found = list(planted_forms.FORMS), []
    for user in range(users):
        likes = dict(zip(names, rng.choice([-1, 1], size=len(names), p=[0.4, 0.6]).tolist(), strict=True))
        for number in range(pairs):
            feature = names[(user * pairs + number) % len(names)]
            sign = likes[feature] if rng.random() < 0.8 else -likes[feature]
            (pair,) = planted_forms.pairs(f"m{user}", feature, sign, 1, rng)
            found.append(pair.model_copy(update={"pair_id": f"m{user}-{number}"}))
    return found


@pytest.fixture(scope="module", params=["mixed", "sample", "embedded"])
def model(request):
    if request.param == "sample":
        pairs = read_pairs(resource("data/sample/pairs.jsonl")).pairs
        return HierarchicalStylometric().fit([pair for pair in pairs if pair.split != "test"])
    if request.param == "embedded":
        return Hierarchical(encoder="static").fit(mixed())
    return HierarchicalStylometric().fit(mixed())


def test_the_two_answers_of_a_planted_pair_differ_in_their_feature_alone():
    asked = "What do you know of " + " ".join(planted_forms.ASKED)
    for place, feature in enumerate(FEATURES):
        rng = np.random.default_rng(place)
        found = np.array([
            difference(*planted_forms.sides(feature.name, rng), asked, clip=9) for _ in range(CHOICES)
        ])  # fmt: skip
        assert found[:, place].min() > 0.8, feature.name
        others = np.delete(found, place, axis=1)
        assert np.abs(others.mean(axis=0)).max() < 0.1, feature.name


def test_what_a_unanimous_user_likes_is_named_first(model):
    """For every named feature, someone who takes the answer with more of it, and someone with less."""
    first = []
    for place, feature in enumerate(FEATURES):
        for sign in (1, -1):
            rng = np.random.default_rng([place, sign + 1])
            model.fit_user("p", planted_forms.pairs("p", feature.name, sign, CHOICES, rng))
            told = model.own_taste("p")
            best = told.own[0] if told.own else None
            first.append(best is not None and best.feature == feature.name and best.weight * sign > 0)
            named = [item for item in (*told.own, *told.common) if item.feature == feature.name]
            assert all(item.statement == (feature.more if sign > 0 else feature.less) for item in named)
    model.forget_user("p")
    assert np.mean(first) >= 0.9


def test_users_who_choose_as_anybody_does_pass_at_the_level(model):
    rng = np.random.default_rng(1)
    names, passed = list(planted_forms.FORMS), []
    for _ in range(80):
        pairs = [planted_forms.pairs("p", str(rng.choice(names)), 1, 1, rng)[0] for _ in range(CHOICES)]
        asked = [pair.compare("chosen_first").model_copy(update={"user_id": "nobody"}) for pair in pairs]
        said = [verdict.probability for verdict in model.compare(asked)]
        chosen = [
            pair.model_copy(update={"pair_id": f"p-{n}"}) if rng.random() < p
            else pair.swapped_labels().model_copy(update={"pair_id": f"p-{n}"})
            for n, (pair, p) in enumerate(zip(pairs, said, strict=True))
        ]  # fmt: skip
        told = model.fit_user("p", chosen).own_taste("p")
        assert set(told.anybody) == {pair.pair_id for pair in chosen}
        passed.append(told.set_apart)
        if not told.set_apart:
            assert (told.own, told.common) == ((), ())
        assert all(abs(item.weight) >= 1.5 * item.standard_error for item in told.own)
        assert all(abs(item.weight) < 1.5 * item.standard_error for item in told.common)
    model.forget_user("p")
    assert binomtest(sum(passed), len(passed), APART_LEVEL).pvalue > 0.01, np.mean(passed)


def test_what_the_model_learned_from_a_user_is_no_standard_for_that_user():
    """As good as what a model without the user says of the user."""
    pairs = mixed()
    own = [pair for pair in pairs if pair.user_id == "m0"]
    with_them = HierarchicalStylometric(variances="fixed").fit(pairs)
    without = HierarchicalStylometric(variances="fixed").fit([p for p in pairs if p.user_id != "m0"])
    without.sharpness_ = with_them.sharpness_
    without.fit_user("m0", own)
    said = [model.users_["m0"]["nobody"] for model in (with_them, without)]
    asked = [pair.compare("chosen_first").model_copy(update={"user_id": "x"}) for pair in own]
    naive = [verdict.probability for verdict in with_them.compare(asked)]
    apart = np.abs(said[0] - said[1]).mean()
    assert apart < 0.3 * np.abs(naive - said[1]).mean()
    assert np.mean(naive) > said[1].mean() + 0.02, "choices that were learned from look likely"


def test_the_clear_weight_does_not_hang_on_the_prior():
    style, half = np.ones((30, 1)), np.full(30, 0.5)
    ratios = []
    for variance in (1e-6, 0.01, 100.0):
        found = deviations(style, half, np.array([variance]))
        ratios.append(float(found.value[0] / found.standard_error[0]))
    assert ratios == pytest.approx([30**0.5] * 3)


def test_the_standard_error_is_the_spread_of_the_deviation_under_chance():
    rng = np.random.default_rng(0)
    style, p = rng.normal(size=(40, 3)), rng.uniform(0.2, 0.9, size=40)
    expected = deviations(style, p, np.full(3, 0.1)).standard_error
    drawn = []
    for _ in range(4000):
        same = rng.random(40) < p
        signs, chosen = np.where(same, 1.0, -1.0), np.where(same, p, 1 - p)
        drawn.append(deviations(style * signs[:, None], chosen, np.full(3, 0.1)).value)
    assert np.std(drawn, axis=0) == pytest.approx(expected, rel=0.05)
    assert np.abs(np.mean(drawn, axis=0)).max() < 0.05 * expected.max()


def test_the_test_is_its_own_for_a_seed_and_one_without_any_difference():
    style, p = np.ones((10, 2)), np.full(10, 0.4)
    assert chance([style], p, 0) == chance([style], p, 0) == 0.001
    assert chance([np.zeros((10, 2))], p, 0) == chance([np.zeros((0, 2))], np.zeros(0), 0) == 1.0
    assert chance([style], np.full(10, 0.98), 0) > APART_LEVEL, "what everybody does"


def test_a_feature_that_never_differs_in_the_users_pairs_is_not_listed(model):
    rng = np.random.default_rng(0)
    model.fit_user("p", planted_forms.pairs("p", "emoji", 1, CHOICES, rng))
    told = model.own_taste("p")
    model.forget_user("p")
    style = model._differences(planted_forms.pairs("p", "emoji", 1, CHOICES, np.random.default_rng(0))).shared
    differing = {f.name for f, column in zip(FEATURES, style.T, strict=False) if np.abs(column).max() > 1e-6}
    assert {item.feature for item in (*told.own, *told.common)} <= differing < set(FEATURE)


def test_a_state_of_an_earlier_version_is_refused_with_the_cure(model):
    model.users_["old"] = {"style": np.zeros((0, 28))}
    with pytest.raises(DataError, match=r"does not keep what was predicted of user 'old'.*call fit_user"):
        model.own_taste("old")
    model.forget_user("old")


def test_it_survives_a_checkpoint(model, tmp_path):
    user = model.users[1]
    model.save(tmp_path / "model")
    loaded = reward_models.load(tmp_path / "model")
    assert loaded.own_taste(user) == model.own_taste(user)
    assert all(isinstance(item, Evidence) for item in loaded.evidence(user, None))
