"""What a logistic regression is shown of a response: its features as one unit, and which text it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reward_models._effects import NONE, Numbers
from reward_models._estimates import Floats
from reward_models._text_digest import text_digest
from reward_models._types import Features, Prompt
from synthesizeme.types import PreferencePair

CLIP = 8.0
"""Standardised features stay within this many standard deviations of the training responses."""


class Side(NamedTuple):
    """What is read of n responses, before anything is learned from them."""

    features: Floats
    """Features as they come, shape (n, F)."""
    keys: NDArray[np.uint64]
    """A hash of each response with its prompt, shape (n,)."""

    def taken(self, rows: Sequence[int]) -> Side:
        """Some of the responses."""
        return Side(self.features[rows], self.keys[rows])


class Rows(NamedTuple):
    """n responses in the columns of a regression."""

    features: Floats
    """Standardised features divided by sqrt(F), so that a typical row has length one; shape (n, F)."""
    texts: Numbers
    """Number of each response's own column, or `NONE`; shape (n,)."""


def read_side(features: Features, prompts: Sequence[Prompt], responses: Sequence[str]) -> Side:
    """What is read of responses to prompts."""
    found = np.asarray(features.responses(prompts, responses), dtype=np.float64)
    return Side(found.reshape(len(responses), features.dim), _keys(prompts, responses))


def read_pairs(features: Features, pairs: Sequence[PreferencePair]) -> tuple[Side, Side]:
    """What is read of the chosen and of the rejected responses."""
    prompts = [pair.prompt for pair in pairs]
    return (
        read_side(features, prompts, [pair.chosen_text for pair in pairs]),
        read_side(features, prompts, [pair.rejected_text for pair in pairs]),
    )


class Columns:
    """From responses to rows, after `learn`ing centres, scales and the texts that recur.

    A text, a response to its prompt, has a column of its own if it stands in at least two training pairs.
    Texts are known by their hashes; none is kept.
    """

    mean: Floats
    """Mean of every feature over the training responses, shape (F,)."""
    scale: Floats
    """Standard deviation of every feature, 1 of a constant one, shape (F,)."""
    keys: NDArray[np.uint64]
    """Hashes of the texts with a column, in ascending order, shape (T,)."""

    @classmethod
    def learn(cls, chosen: Side, rejected: Side) -> Columns:
        """Columns for the pairs of these responses."""
        columns = cls()
        both = np.concatenate([chosen.features, rejected.features])
        spread = both.std(axis=0)
        columns.mean, columns.scale = both.mean(axis=0), np.where(spread > 1e-6, spread, 1.0)
        keys, counts = np.unique(np.concatenate([chosen.keys, rejected.keys]), return_counts=True)
        columns.keys = keys[counts >= 2]
        return columns

    def rows(self, side: Side) -> Rows:
        """The responses in these columns."""
        standard = np.clip((side.features - self.mean) / self.scale, -CLIP, CLIP)
        return Rows(standard / np.sqrt(max(1, len(self.mean))), self._numbers(side.keys))

    def _numbers(self, keys: NDArray[np.uint64]) -> Numbers:
        if not len(self.keys):
            return np.full(len(keys), NONE, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, places, NONE).astype(np.int64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was learned, for a checkpoint."""
        return {"columns.mean": self.mean, "columns.scale": self.scale, "columns.keys": self.keys}

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[Any]]) -> Columns:
        """Columns from a checkpoint."""
        columns = cls()
        columns.mean, columns.scale = arrays["columns.mean"], arrays["columns.scale"]
        columns.keys = arrays["columns.keys"]
        return columns


def _keys(prompts: Sequence[Prompt], responses: Sequence[str]) -> NDArray[np.uint64]:
    found = [text_digest(prompt, response)[:8] for prompt, response in zip(prompts, responses, strict=True)]
    return np.array([int.from_bytes(key, "little") for key in found], dtype=np.uint64)
