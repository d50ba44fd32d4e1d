from __future__ import annotations

import numpy as np
import planted_words
import pytest
import tiny_backbones
from invented import pair

import reward_models
from reward_models.persona_prompted import (
    PersonaPrompted,
    StylometricProfiler,
    cross_fitted,
    differences,
    profile_text,
)
from synthesizeme import stylometry
from synthesizeme.errors import ConfigError
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.types import Comparison, Demonstration

TRAIN = planted_words.population(n_users=10, n_pairs=12, split="train")
HELD_OUT = planted_words.population(n_users=10, n_pairs=10, seed=1)
FAST = {"epochs": 8, "batch_size": 16, "learning_rate": 5e-3, "max_length": 64, "precision": "float32"}


def likes(pairs):
    sunny = sum((planted_words.WARM in p.chosen_text) - (planted_words.COLD in p.chosen_text) for p in pairs)
    return ("likes sunny" if sunny > 0 else "likes frosty") if sunny else ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    texts = [*planted_words.texts(TRAIN), *["likes"] * 9]
    return str(tiny_backbones.make(tmp_path_factory.mktemp("pp") / "backbone", texts, shape="llama"))


@pytest.fixture(scope="module")
def fitted(folder):
    return PersonaPrompted(backbone=folder, profiler=likes, **FAST).fit(TRAIN)


def test_reads_the_profile_as_given_and_as_lent(fitted):
    assert planted_words.accuracy(fitted, HELD_OUT) >= 0.9
    assert 0.3 <= planted_words.accuracy(fitted, HELD_OUT, user="nobody") <= 0.7
    of_the_other_taste = [p for p in HELD_OUT if p.user_id in ("u1", "u3")]
    assert planted_words.accuracy(fitted, of_the_other_taste, user="u0") <= 0.1


def test_a_new_user_is_known_by_their_profile_without_a_gradient_step(fitted):
    before = {name: value.clone() for name, value in fitted.network_.state_dict().items()}
    new = [p.model_copy(update={"user_id": "new"}) for p in TRAIN if p.user_id == "u1"][:3]
    asked = [p.model_copy(update={"user_id": "new"}) for p in HELD_OUT if p.user_id == "u1"]
    fitted.fit_user("new", new)
    assert fitted.profile("new") == "likes frosty"
    assert planted_words.accuracy(fitted, asked) >= 0.9
    fitted.forget_user("new")
    assert fitted.profile("new") == ""
    after = fitted.network_.state_dict()
    assert all(bool((before[name] == after[name]).all()) for name in before)


def test_given_profiles_are_used_instead_of_written_ones(folder):
    profiles = {
        "u0": "likes sunny",
        "u1": UserProfile(
            user_id="u1",
            persona=Persona(
                sentences=(PersonaSentence(text="Likes frosty."),), made_by="test", prompt_id="-"
            ),
        ),
    }
    model = PersonaPrompted(backbone=folder, profiles=profiles, **FAST | {"epochs": 1}).fit(TRAIN)
    assert model.profile("u0") == "likes sunny"
    assert model.profile("u1") == "Likes frosty."
    assert model.profile("u2") not in profiles.values()


def test_a_loaded_model_keeps_the_profiles_and_is_a_plain_classifier(fitted, tmp_path):
    from transformers import AutoModelForSequenceClassification

    fitted.save(tmp_path / "model")
    again = reward_models.load(tmp_path / "model")
    assert again.profile("u1") == "likes frosty"
    asked = [p.compare("chosen_first") for p in HELD_OUT[:20]]
    assert again.compare(asked) == fitted.compare(asked)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model" / "backbone")
    assert plain.config.num_labels == 1


@pytest.mark.slow
def test_adapters_learn_to_read_profiles_too(folder):
    settings = FAST | {"learning_rate": 2e-2, "epochs": 12}
    model = PersonaPrompted(backbone=folder, profiler=likes, lora_rank=8, **settings).fit(TRAIN)
    assert planted_words.accuracy(model, HELD_OUT) >= 0.8
    assert planted_words.accuracy(model, HELD_OUT) > planted_words.accuracy(model, HELD_OUT, user="?") + 0.2


