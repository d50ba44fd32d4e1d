"""A dense retriever taught by a judge: a projection on a frozen encoder, distilled from utilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from reward_models._checkpoint import RETRIEVER
from reward_models._features import FrozenEncoder
from reward_models._settings import PART, POSITIVE, method_parameters, wrong_settings
from reward_models._trainer import Schedule, minimise, retrieval_distillation, seeded, train_network
from reward_models._types import Matrix
from synthesizeme.errors import ConfigError, DataError, NotFittedError

ARRAYS = "projection.safetensors"


@dataclass(frozen=True)
class Lesson:
    """One question and the items it could be answered with.

    Raises:
        DataError: there are not as many utilities as items, none at all, or one is not finite.
    """

    query: str
    """What was asked about."""
    documents: tuple[str, ...]
    """Texts of the user's past items."""
    utilities: tuple[float, ...]
    """How well the judge did with each item alone, e.g. in [0, 1]."""

    def __post_init__(self) -> None:
        if not self.documents or len(self.documents) != len(self.utilities):
            raise DataError(
                f"{len(self.documents)} items, {len(self.utilities)} utilities; expected as many, 1 or more",
                field="utilities",
                cure="measure every item of the profile, and leave questions without a profile out",
            )
        if not all(math.isfinite(utility) for utility in self.utilities):
            raise DataError("a utility is not a finite number", field="utilities", cure="leave failures out")

    @property
    def teaches(self) -> bool:
        """Whether the items differ at all."""
        return max(self.utilities) > min(self.utilities)


