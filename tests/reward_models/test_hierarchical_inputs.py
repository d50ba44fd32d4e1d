"""Bad input, other encoders, checkpoints: what the hierarchical models do with what they are given."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hashed_texts import (
    ASKED,
    Hashed,
    asked,
    asked_as,
    flat,
    likes,
    numbers,
    opening,
    population,
)
from invented import pair, user_says

import reward_models
from reward_models import hierarchical
from reward_models._feature_cache import FeatureCache
from reward_models._features import Encoded, Joined
from reward_models.hierarchical import Hierarchical
from reward_models.hierarchical_stylometric import HierarchicalStylometric
from synthesizeme import stylometry
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.scoring import as_answers
from synthesizeme.types import Failure

pytestmark = pytest.mark.usefixtures("taste_alone")

AWKWARD = ["", " ", "\x00", "他们在喝茶。😀", "\ud800 alone", "rope tar " * 20_000, "\n\n```\n"]
HISTORIES, _ = population(16, 44, own=5.0, shared=2.0)
LEARNED = 24
"""Pairs of each user to learn from; the others are asked about."""


class Broken(Hashed):
    """It has no number for what mentions a reef."""

    def encode(self, units):
        return np.where([["reef" in text] for (text,) in units], np.nan, super().encode(units))


@pytest.fixture(scope="module")
def planted():
    """A model of 16 people, fitted on 24 pairs of each."""
    with pytest.MonkeyPatch.context() as patch:
        opening(patch, lambda spec: Encoded(Hashed()))
        return Hierarchical().fit(flat(HISTORIES, slice(LEARNED)))


@pytest.mark.parametrize("method", ["hierarchical", "hierarchical-stylometric"])
def test_settings_that_there_are_not_are_refused(method):
    for settings, said in (
        ({"variances": "ml"}, "variances is 'ml'; expected left-out or fixed"),
        ({"tastes": "some"}, "tastes is 'some'; expected learned or none"),
        (
            {"knows": "choices+names"},
            r"knows is 'choices\+names'; expected one or more of choices, words, demographics",
        ),
        ({"knows": ""}, "knows is ''; expected one or more of"),
    ):
        with pytest.raises(ConfigError, match=rf"{method}: {said}.*leave it out for the default"):
            reward_models.method(method)(**settings)


def sane(model, users=("u0", "nobody")):
    """Every number of every text is a number."""
    for user in users:
        scored = model.score(as_answers([ASKED] * len(AWKWARD), AWKWARD, [user] * len(AWKWARD)))
        for result in scored:
            assert np.isfinite([result.value, result.probability, result.standard_error]).all()
            assert 0 <= result.probability <= 1
    return True


@pytest.mark.parametrize("variances", ["left-out", "fixed"])
def test_one_pair_is_enough_for_every_choice_of_variances(variances, encoder):
    only = [likes("u0", 0, "Aye, aye!", "The ship sails over calm water.")]
    model = Hierarchical(variances=variances).fit(only)
    assert model.users == ("u0",)
    assert model.compare(asked(only))[0].preference == "first"
    assert sane(model)
    assert model.evidence("u0") == [], "one choice sets nobody apart"


@pytest.mark.parametrize("variances", ["left-out", "fixed"])
def test_nothing_is_learned_from_pairs_that_all_contradict_each_other(variances, encoder):
    histories, _ = population(3, 4)
    both = [
        q
        for p in flat(histories)
        for q in (p, p.swapped_labels().model_copy(update={"pair_id": f"{p.pair_id}x"}))
    ]
    model = Hierarchical(variances=variances).fit(both)
    margins, errors, probabilities = numbers(model.compare(asked(both)))
    assert np.abs(margins).max() < 1e-6
    assert probabilities == pytest.approx(np.full(len(both), 0.5), abs=1e-6)
    assert (errors > 0).all()
    assert sane(model)
    assert all(abs(e.weight) < 1e-6 for e in model.evidence("u0", None))


def test_a_user_who_contradicts_themself_is_the_population_but_not_a_stranger(planted):
    users = dict(planted.users_)
    pairs = asked_as("new", HISTORIES["u2"][:6])
    planted.fit_user("new", [q for p in pairs for q in (p, p.swapped_labels())] * 3)
    margins, errors, _ = numbers(planted.compare(asked(pairs)))
    population_margins, population_errors, _ = numbers(planted.compare(asked(asked_as("nobody", pairs))))
    planted.users_ = users
    assert np.abs(margins).max() < np.abs(population_margins).max(), "as often the one as the other"
    assert (errors < population_errors).all(), "which is known"


def test_a_user_without_pairs_is_answered_as_unknown_or_refused(planted):
    users = dict(planted.users_)
    pairs = asked_as("new", HISTORIES["u2"][:3])
    planted.fit_user("new", [])
    assert "new" not in planted.users
    assert (
        numbers(planted.compare(asked(pairs))).tolist()
        == numbers(planted.compare(asked(asked_as("nobody", pairs)))).tolist()
    )
    planted.unknown_user = "refuse"
    refused = planted.compare(asked(pairs))
    planted.unknown_user = "population"
    assert all(isinstance(v, Failure) and v.kind == "unknown_user" for v in refused)
    planted.users_ = users


def test_any_text_may_be_learned_from(encoder, tmp_path):
    texts = [text for text in AWKWARD if text.strip() and "\ud800" not in text]  # a pair has neither
    pairs = [likes("u0", i, text, "Aye, aye!") for i, text in enumerate(texts)]
    pairs += [likes("u1", i, "The ship sails!", text) for i, text in enumerate(texts)]
    model = Hierarchical().fit(pairs)
    assert sane(model, ("u0", "u1", "nobody"))
    model.save(tmp_path / "model")
    assert reward_models.load(tmp_path / "model").compare(asked(pairs)) == model.compare(asked(pairs))


@pytest.mark.parametrize("same", [2, 100])
def test_the_same_pair_again_and_again(same, encoder):
    pairs = [likes("u0", i, "Aye, aye!", "The ship sails over calm water.") for i in range(same)]
    model = Hierarchical().fit(pairs)
    assert numbers(model.compare(asked(pairs[:1])))[2][0] > 0.5
    assert sane(model)


def test_an_encoder_without_a_number_for_a_text_is_named(encoder):
    encoder[0] = Encoded(Broken())
    good, bad = likes("u0", 0, "Aye, aye!", "A calm sea."), likes("u0", 1, "Aye, aye!", "Mind the reef.")
    with pytest.raises(
        DataError, match=r"the features 'hashed' of 1 texts are not finite numbers.*another encoder"
    ):
        Hierarchical().fit([good, bad])
    model = Hierarchical().fit([good])
    before = model.compare(asked([good]))
    for use in (
        lambda: model.fit_user("u0", [good, bad]),
        lambda: model.compare(asked([good, bad])),
        lambda: model.rewards(as_answers([ASKED], ["A reef"], ["u0"])),
        lambda: model.rewards(as_answers([(user_says("Is there a reef?"),)], ["Aye"], ["u0"])),
    ):
        with pytest.raises(DataError, match="the features 'hashed' of 1 texts"):
            use()
    assert model.compare(asked([good])) == before, "and nothing was lost"


def test_a_cache_that_cannot_be_written_costs_one_warning_and_nothing_else(encoder, tmp_path, caplog):
    pairs = flat(population(3, 5)[0])
    without = Hierarchical(variances="fixed").fit(pairs).compare(asked(pairs))
    (tmp_path / "file").write_text("in the way")
    encoder[0] = Encoded(Hashed(), FeatureCache(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        model = Hierarchical(variances="fixed").fit(pairs)
        assert model.compare(asked(pairs)) == without
        assert sane(model)
    assert len(caplog.records) == 1
    assert "features are computed and not kept. Cure:" in caplog.text
    encoder[0] = Encoded(Hashed(), FeatureCache(tmp_path / "writable"))
    assert Hierarchical(variances="fixed").fit(pairs).compare(asked(pairs)) == without
    assert Hierarchical(variances="fixed").fit(pairs).compare(asked(pairs)) == without, "from the cache"


def test_a_checkpoint_of_another_encoder_is_refused_with_the_cure(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(hierarchical, "default_encoder", lambda: "minilm")
    pairs = flat(population(2, 3)[0])
    Hierarchical(variances="fixed").fit(pairs).save(tmp_path / "model")
    other = Hashed()
    other.identity = "another"
    encoder[0] = Encoded(other)
    message = r"hierarchical was trained on features 'hashed', and 'minilm' gives 'another' here.*install the"
    with pytest.raises(DataError, match=message):
        reward_models.load(tmp_path / "model")


def test_the_encoder_is_opened_by_its_name_and_a_checkpoint_remembers_which(monkeypatch, tmp_path):
    opened = []

    def open_features(spec):
        opened.append(spec)
        return Encoded(Hashed())

    opening(monkeypatch, open_features)
    monkeypatch.setattr(hierarchical, "default_encoder", lambda: "the best here")
    pairs = flat(population(2, 3)[0])
    for name in ("auto", "someone/encoder"):
        Hierarchical(encoder=name, variances="fixed").fit(pairs).save(tmp_path / name)
    monkeypatch.setattr(hierarchical, "default_encoder", lambda: "a better one")
    reward_models.load(tmp_path / "auto")
    assert opened == ["the best here", "someone/encoder", "the best here"]


def test_without_any_encoder_it_goes_on_with_what_the_text_itself_shows(monkeypatch, tmp_path):
    monkeypatch.setattr(hierarchical, "default_encoder", lambda: None)
    pairs = flat(population(2, 3)[0])
    model, plain = (kind(variances="fixed").fit(pairs) for kind in (Hierarchical, HierarchicalStylometric))
    assert model.compare(asked(pairs)) == plain.compare(asked(pairs))
    model.save(tmp_path / "model")
    assert reward_models.load(tmp_path / "model").compare(asked(pairs)) == plain.compare(asked(pairs))


@pytest.mark.parametrize("which", [0, 1])
def test_no_part_of_joined_encoders_swamps_another(which, encoder):
    """Multiplying one part's vectors changes nothing."""

    class Other(Hashed):
        def __init__(self, scale):
            self.identity, self.scale = f"other at {scale}", scale

        def encode(self, units):
            return self.scale * super().encode([(text + "?",) for (text,) in units])

    learned, comparisons = flat(HISTORIES, slice(LEARNED)), asked(flat(HISTORIES, slice(LEARNED, None)))
    found, parts = [], [Encoded(Hashed()), Encoded(Hashed())]
    for scale in (1.0, 1000.0, 0.001):
        parts[which] = Encoded(Other(scale))
        encoder[0] = Joined(parts)
        found.append(numbers(Hierarchical(variances="fixed").fit(learned).compare(comparisons)))
    encoder[0] = parts[1 - which]
    alone = numbers(Hierarchical(variances="fixed").fit(learned).compare(comparisons))
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-3)
    assert np.abs(alone - found[0]).max() > 0.1, "both parts are read"


