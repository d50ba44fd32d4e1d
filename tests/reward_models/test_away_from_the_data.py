"""Standard errors away from the answers that were learned from: they grow, whatever the way."""

from __future__ import annotations

import numpy as np
import pytest

from reward_models.hierarchical import Hierarchical
from reward_models.hierarchical_stylometric import HierarchicalStylometric
from synthesizeme.datasets import read_pairs
from synthesizeme.scoring import as_answers
from synthesizeme.types import Comparison

STEPS = (0, 4, 16, 64, 256)
FOREIGN = ["Straßenbahn", "ungewöhnlich", "Vergänglichkeit", "Zwiebelkuchen", "Nachbarschaft", "Eichhörnchen"]
UNSEEN = "The mitochondrial ribosome translates transcripts that encode subunits of the respiratory chain."


def _letters(count):
    rng = np.random.default_rng(0)
    words = ("".join(chr(97 + k) for k in rng.integers(26, size=rng.integers(3, 10))) for _ in range(count))
    return " ".join(words)


WALKS = {
    "exclamation marks": lambda text, steps: text + "!" * steps,
    "emoji": lambda text, steps: text + " \N{GRINNING FACE}" * steps,
    "the same again": lambda text, steps: " ".join([text] * (1 + steps // 4)),
    "foreign words": lambda text, steps: " ".join([text, *(FOREIGN[i % 6] for i in range(steps))]),
    "random tokens": lambda text, steps: f"{text} {_letters(steps)}",
    "an unseen topic": lambda text, steps: " ".join([text, *[UNSEEN] * (steps // 4)]),
    "one character": lambda text, steps: text + "#" * steps,
}
"""Ways from a training answer, by the number of steps taken."""


@pytest.fixture(scope="module")
def learned_from():
    return [p for p in read_pairs("data/sample/pairs.jsonl").pairs if p.split != "test"]


@pytest.fixture(scope="module", params=["hierarchical", "hierarchical-stylometric"])
def model(request, learned_from):
    made = Hierarchical(encoder="static") if request.param == "hierarchical" else HierarchicalStylometric()
    return made.fit(learned_from)


def nothing(prior, items, others=()):
    return np.zeros(len(items))


def errors_along(model, pairs, walk, user):
    """Mean standard errors at every step: of rewards, and of margins against the original answers."""
    rewards, margins = [], []
    for steps in STEPS:
        asked = [
            Comparison(
                pair_id=p.pair_id, user_id=user or p.user_id, prompt=p.prompt,
                first=walk(p.chosen_text, steps), second=p.chosen_text,
            )
            for p in pairs
        ]  # fmt: skip
        scored = model.score(
            as_answers([c.prompt for c in asked], [c.first for c in asked], [c.user_id for c in asked])
        )
        rewards.append(np.mean([r.standard_error for r in scored]))
        margins.append(np.mean([v.standard_error for v in model.compare(asked)]))
    return np.array(rewards), np.array(margins)


@pytest.mark.parametrize("user", [None, "nobody"], ids=["known", "unknown"])
@pytest.mark.parametrize("way", WALKS)
def test_standard_errors_rise_with_every_step_away(model, learned_from, way, user):
    rewards, margins = errors_along(model, learned_from[::4], WALKS[way], user)
    assert (rewards[1:] > 0.98 * rewards[:-1]).all(), rewards
    assert rewards[-1] > 1.04 * rewards[0], rewards
    assert (margins[2:] > 1.01 * margins[1:-1]).all(), margins
    assert margins[-1] > 1.08 * margins[1] > 0, margins


@pytest.mark.parametrize("way", ["random tokens", "foreign words", "an unseen topic"])
def test_most_of_it_comes_from_what_the_features_do_not_represent(model, learned_from, way, monkeypatch):
    cautious, _ = errors_along(model, learned_from[::4], WALKS[way], None)
    monkeypatch.setattr(model.basis_, "outside", nothing)
    bold, _ = errors_along(model, learned_from[::4], WALKS[way], None)
    assert cautious[0] == pytest.approx(bold[0], rel=0.02), "training answers lie within"
    grown = cautious[-1] ** 2 - cautious[0] ** 2
    assert bold[-1] ** 2 - bold[0] ** 2 < 0.6 * grown, (bold, cautious)


def test_values_do_not_change_with_what_no_feature_represents(model, learned_from, monkeypatch):
    asked = [
        WALKS["foreign words"](p.chosen_text, 16) for p in learned_from[:6]
    ]  # fmt: skip
    users, prompts = [p.user_id for p in learned_from[:6]], [p.prompt for p in learned_from[:6]]
    cautious = model.taste_rewards(as_answers(prompts, asked, users))
    monkeypatch.setattr(model.basis_, "outside", nothing)
    bold = model.taste_rewards(as_answers(prompts, asked, users))
    assert [r.value for r in cautious] == [r.value for r in bold]
    for careful, careless in zip(cautious, bold, strict=True):
        assert careful.standard_error > careless.standard_error
        assert abs(careful.probability - 0.5) < abs(careless.probability - 0.5), "nearer to not knowing"
