"""Experts that are sure of one way of being no answer each, and when each is believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reward_models.floor import _evidence
from reward_models.floor._texts import Prompt, Text
from reward_models.floor._vectors import Vectors

Floats = NDArray[np.float64]
EXPERTS: dict[str, Callable[..., list[float]]] = {
    "copying": _evidence.copying, "repetition": _evidence.repetition, "form": _evidence.form,
    "capitals": _evidence.capitals, "ending": _evidence.ending, "script": _evidence.script,
    "order": _evidence.order, "junk": _evidence.junk, "relevance": _evidence.relevance,
    "size": _evidence.size, "stance": _evidence.stance, "content": _evidence.content,
    "brevity": _evidence.brevity,
}  # fmt: skip
"""What each reads."""
WITHOUT_VECTORS = ("copying", "repetition", "form", "capitals", "ending")
"""Those that read no static vectors."""
_CALLED_FOR: dict[str, tuple[str, ...]] = {
    "copying": ("copy",), "repetition": ("repetition", "copy", "list", "junk"),
    "form": ("code", "markup", "junk"),
    "capitals": ("capitals", "code", "junk", "copy", "markup"), "script": ("language", "junk"),
    "order": ("code", "markup", "junk", "language"), "junk": ("code", "markup", "junk", "language", "emoji"),
    "relevance": ("language", "junk", "code", "markup"),
    "size": ("short", "emoji", "junk", "code", "yes_no", "copy"), "stance": ("harm", "short", "copy"),
    "brevity": ("short", "emoji", "junk", "code", "copy", "language"),
    "ending": ("code", "markup", "list"),
    "content": ("code", "markup", "junk", "repetition", "list", "language", "copy"),
}  # fmt: skip
RAMP = 0.5
"""Log-odds above its limit at which an expert is wholly believed."""


def called_for(expert: str, prompt: Prompt, vectors: Vectors | None) -> bool:
    """Whether a prompt may call for what an expert is there to find; then it has to be surer.

    The prompt asks for it in so many words, its answers are expected to look that way, or it is not in
    English, where most experts know little.
    """
    if any(prompt.cues[cue] for cue in _CALLED_FOR[expert]):
        return True
    if vectors is None:
        return False
    words, symbols, known, upper = vectors.expected(prompt).tolist()
    odd = {
        "form": symbols > 0.35, "junk": symbols > 0.35 or known < 0.55, "capitals": upper > 0.2,
        "order": symbols > 0.35 or known < 0.5, "relevance": symbols > 0.5, "size": words < 2.7,
        "ending": symbols > 0.35, "content": symbols > 0.35 or known < 0.5,
    }  # fmt: skip
    if odd.get(expert, False):
        return True
    return expert not in ("repetition", "form", "capitals") and not vectors.is_english(prompt)


@dataclass(frozen=True)
class Expert:
    """Log-odds that a text is no answer, from a few numbers: a linear part and small trees.

    Args:
        linear: A weight for each number, for whether the prompt calls for it, and a constant, shape (d + 2,).
        features: Number that each node of each tree looks at, shape (trees, nodes).
        thresholds: Of the nodes; at most as large goes to the first child.
        children: Numbers of the first child; the second stands next to it. A leaf is its own child.
        leaves: Log-odds of each node, 0 inside a tree.
        limits: Log-odds above which the expert is believed, of prompts that do not and that do call for it.
    """

    linear: Floats
    features: NDArray[np.int64]
    thresholds: Floats
    children: NDArray[np.int64]
    leaves: Floats
    limits: Floats

    DEPTH: ClassVar = 3
    """Steps from the root of a tree to its leaves, at most."""

    def log_odds(self, numbers: Floats, called: NDArray[np.bool_]) -> Floats:
        """Of n texts, from (n, d) numbers and (n,) calls."""
        x = np.concatenate([numbers, called[:, None], np.ones((len(numbers), 1))], axis=1)
        found: Floats = (x * self.linear).sum(axis=1)
        if not len(self.features):
            return found
        trees = np.arange(len(self.features))
        at = np.zeros((len(x), len(trees)), dtype=np.int64)
        rows = np.arange(len(x))[:, None]
        for _ in range(self.DEPTH):
            right = x[rows, self.features[trees, at]] > self.thresholds[trees, at]
            first = self.children[trees, at]
            at = np.where(first == at, at, first + right)
        total: Floats = found + self.leaves[trees, at].sum(axis=1)
        return total

    def belief(self, numbers: Floats, called: NDArray[np.bool_]) -> Floats:
        """How far the expert is believed, 0 below its limit and at most 1, shape (n,)."""
        limit = self.limits[called.astype(np.int64)]
        return np.clip((self.log_odds(numbers, called) - limit) / RAMP, 0, 1)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it is made of."""
        return {name: getattr(self, name) for name in PARTS}


PARTS = ("linear", "features", "thresholds", "children", "leaves", "limits")


def opened(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Expert]:
    """The experts of a file of weights."""
    return {
        name: Expert(**{part: arrays[f"{name}.{part}"] for part in PARTS})
        for name in EXPERTS
        if f"{name}.linear" in arrays
    }


def numbers(
    expert: str, prompts: Sequence[Prompt], responses: Sequence[Text], vectors: Vectors | None
) -> Floats:
    """What an expert reads from each row, shape (n, d)."""
    read = EXPERTS[expert]
    more = () if expert in WITHOUT_VECTORS else (vectors,)
    return np.array([read(p, r, *more) for p, r in zip(prompts, responses, strict=True)], dtype=np.float64)
