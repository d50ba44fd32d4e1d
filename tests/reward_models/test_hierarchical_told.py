"""What the hierarchical models say about a user in words."""

from __future__ import annotations

import numpy as np
import pytest
from hashed_texts import WORDS, flat, likes

import reward_models
from reward_models.hierarchical_stylometric import HierarchicalStylometric
from synthesizeme import stylometry
from synthesizeme.errors import DataError, NotFittedError


def tastes():
    """ada likes exclamation marks and ben does not; both are shown answers of many lengths."""
    rng = np.random.default_rng(0)
    found = {}
    for user, marks in (("ada", ("!", ".")), ("ben", (".", "!"))):
        found[user] = []
        for number in range(14):
            texts = [
                " ".join(rng.choice(WORDS, size=int(rng.integers(3, 12)))) + (mark if number else ".")
                for mark in marks
            ]
            found[user].append(likes(user, f"né{number}", *texts))
    return found


@pytest.fixture(scope="module")
def told():
    return HierarchicalStylometric(variances="fixed").fit(flat(tastes()))


def test_evidence_says_what_a_user_likes_and_which_way(told):
    lively = next(f for f in stylometry.FEATURES if f.name == "exclamations")
    for user, sign, words in (("ada", 1, lively.more), ("ben", -1, lively.less)):
        shown = {e.feature: e for e in told.evidence(user, None)}["exclamations"]
        assert shown.statement == words
        assert sign * shown.weight > 0
        assert told.evidence(user)[0].feature == "exclamations", "the surest"


def test_evidence_comes_surest_first_and_no_more_of_it_than_asked_for(told):
    whole = told.evidence("ada", None)
    assert {e.feature for e in whole} < {f.name for f in stylometry.FEATURES}
    sureness = [abs(e.weight) / e.standard_error for e in whole]
    assert sureness == sorted(sureness, reverse=True)
    assert min(sureness) >= 1.5
    assert tuple(whole) == told.own_taste("ada").own
    assert told.evidence("ada", 1) == whole[:1]
    assert told.evidence("ada", 0) == []


def test_evidence_names_pairs_of_the_user_that_show_it_strongest_first(told):
    differences = {
        p.pair_id: dict(
            zip([f.name for f in stylometry.FEATURES], stylometry.difference(
                p.chosen_text, p.rejected_text, p.prompt[-1].content, clip=1e9), strict=True)
        )
        for p in tastes()["ada"]
    }  # fmt: skip
    for e in told.evidence("ada", None):
        sizes = [np.sign(e.weight) * differences[pair_id][e.feature] for pair_id in e.pair_ids]
        assert sizes
        assert all(size > 0 for size in sizes), e
        assert (np.diff(sizes) < 1e-6).all(), e
        others = [np.sign(e.weight) * d[e.feature] for i, d in differences.items() if i not in e.pair_ids]
        assert len(sizes) == min(4, len(sizes) + sum(size > 0 for size in others))
        assert max([*others, -1]) <= min(sizes) + 1e-6
    assert "ada-né0" not in told.evidence("ada", 1)[0].pair_ids, "both of its answers end with a full stop"


def test_the_weight_of_most_people_stands_apart(told):
    """In calibrated log-odds, as the deviation is."""
    place = [f.name for f in stylometry.FEATURES].index("exclamations")
    (ada, ben) = (told.evidence(user, 1)[0] for user in ("ada", "ben"))
    assert ada.population == ben.population
    assert ada.population == pytest.approx(told.sharpness_["nobody, new"] * told.fit_.weights[place])


def test_evidence_survives_a_checkpoint(told, tmp_path):
    told.save(tmp_path / "model")
    loaded = reward_models.load(tmp_path / "model")
    assert loaded.evidence("ada", None) == told.evidence("ada", None)


def test_evidence_of_an_unknown_user_is_refused(told):
    with pytest.raises(DataError, match=r"hierarchical-stylometric knows no user 'cleo'.*call fit_user"):
        told.evidence("cleo")
    with pytest.raises(NotFittedError, match="hierarchical-stylometric is not fitted"):
        HierarchicalStylometric().evidence("ada")
