"""What a user says of a trait: the term against its definition, the posterior against a grid, and what it changes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from opposites import judged, population
from scipy.special import expit

import reward_models
from reward_models._feedback import CLEAR, NO_MATTER, THRESHOLDS, TRAITS, everything
from reward_models._likelihood import Likelihood
from reward_models.hierarchical_stylometric import HierarchicalStylometric
from synthesizeme.feedback import STARS, Rating, Trait
from synthesizeme.questions import ResponseQuestion, TraitQuestion
from synthesizeme.stylometry import FEATURE
from synthesizeme.types import Comparison

ANSWERS = ("no", "no matter", "yes")
PLACE = list(FEATURE).index("exclamations")


@pytest.fixture(scope="module")
def model():
    return HierarchicalStylometric().fit([pair for pair in population(7, 5) if pair.split != "test"])


def says(*answers, feature="exclamations", user="new"):
    return [
        Trait(feedback_id=f"{feature}{number}", user_id=user, feature=feature, answer=answer)
        for number, answer in enumerate(answers)
    ]


def believed(model, *questions, user="new"):
    return model.answer_posterior(user, questions or [TraitQuestion(user_id=user, feature="exclamations")])


@pytest.fixture
def told(model):
    """The model with a new user who said this, and nothing else."""

    def tell(feedback):
        return model.fit_user("new", [], None, feedback)

    yield tell
    model.forget_user("new")


@pytest.mark.parametrize("weight", [-3.0, 0.0, 0.7])
def test_the_three_answers_are_levels_of_the_weight_and_of_the_way_to_say_yes(weight):
    """From the definition: P(yes) and P(no) are tails of one logistic, what is left does not matter."""
    own = np.zeros(len(THRESHOLDS))
    own[TRAITS.place] = 0.3
    found = []
    for answer in ANSWERS:
        said = everything((), says(answer))
        assert {line.weight.feature for line in said.lines} - {None} == {PLACE}
        constant, held = said.beside()
        margins = np.array([line.weight.by * weight for line in said.lines]) + constant + held @ own
        found.append(math.exp(Likelihood([said.terms], len(margins)).value(margins)))
    at = CLEAR * weight + 0.3
    yes, no = expit(at - math.log(2)), expit(-at - math.log(2))
    assert found == pytest.approx([no, 1 - yes - no, yes])


def prior_factor(model):
    """A square root of the prior covariance of a user's deviations on the user features, tastes included."""
    width = len(model.tastes_.features)
    return np.concatenate([np.diag(np.sqrt(model.variances_.own[:width])), model.tastes_.features], axis=1)


def brute_force(model, answers):
    """Mode, mean, variance and Laplace's variance of t + a g / sd, on a grid over t and g."""
    shared, own = model.basis_.trait(PLACE)
    spread = math.sqrt(((own @ prior_factor(model)) ** 2).sum())
    usual = shared @ model.fit_.weights[: len(shared)] / spread
    weight = CLEAR * (usual + np.linspace(-6, 6, 1201))[:, None]
    scale = math.sqrt(TRAITS.shared + TRAITS.own)
    shift = scale * np.linspace(-6, 6, 1201)[None, :]
    at = weight + shift
    yes, no = expit(at - NO_MATTER[1]), expit(-at + NO_MATTER[0])
    chances = {"yes": yes, "no": no, "no matter": 1 - yes - no}
    log = -((weight / CLEAR - usual) ** 2) / 2 - (shift / scale) ** 2 / 2
    log = log + sum(np.log(chances[answer]) for answer in answers)
    i, j = np.unravel_index(log.argmax(), log.shape)
    steps = np.array([weight[1, 0] - weight[0, 0], shift[0, 1] - shift[0, 0]])
    block = log[i - 20 : i + 21 : 20, j - 20 : j + 21 : 20]
    both = (block[2, 2] + block[0, 0] - block[2, 0] - block[0, 2]) / 4
    curvature = np.array([[block[2, 1] + block[0, 1] - 2 * block[1, 1], both],
                          [both, block[1, 2] + block[1, 0] - 2 * block[1, 1]]])  # fmt: skip
    laplace = np.linalg.inv(-curvature / np.outer(20 * steps, 20 * steps)).sum()
    density = np.exp(log - log.max())
    density /= density.sum()
    mean = (density * at).sum()
    return at[i, j], mean, (density * (at - mean) ** 2).sum(), laplace


