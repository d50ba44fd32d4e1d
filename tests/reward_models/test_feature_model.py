from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from invented import pair, user_says

import reward_models
from reward_models import _feature_model, _features
from reward_models._features import open_features
from reward_models.lore import Lore
from reward_models.pal_b import PalB
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.scoring import as_answers

SMALL = {"features": "stylometric", "epochs": 3, "rank": 2}
PAIRS = [
    pair(i, user=f"u{i % 3}", chosen="Aye! " * (i % 4 + 1), rejected=f"No: {i} fathoms, sailor.")
    for i in range(18)
]


class Numbers:
    """Features that count how often they are asked, and give what they are told to."""

    identity, dim, prompt_dim = "numbers", 2, 1

    def __init__(self, value=1.0):
        self.value, self.asked = value, []

    def responses(self, prompts, responses):
        self.asked.extend(responses)
        return np.asarray([[len(r), self.value] for r in responses], dtype=np.float32)

    def prompts(self, prompts):
        return np.asarray([[len(p[-1].content)] for p in prompts], dtype=np.float32)


@pytest.fixture
def numbers(monkeypatch):
    features = Numbers()
    monkeypatch.setattr(_features, "open_features", lambda spec: features)
    return features


def test_features_are_standardised_by_the_training_rows_alone():
    rows = [p.model_copy(update={"split": "validation" if i > 11 else "train"}) for i, p in enumerate(PAIRS)]
    model = Lore(**SMALL).fit(rows)
    features = open_features("stylometric")
    train = rows[:12]
    raw = features.responses(
        [p.prompt for p in train] * 2, [p.chosen_text for p in train] + [p.rejected_text for p in train]
    )
    assert model.mean_ == pytest.approx(raw.mean(0), abs=1e-6)
    spread = raw.std(0)
    assert model.scale_ == pytest.approx(np.where(spread > 1e-6, spread, 1), rel=1e-5)
    chosen, rejected = (side.numpy() for side in model._encode_pairs(train))
    assert np.concatenate([chosen, rejected]) == pytest.approx((raw - model.mean_) / model.scale_, abs=1e-5)


def test_a_text_far_from_the_training_rows_is_bounded(numbers):
    model = Lore(**SMALL).fit(PAIRS)
    x = model._encode([PAIRS[0].prompt], ["x" * 10**6]).numpy()
    assert x.tolist() == [[8.0, 0.0]]  # a feature that never varied has scale 1


def test_every_distinct_response_is_encoded_once_to_learn_and_once_for_the_scale_of_rewards(numbers):
    twice = [*PAIRS, *(p.model_copy(update={"pair_id": f"{p.pair_id}-again"}) for p in PAIRS)]
    PalB(**SMALL, dim=2, hidden=0).fit(twice)
    distinct = {(p.prompt, text) for p in PAIRS for text in (p.chosen_text, p.rejected_text)}
    assert Counter(numbers.asked) == Counter(2 * [text for _, text in distinct])


def test_only_a_method_that_reads_prompts_has_columns_for_them(numbers):
    assert Lore(**SMALL).fit(PAIRS)._encode_prompts([PAIRS[0].prompt] * 3).shape == (3, 0)
    model = PalB(**SMALL, dim=2, hidden=0).fit(PAIRS)
    assert model._encode_prompts([PAIRS[0].prompt] * 3).shape == (3, 1)
    short, long = (
        model.rewards(as_answers([(user_says(t),)], ["Aye!"], ["nobody"]))[0] for t in ("?", "How deep?" * 9)
    )
    assert short != long


def test_auto_takes_the_default_encoder_and_goes_on_without_one(monkeypatch, tmp_path):
    monkeypatch.setattr(_features, "default_encoder", lambda: "static")
    model = Lore(**SMALL | {"features": "auto"}).fit(PAIRS)
    assert model._facts()["features"] == "stylometric+static"
    monkeypatch.setattr(_features, "default_encoder", lambda: None)
    model = Lore(**SMALL | {"features": "auto"}).fit(PAIRS)
    assert model._facts()["features"] == model._facts()["identity"] == "stylometric"
    model.save(tmp_path / "model")
    monkeypatch.undo()
    assert reward_models.load(tmp_path / "model").spec_ == "stylometric", "where there is an encoder too"


def test_a_checkpoint_of_other_features_is_refused(numbers, tmp_path):
    Lore(**SMALL).fit(PAIRS).save(tmp_path / "model")
    numbers.identity = "other numbers"
    with pytest.raises(DataError, match=r"lore was trained on features 'numbers'.*'other numbers'"):
        reward_models.load(tmp_path / "model")


def test_a_network_that_does_not_fit_is_a_typed_error(tmp_path):
    model = Lore(**SMALL).fit(PAIRS)
    arrays = model._arrays()
    arrays["basis"] = arrays["basis"][:-1]
    with pytest.raises(ValueError, match="basis"):
        Lore(**SMALL)._restore(arrays, model._facts())


def test_many_rows_are_scored_in_passes(numbers, monkeypatch):
    model = Lore(**SMALL).fit(PAIRS)
    prompts, texts, users = [PAIRS[0].prompt] * 7, [f"Aye {'!' * i}" for i in range(7)], ["u0"] * 7
    whole = model.rewards(as_answers(prompts, texts, users))
    monkeypatch.setattr(_feature_model, "SCORED_AT_ONCE", 3)
    assert model.rewards(as_answers(prompts, texts, users)) == pytest.approx(whole, rel=1e-5)


def test_the_probability_of_a_reward_is_that_against_typical_features(numbers):
    model = Lore(**SMALL).fit(PAIRS)
    typical = "x" * round(float(model.mean_[0]))
    scored = model.score(as_answers([PAIRS[0].prompt] * 2, [typical, "Aye! Aye! Aye!"], ["u0"] * 2))
    assert scored[0].probability == pytest.approx(0.5, abs=0.02)
    margin = scored[1].value - 0.0  # lore is linear: typical features have reward 0
    assert scored[1].probability == pytest.approx(1 / (1 + np.exp(-margin)), rel=1e-6)


def test_settings_out_of_range_are_named_together():
    with pytest.raises(ConfigError, match=r"lore: rank is 0.*shrinkage is -1\.0.*learning_rate is 0\.0"):
        Lore(features="stylometric", rank=0, shrinkage=-1.0, learning_rate=0.0)
