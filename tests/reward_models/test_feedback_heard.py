"""What users say beside choices, through the contract: read or left out, counted, refused, kept apart from pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit
from wordy import Wordy

import reward_models
from reward_models._feedback import (
    LOG_NU,
    RATINGS,
    SPREAD_OF_RATINGS,
    SPREAD_OF_STRENGTHS,
    THRESHOLDS,
    TIES,
    Margins,
    choices,
    everything,
)
from reward_models._likelihood import Likelihood, beside_ties, between, positive, ranking
from reward_models.hierarchical_stylometric import HierarchicalStylometric
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.errors import DataError
from synthesizeme.feedback import THUMBS, Edit, Ranking, Rating, Scale, Tie
from synthesizeme.scoring import Answer
from synthesizeme.types import Failure, PreferencePair, Strength

POPULATION = planted_population(12, 10, seed=3)
PAIRS = POPULATION.pairs[:100]
NEW = POPULATION.by_user["planted-00011"]
PROMPT = NEW[0].prompt
STARS = Scale(lowest=1, highest=5, levels=5)


def about(number, user="ada", **more):
    return {"feedback_id": f"f{number}", "user_id": user, "prompt": PROMPT, **more}


def ratings(pairs, user, scale=STARS, better=5, worse=1):
    """The chosen responses rated high, and the rejected ones low."""
    return [
        Rating(response=text, value=value, scale=scale, **about(f"{pair.pair_id}-{value}", user))
        for pair in pairs
        for text, value in ((pair.chosen_text, better), (pair.rejected_text, worse))
    ]


@pytest.fixture(scope="module")
def model():
    return HierarchicalStylometric().fit(PAIRS)


def margins(model, pairs):
    return np.array(
        [verdict.margin for verdict in model.compare([it.compare("chosen_first") for it in pairs])]
    )


# From what was said to margins and terms.


def likelihood(found: Margins, rewards, thresholds=None):
    """log p of what was said, where responses have these rewards and the user these thresholds."""
    constant, held = found.beside()
    own = np.zeros(len(THRESHOLDS)) if thresholds is None else thresholds
    worth = [
        (0.0 if line.first is None else rewards[line.first.response])
        - (0.0 if line.second is None else rewards[line.second.response])
        for line in found.lines
    ]
    at = np.array(worth) + constant + held @ own
    return float(Likelihood([found.terms], len(at)).value(at))


def pair(chosen="A", rejected="B", **more):
    assistant = [{"role": "assistant", "content": text} for text in (chosen, rejected)]
    return PreferencePair(
        pair_id=f"{chosen}{rejected}", user_id="ada", prompt=PROMPT,
        chosen=assistant[:1], rejected=assistant[1:], **more,
    )  # fmt: skip


REWARDS = {"A": 1.3, "B": 0.4, "C": -0.6}


def test_stars_and_thumbs_are_levels_about_the_users_own_thresholds():
    levels = [[Rating(response="A", value=value, scale=STARS, **about(value))] for value in range(1, 6)]
    own = np.zeros(len(THRESHOLDS))
    own[RATINGS.place], own[SPREAD_OF_RATINGS.place] = 0.5, 0.2
    at = 0.5 + 1.2 * np.log([1 / 4, 2 / 3, 3 / 2, 4])
    expected = np.diff([0, *expit(at - REWARDS["A"]), 1])
    found = [likelihood(everything((), said), REWARDS, own) for said in levels]
    np.testing.assert_allclose(np.exp(found), 1.2 * expected)
    up, down = ([Rating(response="B", value=v, scale=THUMBS, **about(v))] for v in (1, 0))
    assert likelihood(everything((), up), REWARDS, own) == pytest.approx(math.log(expit(0.4)))
    assert likelihood(everything((), down), REWARDS, own) == pytest.approx(math.log(expit(-0.4)))
    assert RATINGS.own > 0


def test_the_strengths_of_a_choice_are_a_choice_together():
    found = [
        likelihood(everything([pair(strength=Strength(level=k, levels=3))], ()), REWARDS) for k in (1, 2, 3)
    ]
    assert np.exp(found).sum() == pytest.approx(expit(0.9))
    assert np.exp(found[2]) == pytest.approx(expit(0.9 - math.log(5)))  # equal ones: one in six


def test_of_a_user_who_says_ties_every_choice_is_beside_a_tie():
    tie = Tie(responses=("A", "B"), **about(1))
    found = everything([pair()], [tie])
    assert [term for term, _ in found.terms] == [beside_ties(1, 1)]
    e, nu = math.exp(0.45), math.exp(-0.7)
    expected = math.log(e / (e + 1 / e + nu)) + math.log(nu / (e + 1 / e + nu))
    assert likelihood(found, REWARDS) == pytest.approx(expected)
    assert likelihood(everything([pair()], ()), REWARDS) == pytest.approx(math.log(expit(0.9)))


def test_strengths_either_way_and_a_tie_are_one_scale():
    tie = Tie(responses=("A", "B"), **about(1))
    own = np.zeros(len(THRESHOLDS))
    own[SPREAD_OF_STRENGTHS.place] = -0.3
    said = {
        (*sides, k): everything([pair(*sides, strength=Strength(level=k, levels=2))], [tie])
        for sides in (("A", "B"), ("B", "A")) for k in (1, 2)
    }  # fmt: skip
    assert all({term for term, _ in found.terms} == {between, positive} for found in said.values())
    bound = 0.7 * math.log(3 / 2)
    of_tie = math.log(expit(bound - 0.9) - expit(-bound - 0.9))
    of_choices = [
        math.exp(likelihood(found, REWARDS, own) - of_tie - math.log(0.7)) for found in said.values()
    ]
    assert sum(of_choices) + math.exp(of_tie) == pytest.approx(1)


def test_both_bad_is_a_tie_and_a_thumb_down_for_each():
    ties = [Tie(responses=("A", "B"), both=both, **about(1)) for both in (None, "good", "bad")]
    unsaid, good, bad = (likelihood(everything((), [tie]), REWARDS) for tie in ties)
    assert good - unsaid == pytest.approx(math.log(expit(1.3) * expit(0.4)))
    assert bad - unsaid == pytest.approx(math.log(expit(-1.3) * expit(-0.4)))


def test_a_ranking_is_one_term_and_an_edit_a_choice():
    said = [Ranking(responses=("A", "B", "C"), **about(1)), Edit(original="B", edited="A", **about(2))]
    found = everything((), said)
    assert [term for term, _ in found.terms] == [ranking((1, 1, 1))]
    a, b, c = np.exp([REWARDS[name] for name in "ABC"])
    assert np.exp(likelihood(found, REWARDS)) == pytest.approx(a / (a + b + c) * b / (b + c) * a / (a + b))


def test_choices_alone_are_as_they_were():
    found = everything([pair(), pair("C", "A")], ())
    assert found.lines == choices([pair(), pair("C", "A")]).lines
    assert found.plain


# Through the contract.


def test_one_users_threshold_is_the_one_that_makes_the_thumbs_most_likely(model):
    """Eight responses that no feature tells apart: the margin against the threshold is all there is."""
    text = NEW[0].chosen_text
    thumbs = [Rating(response=text, value=int(k < 6), scale=THUMBS, **about(k)) for k in range(8)]
    user = HierarchicalStylometric(variances="fixed").fit(PAIRS)
    user.variances_ = type(user.variances_)(user.variances_.shared, np.full_like(user.variances_.own, 1e-12))
    state = user.fit_user("ada", [], feedback=thumbs).users_["ada"]
    [reward] = user.taste_rewards([Answer(PROMPT, text, "nobody")])
    found = minimize_scalar(
        lambda t: -6 * math.log(expit(reward.value - t)) - 2 * math.log(expit(t - reward.value)) + t * t / 10
    )
    assert state["thresholds"][1] == pytest.approx(found.x, abs=1e-4)


def test_a_user_with_ratings_alone_gets_a_taste_of_the_same_direction(model):
    chosen = margins(model.fit_user("planted-00011", NEW), NEW)
    rated = margins(model.fit_user("planted-00011", [], feedback=ratings(NEW, "planted-00011")), NEW)
    nobody = margins(model.fit_user("planted-00011", []), NEW)
    assert np.corrcoef(chosen - nobody, rated - nobody)[0, 1] > 0.8
    assert (rated - nobody).mean() > 0
    errors = [verdict.standard_error for verdict in model.compare([NEW[0].compare("chosen_first")])]
    model.fit_user("planted-00011", [], feedback=ratings(NEW, "planted-00011"))
    assert model.compare([NEW[0].compare("chosen_first")])[0].standard_error < errors[0]
    assert model.own_taste("planted-00011").p_value == 1.0, "what sets apart is told by choices alone"


def test_stars_at_both_ends_alone_leave_the_thresholds_in_order():
    """Nobody ever gives two to four stars: nothing but the prior keeps the thresholds of these apart."""
    said = [it for user, own in POPULATION.by_user.items() for it in ratings(own, user)]
    told = HierarchicalStylometric(variances="fixed").fit(PAIRS, feedback=said)
    spreads = [1 + told.users_[user]["thresholds"][SPREAD_OF_RATINGS.place] for user in POPULATION.by_user]
    assert 0 < min(spreads) <= max(spreads) < 1
    middle = [Rating(response=NEW[0].chosen_text, value=3, scale=STARS, **about(1))]
    state = told.fit_user("ada", [], feedback=middle).users_["ada"]
    assert all(np.isfinite(array).all() for array in state.values())
    assert 1 + state["thresholds"][SPREAD_OF_RATINGS.place] > min(spreads)


def test_feedback_is_learned_from_by_everybody_and_survives_a_checkpoint(tmp_path):
    said = ratings(NEW, "planted-00011") + [
        Tie(responses=(pair.chosen_text, pair.rejected_text), **about(k, pair.user_id))
        for k, pair in enumerate(PAIRS[::7])
    ]
    plain, told = HierarchicalStylometric().fit(PAIRS), HierarchicalStylometric().fit(PAIRS, feedback=said)
    assert "planted-00011" in told.users
    assert not np.allclose(margins(plain, NEW), margins(told, NEW))
    report = told.fit_report()
    assert report["feedback read: tie"] == 15
    assert report["feedback read: rating"] == 20
    assert len(told.fit_.weights) == len(plain.fit_.weights) + len(THRESHOLDS)
    told.save(tmp_path / "model")
    loaded = reward_models.load(tmp_path / "model")
    assert np.array_equal(margins(loaded, NEW), margins(told, NEW))
    asked = [it.compare("chosen_first") for it in PAIRS]
    assert np.array_equal(loaded.tie_chances(asked), told.tie_chances(asked))
    loaded.fit_user("planted-00011", [], feedback=ratings(NEW, "planted-00011"))
    assert np.array_equal(margins(loaded, NEW), margins(told, NEW))


def test_where_anybody_said_ties_every_choice_could_have_been_one():
    """Eight choices of one direction: without a tie among them, the user's own nu is below that of all."""
    said = [Tie(responses=("A", "B"), **about(k, it.user_id)) for k, it in enumerate(PAIRS[::5])]
    told = HierarchicalStylometric(variances="fixed").fit(PAIRS, feedback=said)
    state = told.fit_user("planted-00011", NEW).users_["planted-00011"]
    assert state["thresholds"][TIES.place] < told._thresholds()[TIES.place]
    assert len(state["items"]) == len(NEW) + 1
    [chance] = told.tie_chances([NEW[0].compare("chosen_first")])
    nu = np.exp(LOG_NU + state["thresholds"][TIES.place])
    assert 0 < chance < nu / (nu + 2)


