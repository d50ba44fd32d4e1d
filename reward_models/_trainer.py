"""Fitting networks on frozen features: the objectives, a seeded loop with early stopping, a minimiser.

Objectives are pure functions of tensors that give one value per row; callers take the mean. `margins` is
always r(chosen) - r(rejected), shape (n,), and every result has shape (n,); but for `retrieval_distillation`,
whose row is a query with its documents.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


def bradley_terry(margins: Tensor, offset: float = 0.0) -> Tensor:
    """Negative log-likelihood of the choice, ``-log sigmoid(margin - offset)``, in nats.

    Args:
        margins: r(chosen) - r(rejected), shape (n,).
        offset: By how much the chosen response should win at least; 0 is the plain model.

    References:
        Bradley and Terry (1952), Biometrika 39. Ouyang et al. (2022), arXiv:2203.02155, eq. 1.
        Touvron et al. (2023), arXiv:2307.09288, eq. 2 (the offset).
    """
    return functional.softplus(offset - margins)


def hinge(margins: Tensor, width: float = 1.0) -> Tensor:
    """``max(0, width - margin)``: nothing to pay once the chosen response wins by `width`.

    References:
        Chen et al. (2024), arXiv:2406.08469 (PAL), section 3: the loss of model A.
    """
    return functional.relu(width - margins)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)) of diagonal Gaussians, in nats, >= 0.

    Args:
        mean: Shape (n, d).
        log_variance: Shape (n, d).

    References:
        Kingma and Welling (2013), arXiv:1312.6114, appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(-1)


def negative_elbo(margins: Tensor, mean: Tensor, log_variance: Tensor, beta: float) -> Tensor:
    """Bradley-Terry loss of pairs read with a latent, plus `beta` times the latent's KL to N(0, I).

    Args:
        margins: Margins under a sample of the latent, shape (n,).
        mean: Mean of the latent that each row was read with, shape (n, d).
        log_variance: Its log-variance, shape (n, d).
        beta: Weight of the KL, >= 0.

    References:
        Poddar et al. (2024), arXiv:2408.10075 (VPL), eq. 3.
    """
    return bradley_terry(margins) + beta * gaussian_kl(mean, log_variance)


def swap_asymmetry(
    mean: Tensor, log_variance: Tensor, mean_swapped: Tensor, log_var_swapped: Tensor
) -> Tensor:
    """How far the latents of a history and of its label-swapped twin are from mirror images.

    Mean over the d latents of ``(mean + mean_swapped)^2 + (log_variance - log_var_swapped)^2``; 0 when the
    means are opposite and the variances equal. All four have shape (n, d).

    References:
        arXiv:2603.12595 (SPL): swap-guided encoding against posterior collapse.
    """
    means = (mean + mean_swapped).square()
    spreads = (log_variance - log_var_swapped).square()
    return (means + spreads).mean(-1)


def gaussian_nll(targets: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Negative log-density of `targets` under N(mean, exp(log_std)^2), in nats; all of shape (n,).

    References:
        Zhao et al. (2023), arXiv:2310.11523 (GPO), eq. 4. Nguyen and Grover (2022), arXiv:2207.04179.
    """
    z = (targets - mean) * torch.exp(-log_std)
    return 0.5 * z.square() + log_std + 0.5 * torch.log(torch.tensor(2 * torch.pi, dtype=z.dtype))


def retrieval_distillation(scores: Tensor, utilities: Tensor, temperature: float = 1.0) -> Tensor:
    """``KL(softmax(u / tau) || softmax(s))``: a retriever is to rank as its documents proved useful.

    Args:
        scores: s, the retriever's scores of the documents of one query, shape (n,).
        utilities: u, the metric that the model reached with each document alone, shape (n,).
        temperature: tau.

    Returns:
        Scalar, 0 or more; 0 where the two distributions are equal.

    References:
        Salemi, Kallumadi and Zamani (2024), arXiv 2404.05970, the loss of ROPG-KD, with tau = 1.
    """
    target = torch.softmax(utilities / temperature, dim=-1)
    return (
        target * (torch.log_softmax(utilities / temperature, dim=-1) - torch.log_softmax(scores, dim=-1))
    ).sum()


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


def train_network(
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