@pytest.mark.parametrize("answers", [("yes",), ("no matter",), ("no", "no"), ("yes", "yes", "no matter")])
def test_the_posterior_is_that_of_brute_force_on_one_coefficient(model, told, answers):
    told(says(*answers))
    found = believed(model)
    mode, mean, variance, laplace = brute_force(model, answers)
    assert found.mean[0] == pytest.approx(mode, abs=0.02)  # the step of the grid
    assert found.covariance[0, 0] == pytest.approx(laplace, rel=0.01)
    assert found.mean[0] == pytest.approx(mean, abs=0.3)  # a mode for a mean
    assert found.covariance[0, 0] == pytest.approx(variance, rel=0.2)
    assert found.cuts == [NO_MATTER]


def test_before_any_answer_it_is_the_prior(model):
    _, mean, variance, _ = brute_force(model, ())
    found = believed(model)
    assert (found.mean[0], found.covariance[0, 0]) == pytest.approx((mean, variance), rel=1e-3)


def worth(model, user="new"):
    """What more exclamation marks are worth to a user beyond everybody, with what goes with them."""
    own = model.basis_.trait(PLACE)[1]
    return np.concatenate([own, model.tastes_.features.T @ own]) @ model.users_[user]["mean"]


def test_yes_moves_the_named_weight_up_and_makes_it_surer(model, told):
    prompt = judged("new", 1, calm=True, split="train").prompt
    texts = {"first": "Rice keeps for a day! Enjoy!", "second": "Rice keeps for a day."}
    asked = Comparison(pair_id="x", user_id="new", prompt=prompt, **texts)
    place = 1 + sum(model.basis_.trait(feature)[1].any() for feature in range(PLACE))
    weights, errors, margins = [], [], []
    for number in range(1, 5):
        told(says(*["yes"] * number))
        weights.append(worth(model))
        errors.append(math.sqrt(believed(model).covariance[place, place]))
        margins.append(model.compare([asked])[0].margin)
    assert weights[0] > 0
    assert np.all(np.diff(weights) > 0)
    assert np.all(np.diff(errors) < 0)
    assert np.all(np.diff(margins) > 0)
    told(says("no"))
    assert worth(model) == pytest.approx(-weights[0], rel=0.5)
    assert model.compare([asked])[0].margin < margins[0]


def test_who_says_yes_to_everything_says_less_by_it(model, told):
    """Features in which no texts differed say nothing but how a user answers."""
    silent = [name for place, name in enumerate(FEATURE) if not model.basis_.trait(place)[1].any()]
    told(says("yes"))
    alone = worth(model)
    told([it for name in ["exclamations", *silent[:8]] for it in says("yes", feature=name)])
    assert 0 < worth(model) < alone
    assert model.users_["new"]["thresholds"][TRAITS.place] > 0.3
    unasked = TraitQuestion(user_id="new", feature=silent[-1])
    assert believed(model, unasked).mean[0] > 0.3, "and is expected to say it again"


def test_a_rating_is_believed_as_its_reward_less_the_users_threshold(model, told):
    shown = judged("new", 3, calm=True, split="train")
    asked = ResponseQuestion(user_id="new", prompt=shown.prompt, response=shown.chosen_text, scale=STARS)
    before = believed(model, asked)
    assert before.cuts[0] == pytest.approx([math.log(k / (5 - k)) for k in range(1, 5)])
    low = [
        Rating(
            feedback_id=f"r{number}", user_id="new", response=f"Answer {number}.", value=1, scale=STARS,
            prompt=shown.prompt,
        )
        for number in range(4)
    ]  # fmt: skip
    told(low)
    after = believed(model, asked)
    assert after.mean[0] < before.mean[0] - 0.5
    assert after.covariance[0, 0] < before.covariance[0, 0]
    assert after.cuts[0] == pytest.approx(
        (1 + model.users_["new"]["thresholds"][3]) * np.array(before.cuts[0])
    )


def test_what_was_said_of_traits_lasts_in_a_checkpoint_and_is_counted(model, told, tmp_path):
    told(says("yes", "no matter"))
    model.save(tmp_path / "m")
    again = reward_models.load(tmp_path / "m")
    for one, other in zip(believed(again), believed(model), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_all_users_together_teach_what_everybody_likes(model):
    pairs = [pair for pair in population(7, 5) if pair.split != "test"]
    users = sorted({pair.user_id for pair in pairs})
    agreed = HierarchicalStylometric().fit(pairs, feedback=[it for u in users for it in says("no", user=u)])
    assert agreed.fit_report()["feedback read: trait"] == len(users)
    assert agreed.fit_.weights[PLACE] < model.fit_.weights[PLACE]
    assert agreed.fit_.weights[-len(THRESHOLDS) :][TRAITS.place] < 0