def test_who_says_more_ties_is_expected_to_say_more(model):
    few, many = (
        [Tie(responses=(it.chosen_text, it.rejected_text), **about(k)) for k, it in enumerate(NEW[:n])]
        for n in (1, 8)
    )
    own = [it.model_copy(update={"user_id": "ada"}) for it in NEW]
    asked = [it.compare("chosen_first") for it in own]
    found = [
        model.fit_user("ada", own[n:], feedback=said).tie_chances(asked) for n, said in ((1, few), (8, many))
    ]
    model.forget_user("ada")
    assert (found[0] < found[1]).all()
    usual = model.tie_chances(asked)
    unsure = -np.array([abs(verdict.probability - 0.5) for verdict in model.compare(asked)])
    assert np.array_equal(np.argsort(usual), np.argsort(unsure))


def test_other_methods_leave_feedback_out_and_say_how_much(model):
    strong = [PAIRS[0].model_copy(update={"strength": Strength(level=2, levels=2)}), *PAIRS[1:]]
    said = [Edit(original="one", edited="two", **about(1)), *ratings(NEW[:1], "ada")]
    wordy = Wordy().fit(strong, feedback=said)
    report = wordy.fit_report()
    assert {name: n for name, n in report.items() if name.startswith("feedback")} == {
        "feedback left out: edit": 1, "feedback left out: rating": 2, "feedback left out: strength": 1,
    }  # fmt: skip
    assert "ada" not in wordy.users
    fluent = [it.model_copy(update={"aspect": "fluency"}) for it in ratings(NEW[:1], "ada")]
    assert "ada" not in model.fit_user("ada", [], feedback=fluent).users
    assert not HierarchicalStylometric(knows="words").reads_feedback


