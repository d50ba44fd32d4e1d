"""What the floor knows of words: how often they occur, what they mean, in which order they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reward_models.floor._texts import Prompt, Text

if TYPE_CHECKING:
    from synthesizeme.static_embedding import StaticEmbedding

LEFT, RIGHT = 3, 3
"""Tokens on either side of a gap between words that say whether the words belong together."""
SAME = 0.98
"""Cosine from which two prompts ask for the same."""
LEARNED = (
    "likelihood", "prompts", "expected",
    "order.reduce", "order.hidden", "order.bias", "order.out", "order.constant",
)  # fmt: skip
"""Names of the arrays that are read."""
MOST_TOKENS = 1500
"""Tokens of a text that are set against each other."""
F = NDArray[np.float32]


class Meaning(NamedTuple):
    """The tokens of a text that carry meaning."""

    ids: NDArray[np.int64]
    units: F
    """Their vectors at length 1, shape (n, dim)."""
    weights: F
    """How much each says, shape (n,)."""
    mean: F
    """Direction of the weighted sum, shape (dim,)."""


class Vectors:
    """Learned arrays on top of static token vectors.

    Args:
        table: Vector of each token, shape (V, dim).
        tokenizer: Whose ids are rows of `table`.
        arrays: ``likelihood`` (V,), ``order.*`` the network of `order`, ``expected`` (dim + cues + 3, 4) the
            regression of `expected`, ``prompts`` the meanings of known prompts, shape (m, dim).
        languages: Function words of each language, with their weight.
    """

    def __init__(
        self,
        table: F,
        tokenizer: Any,
        arrays: Mapping[str, NDArray[Any]],
        languages: Mapping[str, NDArray[Any]],
    ) -> None:
        self._tokenizer = tokenizer
        self.table = table
        self._lengths = np.maximum(np.sqrt((table**2).sum(axis=1, keepdims=True)), 1e-9)
        self.scale = float(self._lengths.mean())
        self.arrays = {name: np.asarray(arrays[name], dtype=np.float32) for name in LEARNED if name in arrays}
        self.likelihood = self.arrays["likelihood"]
        frequency = np.exp(self.likelihood)
        self.says = (1e-3 / (1e-3 + frequency)).astype("f4")
        vocabulary = tokenizer.get_vocab()
        self._starts = np.zeros(len(self.table), dtype=bool)
        self._letters = np.zeros(len(self.table), dtype=bool)
        for token, number in vocabulary.items():
            self._letters[number] = token.lstrip("▁").isalpha()
            self._starts[number] = token.startswith("▁")
            if not any(c.isalnum() for c in token):
                self.says[number] = 0.0
        self._languages = languages
        self._none = np.zeros(next(iter(languages.values())).shape if languages else 1)
        self.ids = lru_cache(maxsize=512)(self._ids)
        self.meaning = lru_cache(maxsize=256)(self._meaning)
        self.expected = lru_cache(maxsize=64)(self._expected)

    @classmethod
    def on(cls, embedding: StaticEmbedding, arrays: Mapping[str, NDArray[Any]]) -> Vectors:
        """On the vectors of an encoder, with the arrays of a file of weights."""
        by_word = dict(zip(arrays["languages.words"].tolist(), arrays["languages.shares"], strict=True))
        return cls(embedding.vectors, embedding.tokenizer, arrays, by_word)

    def forget(self) -> None:
        """Drop the texts read lately."""
        for remembered in (self.ids, self.meaning, self.expected):
            remembered.cache_clear()

    def _ids(self, text: str) -> NDArray[np.int64]:
        return np.array(
            self._tokenizer.encode(text, add_special_tokens=False).ids[:MOST_TOKENS], dtype=np.int64
        )

    def _meaning(self, text: str) -> Meaning:
        ids = self.ids(text)
        ids = np.unique(ids[self.says[ids] > 0.02]) if len(ids) else ids
        weights = self.says[ids]
        units = self.table[ids] / self._lengths[ids]
        total = (units * weights[:, None]).sum(axis=0)
        return Meaning(ids, units, weights, total / max(float(np.sqrt((total**2).sum())), 1e-9))

    def pairs(self, text: str) -> NDArray[np.int64]:
        """The words on either side of every gap, by their first tokens: equal numbers, equal pairs."""
        ids, begins = self.ids(text), self._begins(text)
        return ids[np.append(0, begins[:-1])] * len(self.table) + ids[begins] if len(begins) else begins

    def order(self, text: str) -> F:
        """Log-odds of every gap between words that its neighbours stand in the order of a text."""
        ids, gaps = self.ids(text), self._begins(text) + LEFT
        if not len(gaps):
            return np.zeros(0, dtype="f4")
        a = self.arrays
        reduced = np.zeros((LEFT + len(ids) + RIGHT, a["order.reduce"].shape[1]), dtype="f4")
        reduced[LEFT : LEFT + len(ids)] = (self.table[ids] / self.scale) @ a["order.reduce"]
        around = reduced[gaps[:, None] + np.arange(-LEFT, RIGHT)].reshape(len(gaps), -1)
        hidden = np.maximum(around @ a["order.hidden"] + a["order.bias"], 0)
        found: F = hidden @ a["order.out"] + a["order.constant"]
        return found

    def _begins(self, text: str) -> NDArray[np.int64]:
        """Places of the tokens that begin a word, but for the first of a text."""
        begins = np.flatnonzero(self._starts[self.ids(text)])
        return begins[begins > 0]

    def known(self, ids: NDArray[np.int64]) -> float:
        """Share of the words that are one token, of those that tokens make up."""
        begins = self._starts[ids]
        alone = begins & np.append(begins[1:] | ~self._letters[ids[1:]], True)
        return float(alone.sum() / begins.sum()) if begins.any() else 0.0

    def near(self, asked: str, said: str) -> float:
        """Cosine of what two texts mean."""
        return float(self.meaning(asked).mean @ self.meaning(said).mean)

    def rank(self, asked: str, said: str) -> tuple[float, float]:
        """How many of the known prompts a response fits worse than this one, in [0, 1], and by how much.

        The second is the cosine less that of the known prompt which the response fits best.
        """
        this, mine = self.meaning(asked).mean, self.near(asked, said)
        others = self.arrays["prompts"] @ self.meaning(said).mean
        others = others[self.arrays["prompts"] @ this < SAME]
        return float((others < mine).mean()) if len(others) else 1.0, mine - float(others.max(initial=-1.0))

    def beside(self, meanings: F) -> Vectors:
        """The same, knowing further prompts by their meaning, shape (m, dim)."""
        found = copy(self)
        found.arrays = {**self.arrays, "prompts": np.concatenate([self.arrays["prompts"], meanings])}
        return found

    def _expected(self, prompt: Prompt) -> F:
        """What answers to this prompt look like: log words, share of symbols, known words, capitals."""
        found: F = self.prompt_features(prompt) @ self.arrays["expected"]
        return found

    def prompt_features(self, prompt: Prompt) -> F:
        """Shape (dim + cues + 3,)."""
        cues = list(prompt.cues.values())
        n = np.log1p(len(prompt.words))
        question = float("?" in prompt.text)
        return np.concatenate([self.meaning(prompt.text).mean, cues, [1.0, n, question]]).astype("f4")

    def is_english(self, prompt: Prompt) -> bool:
        """Whether a prompt reads like English, as far as its words tell."""
        short = prompt.text.isascii() and 0 < len(prompt.words) < 5
        return short or float(self.languages(prompt)[0]) >= 0.15

    def languages(self, text: Text) -> NDArray[Any]:
        """Share of the words that are among the commonest of each language, shape (languages,)."""
        return text.once("languages", lambda: self._common(text.words[:400]))

    def _common(self, words: Sequence[str]) -> NDArray[Any]:
        found = sum((self._languages[word] for word in words if word in self._languages), self._none)
        return found / max(1, len(words))
