"""The features of the hierarchical model: which groups there are, and how texts become rows of them.

Every group is centred on the responses of the training pairs and scaled so that one prior variance per
group makes sense on any data: named features have standard deviation one each, a group of vectors has a
total variance of about one. Vectors are reduced to their principal components, unless they are kept whole.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reward_models._features import Joined, Stylometric, read_parts
from reward_models._hierarchy import Variances
from reward_models._sketches import WIDTH, Sketch, excess, wording
from reward_models._training_pairs import both_sides
from reward_models._types import Features, Item, Prompt
from synthesizeme import stylometry
from synthesizeme.types import PreferencePair

Matrix = NDArray[np.float64]
STYLE = len(stylometry.FEATURES)
COMPONENTS = {"meaning": 96, "answering": 32, "wording": 256}
CLIP = 8.0
REMEMBERED = 8192
PARTS = "parts.scale"
TRAITS = ("traits.shared", "traits.own")
_ROWS_FOR_A_TRAIT = 10.0
"""Ridge of the regression of all features on the named ones, in rows."""
_SAMPLE = 1024
_AT_ONCE = 64


@dataclass(frozen=True)
class Group:
    """Features that share one prior variance, in the shared weights, in a user's deviations, or both."""

    name: str
    shared: float | tuple[float, ...]
    """Prior variance of the shared weights, of all or of each; 0 leaves the group out of them."""
    own: float
    """Prior variance of a user's deviations; 0 leaves the group out of them."""
    whole: bool = False
    """Whether vectors are kept as they are; else they are reduced to their principal components."""
    most: float = CLIP
    """In standard deviations above the mean, where a feature ends to grow."""


GROUPS = {
    "style": Group("style", shared=0.01, own=0.01),
    "relevance": Group("relevance", shared=0.1, own=0.1),
    "meaning": Group("meaning", shared=0.7, own=0.3),
    "answering": Group("answering", shared=0.7, own=0.0),
    "wording": Group("wording", shared=0.3, own=5.0),
}
"""style: the named features. relevance: cosine of the embeddings of prompt and response. meaning: the
embedding of the response. answering: elementwise product of both embeddings. wording: character n-grams."""


class _Row(NamedTuple):
    """What is remembered of an item."""

    shared: NDArray[np.float32]
    own: NDArray[np.float32]
    outside: NDArray[np.float32]
    """What neither represents, the groups of `Basis.names` side by side (`reward_models._sketches`)."""


def items_of(pairs: Sequence[PreferencePair]) -> list[Item]:
    """The chosen responses of the pairs, then the rejected ones."""
    return [Item(tuple(prompt), text) for prompt, text in zip(*both_sides(pairs), strict=True)]


