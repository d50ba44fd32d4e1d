"""The hierarchical models from end to end, with an encoder that depends on the text alone."""

from __future__ import annotations

import logging
import zlib

import numpy as np
import pytest
from invented import pair, user_says
from joint_posterior import Joint
from scipy.optimize import minimize_scalar
from scipy.special import expit

import reward_models
from reward_models import hierarchical
from reward_models._feature_cache import FeatureCache
from reward_models._features import Encoded
from reward_models._hierarchical import _left_out_loss
from reward_models._hierarchy import Problem
from reward_models.hierarchical import Hierarchical
from reward_models.hierarchical_stylometric import HierarchicalStylometric
from synthesizeme import stylometry
from synthesizeme.errors import ConfigError, DataError, NotFittedError
from synthesizeme.types import Failure

WORDS = ["the", "ship", "sails", "over", "calm", "water", "toward", "a", "small", "island", "near", "home"]
ASKED = (user_says("Where to?"),)
AWKWARD = ["", " ", "\x00", "他们在喝茶。😀", "\ud800 alone", "rope tar " * 20_000, "\n\n```\n"]


class Hashed:
    """An encoder of unit vectors that look random."""

    identity, dim = "hashed", 8

    def of_response(self, prompt, response):
        return (response,)

    def of_prompt(self, prompt):
        return (prompt[-1].content,)

    def encode(self, units):
        return np.stack([embedding(text) for (text,) in units])


class Broken(Hashed):
    """It has no number for what mentions a reef."""

    def encode(self, units):
        return np.where([["reef" in text] for (text,) in units], np.nan, super().encode(units))