def test_the_encoder_decides_what_is_read(encoder):
    """Named features and wording alone cannot know what only the vectors say."""
    histories, _ = population(6, 30, own=0.0, shared=8.0, seed=6)
    train, held_out = flat(histories, slice(20)), flat(histories, slice(20, None))
    losses = [
        -np.log(numbers(kind(variances="fixed").fit(train).compare(asked(held_out)))[2]).mean()
        for kind in (Hierarchical, HierarchicalStylometric)
    ]
    assert losses[0] < losses[1] - 0.05


def test_a_refused_fit_leaves_the_model_as_it_was(encoder):
    model = Hierarchical().fit(flat(HISTORIES, slice(LEARNED)))
    comparisons = asked(flat(HISTORIES, slice(LEARNED, None)))
    before = numbers(model.compare(comparisons))
    encoder[0] = Encoded(Broken())
    with pytest.raises(DataError, match="not finite"):
        model.fit([pair(0, chosen="over the reef", rejected="home", prompt=ASKED)])
    np.testing.assert_array_equal(numbers(model.compare(comparisons)), before)


def test_the_length_of_an_encoders_vectors_does_not_matter(encoder):
    class Longer(Hashed):
        identity = "longer"

        def encode(self, units):
            return 10 * super().encode(units)

    learned, comparisons = flat(HISTORIES, slice(LEARNED)), asked(flat(HISTORIES, slice(LEARNED, None)))
    for variances, tolerance in (("fixed", 1e-3), ("left-out", 0.2)):  # a search may end a little elsewhere
        found = []
        for network in (Hashed(), Longer()):
            encoder[0] = Encoded(network)
            found.append(numbers(Hierarchical(variances=variances).fit(learned).compare(comparisons)))
        np.testing.assert_allclose(found[0], found[1], atol=tolerance)