class Basis:
    """From items to rows of features, after `learn`ing centres, scales and principal components.

    Args:
        encoder: Embeddings of texts, those of several encoders where it is `Joined`, or None for named
            features and wording alone.
        groups: Which groups there are, by name, those of `GROUPS` or some of them, with their variances.
    """

    def __init__(self, encoder: Features | None, groups: Mapping[str, Group] = GROUPS) -> None:
        self.encoder, self.groups = encoder, groups
        none: tuple[Features, ...] = () if encoder is None else (encoder,)
        self._parts = encoder.parts if isinstance(encoder, Joined) else none
        self.names = [name for name in groups if encoder is not None or name in ("style", "wording")]
        self.arrays: dict[str, NDArray[np.float32]] = {}
        self._seen: OrderedDict[Item, _Row] = OrderedDict()
        self._style = Stylometric()

    def learn(self, items: Iterable[Item], seed: int) -> None:
        """Learn centres, scales and components from distinct items."""
        distinct = list(dict.fromkeys(items))
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.permutation(len(distinct))[:_SAMPLE])
        self.forget()
        self.arrays = {}
        raw = self._raw(distinct)
        for name in self.names:
            values = raw[name]
            centre = values.mean(axis=0)
            self.arrays[f"{name}.centre"] = centre
            if name in COMPONENTS:
                if not self.groups[name].whole:
                    self.arrays[f"{name}.components"] = _principal(values[chosen] - centre, COMPONENTS[name])
                scale = np.full(1, len(self._parts) ** 0.5 if name == "answering" else 1.0)
                if name == "meaning":
                    scale = np.sqrt(((values - centre) ** 2).sum(axis=1).mean(keepdims=True))
            else:
                scale = (values - centre).std(axis=0)
            self.arrays[f"{name}.scale"] = np.where(scale > 1e-6, scale, 1).astype(np.float32)
        self._project_centres()
        rows = self._projected(raw)
        self._learn_traits([rows[place] for place in chosen.tolist()])
        self._seen.update(zip(distinct, rows, strict=True))
        outside = np.stack([row.outside for row in rows])
        for name, place in self._outside_places().items():
            if self._reduced(name):
                usual = (outside[:, place].astype(np.float64) ** 2).sum(axis=1).mean(keepdims=True)
                self.arrays[f"{name}.usual"] = usual.astype(np.float32)

    def rows(self, items: Sequence[Item]) -> tuple[Matrix, Matrix]:
        """Shared features, shape (n, D), and user features, shape (n, G). Rows seen lately are remembered."""
        if not items:
            shared, own = self.variances()
            return np.zeros((0, len(shared))), np.zeros((0, len(own)))
        found = self._remembered(items)
        shared = np.asarray([row.shared for row in found], dtype=np.float64)
        return shared, np.asarray([row.own for row in found], dtype=np.float64)

    def trait(self, feature: int) -> tuple[Matrix, Matrix]:
        """What goes with one standard deviation more of a named feature, the other ones being equal.

        It is 1 in the feature itself, and in meaning and wording what it mostly comes with; zeros for a
        feature in which no texts differed.

        Args:
            feature: Its place in `synthesizeme.stylometry.FEATURES`.

        Returns:
            Shared features, shape (D,), and user features, shape (G,).
        """
        shared, own = (self.arrays[name][feature].astype(np.float64) for name in TRAITS)
        return shared, own

    def _learn_traits(self, rows: Sequence[_Row]) -> None:
        for name, side in zip(TRAITS, ("shared", "own"), strict=True):
            values = np.asarray([getattr(row, side) for row in rows], dtype=np.float64)
            style = values[:, :STYLE]
            gram = style.T @ style + _ROWS_FOR_A_TRAIT * np.eye(STYLE)
            found = np.linalg.solve(gram, style.T @ values)
            found[:, :STYLE] = np.eye(STYLE)
            found[style.std(axis=0) <= 1e-6] = 0
            self.arrays[name] = found.astype(np.float32)

    def outside(self, prior: Variances, items: Sequence[Item], others: Sequence[Item] = ()) -> Matrix:
        """Prior variance of what no feature represents of each item, or of its difference to another.

        Args:
            prior: Prior variances of the features, those of `variances` or multiples of them.
            items: n items.
            others: n items to be taken off, or none.

        Returns:
            v (|r|^2 - t)+ of `reward_models._sketches`, summed over groups, shape (n,).
        """
        if not items:
            return np.zeros(0)
        rest = np.asarray([row.outside for row in self._remembered(items)])
        if others:
            rest = rest - np.asarray([row.outside for row in self._remembered(others)])
        found, begin = np.zeros(len(items)), 0
        for name, place in self._outside_places().items():
            each = np.zeros(self.width(name))
            if self.groups[name].own:
                each += prior.own[self.place(name)]
            if self.groups[name].shared:
                each += prior.shared[begin : begin + len(each)]
                begin += len(each)
            if self._reduced(name):
                usual = (2 if others else 1) * float(self.arrays[f"{name}.usual"][0])
                found += each.mean() * excess(rest[:, place], usual)
            else:
                found += (rest[:, place].astype(np.float64) ** 2 * each).sum(axis=1)
        return found

    def _remembered(self, items: Sequence[Item]) -> list[_Row]:
        found = [self._seen.get(item) for item in items]
        new = list(dict.fromkeys(item for item, row in zip(items, found, strict=True) if row is None))
        fresh = dict(zip(new, self._projected(self._raw(new)), strict=True)) if new else {}
        self._seen.update(fresh)
        while new and len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return [fresh[item] if row is None else row for item, row in zip(items, found, strict=True)]

    def forget(self) -> None:
        """Drop the rows remembered, and the texts with them."""
        self._seen.clear()
        stylometry.forget()

    def variances(self) -> tuple[Matrix, Matrix]:
        """Prior variances of the shared weights, shape (D,), and of the deviations, shape (G,)."""
        widths = {name: self.width(name) for name in self.names}
        groups = [self.groups[name] for name in self.names]
        shared = [np.broadcast_to(group.shared, widths[group.name]) for group in groups if group.shared]
        own = [np.full(widths[group.name], group.own) for group in groups if group.own]
        return np.concatenate(shared), np.concatenate(own)

    def place(self, name: str) -> slice:
        """Where the user features of a group stand among those of all groups."""
        begin = 0
        for other in self.names:
            if other == name:
                return slice(begin, begin + self.width(name))
            begin += self.width(other) if self.groups[other].own else 0
        raise KeyError(name)

    def _outside_places(self) -> dict[str, slice]:
        ends = np.cumsum([WIDTH if self._reduced(name) else self.width(name) for name in self.names])
        begins = [0, *ends[:-1].tolist()]
        return {name: slice(b, e) for name, b, e in zip(self.names, begins, ends.tolist(), strict=True)}

    def width(self, name: str) -> int:
        """Number of features of a group."""
        return len(self.arrays[f"{name}.{'components' if self._reduced(name) else 'centre'}"])

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what `learn` found from a checkpoint."""
        self.arrays = {name: arrays[name] for group in self.names for name in self._kept(group)}
        further = (*TRAITS, PARTS) if len(self._parts) > 1 else TRAITS
        self.arrays |= {name: arrays[name] for name in further}
        self.forget()
        self._project_centres()

    def _project_centres(self) -> None:
        self._origins = {
            name: self.arrays[f"{name}.components"] @ self.arrays[f"{name}.centre"]
            for name in self.names
            if self._reduced(name)
        }
        self._sketches = {
            name: Sketch(self.arrays[f"{name}.components"], self.arrays[f"{name}.centre"])
            for name in self._origins
        }

    def _reduced(self, name: str) -> bool:
        return name in COMPONENTS and not self.groups[name].whole

    def _kept(self, name: str) -> list[str]:
        parts = ["centre", "scale", *(["components", "usual"] if self._reduced(name) else [])]
        return [f"{name}.{part}" for part in parts]

    def _raw(self, items: Sequence[Item]) -> dict[str, NDArray[np.float32]]:
        prompts: list[Prompt] = [item.prompt for item in items]
        responses = [item.response for item in items]
        raw = {"style": self._style.responses(prompts, responses)}
        if "wording" in self.groups:
            raw["wording"] = wording(responses)
        if self._parts:
            answers = read_parts(self._parts, lambda part: part.responses(prompts, responses))
            questions = read_parts(self._parts, lambda part: part.prompts(prompts))
            products = [unit(a) * unit(q) for a, q in zip(answers, questions, strict=True)]
            raw["relevance"] = np.stack([product.sum(axis=1) for product in products], axis=1)
            raw["meaning"] = self._evened(answers)
            if "answering" in self.groups:
                widened = [p * np.float32(p.shape[1] ** 0.5) for p in products]
                raw["answering"] = np.concatenate(widened, axis=1)
        return raw

    def _evened(self, answers: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors of all encoders side by side, each at the same spread so that none swamps another."""
        if len(answers) == 1:
            return answers[0]
        if PARTS not in self.arrays:
            spreads = [np.sqrt(((a - a.mean(axis=0)) ** 2).sum(axis=1).mean()) for a in answers]
            self.arrays[PARTS] = np.array([spread if spread > 1e-6 else 1 for spread in spreads], np.float32)
        scales = self.arrays[PARTS]
        return np.concatenate([a / scale for a, scale in zip(answers, scales, strict=True)], axis=1)

    def _projected(self, raw: Mapping[str, NDArray[np.float32]]) -> list[_Row]:
        groups, rest = {}, []
        for name in self.names:
            scale = self.arrays[f"{name}.scale"]
            if self._reduced(name):
                values = _along(self.arrays[f"{name}.components"], raw[name]) - self._origins[name]
                rest.append(self._sketches[name].of(raw[name], values) / scale)
            else:
                values = raw[name] - self.arrays[f"{name}.centre"]
            groups[name] = np.clip(values / scale, -CLIP, self.groups[name].most)
            if not self._reduced(name):
                rest.append(values / scale - groups[name])
        shared = [groups[name] for name in self.names if self.groups[name].shared]
        own = [groups[name] for name in self.names if self.groups[name].own]
        sides = (np.concatenate(side, axis=1) for side in (shared, own, rest))
        return [_Row(*row) for row in zip(*sides, strict=True)]