def test_a_training_profile_has_not_seen_its_pair():
    """Under a profiler that lists its pairs, no pair finds itself, or the same two texts, in its own profile."""
    history = [pair(i, user="ada") for i in range(7)]
    twin = history[0].swapped_labels().model_copy(update={"pair_id": "twin"})
    histories = {"ada": [*history, twin], "bob": [pair(9, user="bob")]}
    texts = cross_fitted(histories, lambda pairs: " ".join(p.pair_id for p in pairs), {}, dropout=0.0, seed=0)
    for own, text in zip(histories["ada"], texts, strict=False):
        seen = text.split()
        assert own.pair_id not in seen
        assert seen
        if own.pair_id in ("ada-0", "twin"):
            assert not {"ada-0", "twin"} & set(seen)
    assert texts[-1] == ""  # a user with one pair has no others


def test_a_share_of_the_training_pairs_gets_no_profile():
    history = {"ada": [pair(i, user="ada") for i in range(400)]}
    texts = cross_fitted(history, lambda pairs: "known", {}, dropout=0.25, seed=0)
    assert 0.17 <= texts.count("") / 400 <= 0.33
    assert cross_fitted(history, lambda pairs: "known", {}, dropout=0.25, seed=1) != texts
    assert set(cross_fitted(history, likes, {"ada": "given"}, dropout=0.0, seed=0)) == {"given"}


def test_a_dropout_that_is_no_share_is_refused(folder):
    with pytest.raises(ConfigError, match=r"profile_dropout is 1\.5"):
        PersonaPrompted(backbone=folder, profile_dropout=1.5, **FAST).fit(TRAIN)


def test_the_statistic_behind_a_sentence_is_the_one_computed_by_hand():
    """Two pairs, feature 'length' with differences d: t = (sum d - n m) / sqrt(sum (d - m)^2 + 4)."""
    long, short = "word " * 60, "word word"
    pairs = [pair(1, chosen=short, rejected=long), pair(2, chosen=short, rejected=long)]
    feature = next(j for j, named in enumerate(stylometry.FEATURES) if named.name.startswith("length"))
    d = differences(pairs)[:, feature]
    assert (d < -1).all()
    baseline = np.zeros(len(stylometry.FEATURES))
    baseline[feature] = 0.5
    t = (d.sum() - 1.0) / np.sqrt(((d - 0.5) ** 2).sum() + 4)
    assert t < -1
    text = StylometricProfiler(baseline)(pairs)
    strength = "Strongly prefers" if t <= -2 else "Prefers"
    assert f"{strength} {stylometry.FEATURES[feature].less}." in text


def test_what_everybody_prefers_is_not_said_and_contradictions_say_nothing():
    history = [pair(i, chosen="Yes. " * 30, rejected="no") for i in range(6)]
    assert StylometricProfiler(differences(history).mean(0))(history) == ""
    nothing = np.zeros(len(stylometry.FEATURES))
    assert StylometricProfiler(nothing)([*history, *[p.swapped_labels() for p in history]]) == ""
    assert StylometricProfiler(nothing)([]) == ""


def test_a_profile_reads_persona_first_then_demonstrations_with_the_preferred_side_named():
    asked = pair(1)
    shown = Comparison(
        pair_id="1", user_id="ada", prompt=asked.prompt, first=asked.rejected_text, second=asked.chosen_text
    )
    persona = Persona(sentences=(PersonaSentence(text="Likes brevity."),), made_by="test", prompt_id="-")
    profile = UserProfile(
        user_id="ada", persona=persona, demonstrations=(Demonstration(comparison=shown, preference="second"),)
    )
    assert profile_text(profile) == (
        f"Likes brevity.\nAsked: {asked.prompt[-1].content}\nPreferred: {asked.chosen_text}\n"
        f"Not: {asked.rejected_text}"
    )