@dataclass(kw_only=True, eq=False)
class DistilledEncoder:
    """``e(x) = b(x) + U V^T b(x)``: a frozen encoder b and a map of low rank, zero before training.

    Similarity is the cosine of e, for queries and documents alike, times a learned sharpness. Objective: see
    `reward_models._trainer.retrieval_distillation`. First the sharpness alone is fitted, then everything by
    AdamW; a seeded part of the lessons is held out, and the weights of the best epoch on it are kept: those
    without a map where nothing was better, so that it then ranks as the frozen encoder does.

    Args:
        base: Frozen encoder, a specification of `reward_models._features.open_features`.
        rank: Rank of the map.
        temperature: Of the teacher; smaller trusts differences in utility more.
        epochs, learning_rate, weight_decay: Of AdamW.
        held_out: Share of the lessons that training stops by, in (0, 1).
        seed: Seed of every random choice.

    Raises:
        ConfigError: an argument has an impossible value.

    References:
        Salemi, Kallumadi and Zamani (2024), Optimization Methods for Personalizing Large Language Models
        through Retrieval Augmentation, arXiv 2404.05970, ROPG-KD: the teacher is the softmax of the metric
        reached with each document alone. Differs: there the whole retriever is trained and tau is 1.
    """

    base: str = "minilm"
    rank: int = 32
    temperature: float = 0.25
    epochs: int = 40
    learning_rate: float = 0.003
    weight_decay: float = 0.05
    held_out: float = 0.2
    seed: int = 0
    epochs_kept: int = field(init=False, default=0)
    """Epochs that the kept weights were trained for; 0 where none was better than no training."""
    limits: ClassVar = {
        "rank": 1, "temperature": POSITIVE, "epochs": 1, "learning_rate": POSITIVE, "held_out": PART
    }  # fmt: skip

    def __post_init__(self) -> None:
        problems = wrong_settings(self)
        if problems:
            raise ConfigError(problems)
        self._frozen = FrozenEncoder(self.base)
        self._network: _Projection | None = None

    @property
    def params(self) -> dict[str, Any]:
        """The arguments it was made with."""
        return {name: getattr(self, name) for name in method_parameters(type(self))}

    def fit(self, lessons: Sequence[Lesson]) -> Self:
        """Learn from lessons of any number of users; those whose items do not differ teach nothing.

        Raises:
            DataError: fewer than two lessons teach anything.
        """
        useful = [lesson for lesson in lessons if lesson.teaches]
        if len(useful) < 2:
            raise DataError(
                f"{len(useful)} of {len(lessons)} lessons have items that differ in utility; expected two",
                field="utilities",
                cure="bring more questions, or a judge that the items make a difference to",
            )
        tensors = _Tensors(useful, self._frozen)
        seed = self.seed
        order = np.random.default_rng(seed).permutation(len(useful)).tolist()
        n_held = max(1, int(self.held_out * len(useful)))
        held, rest = order[:n_held], torch.tensor(order[n_held:])
        with seeded(seed):
            network = _Projection(self._frozen.dim, self.rank)

        def loss(rows: Sequence[int], log_sharpness: Tensor) -> Tensor:
            losses = [
                retrieval_distillation(
                    network.similarities(*tensors.of(row)) * log_sharpness.exp(),
                    tensors.utilities[row],
                    self.temperature,
                )
                for row in rows
            ]
            return torch.stack(losses).mean()

        start = minimise(lambda log_sharpness: loss(rest.tolist(), log_sharpness), network.log_sharpness)
        network.log_sharpness.data.copy_(start)
        schedule = Schedule(
            epochs=self.epochs,
            batch_size=32,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        self.epochs_kept = train_network(
            network,
            lambda rows, step: loss(rest[rows].tolist(), network.log_sharpness),
            len(rest),
            schedule,
            seed=seed,
            held_out=lambda: float(loss(held, network.log_sharpness)),
            undecayed=[network.log_sharpness],
        )
        self._network = network
        return self

    def __call__(self, texts: Sequence[str]) -> NDArray[Any]:
        """Vectors, shape (n, dim).

        Raises:
            NotFittedError: before `fit`.
        """
        if self._network is None:
            raise NotFittedError("the distilled encoder is not fitted; call fit(lessons), or load one")
        with torch.no_grad():
            return np.asarray(self._network(torch.from_numpy(self._frozen(texts))).numpy())

    def save(self, folder: Path) -> None:
        """Write the projection as safetensors, and beside it what it stands on as JSON.

        Raises:
            NotFittedError: before `fit`.
            DataError: the place cannot be written.
        """
        if self._network is None:
            raise NotFittedError("the distilled encoder is not fitted; there is nothing to save")
        arrays = {name: value.numpy() for name, value in self._network.state_dict().items()}
        RETRIEVER.write(
            folder,
            {ARRAYS: arrays},
            {"params": self.params, "base_identity": self._frozen.identity, "epochs_kept": self.epochs_kept},
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            DataError: a file is missing or damaged, of another version, or the frozen encoder is another one.
        """
        document, arrays = RETRIEVER.read(folder)
        with RETRIEVER.fits(folder):
            made = cls(**document["params"])
            if made._frozen.identity != document["base_identity"]:
                raise DataError(
                    f"was distilled on the encoder {document['base_identity']}, and {made.base!r} "
                    f"is {made._frozen.identity} here",
                    source=str(folder),
                    cure="use the encoder of that time, or distil again",
                )
            network = _Projection(made._frozen.dim, made.rank)
            network.load_state_dict({name: torch.tensor(value) for name, value in arrays[ARRAYS].items()})
        made._network, made.epochs_kept = network.eval(), document["epochs_kept"]
        return made


class _Projection(nn.Module):  # type: ignore[misc]
    """x + U V^T x, rows of shape (n, dim); U is zero at first."""

    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        self.inner = nn.Parameter(torch.randn(dim, rank) / dim**0.5)
        self.outer = nn.Parameter(torch.zeros(rank, dim))
        self.log_sharpness = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x + x @ self.inner @ self.outer

    def similarities(self, query: Tensor, documents: Tensor) -> Tensor:
        """Cosine of each document (n, dim) with the query (dim,), shape (n,)."""
        return functional.cosine_similarity(self(documents), self(query[None]), dim=-1)


class _Tensors:
    """Base vectors of all texts of the lessons, each encoded once."""

    def __init__(self, lessons: Sequence[Lesson], frozen: FrozenEncoder) -> None:
        texts = dict.fromkeys(text for lesson in lessons for text in (lesson.query, *lesson.documents))
        place = {text: row for row, text in enumerate(texts)}
        vectors: Matrix = frozen(list(texts))
        self._vectors = torch.from_numpy(vectors)
        self._queries = [place[lesson.query] for lesson in lessons]
        self._documents = [torch.tensor([place[text] for text in lesson.documents]) for lesson in lessons]
        self.utilities = [torch.tensor(lesson.utilities, dtype=torch.float32) for lesson in lessons]

    def of(self, row: int) -> tuple[Tensor, Tensor]:
        """Query (dim,) and documents (n, dim) of a lesson."""
        return self._vectors[self._queries[row]], self._vectors[self._documents[row]]