def _along(components: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every row on every component, row by row, so that a row never depends on its neighbours.

    A few components at a time, which then stay in the processor's cache for all rows.
    """
    found = np.empty((len(rows), len(components)), dtype=np.float32)
    for start in range(0, len(components), _AT_ONCE):
        some = components[start : start + _AT_ONCE]
        for row, out in zip(rows, found, strict=True):
            np.dot(some, row, out=out[start : start + _AT_ONCE])
    return found


def unit(rows: NDArray[Any]) -> NDArray[Any]:
    """Rows at length one, in the precision they come in; a row of zeros stays one."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    found: NDArray[Any] = rows / np.maximum(norms, 1e-9)
    return found


def _principal(centred: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """Unit directions of the largest variance as rows, shape (at most `most`, dim)."""
    n, dim = centred.shape
    values = centred.astype(np.float64)
    gram = values @ values.T if n < dim else values.T @ values
    strengths, vectors = np.linalg.eigh(gram)
    best = np.argsort(strengths)[::-1][: max(1, min(most, int((strengths > 1e-8 * n).sum())))]
    kept = vectors[:, best]
    directions = values.T @ kept / np.sqrt(np.maximum(strengths[best], 1e-12)) if n < dim else kept
    return np.ascontiguousarray(directions.T, dtype=np.float32)