@pytest.mark.parametrize(
    ("change", "message"),
    [({"split": "test"}, "test split"), ({"user_id": "bob"}, "of other users"), (None, "expected a Tie")],
)
def test_feedback_that_may_not_be_learned_from_is_refused_and_nobody_changes(model, change, message):
    [said, _] = ratings(NEW[:1], "ada")
    before = dict(model.users_)
    said = NEW[0] if change is None else said.model_copy(update=change)
    with pytest.raises(DataError, match=message):
        model.fit_user("ada", [], feedback=[said])
    assert model.users_ == before


def test_nothing_said_is_nothing_changed(model):
    state = {**model.fit_user("planted-00011", NEW).users_["planted-00011"]}
    again = model.fit_user("planted-00011", NEW, None, []).users_["planted-00011"]
    assert state.keys() == again.keys()
    assert all(np.array_equal(state[name], again[name]) for name in state)
    assert not any(isinstance(it, Failure) for it in model.compare([NEW[0].compare("chosen_first")]))


def test_one_act_is_learned_from_once(model):
    """The pairs of a ranking and its ratings add nothing beside it; without the ranking the ratings stand."""
    one, other = NEW[0], NEW[1]
    texts = (one.chosen_text, one.rejected_text, other.rejected_text)
    same = {"instead_of": (one.pair_id,)}
    ranked = Ranking(responses=texts, **about(1, one.user_id), **same)
    rated = [
        Rating(response=text, value=value, scale=STARS, **about(value, one.user_id), **same)
        for text, value in zip(texts, (5, 2, 1), strict=True)
    ]

    def learned(pairs, feedback):
        model.fit_user(one.user_id, pairs, feedback=feedback)
        return margins(model, NEW)

    alone = learned([other], [ranked])
    assert learned([one, other], [*rated, ranked]) == pytest.approx(alone)
    assert learned([one, other], rated) == pytest.approx(learned([other], rated))
    assert learned([one, other], rated) != pytest.approx(alone)
    assert learned([one, other], []) != pytest.approx(learned([other], []))
