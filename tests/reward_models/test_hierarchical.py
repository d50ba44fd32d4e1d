"""The hierarchical models from end to end, with an encoder that depends on the text alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hashed_texts import (
    ASKED,
    Hashed,
    asked,
    asked_as,
    drawn_texts,
    embedding,
    flat,
    likes,
    numbers,
    opening,
    population,
)
from joint_posterior import Joint
from opposites import population as opposites
from scipy.special import expit

import reward_models
from reward_models import _hierarchical
from reward_models._effects import NONE
from reward_models._features import Encoded
from reward_models._hierarchy import some_users
from reward_models._left_out import CASES, SEEN_OR_NEW, Factors, Pairs, loss
from reward_models._types import Asked, Item, sides_of
from reward_models.hierarchical import Hierarchical
from reward_models.hierarchical_stylometric import HierarchicalStylometric
from synthesizeme.scoring import as_answers
from synthesizeme.types import Comparison

pytestmark = pytest.mark.usefixtures("taste_alone")

HISTORIES, TRUE = population(16, 44, own=5.0, shared=2.0)
LEARNED = 24
"""Pairs of each user to learn from; the others are asked about."""


def hashed(fit):
    with pytest.MonkeyPatch.context() as patch:
        opening(patch, lambda spec: Encoded(Hashed()))
        return fit()


@pytest.fixture(scope="module")
def planted():
    """A model of 16 people, fitted on 24 pairs of each."""
    return hashed(lambda: Hierarchical().fit(flat(HISTORIES, slice(LEARNED))))


# What it says is the posterior.


def settings(name):
    """A model fitted in one of three ways, and the histories it was fitted on."""
    if name == "tastes":
        histories = {}
        for one in opposites(7, 5):
            histories.setdefault(one.user_id, []).append(one)
        histories = {user: [p for p in pairs if p.split != "test"] for user, pairs in histories.items()}
        return HierarchicalStylometric().fit(flat(histories)), histories
    histories, _ = population(3, 6, seed=2, texts=10)
    made = {"fixed": {"variances": "fixed"}, "left-out": {"tastes": "none"}}[name]
    return hashed(lambda: Hierarchical(**made).fit(flat(histories))), histories


@pytest.fixture(scope="module", params=["fixed", "left-out", "tastes"])
def joint(request):
    """A model, the joint posterior of what it knows, its mode and covariance, and comparisons of old and new texts."""
    model, histories = settings(request.param)
    assert (len(model.judged_) > 0) == (request.param != "fixed")
    assert (model.tastes_.count > 0) == (request.param == "tastes")
    users = {user: model._differences(pairs) for user, pairs in histories.items()}
    joint = Joint(list(users.values()), model.variances_, len(model.fit_.effects))
    mode = joint.mode()
    rng = np.random.default_rng(3)
    texts = {}
    for p in flat(histories):
        texts.setdefault(p.prompt, set()).update((p.chosen_text, p.rejected_text))
    shown = []
    for number in range(24):
        prompt, some = list(texts.items())[number % len(texts)]
        sides = [*sorted(some), *drawn_texts(rng, len(some))] if number % 3 else sorted(some)
        first, second = rng.choice(sides, 2, replace=False)
        shown.append((prompt, str(first), str(second)))
    return model, joint, mode, joint.covariance(mode), histories, shown


def comparisons(shown, user):
    return [
        Comparison(pair_id=str(i), user_id=user, prompt=prompt, first=first, second=second)
        for i, (prompt, first, second) in enumerate(shown)
    ]


def case_of(known, unjudged):
    return ("seen" if known else "nobody") if unjudged == 0 else ("new" if known else "nobody, new")


def expected_of(model, joint, mode, covariance, rows, outside, user):
    """Margins, standard errors and how many texts of each row have no effect, by the dense posterior."""
    directions = joint.directions(rows, user)
    unjudged = (rows.items == NONE).sum(axis=1)
    variance = ((directions @ covariance) * directions).sum(axis=1) + unjudged * model.variances_.items
    if user is None:
        variance += rows.own**2 @ model.variances_.own
    variance += model.basis_.outside(model.variances_, *outside)
    return directions @ mode, np.sqrt(variance), unjudged


def test_margins_and_standard_errors_are_those_of_the_joint_posterior(joint, monkeypatch):
    model, dense, mode, covariance, histories, shown = joint
    sharpness = dict(zip(CASES, (0.5, 0.7, 1.1, 1.6), strict=True))
    monkeypatch.setattr(model, "sharpness_", sharpness)
    seen = Counter()
    sides = [[Item(prompt, texts[side]) for prompt, *texts in shown] for side in (0, 1)]
    for u, user in enumerate([*histories, None]):
        rows = model._contrasts(*sides_of(comparisons(shown, "nobody"), [None] * len(shown)))
        expected, errors, unjudged = expected_of(
            model, dense, mode, covariance, rows, sides, None if user is None else u
        )
        verdicts = model.compare(comparisons(shown, user or "nobody"))
        found = numbers(verdicts)
        assert found[0] == pytest.approx(expected, rel=1e-3, abs=1e-4)
        assert found[1] == pytest.approx(errors, rel=1e-3)
        sharp = np.array([sharpness[case_of(user is not None, n)] for n in unjudged])
        assert found[2] == pytest.approx(expit(sharp * found[0] / np.sqrt(1 + np.pi / 8 * found[1] ** 2)))
        effects = len(model.judged_) > 0
        assert [v.judged for v in verdicts] == [bool(effects and n == 0) for n in unjudged]
        seen.update(unjudged.tolist())
        own = {text for p in histories.get(user, ()) for text in (p.chosen_text, p.rejected_text)}
        seen["own"] += sum(text in own for _, *texts in shown for text in texts)
    assert seen[2] > 8
    assert seen["own"] > 8, "texts that the user judged"
    assert len(model.judged_) == 0 or min(seen[0], seen[1]) > 8


def test_rewards_and_their_standard_errors_are_those_of_the_joint_posterior(joint):
    model, dense, mode, covariance, histories, shown = joint
    prompts, texts, _ = map(list, zip(*shown, strict=True))
    rows = model._described(Asked(prompts, texts, [None] * len(texts)))
    items = [Item(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
    for u, user in enumerate([*histories, None]):
        expected, errors, _ = expected_of(
            model, dense, mode, covariance, rows, [items], None if user is None else u
        )
        errors = np.sqrt(
            errors**2 - model.variances_.items
        )  # the typical response has no effect to be unsure of
        rewards = model.score(as_answers(prompts, texts, [user or "nobody"] * len(texts)))
        assert [r.value for r in rewards] == pytest.approx(expected, rel=1e-3, abs=1e-4)
        assert [r.standard_error for r in rewards] == pytest.approx(errors, rel=1e-3)
        assert [r.judged for r in rewards] == [
            bool(len(model.judged_) and n != NONE) for n in rows.items[:, 0]
        ]


def test_a_reward_is_the_margin_against_typical_features(planted):
    """Standard errors of two rewards do not add up to that of their difference: what they share cancels."""
    pairs = flat(HISTORIES, slice(LEARNED, None))[:30]
    rewards = {}
    for side, texts in (
        ("chosen", [p.chosen_text for p in pairs]),
        ("rejected", [p.rejected_text for p in pairs]),
    ):
        rewards[side] = planted.score(
            as_answers([p.prompt for p in pairs], texts, [p.user_id for p in pairs])
        )
        assert all(0 < r.standard_error < 20 for r in rewards[side])
        for r in rewards[side]:
            moderated = r.value / np.sqrt(1 + np.pi / 8 * r.standard_error**2)
            sharp = planted.sharpness_["seen" if r.judged else "new"]
            assert r.probability == pytest.approx(expit(sharp * moderated))
    margins, errors, _ = numbers(planted.compare(asked(pairs)))
    chosen, rejected = ([r.value for r in rewards[side]] for side in ("chosen", "rejected"))
    assert margins == pytest.approx(np.subtract(chosen, rejected), abs=1e-9)
    apart = [np.hypot(c.standard_error, r.standard_error) for c, r in zip(*rewards.values(), strict=True)]
    assert not np.allclose(errors, apart, rtol=0.01)


def slope(found, chance):
    """Of the true chance on what was said."""
    return np.cov(found, chance)[0, 1] / found.var(ddof=1)


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
    assert slope(found, chance) == pytest.approx(1, abs=0.35)


def told_of_old_and_new_texts(seed):
    """What is said where texts have effects that their vectors do not tell: probabilities and true chances."""
    rng = np.random.default_rng(seed)
    texts = list(map(str, rng.permutation(drawn_texts(rng, 140))))
    value = dict(zip(texts, 1.5 * rng.normal(size=len(texts)), strict=True))
    w = 2.0 * rng.normal(size=Hashed.dim)
    own = {f"u{i}": w + 1.5 * rng.normal(size=Hashed.dim) for i in range(40)}

    def shown(user, texts):
        first, second = map(str, rng.choice(texts, 2, replace=False))
        margin = (embedding(first) - embedding(second)) @ own[user] + value[first] - value[second]
        return Comparison(pair_id="x", user_id=user, prompt=ASKED, first=first, second=second), expit(margin)

    pairs = []
    for user in own:
        for number in range(20):
            c, chance = shown(user, texts[:60])
            chosen, rejected = (c.first, c.second) if rng.random() < chance else (c.second, c.first)
            pairs.append(likes(user, number, chosen, rejected))
    model = Hierarchical(tastes="none").fit(pairs)
    assert model.factors_.items > 0.3
    found = {}
    for name, some in (("judged", texts[:60]), ("new", texts[60:])):
        asked, chances = zip(*(shown(user, some) for user in own for _ in range(20)), strict=True)
        verdicts = model.compare(asked)
        assert {v.judged for v in verdicts} == {name == "judged"}
        found[name] = numbers(verdicts)[2], np.array(chances)
    return found


def test_probabilities_are_calibrated_on_new_texts_and_sharper_on_judged_ones(encoder):
    told = [told_of_old_and_new_texts(seed) for seed in range(3)]
    for name in ("judged", "new"):
        assert np.mean([slope(*found[name]) for found in told]) == pytest.approx(1, abs=0.2), name
    for found in told:
        sure = {name: np.abs(said - 0.5).mean() for name, (said, _) in found.items()}
        assert sure["judged"] > sure["new"] + 0.03


def test_the_user_is_worth_knowing(planted):
    held_out = flat(HISTORIES, slice(LEARNED, None))
    losses = {}
    for name, pairs in (
        ("own", held_out),
        ("nobody", asked_as("nobody", held_out)),
        ("wrong", [p.model_copy(update={"user_id": f"u{(int(p.user_id[1:]) + 1) % 16}"}) for p in held_out]),
    ):
        losses[name] = -np.log(numbers(planted.compare(asked(pairs)))[2]).mean()
    assert losses["own"] < losses["nobody"] - 0.04
    assert losses["nobody"] < losses["wrong"] - 0.02
    assert losses["nobody"] < np.log(2)


def test_more_pairs_leave_smaller_standard_errors(planted):
    users = dict(planted.users_)
    held_out = asked_as("new", HISTORIES["u3"][LEARNED:])
    history = asked_as("new", HISTORIES["u3"][:LEARNED])
    errors = []
    for pairs in (0, 2, 8, LEARNED):
        planted.fit_user("new", history[:pairs])
        errors.append(numbers(planted.compare(asked(held_out)))[1].mean())
    planted.users_ = users
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.97 * errors[0]


# How the prior variances are chosen.


def test_the_factors_predict_left_out_pairs_better_than_the_built_in_ones(encoder):
    histories, _ = population(12, 16)
    model = Hierarchical(tastes="none").fit(flat(histories))
    built_in = built_in_variances(model)
    rows = [model._differences(pairs) for pairs in histories.values()]
    pairs = Pairs(some_users(rows, 1024, 0), built_in)
    chosen, plain = (
        loss(pairs.left_out(factors, SEEN_OR_NEW)) for factors in (model.factors_, Factors(1, 1, 0.0))
    )
    assert model.factors_.items > 0
    assert chosen < plain - 0.003


def built_in_variances(model):
    shared, own = model.basis_.variances()
    return type(model.variances_)(np.concatenate([shared, model.words_.variances()]), own)


def test_fixed_variances_are_those_of_the_groups_and_nothing_else_is_learned(encoder):
    histories, _ = population(12, 10)
    model = Hierarchical(variances="fixed").fit(flat(histories))
    assert model.factors_ == Factors(1.0, 1.0, 0.0)
    assert np.array_equal(model.variances_.own, model.basis_.variances()[1])
    assert (len(model.judged_), model.tastes_.count) == (0, 0)
    assert {v.judged for v in model.compare(asked(flat(histories)))} == {False}


def test_tastes_may_be_left_out():
    pairs = [p for p in opposites(7, 5) if p.split != "test"]
    learned, none = (HierarchicalStylometric(tastes=how).fit(pairs) for how in ("learned", "none"))
    assert (learned.tastes_.count, none.tastes_.count) == (8, 0)
    assert learned.fit_report()["tastes"] == 8
    assert len(learned.variances_.own) == len(none.variances_.own) + 8


def test_texts_that_recur_only_outside_of_the_pairs_searched_have_no_effects(monkeypatch):
    """The variance of effects cannot be chosen where none of the pairs that it is chosen on share a text."""
    monkeypatch.setattr(_hierarchical, "SEARCHED", 60)
    pairs = [
        likes(f"u{u}", i, f"a fine text of {u} and {i}!", f"another one, {u} then {i}.")
        for u in range(20) for i in range(5)
    ]  # fmt: skip
    for user in np.random.default_rng(0).permutation(20)[-2:]:  # who are drawn last
        pairs.append(likes(f"u{user}", "x", "the same text", "and the same other one"))
    model = HierarchicalStylometric().fit(pairs)
    assert len(model.judged_) == len(model.fit_.effects) == 0
    assert np.isfinite(numbers(model.compare(asked(pairs)))).all()


@pytest.mark.parametrize("variances", ["left-out", "fixed"])
def test_the_same_seed_gives_the_same_model(variances, encoder):
    pairs = flat(population(10, 12)[0])
    one, two = (Hierarchical(variances=variances, seed=3).fit(pairs) for _ in range(2))
    assert (one.factors_, one.sharpness_) == (two.factors_, two.sharpness_)
    assert {n: a.tobytes() for n, a in one._arrays().items()} == {
        n: a.tobytes() for n, a in two._arrays().items()
    }
    assert one.compare(asked(pairs)) == two.compare(asked(pairs))


def test_a_row_is_said_the_same_of_to_the_bit_in_any_company():
    pairs = [p for p in opposites(7, 5) if p.split != "test"]
    model = HierarchicalStylometric().fit(pairs)
    shown = asked([*pairs[:40], *asked_as("nobody", pairs[:40])])
    together = model.compare(shown)
    assert [model.compare([one])[0] for one in shown] == together
    assert model.compare(shown[::-1])[::-1] == together
    assert model.compare(shown * 2) == together * 2


def test_no_text_is_in_a_checkpoint_and_a_loaded_one_says_the_same(tmp_path, encoder):
    """Of a model with effects and, in the other half, with tastes."""
    histories, _ = population(6, 16)
    tasting = [p for p in opposites(7, 5) if p.split != "test"]
    for name, model, pairs in (
        ("effects", Hierarchical(), flat(histories)),
        ("tastes", HierarchicalStylometric(), tasting),
    ):
        model.fit(pairs).save(tmp_path / name)
        loaded = reward_models.load(tmp_path / name)
        assert len(loaded.judged_) == len(model.judged_) > 0
        assert loaded.tastes_.count == model.tastes_.count == (8 if name == "tastes" else 0)
        shown = asked([*pairs, *asked_as("nobody", pairs)])
        assert loaded.compare(shown) == model.compare(shown)
        stored = b"".join(p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file())
        assert not [p.pair_id for p in pairs if p.chosen_text.encode() in stored]
        assert not [p.pair_id for p in pairs if p.prompt[-1].content.encode() in stored]