def embedding(text):
    seed = zlib.crc32(text.encode("utf-8", "surrogatepass"))
    vector = np.random.default_rng(seed).normal(size=Hashed.dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def population(users, pairs, *, own=4.0, shared=3.0, seed=0):
    """Pairs by user whose true margin is linear in the embeddings, and the margins, shape (users, pairs)."""
    rng = np.random.default_rng(seed)
    texts = sorted({" ".join(rng.choice(WORDS, size=6)) for _ in range(100)})
    vectors = np.stack([embedding(text) for text in texts])
    w = shared * rng.normal(size=Hashed.dim)
    histories, margins = {}, []
    for user in (f"u{i}" for i in range(users)):
        weights = w + own * rng.normal(size=Hashed.dim)
        histories[user] = []
        for number in range(pairs):
            one, two = rng.choice(len(texts), 2, replace=False)
            margin = (vectors[one] - vectors[two]) @ weights
            if rng.random() > expit(margin):
                one, two, margin = two, one, -margin
            histories[user].append(
                pair(number, user=user, chosen=texts[one], rejected=texts[two], prompt=ASKED)
            )
            margins.append(margin)
    return histories, np.reshape(margins, (users, pairs))


def asked(pairs):
    return [p.compare("chosen_first") for p in pairs]


def flat(histories, part=slice(None)):
    return [p for pairs in histories.values() for p in pairs[part]]


def numbers(verdicts):
    """Margins, standard errors and probabilities, shape (3, n)."""
    return np.array([(v.margin, v.standard_error, v.probability) for v in verdicts]).T


def as_stranger(pairs):
    return [p.model_copy(update={"user_id": "nobody"}) for p in pairs]


@pytest.fixture
def encoder(monkeypatch):
    """What the model finds when it opens its encoder: a list of one, to be exchanged."""
    found = [Encoded(Hashed())]
    monkeypatch.setattr(hierarchical, "open_features", lambda spec: found[0])
    return found


HISTORIES, TRUE = population(16, 44, own=5.0, shared=2.0)
LEARNED = 24
"""Pairs of each user to learn from; the others are asked about."""


@pytest.fixture(scope="module")
def planted():
    """A model of 16 people, fitted on 24 pairs of each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hierarchical, "open_features", lambda spec: Encoded(Hashed()))
        return Hierarchical().fit(flat(HISTORIES, slice(LEARNED)))


# What it says is the posterior.


def joint_of(model, histories):
    shared_variance, _ = model.basis_.variances()
    users = [model._differences(pairs) for pairs in histories.values()]
    return Joint(users, model.factors_[0] * shared_variance, model.own_variance_)


@pytest.mark.parametrize("variances", ["fixed", "leave-one-out"])
def test_margins_and_standard_errors_are_those_of_the_joint_posterior(variances, encoder):
    histories, _ = population(3, 5, seed=2)
    model = Hierarchical(variances=variances).fit(flat(histories))
    joint = joint_of(model, histories)
    mode = joint.mode()
    covariance = np.linalg.inv(joint.hessian(mode))
    fresh, _ = population(3, 4, seed=3)
    for u, (user, pairs) in enumerate(fresh.items()):
        rows = model._differences(pairs)
        directions = np.stack([
            joint.direction(x, z, u) for x, z in zip(rows.shared, rows.own, strict=True)
        ])  # fmt: skip
        variance = ((directions @ covariance) * directions).sum(axis=1)
        margins, errors, probabilities = numbers(model.compare(asked(pairs)))
        assert margins == pytest.approx(directions @ mode, rel=1e-3, abs=1e-5)
        assert errors == pytest.approx(np.sqrt(variance), rel=1e-3)
        moderated = margins / np.sqrt(1 + np.pi / 8 * errors**2)
        assert probabilities == pytest.approx(expit(model.sharpness_ * moderated), rel=1e-9)

        margins, errors, _ = numbers(model.compare(asked(as_stranger(pairs))))
        shared = covariance[: joint.shared, : joint.shared]
        variance = ((rows.shared @ shared) * rows.shared).sum(axis=1) + rows.own**2 @ model.own_variance_
        assert margins == pytest.approx(rows.shared @ mode[: joint.shared], rel=1e-3, abs=1e-5)
        assert errors == pytest.approx(np.sqrt(variance), rel=1e-3)
        assert user in model.users


def test_a_reward_is_the_margin_against_typical_features(planted):
    """Standard errors of two rewards do not add up to that of their difference: what they share cancels."""
    pairs = flat(HISTORIES, slice(LEARNED, None))[:30]
    rewards = {}
    for side, texts in (
        ("chosen", [p.chosen_text for p in pairs]),
        ("rejected", [p.rejected_text for p in pairs]),
    ):
        rewards[side] = planted.score([p.prompt for p in pairs], texts, [p.user_id for p in pairs])
        assert all(0 < r.standard_error < 20 for r in rewards[side])
        for r in rewards[side]:
            moderated = r.value / np.sqrt(1 + np.pi / 8 * r.standard_error**2)
            assert r.probability == pytest.approx(expit(planted.sharpness_ * moderated))
    margins, errors, _ = numbers(planted.compare(asked(pairs)))
    chosen, rejected = ([r.value for r in rewards[side]] for side in ("chosen", "rejected"))
    assert margins == pytest.approx(np.subtract(chosen, rejected), abs=1e-9)
    apart = [np.hypot(c.standard_error, r.standard_error) for c, r in zip(*rewards.values(), strict=True)]
    assert not np.allclose(errors, apart, rtol=0.01)


def test_the_probabilities_are_calibrated_on_pairs_it_has_not_seen(planted):
    held_out = flat(HISTORIES, slice(LEARNED, None))
    true = TRUE[:, LEARNED:].ravel()
    sides = np.where(np.arange(len(true)) % 2, 1, -1)  # so that the chosen one is not always the first
    found = numbers(planted.compare(asked(held_out)))[2]
    found, chance = np.where(sides > 0, found, 1 - found), expit(sides * true)
    for low, high in ((0, 0.35), (0.35, 0.65), (0.65, 1)):
        there = (found >= low) & (found < high)
        assert there.sum() >= 50
        assert found[there].mean() == pytest.approx(chance[there].mean(), abs=0.1)
    assert np.cov(found, chance)[0, 1] / found.var() == pytest.approx(1, abs=0.35), "slope of truth on claim"


def test_the_user_is_worth_knowing(planted):
    held_out = flat(HISTORIES, slice(LEARNED, None))
    losses = {}
    for name, pairs in (
        ("own", held_out),
        ("nobody", as_stranger(held_out)),
        ("wrong", [p.model_copy(update={"user_id": f"u{(int(p.user_id[1:]) + 1) % 16}"}) for p in held_out]),
    ):
        losses[name] = -np.log(numbers(planted.compare(asked(pairs)))[2]).mean()
    assert losses["own"] < losses["nobody"] - 0.04
    assert losses["nobody"] < losses["wrong"] - 0.02
    assert losses["nobody"] < np.log(2)


def test_more_pairs_leave_smaller_standard_errors(planted):
    users = dict(planted.users_)
    held_out = [p.model_copy(update={"user_id": "new"}) for p in HISTORIES["u3"][LEARNED:]]
    history = [p.model_copy(update={"user_id": "new"}) for p in HISTORIES["u3"][:LEARNED]]
    errors = []
    for pairs in (0, 2, 8, LEARNED):
        planted.fit_user("new", history[:pairs])
        errors.append(numbers(planted.compare(asked(held_out)))[1].mean())
    planted.users_ = users
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.97 * errors[0]


# How the scales of the prior variances are chosen.


def problem_of(model, histories):
    users = [model._differences(pairs) for pairs in histories.values()]
    return Problem(users, *model.basis_.variances())


def left_out_loss(fit):
    """Mean negative log-likelihood of moderated left-out margins, at the scale that suits them best."""
    moderated = fit.left_out / np.sqrt(1 + np.pi / 8 * fit.left_out_variance)
    found = minimize_scalar(lambda s: np.logaddexp(0, -np.exp(s) * moderated).mean(), bounds=(-3, 3))
    return found.fun


CRITERIA = {"evidence": lambda fit: -fit.log_evidence, "leave-one-out": left_out_loss}


@pytest.mark.parametrize(("variances", "near"), [("evidence", 0.5), ("leave-one-out", 0.003)])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_factors_are_about_the_best_for_their_criterion_and_not_for_the_other(
    variances, near, seed, encoder
):
    histories, _ = population(10, 20, seed=seed)
    models = {name: Hierarchical(variances=name).fit(flat(histories)) for name in CRITERIA}
    problem = problem_of(models[variances], histories)
    found = {name: CRITERIA[variances](problem.fit(*models[name].factors_)) for name in CRITERIA}
    chosen = found.pop(variances)
    assert chosen < min(found.values()), "better than the other criterion's choice"
    edges = np.exp([-3, 0, 3])  # the built-in variances among them
    assert chosen <= min(CRITERIA[variances](problem.fit(a, b)) for a in edges for b in edges) + near


def test_fixed_variances_are_those_of_the_groups(encoder):
    histories, _ = population(3, 5)
    model = Hierarchical(variances="fixed").fit(flat(histories))
    assert model.factors_ == (1.0, 1.0)
    assert np.array_equal(model.own_variance_, model.basis_.variances()[1])


@pytest.mark.parametrize("variances", ["evidence", "leave-one-out", "fixed"])
def test_the_same_seed_gives_the_same_model(variances, encoder):
    pairs = flat(population(4, 6)[0])
    one, two = (Hierarchical(variances=variances, seed=3).fit(pairs) for _ in range(2))
    assert (one.factors_, one.sharpness_) == (two.factors_, two.sharpness_)
    assert {n: a.tobytes() for n, a in one._arrays().items()} == {
        n: a.tobytes() for n, a in two._arrays().items()
    }
    assert one.compare(asked(pairs)) == two.compare(asked(pairs))


@pytest.mark.parametrize("method", ["hierarchical", "hierarchical-stylometric"])
def test_another_way_to_choose_variances_is_refused(method):
    with pytest.raises(ConfigError, match=rf"{method}: variances is 'ml'; expected leave-one-out, evidence"):
        reward_models.method(method)(variances="ml")


# What it says about a user in words.


def likes(user, number, chosen, rejected):
    return pair(number, user=user, chosen=chosen, rejected=rejected, prompt=ASKED)


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
    assert all(e.weight for e in whole), "what never varied says nothing"
    sureness = [abs(e.weight) / e.standard_error for e in whole]
    assert sureness == sorted(sureness, reverse=True)
    assert sureness[0] > 2 * sureness[2] > 0
    assert told.evidence("ada") == whole[:8]
    assert told.evidence("ada", 2) == whole[:2]
    assert told.evidence("ada", 0) == []


def test_evidence_names_pairs_of_the_user_that_show_it_strongest_first(told):
    differences = {
        p.pair_id: dict(
            zip([f.name for f in stylometry.FEATURES], stylometry.difference(
                p.chosen_text, p.rejected_text, p.prompt[-1].content, clip=1e9), strict=True)
        )
        for p in tastes()["ada"]
    }  # fmt: skip
    cited = 0
    for e in told.evidence("ada", None):
        sizes = [np.sign(e.weight) * differences[pair_id][e.feature] for pair_id in e.pair_ids]
        assert all(size > 0 for size in sizes), e
        assert (np.diff(sizes) < 1e-6).all(), e
        others = [np.sign(e.weight) * d[e.feature] for i, d in differences.items() if i not in e.pair_ids]
        assert len(sizes) == min(4, len(sizes) + sum(size > 0 for size in others))
        assert max([*others, -1]) <= min([*sizes, np.inf]) + 1e-6
        cited += len(sizes)
    assert cited > 12
    assert "ada-né0" not in told.evidence("ada", 1)[0].pair_ids, "both of its answers end with a full stop"


def test_the_weight_of_a_feature_is_the_margin_of_one_deviation_of_it(told):
    """In every direction but its own the two rows are equal: their margin and its error are those told."""
    weights, errors = (
        [getattr(e, n) for e in told.evidence("ben", None)] for n in ("weight", "standard_error")
    )
    rows = told._differences(tastes()["ben"])
    order = [f.name for f in stylometry.FEATURES]
    place = [order.index(e.feature) for e in told.evidence("ben", None)]
    shared, own = (np.zeros((len(place), side.shape[1])) for side in (rows.shared, rows.own))
    shared[np.arange(len(place)), place] = own[np.arange(len(place)), place] = 1
    found = told._estimate(shared, own, [told.users_["ben"]] * len(place))
    assert found.value == pytest.approx(weights, abs=1e-12)
    assert found.standard_error == pytest.approx(errors, rel=1e-9)


def test_evidence_survives_a_checkpoint(told, tmp_path):
    told.save(tmp_path / "model")
    loaded = reward_models.load(tmp_path / "model")
    assert loaded.evidence("ada", None) == told.evidence("ada", None)


def test_evidence_of_an_unknown_user_is_refused(told):
    with pytest.raises(DataError, match=r"hierarchical-stylometric knows no user 'cleo'.*call fit_user"):
        told.evidence("cleo")
    with pytest.raises(NotFittedError, match="hierarchical-stylometric is not fitted"):
        HierarchicalStylometric().evidence("ada")


# Bad input.


def sane(model, users=("u0", "nobody")):
    """Every number of every text is a number."""
    for user in users:
        scored = model.score([ASKED] * len(AWKWARD), AWKWARD, [user] * len(AWKWARD))
        for result in scored:
            assert np.isfinite([result.value, result.probability, result.standard_error]).all()
            assert 0 <= result.probability <= 1
    return True


@pytest.mark.parametrize("variances", ["evidence", "leave-one-out", "fixed"])
def test_one_pair_is_enough_for_every_choice_of_variances(variances, encoder):
    only = [likes("u0", 0, "Aye, aye!", "The ship sails over calm water.")]
    model = Hierarchical(variances=variances).fit(only)
    assert model.users == ("u0",)
    assert model.compare(asked(only))[0].preference == "first"
    assert sane(model)
    assert [e.pair_ids for e in model.evidence("u0", 1)] == [("u0-0",)]


@pytest.mark.parametrize("variances", ["evidence", "leave-one-out", "fixed"])
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
    pairs = [p.model_copy(update={"user_id": "new"}) for p in HISTORIES["u2"][:6]]
    planted.fit_user("new", [q for p in pairs for q in (p, p.swapped_labels())] * 3)
    margins, errors, _ = numbers(planted.compare(asked(pairs)))
    population_margins, population_errors, _ = numbers(planted.compare(asked(as_stranger(pairs))))
    planted.users_ = users
    assert np.abs(margins).max() < np.abs(population_margins).max(), "as often the one as the other"
    assert (errors < population_errors).all(), "which is known"


def test_a_user_without_pairs_is_answered_as_unknown_or_refused(planted):
    users = dict(planted.users_)
    pairs = [p.model_copy(update={"user_id": "new"}) for p in HISTORIES["u2"][:3]]
    planted.fit_user("new", [])
    assert "new" not in planted.users
    assert (
        numbers(planted.compare(asked(pairs))).tolist()
        == numbers(planted.compare(asked(as_stranger(pairs)))).tolist()
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
        lambda: model.rewards([ASKED], ["A reef"], ["u0"]),
        lambda: model.rewards([(user_says("Is there a reef?"),)], ["Aye"], ["u0"]),
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


def test_a_checkpoint_of_another_encoder_is_refused_with_the_cure(encoder, tmp_path):
    pairs = flat(population(2, 3)[0])
    Hierarchical(variances="fixed").fit(pairs).save(tmp_path / "model")
    other = Hashed()
    other.identity = "another"
    encoder[0] = Encoded(other)
    message = r"trained on the embeddings 'hashed', and 'minilm' gives 'another' here.*install the encoder"
    with pytest.raises(DataError, match=message):
        reward_models.load(tmp_path / "model")


def test_the_encoder_is_opened_by_its_name(monkeypatch):
    opened = []

    def open_features(spec):
        opened.append(spec)
        return Encoded(Hashed())

    monkeypatch.setattr(hierarchical, "open_features", open_features)
    pairs = flat(population(2, 3)[0])
    for name in ("auto", "someone/encoder"):
        Hierarchical(encoder=name, variances="fixed").fit(pairs)
    assert opened == ["minilm", "someone/encoder"]


def test_the_encoder_decides_what_is_read(encoder):
    """Named features and wording alone cannot know what only the vectors say."""
    histories, _ = population(6, 30, own=0.0, shared=8.0, seed=6)
    train, held_out = flat(histories, slice(20)), flat(histories, slice(20, None))
    losses = [
        -np.log(numbers(kind(variances="fixed").fit(train).compare(asked(held_out)))[2]).mean()
        for kind in (Hierarchical, HierarchicalStylometric)
    ]
    assert losses[0] < losses[1] - 0.05


def test_the_search_never_ends_on_worse_factors_than_it_began_with(encoder):
    histories, _ = population(30, 6)
    model = Hierarchical().fit(flat(histories))
    problem = problem_of(model, histories)
    chosen, built_in = (_left_out_loss(problem.fit(*factors)) for factors in (model.factors_, (1.0, 1.0)))
    assert model.factors_ != (1.0, 1.0)
    assert chosen < built_in


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
    found = []
    for network in (Hashed(), Longer()):
        encoder[0] = Encoded(network)
        found.append(numbers(Hierarchical().fit(learned).compare(comparisons)))
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


def test_a_checkpoint_with_other_named_features_is_refused(tmp_path, encoder, monkeypatch):
    Hierarchical().fit(flat(HISTORIES, slice(LEARNED))).save(tmp_path / "model")
    monkeypatch.setattr(stylometry, "FEATURES", stylometry.FEATURES[::-1])
    with pytest.raises(DataError, match="other named features"):
        reward_models.load(tmp_path / "model")


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
