"""GPO and VPL: predictions and objectives computed by hand, and against other implementations of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_expit, softmax
from scipy.stats import norm
from sklearn.metrics import mean_squared_error

torch = pytest.importorskip("torch")

from reward_models._history_model import PairSets  # noqa: E402
from reward_models._trainer import (  # noqa: E402
    negative_elbo,
    seeded,
    swap_asymmetry,
)
from reward_models.gpo import Gpo, GpoNetwork  # noqa: E402
from reward_models.vpl import Vpl, VplNetwork  # noqa: E402


def put(layer, *rows, bias=None):
    """Give a linear layer these rows, and this bias (0 if None)."""
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
        layer.bias.copy_(torch.zeros(len(rows)) if bias is None else torch.tensor(bias))


def pairs(chosen, rejected, present=None):
    """Sets of one user from rows of features."""
    there = torch.ones(1, len(chosen), dtype=torch.bool) if present is None else torch.tensor([present])
    return PairSets(torch.tensor([chosen]), torch.tensor([rejected]), there)


def test_gpo_by_hand():
    """One layer of width 2. Normalised, a hidden vector is (1, -1), (-1, 1) or, "nobody", (0, 0)."""
    network = GpoNetwork(2, layers=1, heads=1, width=2, dropout=0.0, inner_dropout=0.0).eval()
    layer = network.layers[0]
    put(network.into[1], [1.0, 0.0], [0.0, 1.0])
    put(layer.feed_forward[3], [0.0] * 4, [0.0] * 4)
    put(layer.attention.out_proj, [1.0, 0.0], [0.0, 1.0])
    put(network.head[1], [1.0, 0.0], [0.0, 1.0])
    network.head[0] = torch.nn.Identity()
    with torch.no_grad():
        network.label.zero_()
        # alike vectors have the score (2 a) / sqrt 2 = ln 2, opposite ones -ln 2, and "nobody" has 0
        a = math.log(2) / math.sqrt(2)
        eye = torch.eye(2)
        layer.attention.in_proj_weight.copy_(torch.cat([a * eye, eye, eye]))
        layer.attention.in_proj_bias.zero_()
        context = pairs([[4.0, 2.0]], [[1.0, 7.0]])
        mean, log_std = network.predict(torch.tensor([[[5.0, 1.0]]]), *network.encode(context))
    # weights 1, 2 and 1/2 over their sum, values (0, 0), (1, -1), (-1, 1): read (3/7)(1, -1)
    assert mean.item() == pytest.approx(5 + 3 / 7, abs=1e-4)
    assert log_std.item() == pytest.approx(1 - 3 / 7, abs=1e-4)


def test_the_transformer_of_gpo_as_numpy_has_it():
    """Two layers, two heads, a padded history: the network written again, one position at a time."""
    with seeded(3):
        network = GpoNetwork(3, layers=2, heads=2, width=4, dropout=0.5, inner_dropout=0.5).double().eval()
    rng = np.random.default_rng(0)
    chosen, rejected, target = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=3)
    weights = {name: value.detach().numpy() for name, value in network.named_parameters()}
    kept = [0, 1, 3]

    def normalised(v, layer):
        v = (v - v.mean()) / np.sqrt(v.var() + 1e-5)
        return v * weights[f"{layer}.weight"] + weights[f"{layer}.bias"]

    def linear(v, layer):
        return weights[f"{layer}.weight"] @ v + weights[f"{layer}.bias"]

    def gelu(v):
        return v * norm.cdf(v)

    def through(at, hidden, context):
        name = f"layers.{at}"
        q, k, v = np.split(weights[f"{name}.attention.in_proj_weight"], 3)
        bq, bk, bv = np.split(weights[f"{name}.attention.in_proj_bias"], 3)
        query = q @ normalised(hidden, f"{name}.before_attention") + bq
        seen = [normalised(c, f"{name}.before_attention") for c in context]
        keys, values = np.array([k @ s + bk for s in seen]), np.array([v @ s + bv for s in seen])
        heads = [softmax(keys[:, h] @ query[h] / math.sqrt(2)) @ values[:, h]
                 for h in (slice(0, 2), slice(2, 4))]  # fmt: skip
        hidden = hidden + linear(np.concatenate(heads), f"{name}.attention.out_proj")
        inner = gelu(linear(normalised(hidden, f"{name}.before_forward"), f"{name}.feed_forward.0"))
        return hidden + linear(inner, f"{name}.feed_forward.3")

    context = [weights["nobody"]]
    context += [linear(chosen[i], "into.1") + weights["label"] for i in kept]
    context += [linear(rejected[i], "into.1") for i in kept]
    hidden = linear(target, "into.1")
    for at in range(2):
        hidden, context = through(at, hidden, context), [through(at, c, context) for c in context]
    expected = linear(normalised(hidden, "head.0"), "head.1")
    sets = pairs(chosen.tolist(), rejected.tolist(), [True, True, False, True])
    sets = PairSets(sets.chosen.double(), sets.rejected.double(), sets.present)
    with torch.no_grad():
        found = network.predict(torch.from_numpy(target)[None, None], *network.encode(sets))
    assert [part.item() for part in found] == pytest.approx(expected.tolist(), abs=1e-6)


class Told:
    """A network of GPO that predicts what it is told."""

    def __init__(self, mean, log_std):
        self.told = torch.tensor([mean]), torch.tensor([log_std])

    def encode(self, context):
        return None, None

    def predict(self, x, memory, absent):
        return self.told


@pytest.mark.parametrize("pairwise", [0.0, 0.25, 1.0])
def test_the_objective_of_gpo_by_hand_and_as_scipy_has_it(pairwise):
    """Three pairs, the second is padding: means and log-stds of the chosen, then of the rejected."""
    model = Gpo(pairwise=pairwise)
    mean, log_std = [1.0, 9.0, 0.2, 0.0, 9.0, 0.5], [0.0, 0.0, math.log(2), 0.0, 0.0, math.log(1.5)]
    model.network_ = Told(mean, log_std)
    targets = pairs([[0.0]] * 3, [[0.0]] * 3, [True, False, True])
    found = model._losses(targets, targets, 0.0).tolist()
    # the first: both labels met, each ln(2 pi) / 2, and a margin of 1 under variances 1 + 1
    by_hand = (1 - pairwise) * math.log(2 * math.pi) - pairwise * norm.logcdf(1 / math.sqrt(2))
    labels = -norm.logpdf(1, 0.2, 2) - norm.logpdf(0, 0.5, 1.5)
    choice = -norm.logcdf((0.2 - 0.5) / 2.5)
    assert found == pytest.approx([by_hand, (1 - pairwise) * labels + pairwise * choice], rel=1e-5)


def test_the_choice_of_gpo_is_the_probability_that_one_label_is_the_larger():
    model = Gpo(pairwise=1.0)
    model.network_ = Told([0.7, 0.3], [math.log(0.5), math.log(0.8)])
    target = pairs([[0.0]], [[0.0]])
    probability = math.exp(-model._losses(target, target, 0.0).item())
    rng = np.random.default_rng(0)
    drawn = rng.normal(0.7, 0.5, 200_000) > rng.normal(0.3, 0.8, 200_000)
    assert probability == pytest.approx(drawn.mean(), abs=0.005)


def test_the_posterior_of_vpl_by_hand():
    """An encoding is x(y+) - x(y-), every likeness is 0, and the prior item counts as two pairs."""
    network = VplNetwork(1, latents=1, width=1, dropout=0.0).eval()
    network.pair = torch.nn.Linear(2, 1)
    put(network.pair, [1.0, -1.0])
    put(network.query, [0.0])
    put(network.value, [1.0])
    put(network.mean, [3.0])
    put(network.log_variance, [0.5], bias=[-1.0])
    with torch.no_grad():
        network.prior.fill_(math.log(2))
    # differences 1 and 3, and padding: (1 + 3) / (2 + 2) = 1
    history = pairs([[2.0], [4.0], [9.0]], [[1.0], [1.0], [0.0]], [True, True, False])
    with torch.no_grad():
        mean, log_variance = network.posterior(history)
        assert (mean.item(), log_variance.item()) == pytest.approx((3.0, -0.5))
        # this encoder is odd: labels swapped, the mean is the opposite
        assert network.posterior(history.swapped())[0].item() == pytest.approx(-3.0)


def test_the_decoder_of_vpl_by_hand():
    network = VplNetwork(1, latents=1, width=2, dropout=0.5).eval()
    put(network.reward[0], [1.0, 1.0], [1.0, -1.0])
    put(network.reward[2], [1.0, -1.0], bias=[0.25])
    network.reward[1] = torch.nn.ReLU()
    x, z = torch.tensor([[2.0], [2.0], [-1.0]]), torch.tensor([[1.0], [-1.0], [0.5]])
    with torch.no_grad():
        assert network.decode(x, z).tolist() == [3 - 1 + 0.25, 1 - 3 + 0.25, 0.25]


def test_the_objective_of_vpl_with_its_swap_term():
    """Posterior N(1, 1) and, swapped, N(2, e^2); a decoder that does not look at z."""

    class Fixed:
        def thinned(self, history):
            return history

        def posterior(self, history):
            swapped = history.chosen[0, 0, 0] < 0
            return torch.tensor([[2.0 if swapped else 1.0]]), torch.tensor([[2.0 if swapped else 0.0]])

        def decode(self, x, z):
            return x[..., 0] + 0 * z[..., 0]

    context, targets = pairs([[1.0]], [[-1.0]]), pairs([[math.log(3)]], [[0.0]])
    for swap in (0.0, 0.5):
        model = Vpl(beta=0.2, annealing=0, swap=swap)
        model.network_ = Fixed()
        # sigma(ln 3) = 3/4; KL 1/2; (1 + 2)^2 + (0 - 2)^2 = 13
        expected = math.log(4 / 3) + 0.2 * 0.5 + swap * 13
        assert model._losses(context, targets, 0.0).tolist() == pytest.approx([expected])


def test_negative_elbo_as_scipy_and_torch_have_it():
    rng = np.random.default_rng(0)
    margins, mean, log_variance = rng.normal(size=6), rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    found = negative_elbo(*(torch.from_numpy(a) for a in (margins, mean, log_variance)), beta=0.3)
    posterior = torch.distributions.Normal(torch.from_numpy(mean), torch.from_numpy(np.exp(log_variance / 2)))
    prior = torch.distributions.Normal(0.0, 1.0)
    kl = torch.distributions.kl_divergence(posterior, prior).sum(-1).numpy()
    assert found.numpy() == pytest.approx(-log_expit(margins) + 0.3 * kl)


def test_swap_asymmetry_as_scikit_learn_has_it():
    mean, log_variance, turned, log_turned = np.random.default_rng(0).normal(size=(4, 5, 3))
    found = swap_asymmetry(*(torch.from_numpy(a) for a in (mean, log_variance, turned, log_turned)))
    errors = [mean_squared_error(a.T, b.T, multioutput="raw_values")
              for a, b in ((mean, -turned), (log_variance, log_turned))]  # fmt: skip
    assert found.numpy() == pytest.approx(sum(errors))