def test_a_checkpoint_with_other_named_features_is_refused(tmp_path, encoder, monkeypatch):
    Hierarchical().fit(flat(HISTORIES, slice(LEARNED))).save(tmp_path / "model")
    monkeypatch.setattr(stylometry, "FEATURES", stylometry.FEATURES[::-1])
    with pytest.raises(DataError, match="other named features"):
        reward_models.load(tmp_path / "model")


def test_a_user_of_the_training_leaves_no_text_behind_either(encoder):
    mine = [pair(0, user="mine", chosen="a private harbour", rejected="home", prompt=ASKED)]
    model = Hierarchical().fit([*mine, *flat(HISTORIES, slice(LEARNED))])
    assert "private harbour" in repr(vars(model))
    model.forget_user("mine")
    assert "private harbour" not in repr(vars(model))
    assert mine[0].fingerprint in model.learned_from, "so that a test on it is still refused"


def test_a_forgotten_user_leaves_no_text_behind(encoder):
    model = Hierarchical().fit(flat(HISTORIES, slice(LEARNED)))
    mine = [pair(0, user="new", chosen="a private harbour", rejected="home", prompt=ASKED)]
    model.fit_user("new", mine)
    assert any("private" in item.response for item in model.basis_._seen)
    assert stylometry._content_words.cache_info().currsize
    model.forget_user("new")
    assert not model.basis_._seen
    assert not stylometry._content_words.cache_info().currsize
    assert "new" not in model.users
