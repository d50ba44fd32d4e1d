from __future__ import annotations

import pytest
import torch
from scipy.optimize import rosen

from reward_models._trainer import Schedule, minimise, seeded, train_network

POINTS = torch.linspace(-1, 1, 40)[:, None]
TARGETS = 2 * POINTS + 0.5


def line(seed=0):
    with seeded(seed):
        return torch.nn.Linear(1, 1)


def squares(network, rows=slice(None)):
    return (network(POINTS[rows]) - TARGETS[rows]).square().mean()


def fitted(**settings):
    network = line()
    schedule = Schedule(epochs=60, batch_size=8, learning_rate=0.05, weight_decay=0.0)
    epochs = train_network(
        network, lambda rows, step: squares(network, rows), 40, schedule, seed=0, **settings
    )
    return network, epochs


def test_learns_a_line_to_the_last_epoch():
    network, epochs = fitted()
    assert epochs == 60
    assert squares(network).item() < 1e-6
    assert not network.training


def test_the_same_seed_gives_the_same_bits_and_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    one, other = fitted()[0], fitted()[0]
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(before, torch.get_rng_state())
    with seeded(3) as generator:
        drawn = torch.rand(2)
        assert torch.equal(
            torch.rand(2, generator=generator), torch.rand(4, generator=generator.manual_seed(3))[2:]
        )
    assert torch.equal(drawn, torch.rand(2, generator=torch.Generator().manual_seed(3)))
    assert torch.equal(before, torch.get_rng_state())


def test_the_weights_of_the_best_epoch_are_kept_and_patience_ends_the_training():
    values, seen = iter([5.0, 3.0, 2.0, 4.0, 2.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.5]), []
    network = line()

    def held_out():
        assert not network.training
        assert not torch.is_grad_enabled()
        seen.append(network.weight.detach().clone())
        return next(values)

    schedule = Schedule(epochs=60, patience=3, batch_size=8)
    kept = train_network(
        network, lambda rows, step: squares(network, rows), 40, schedule, seed=0, held_out=held_out
    )
    assert kept == 2, "the first of the two lowest"
    assert len(seen) == 1 + 2 + 3, "before, to the best, and three in vain"
    assert torch.equal(network.weight, seen[2])


def test_without_any_better_epoch_the_start_is_kept():
    network, start = line(), line()
    losses = iter([1.0] * 99)
    schedule = Schedule(epochs=60, patience=2)
    kept = train_network(
        network,
        lambda rows, step: squares(network, rows),
        40,
        schedule,
        seed=0,
        held_out=lambda: next(losses),
    )
    assert kept == 0
    assert torch.equal(network.weight, start.weight)


def test_every_row_is_seen_once_in_an_epoch_and_steps_are_counted():
    network, rows_seen, steps = line(), [], []

    def loss(rows, step):
        rows_seen.extend(rows.tolist())
        steps.append(step)
        return squares(network, rows)

    train_network(network, loss, 40, Schedule(epochs=2, batch_size=16), seed=0)
    assert sorted(rows_seen[:40]) == sorted(rows_seen[40:]) == list(range(40))
    assert rows_seen[:40] != rows_seen[40:]
    assert steps == [0, 1, 2, 3, 4, 5]


def test_weight_decay_spares_what_is_not_to_be_decayed():
    network = line()
    start = network.weight.item(), network.bias.item()
    schedule = Schedule(epochs=1, batch_size=40, learning_rate=0.1, weight_decay=0.5)
    train_network(
        network, lambda rows, step: 0 * squares(network, rows), 40, schedule, seed=0, undecayed=[network.bias]
    )
    assert (network.weight.item(), network.bias.item()) == pytest.approx((start[0] * 0.95, start[1]))


def test_a_minimum_is_found_and_nothing_else_gets_a_gradient():
    other = torch.ones(2, requires_grad=True)

    def objective(x):
        return 100 * (x[1] - x[0] ** 2) ** 2 + (other[0] - x[0]) ** 2

    found = minimise(objective, torch.tensor([-1.2, 1.0], dtype=torch.float64))
    assert found.tolist() == pytest.approx([1, 1], abs=1e-4)
    assert rosen(found.numpy()) < 1e-8
    assert other.grad is None
    kink = minimise(lambda x: (x - 3).abs().sum() + (x + 1).relu().sum(), torch.zeros(1))
    assert -1 <= kink.item() <= 3  # flat between the two kinks
