"""What a user wrote beside the choices, as features of agreement between a response and the user.

For each group of features g that carries meaning or wording, with z_g(c, y) the user features of a response
and s_g the mean of the features of the user's own texts at length one, the agreement is

    a_g(c, y) = z_g(c, y).s_g                                                                           (1)

once with all of the user's texts and once with those that answer the very question c asks. It is linear in
z: a shared weight on it is a prior mean of the user's deviations, the same multiple of s_g for everybody,
learned across users. Demographics, where they are asked for, are coordinates d_u of the user along the
leading components of the named values of all users, and the features are the products of d_u and the leading
components of the meaning (or of the wording, without an encoder).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward_models._basis import Basis, unit
from reward_models._hierarchy import times
from reward_models._own_taste import by_state
from reward_models._types import Floats, Item, Prompt, UserState
from synthesizeme.feedback import UserWords, seconds
from synthesizeme.types import Message

VARIANCE = 0.03
"""Prior variance of the shared weight of an agreement, which has standard deviation one."""
DEMOGRAPHIC_VARIANCE = 0.002
_GROUPS = ("meaning", "wording")
_COORDINATES, _COMPONENTS = 8, 16
_FEWEST = 5
"""Users who gave a named value, below which it counts as not given."""
_ABOUT = "Who are you?"
_WISHES = "What do you expect of an assistant?"
_SPOKEN = ("said", "said_at", "said_to")


class OwnWords:
    """From words to features of agreement, after `learn`ing their scale.

    Args:
        basis: Gives the features of texts.
        texts: Whether what users wrote is read.
        demographics: Whether named values are read.
    """

    def __init__(self, basis: Basis, *, texts: bool, demographics: bool) -> None:
        self._basis, self._texts = basis, texts
        self._groups = [name for name in _GROUPS if name in basis.names] if texts else []
        self._spread = _GROUPS[0] if _GROUPS[0] in basis.names else _GROUPS[1]
        self._read_demographics = demographics
        self.values: list[str] = []
        self.arrays: dict[str, NDArray[Any]] = {}

    def learn(self, words: Mapping[str, UserWords]) -> None:
        """Learn which named values there are and how users differ in them."""
        counts: Counter[str] = Counter()
        if self._read_demographics:
            counts.update(value for said in words.values() for value in _named(said))
        self.values = sorted(value for value, n in counts.items() if n >= _FEWEST)
        rows = np.array([self._one_hot(said) for said in words.values()]).reshape(
            len(words), len(self.values)
        )
        centre = rows.mean(axis=0) if len(rows) else np.zeros(len(self.values))
        _, strengths, axes = np.linalg.svd(rows - centre, full_matrices=False)
        kept = strengths > 1e-6 * max(1.0, strengths.max(initial=0.0))
        axes, strengths = axes[kept][:_COORDINATES], strengths[kept][:_COORDINATES]
        scale = strengths / np.sqrt(max(1, len(rows)))
        self.arrays = {
            "words.centre": centre,
            "words.axes": axes / scale[:, None] if len(axes) else np.zeros((0, len(self.values))),
            "words.scale": np.ones(self.count(len(axes))),
        }

    def learn_scale(self, differences: Sequence[Floats]) -> None:
        """Bring the features, (n, W) of the pairs of some users, to standard deviation one."""
        spoken = [rows for rows in differences if rows.any()]
        if spoken:
            scale = np.sqrt((np.concatenate(spoken) ** 2).mean(axis=0))
            self.arrays["words.scale"] = np.where(scale > 1e-9, scale, 1.0)

    def restore(self, arrays: Mapping[str, NDArray[Any]], values: Sequence[str]) -> None:
        """Take what was learned from a checkpoint."""
        self.values = list(values)
        self.arrays = {name: arrays[name] for name in ("words.centre", "words.axes", "words.scale")}

    def count(self, coordinates: int | None = None) -> int:
        """W, the number of features."""
        known = len(self.arrays["words.axes"]) if coordinates is None else coordinates
        return 2 * len(self._groups) + known * self._components

    def variances(self) -> Floats:
        """Prior variances of their shared weights, shape (W,)."""
        agreements = 2 * len(self._groups)
        found = np.full(self.count(), DEMOGRAPHIC_VARIANCE)
        found[:agreements] = VARIANCE
        return found

    def state(self, words: UserWords | None) -> UserState:
        """What is kept of a user's words: features of each text, when and to what it was said; no text."""
        if not self.count():
            return {}
        asked, texts, moments = self._said(words) if self._texts and words is not None else ([], [], [])
        prompts = [(Message(role="user", content=question),) for question in asked]
        items = [Item(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
        own = self._basis.rows(items)[1]
        units = [unit(own[:, self._basis.place(name)]) for name in self._groups]
        coordinates = np.zeros(0)
        if words is not None and self._known(words):
            coordinates = self.arrays["words.axes"] @ (self._one_hot(words) - self.arrays["words.centre"])
        return {
            "said": np.concatenate(units, axis=1).astype(np.float32)
            if units
            else np.zeros((0, 0), np.float32),
            "said_at": np.array(moments, dtype=np.float64),
            "said_to": np.array([_key(question) for question in asked], dtype=np.uint64),
            "demographics": coordinates,
        }

    def reads(self, words: UserWords) -> bool:
        """Whether there is anything in a user's words that this reads."""
        return bool(self._texts and words.texts()) or self._known(words)

    def _known(self, words: UserWords) -> bool:
        return any(value in self.values for value in _named(words))

    def rows(self, prompts: Sequence[Prompt], own: Floats, states: Sequence[UserState | None]) -> Floats:
        """Features of responses with user features `own`, shape (n, G), each for its own user, (n, W)."""
        found = np.zeros((len(own), self.count()))
        for state, some in by_state(states):
            if state is not None:
                found[some] = self._columns([prompts[i] for i in some.tolist()], own[some], state)
        return found

    def _columns(self, prompts: Sequence[Prompt], own: Floats, state: UserState) -> Floats:
        found = np.zeros((len(own), self.count()))
        if len(state["said"]):
            found[:, : 2 * len(self._groups)] = self._agreements(prompts, own, state)
        if len(state["demographics"]):
            meaning = own[:, self._basis.place(self._spread)][:, : self._components]
            products = state["demographics"][None, :, None] * meaning[:, None, :]
            found[:, 2 * len(self._groups) :] = products.reshape(len(own), -1)
        scaled: Floats = found / self.arrays["words.scale"]
        return scaled

    def _agreements(self, prompts: Sequence[Prompt], own: Floats, state: UserState) -> Floats:
        said = state["said"].astype(np.float64)
        asked = np.array([_key(prompt[-1].content) for prompt in prompts], dtype=np.uint64)
        answers = (asked[:, None] == state["said_to"][None, :]).astype(np.float64)
        found, begin = [], 0
        for name in self._groups:
            z = own[:, self._basis.place(name)]
            part = said[:, begin : begin + z.shape[1]]
            begin += z.shape[1]
            everything = unit(part.mean(axis=0, keepdims=True))[0]
            found.append((z * everything).sum(axis=1))
            found.append((z * unit(times(part.T, answers))).sum(axis=1))
        return np.stack(found, axis=1)

    @property
    def _components(self) -> int:
        return min(_COMPONENTS, self._basis.width(self._spread)) if self._read_demographics else 0

    def _one_hot(self, words: UserWords) -> Floats:
        """1 for each value of the user that training saw, shape (values,); others are left out."""
        given = set(_named(words))
        return np.array([value in given for value in self.values], dtype=np.float64)

    def _said(self, words: UserWords) -> tuple[list[str], list[str], list[float]]:
        """Of each text the question it answers, the text, and when it was said in seconds since 1970."""
        rows = [
            (it.question, it.text, -np.inf if it.answered_at is None else seconds(it.answered_at))
            for it in words.answers
        ]
        rows += [(_ABOUT, words.about, -np.inf)] if words.about else []
        rows += [(_WISHES, wish, -np.inf) for wish in words.wishes]
        return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


def as_of(state: UserState, moment: datetime | None) -> UserState:
    """A state without what the user said later than a moment; None: now."""
    if moment is None or "said_at" not in state:
        return state
    reached = state["said_at"] <= seconds(moment)
    if reached.all():
        return state
    return {**state, **{name: state[name][reached] for name in _SPOKEN}}


def _named(words: UserWords) -> list[str]:
    return [f"{name}: {value}" for name, value in words.demographics.items()]


def _key(question: str) -> int:
    digest = hashlib.blake2b(" ".join(question.casefold().split()).encode(errors="replace"), digest_size=8)
    return int.from_bytes(digest.digest(), "little")
