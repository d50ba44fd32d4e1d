"""Fitting networks on frozen features: a seeded loop with early stopping, and a full-batch minimiser."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train."""

    epochs: int = 60
    """Passes over the rows, at most."""
    patience: int = 8
    """Epochs without a better held-out loss before stopping."""
    batch_size: int = 64
    """Rows per step."""
    learning_rate: float = 1e-3
    """Step size of AdamW."""
    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW."""


@contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """Torch's own CPU generator, seeded; its state from before is put back. For initialisation, dropout."""
    before = torch.random.get_rng_state()
    try:
        yield torch.default_generator.manual_seed(seed)
    finally:
        torch.random.set_rng_state(before)


def train(
    network: nn.Module,
    loss: Callable[[Tensor, int], Tensor],
    n_rows: int,
    schedule: Schedule,
    *,
    seed: int,
    held_out: Callable[[], float] | None = None,
    undecayed: Sequence[nn.Parameter] = (),
) -> int:
    """Train `network` in place by AdamW on mini-batches drawn without replacement.

    Args:
        network: Everything to train; in training mode during steps, in evaluation mode otherwise.
        loss: Scalar loss of the rows at these indices, shape (b,), and of the step, counted from 0.
        n_rows: How many rows there are.
        schedule: Its settings.
        seed: Seed of the batches and of dropout.
        held_out: Loss on held-out rows, asked after every epoch with gradients off. The weights of the
            best epoch are kept, and training stops when `patience` epochs bring no better one. Without it
            all epochs are run.
        undecayed: Parameters of `network` that get no weight decay.

    Returns:
        The epochs that the kept weights were trained for; 0 where no epoch was better than none.
    """
    free = {id(parameter) for parameter in undecayed}
    decayed = [parameter for parameter in network.parameters() if id(parameter) not in free]
    optimizer = torch.optim.AdamW(
        [{"params": decayed}, {"params": list(undecayed), "weight_decay": 0.0}],
        lr=schedule.learning_rate,
        weight_decay=schedule.weight_decay,
    )
    best, best_loss, best_epoch, step = None, math.inf, 0, 0
    if held_out is not None:
        best, best_loss = copy.deepcopy(network.state_dict()), _held_out_loss(network, held_out)
    with seeded(seed) as generator:
        for epoch in range(1, schedule.epochs + 1):
            network.train()
            for rows in torch.randperm(n_rows, generator=generator).split(schedule.batch_size):
                optimizer.zero_grad()
                loss(rows, step).backward()
                optimizer.step()
                step += 1
            if held_out is None:
                best_epoch = epoch
                continue
            value = _held_out_loss(network, held_out)
            if value < best_loss:
                best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), value, epoch
            elif epoch - best_epoch >= schedule.patience:
                break
    if best is not None:
        network.load_state_dict(best)
    network.eval()
    return best_epoch


def minimise(objective: Callable[[Tensor], Tensor], start: Tensor, *, iterations: int = 100) -> Tensor:
    """Where `objective`, a scalar function of one tensor, is smallest near `start`, by L-BFGS.

    No randomness: the same objective and start give the same point. Gradients of nothing else are touched.
    With a strong-Wolfe line search quasi-Newton steps also serve piecewise smooth objectives: the hinge.

    References:
        Lewis and Overton (2013), "Nonsmooth optimization via quasi-Newton methods", Math. Program. 141.
    """
    point = start.detach().clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [point],
        max_iter=iterations,
        tolerance_grad=1e-7,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        value = objective(point)
        (point.grad,) = torch.autograd.grad(value, point)
        return value

    optimizer.step(closure)
    return point.detach()


def _held_out_loss(network: nn.Module, held_out: Callable[[], float]) -> float:
    network.eval()
    with torch.no_grad():
        return held_out()
