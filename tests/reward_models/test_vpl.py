from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))
import two_tastes  # noqa: E402

import reward_models  # noqa: E402
from reward_models._history_model import PairSets  # noqa: E402
from reward_models._trainer import (  # noqa: E402
    bradley_terry,
    gaussian_kl,
    seeded,
    swap_asymmetry,
)
from reward_models.vpl import Vpl, VplNetwork, _active  # noqa: E402
from synthesizeme.errors import ConfigError, NotFittedError  # noqa: E402
from synthesizeme.scoring import as_answers  # noqa: E402

pytestmark = pytest.mark.usefixtures("taste_alone")

SMALL = {
    "features": "stylometric", "epochs": 40, "warm_up": 10, "learning_rate": 3e-3, "width": 16, "latents": 4,
    "dropout": 0.1, "annealing": 10,
}  # fmt: skip
TRAIN = two_tastes.population(n_pairs=16, validation=4)
HELD_OUT = two_tastes.population(n_pairs=8, seed=1)


@pytest.fixture(scope="module")
def fitted():
    return Vpl(**SMALL).fit(TRAIN)


@pytest.fixture
def network():
    with seeded(0):
        return VplNetwork(5, latents=3, width=8, dropout=0.0).eval()


def history(n, users=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    chosen, rejected = (torch.randn(users, n, 5, generator=generator) for _ in range(2))
    return PairSets(chosen, rejected, torch.ones(users, n, dtype=torch.bool))


def posterior(network, pairs):
    with torch.no_grad():
        return network.posterior(pairs)


def test_own_history_helps_another_taste_misleads_and_swapped_labels_turn_round(fitted):
    own = two_tastes.accuracy(fitted, HELD_OUT)
    nobody = two_tastes.accuracy(fitted, two_tastes.asked_as(HELD_OUT, "nobody"))
    assert own >= 0.9
    assert 0.3 <= nobody <= 0.7
    asked = [p for p in HELD_OUT if p.user_id in ("u1", "u3")]
    assert two_tastes.accuracy(fitted, two_tastes.asked_as(asked, "u0")) <= 0.1
    users = dict(fitted.users_)
    fitted.fit_user("u1", [p.swapped_labels() for p in TRAIN if p.user_id == "u1"])
    assert two_tastes.accuracy(fitted, [p for p in HELD_OUT if p.user_id == "u1"]) <= 0.1
    fitted.users_ = users


def test_people_who_agree_teach_the_population():
    agreed = two_tastes.population(4, 12, tastes=(two_tastes.SUNNY,))
    asked = two_tastes.population(4, 12, tastes=(two_tastes.SUNNY,), seed=1)
    model = Vpl(**SMALL | {"no_history": 1.0, "epochs": 20}).fit(agreed)
    assert two_tastes.accuracy(model, two_tastes.asked_as(asked, "nobody")) >= 0.9


def test_the_posterior_has_no_order_and_sees_no_padding(network):
    pairs = history(3)
    expected = posterior(network, pairs)
    order = [2, 0, 1]
    turned = PairSets(pairs.chosen[:, order], pairs.rejected[:, order], pairs.present)
    filled = [torch.cat([side, 1e3 * torch.ones(1, 2, 5)], dim=1) for side in pairs[:2]]
    padded = PairSets(*filled, torch.tensor([[True, True, True, False, False]]))
    for other in (turned, padded):
        for found, wanted in zip(posterior(network, other), expected, strict=True):
            assert torch.allclose(found, wanted, atol=1e-6)
    for other in (pairs.swapped(), history(3, seed=1), history(2)):
        assert not torch.allclose(posterior(network, other)[0], expected[0], atol=1e-3)


def test_without_a_pair_the_posterior_is_the_prior(network):
    with torch.no_grad():
        network.mean.bias.fill_(1.0)
    nothing = PairSets(torch.full((2, 3, 5), 7.0), torch.zeros(2, 3, 5), torch.zeros(2, 3, dtype=torch.bool))
    for pairs in (nothing, history(0, users=2)):
        mean, log_variance = posterior(network, pairs)
        assert torch.equal(mean, torch.zeros(2, 3))
        assert torch.equal(log_variance, torch.zeros(2, 3))


def test_an_unknown_user_is_decoded_at_the_mean_of_the_prior(fitted):
    asked = HELD_OUT[0]
    fitted.users_["at-zero"] = {"mean": np.zeros(SMALL["latents"], dtype=np.float32)}
    try:
        by_hand, nobody = fitted.rewards(
            as_answers([asked.prompt] * 2, [asked.chosen_text] * 2, ["at-zero", "nobody"])
        )
    finally:
        fitted.forget_user("at-zero")
    assert by_hand == nobody


def test_active_units_by_hand(fitted, tmp_path):
    # variances of the columns over users: .25, .0121, .0081, 0
    assert _active(np.array([[0, 0, 0, 5], [1, 0.22, 0.18, 5]])) == 2
    assert _active(np.array([[3.0, -1.0]])) == 0, "one user does not vary"
    means = np.stack([fitted.users_[user]["mean"] for user in fitted.users])
    assert fitted.active_units() == sum(np.var(column) > 0.01 for column in means.T) > 0
    fitted.save(tmp_path / "model")
    assert reward_models.load(tmp_path / "model").active_units() == fitted.active_units()
    told = fitted.fit_report()
    assert (told["active units"], told["latents"]) == (fitted.active_units(), fitted.latents)
    assert (told["collapsed"], told["user changes nothing"]) == (False, False)
    with pytest.raises(NotFittedError):
        Vpl().active_units()


def test_a_heavy_kl_makes_the_latents_inactive_and_that_is_told(caplog, tmp_path):
    heavy = SMALL | {"beta": 100.0, "annealing": 0, "epochs": 20}
    collapsed = Vpl(**heavy).fit(TRAIN)
    assert collapsed.active_units() == 0
    assert collapsed.fit_report()["collapsed"] is True
    [warning] = caplog.messages
    assert "vpl: the user changes nothing: 0 of 4 latents are active" in warning
    assert "params.beta" in warning
    collapsed.save(tmp_path / "model")
    assert reward_models.load(tmp_path / "model").fit_report()["collapsed"] is True
    with pytest.raises(ConfigError, match="0 of 4 latents"):
        Vpl(**heavy, on_collapse="raise").fit(TRAIN)
    with pytest.raises(ConfigError, match="on_collapse is 'ignore'"):
        Vpl(**SMALL, on_collapse="ignore").fit(TRAIN)


def test_the_kl_is_annealed():
    model = Vpl(beta=0.2, annealing=10)
    assert [model._kl_weight(epoch) for epoch in (0, 5, 10, 50)] == pytest.approx([0, 0.1, 0.2, 0.2])
    assert Vpl(beta=0.2, annealing=0)._kl_weight(0) == 0.2


def test_the_kl_enters_the_loss_with_its_weight(network):
    model = Vpl(beta=0.2, annealing=10, swap=0.0)
    model.network_ = network
    context, targets = history(3, users=2), history(2, users=2, seed=5)
    targets = targets._replace(present=torch.tensor([[True, True], [True, False]]))

    def losses(epoch):
        with seeded(1), torch.no_grad():
            return model._losses(context, targets, epoch)

    kl = gaussian_kl(*posterior(network, context))
    assert torch.allclose(losses(5.0) - losses(0.0), 0.1 * kl[[0, 0, 1]], rtol=1e-4)


def test_no_noise_and_no_kl_where_there_is_no_history(network):
    model = Vpl(beta=5.0, annealing=0, swap=0.0)
    model.network_ = network
    targets = history(4, seed=5)
    with torch.no_grad():
        found = model._losses(history(0), targets, 0.0)
        zero = torch.zeros(1, 4, 3)
        margins = network.decode(targets.chosen, zero) - network.decode(targets.rejected, zero)
    assert torch.allclose(found, bradley_terry(margins[0]))


def test_a_read_latent_has_the_scale_it_is_trained_with(network):
    """Draws in training scatter about the mean that scoring takes; nothing is rescaled in between."""
    model = Vpl(swap=0.0, beta=0.0, annealing=0)
    seen = []
    network.decode = lambda x, z: seen.append(z) or x[..., 0]
    model.network_ = network
    context = history(3)
    with seeded(0):
        for _ in range(2000):
            model._losses(context, history(1, seed=2), 0.0)
    drawn = torch.stack([z[0, 0] for z in seen[::2]]).detach()
    _, log_variance = posterior(network, context)
    with torch.no_grad():
        state = model._read(context.chosen[0], context.rejected[0])["mean"]
    assert drawn.mean(0).numpy() == pytest.approx(state, abs=0.02)
    assert drawn.std(0).numpy() == pytest.approx((log_variance[0] / 2).exp().numpy(), rel=0.1)


def test_the_cure_makes_swapped_histories_mirror_images():
    """Three of four people share a taste, so nothing but the cure asks for mirror images."""
    uneven = two_tastes.population(12, 16, tastes=(two_tastes.SUNNY,) * 3 + (two_tastes.FROSTY,))
    asked = two_tastes.population(12, 8, tastes=(two_tastes.SUNNY,) * 3 + (two_tastes.FROSTY,), seed=1)

    def asymmetry_and_accuracy(swap):
        model = Vpl(**SMALL | {"mirrored": 0.0, "swap": swap}).fit(uneven)
        found = []
        for user in model.users:
            chosen, rejected = model._encode_pairs([p for p in uneven if p.user_id == user])
            own = PairSets(chosen[None], rejected[None], torch.ones(1, len(chosen), dtype=torch.bool))
            twin = posterior(model.network_, own.swapped())
            found.append(swap_asymmetry(*posterior(model.network_, own), *twin).item())
        return np.mean(found), two_tastes.accuracy(model, asked)

    (plain, _), (cured, accuracy) = asymmetry_and_accuracy(0.0), asymmetry_and_accuracy(0.1)
    assert cured < 0.2 * plain
    assert accuracy >= 0.9, "the means have not merely shrunk to nothing"


def test_settings_out_of_range_are_named_together():
    with pytest.raises(ConfigError) as error:
        Vpl(**SMALL | {"latents": 0, "beta": -1.0, "swap": -0.5, "dropout": 2.0, "no_history": 3.0})
    for part in ("latents is 0", "beta is -1", "swap is -0.5", "dropout is 2", "no_history is 3"):
        assert part in str(error.value)
