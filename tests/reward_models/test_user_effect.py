from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from invented import pair

import reward_models
from reward_models._training_pairs import PAIRS, USERS, sampled, user_effect
from reward_models.pooled_own import PooledOwn

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))
import two_tastes

pytestmark = pytest.mark.usefixtures("taste_alone")

PEOPLE = two_tastes.population(n_users=10, n_pairs=20)
MOVED = "own history moves a margin by"


@pytest.fixture
def model():
    return PooledOwn(features="stylometric").fit(PEOPLE)


def test_a_few_pairs_of_a_few_users_are_drawn_by_the_seed():
    histories = {f"u{i}": [p for p in PEOPLE if p.user_id == f"u{i}"] for i in range(10)}
    found = sampled(histories, {}, 0)
    assert len(found.pairs) == USERS
    assert all(
        len(pairs) == PAIRS and all(p in histories[user] for p in pairs)
        for user, pairs in found.pairs.items()
    )
    assert sampled(histories, {}, 0) == found != sampled(histories, {}, 1)
    assert sampled({"ada": [pair(0)]}, {}, 0).pairs == {"ada": [pair(0)]}


def test_the_report_is_the_mean_difference_of_the_margins(model):
    told = model.fit_report()
    margins = {"own": [], "nobody": [], "swapped": []}
    other = PooledOwn(features="stylometric").fit(PEOPLE)
    for user, pairs in model._sampled.pairs.items():
        histories = {"own": pairs, "swapped": [p.swapped_labels() for p in pairs], "nobody": []}
        for name, history in histories.items():
            other.fit_user(user, history)
            margins[name] += [v.margin for v in other.compare([p.compare("chosen_first") for p in pairs])]
    own, nobody, swapped = (np.array(margins[name]) for name in ("own", "nobody", "swapped"))
    assert told[MOVED] == pytest.approx(np.abs(own - nobody).mean(), abs=6e-4)
    assert told["swapped labels by"] == pytest.approx(np.abs(own - swapped).mean(), abs=6e-4)
    moved = ((own > 0) != (nobody > 0)) | ((own > 0) != (swapped > 0))
    assert told["share of verdicts moved"] == pytest.approx(moved.mean(), abs=6e-4)
    assert told["user changes nothing"] is False


def test_a_model_without_users_says_that_they_change_nothing():
    told = reward_models.method("pooled")(features="stylometric").fit(PEOPLE).fit_report()
    assert (told[MOVED], told["swapped labels by"], told["user changes nothing"]) == (0, 0, True)


def test_pairs_are_forgotten_with_their_user_and_never_saved(model, tmp_path):
    asked = set(model._sampled.pairs)
    gone, refitted, emptied, *others = sorted(asked)
    model.forget_user(gone).fit_user(emptied, [])
    model.fit_user(refitted, [p for p in PEOPLE if p.user_id == refitted][:3])
    assert set(model._sampled.pairs) == set(others)
    assert MOVED in model.fit_report()
    model.save(tmp_path / "model")
    assert not any(b"sunny" in path.read_bytes() for path in (tmp_path / "model").iterdir())
    assert MOVED not in reward_models.load(tmp_path / "model").fit_report()
    nobody = model._sampled.without(asked)
    assert user_effect(model._user_state, model._margins, nobody) == {}
