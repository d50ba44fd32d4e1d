"""LoRe, PAL-A and PAL-B: rewards computed by hand, and a user's weights found by scipy."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))
import two_tastes  # noqa: E402

from reward_models.lore import Lore, LoreNetwork  # noqa: E402
from reward_models.pal import Pal, PalNetwork  # noqa: E402
from reward_models.pal_b import PalB, PalBNetwork  # noqa: E402
from synthesizeme.scoring import Answer  # noqa: E402

NO_PROMPT = torch.zeros(1, 0)
SMALL = {"features": "stylometric", "rank": 3, "epochs": 5, "shrinkage": 0.5}
TRAIN = two_tastes.population(4, 8)
HISTORY = [p for p in two_tastes.population(2, 6, seed=4) if p.user_id == "u1"]
HISTORY[0] = HISTORY[0].swapped_labels()  # so that the weights have an optimum inside the simplex


def linear(*rows):
    """The linear map with these rows and no bias."""
    layer = torch.nn.Linear(len(rows[0]), len(rows))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
        layer.bias.zero_()
    return layer


def test_lore_by_hand():
    network = LoreNetwork(dim=2, rank=2)
    with torch.no_grad():
        network.basis.copy_(torch.tensor([[1.0, 0.0], [0.0, -2.0]]))  # rewards x_1 and -2 x_2
    x = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    weights = torch.tensor([[0.75, 0.25]] * 2)
    assert network.rewards(x, NO_PROMPT, weights).tolist() == [0.75 * 2 - 0.25 * 2, -0.25 * 6]


def test_pal_by_hand():
    network = PalNetwork(dim=2, rank=2, into=linear([2.0, 0.0], [0.0, 2.0]))
    with torch.no_grad():
        network.prototypes.copy_(torch.tensor([[0.0, 0.0], [4.0, 0.0]]))
    x = torch.tensor([[1.0, 4.0], [1.0, 0.0]])
    weights = torch.tensor([[0.75, 0.25]] * 2)  # the ideal point is (1, 0), f doubles
    rewards = network.rewards(x, NO_PROMPT, weights)
    assert rewards.tolist() == [-8.0, 0.0]
    assert Pal.loss(rewards[:1] - rewards[1:]).tolist() == [9.0]
    assert Pal.loss(rewards[1:] - rewards[:1]).tolist() == [0.0]


def test_pal_b_by_hand():
    network = PalBNetwork(linear([1.0, 0.0], [0.0, 1.0]), [linear([1.0], [0.0]), linear([0.0], [1.0])])
    x = torch.tensor([[2.0, 0.0], [0.0, 5.0], [-1.0, -1.0]])
    prompts = torch.ones(3, 1)
    weights = torch.tensor([[0.5, 0.5]] * 3)  # wanted (.5, .5), at 45 degrees to the first two
    expected = np.array([math.sqrt(0.5), math.sqrt(0.5), -1.0])
    with torch.no_grad():
        assert network.rewards(x, prompts, weights).numpy() == pytest.approx(expected / 0.07, rel=1e-5)
        network.scale.fill_(math.log(1000))
        assert network.rewards(x, prompts, weights).numpy() == pytest.approx(expected * 100, rel=1e-5)


def lore_reward(model, x, prompts, weights):
    return x @ (model.network_.basis.detach().double().numpy() @ weights)


def pal_reward(model, x, prompts, weights):
    def f(rows):
        return rows @ weight.T + bias

    weight, bias = (p.detach().double().numpy() for p in model.network_.into[1].parameters())
    ideal = weights @ model.network_.prototypes.detach().double().numpy()
    return -np.linalg.norm(f(x) - f(ideal), axis=1)


def pal_b_reward(model, x, prompts, weights):
    def apply(layers, rows):
        weight, bias = (p.detach().double().numpy() for p in layers[1].parameters())
        return rows @ weight.T + bias

    answers = apply(model.network_.answers, x)
    wanted = sum(w * apply(wish, prompts) for w, wish in zip(weights, model.network_.wishes, strict=True))
    cosine = (answers * wanted).sum(1) / np.linalg.norm(answers, axis=1) / np.linalg.norm(wanted, axis=1)
    return min(math.exp(model.network_.scale.item()), 100) * cosine


@pytest.mark.parametrize(
    ("model", "reward", "loss"),
    [
        (Lore(**SMALL), lore_reward, lambda m: np.logaddexp(0, -m)),
        (Pal(**SMALL, dim=4, hidden=0), pal_reward, lambda m: np.maximum(0, 1 - m)),
        (PalB(**SMALL, dim=4, hidden=0), pal_b_reward, lambda m: np.logaddexp(0, -m)),
    ],
    ids=["lore", "pal", "pal-b"],
)
def test_the_weights_of_a_new_user_are_the_minimum_that_scipy_finds(model, reward, loss):
    """The objective is written again in numpy, and minimised without gradients from several starts."""
    model.fit(TRAIN).fit_user("u1", HISTORY)
    chosen, rejected = (side.double().numpy() for side in model._encode_pairs(HISTORY))
    prompts = model._encode_prompts([pair.prompt for pair in HISTORY]).double().numpy()
    shared = model.network_.logits.detach().double().numpy()

    def objective(own):
        weights = softmax(shared + own)
        margins = reward(model, chosen, prompts, weights) - reward(model, rejected, prompts, weights)
        return loss(margins).sum() + SMALL["shrinkage"] / 2 * (own**2).sum()

    settings = {"xatol": 1e-6, "fatol": 1e-10, "maxiter": 5000, "maxfev": 5000}
    starts = np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    best = min(
        (minimize(objective, start, method="Nelder-Mead", options=settings) for start in starts),
        key=lambda found: found.fun,
    )
    weights = model.users_["u1"]["weights"]
    assert weights == pytest.approx(softmax(shared + best.x), abs=2e-3)
    assert np.abs(weights - softmax(shared)).max() > 0.02, "the pairs moved the weights"
    value = model.rewards([Answer(HISTORY[0].prompt, HISTORY[0].chosen_text, "u1")])[0]
    expected = reward(model, chosen[:1], prompts[:1], weights) / model.temperature_
    assert value == pytest.approx(expected[0], rel=1e-4)
