"""Which past items of a user go into a prompt: documents, oldest first, and a query in, positions out."""

from __future__ import annotations

import math
import random
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synthesizeme.errors import ConfigError, DataError, MissingExtraError, UnknownNameError

Encode = Callable[[Sequence[str]], NDArray[Any]]
"""Texts to vectors, shape (n, dim)."""
_WORD = re.compile(r"\w+")


class Retriever(ABC):
    """Ranks a user's past items for one query.

    An item is a document: the text that speaks for it. Documents are in the order of time, oldest first, and
    what the retriever cannot tell apart is ranked by recency, newest first.

    References:
        Salemi et al. (2024), LaMP: When Large Language Models Meet Personalization, arXiv 2304.11406,
        section 2: R(phi_q(x), P_u, k).
    """

    @abstractmethod
    def rank(self, query: str, documents: Sequence[str]) -> list[int]:
        """Positions of the documents that may be shown, best first; none twice."""

    def retrieve(self, query: str, documents: Sequence[str], k: int) -> list[int]:
        """Positions of the `k` best documents, best first; all of them where there are fewer.

        Args:
            query: What is asked about.
            documents: The user's past items, oldest first; may be empty.
            k: How many are wanted, 0 or more.

        Raises:
            ValueError: `k` is negative.
            DataError: a document has no text.
        """
        if k < 0:
            raise ValueError(f"k is {k}; expected 0 or more")
        for position, text in enumerate(documents):
            if not isinstance(text, str) or not text.strip():
                raise DataError(
                    f"item {position} of {len(documents)} in the profile has no text",
                    field="profile",
                    cure="leave the item out, or give it the text that its task retrieves by",
                )
        return self.rank(query, documents)[:k] if documents and k else []


def by_score(scores: Sequence[float] | NDArray[Any]) -> list[int]:
    """Positions from the highest score to the lowest; equal scores newest (last) first."""
    return sorted(range(len(scores)), key=lambda position: (-float(scores[position]), -position))


def words(text: str) -> list[str]:
    """The words of a text, in lower case, as lexical retrievers compare them."""
    return _WORD.findall(text.lower())


class Nothing(Retriever):
    """Shows no item."""

    def rank(self, query: str, documents: Sequence[str]) -> list[int]:
        """No position."""
        return []


class Drawn(Retriever):
    """Draws without replacement; the same seed, query and number of items give the same draw.

    Args:
        seed: Seed of all draws.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def rank(self, query: str, documents: Sequence[str]) -> list[int]:
        """All positions in an order by chance."""
        drawn = random.Random(f"{self.seed}\0{len(documents)}\0{query}\0retrieval")
        return drawn.sample(range(len(documents)), len(documents))


class Recency(Retriever):
    """Newest first."""

    def rank(self, query: str, documents: Sequence[str]) -> list[int]:
        """All positions, last first."""
        return list(range(len(documents)))[::-1]


K1 = 1.5
B = 0.75
EPSILON = 0.25
"""Share of the mean IDF that a negative one is replaced by in ``okapi``."""
Score = Callable[[Sequence[str]], NDArray[Any]]


class Bm25(Retriever):
    """Okapi BM25 with one of two IDFs; N documents, n of them with the word.

    ``lucene`` is ``ln(1 + (N - n + .5) / (n + .5))``, never negative, by the library bm25s. ``okapi`` is
    ``ln((N - n + .5) / (n + .5))``, where negative values become `EPSILON` times the mean: that of the
    library rank_bm25, which LaMP was published with. On profiles of one to three items it gives equal or
    negative scores; use it to compare with published figures, not to retrieve.

    Args:
        idf: One of the two.

    Raises:
        ConfigError: `idf` is neither.
        MissingExtraError: bm25s is not installed (``lucene`` alone needs it).

    References:
        Robertson and Zaragoza (2009), The Probabilistic Relevance Framework, equation 3.15; Kamphuis et al.
        (2020), Which BM25 do you mean?, table 1; Lù (2024), BM25S, arXiv 2407.03618.
    """

    def __init__(self, *, idf: Literal["lucene", "okapi"] = "lucene") -> None:
        if idf not in ("lucene", "okapi"):
            raise ConfigError(f"idf is {idf!r}; expected 'lucene' or 'okapi'")
        self.idf = idf
        if idf == "lucene":
            _library()
        self._index = lru_cache(maxsize=256)(_lucene if idf == "lucene" else _okapi)

    def rank(self, query: str, documents: Sequence[str]) -> list[int]:
        """All positions, highest score first."""
        return by_score(self.scores(query, documents))

    def scores(self, query: str, documents: Sequence[str]) -> NDArray[Any]:
        """Score of every document, shape (n,); a word counts as often as it is asked for."""
        return self._index(tuple(documents))(words(query))


def _lucene(documents: tuple[str, ...]) -> Score:
    """The documents indexed by bm25s."""
    split = [words(document) for document in documents]
    if not any(split):
        return lambda query: np.zeros(len(documents))
    index = _library().BM25(method="lucene", k1=K1, b=B)
    index.index(split, show_progress=False)
    known = {word for document in split for word in document}

    def score(query: Sequence[str]) -> NDArray[Any]:
        asked = [word for word in query if word in known]
        return np.asarray(index.get_scores(asked)) if asked else np.zeros(len(documents))

    return score


def _okapi(documents: tuple[str, ...]) -> Score:
    """The documents with their counts of words, weighed as rank_bm25 does."""
    counts = [Counter(words(document)) for document in documents]
    lengths = np.array([sum(count.values()) for count in counts], dtype=float)
    if not lengths.sum():
        return lambda query: np.zeros(len(documents))
    having = Counter(word for count in counts for word in count)
    idf = {word: math.log(len(counts) - n + 0.5) - math.log(n + 0.5) for word, n in having.items()}
    floor = EPSILON * sum(idf.values()) / len(idf)
    damping = K1 * (1 - B + B * lengths / lengths.mean())

    def score(query: Sequence[str]) -> NDArray[Any]:
        total = np.zeros(len(documents))
        for word in query:
            if word in idf:
                found = np.array([count[word] for count in counts], dtype=float)
                weight = idf[word] if idf[word] >= 0 else floor
                total += weight * (found * (K1 + 1) / (found + damping))
        return total

    return score


def _library() -> Any:
    try:
        import bm25s
    except ImportError as error:
        raise MissingExtraError("the retriever 'bm25'", "retrieval") from error
    return bm25s


class Dense(Retriever):
    """Cosine similarity of embeddings.

    Args:
        encode: Texts to vectors, shape (n, dim): a sentence encoder, or one distilled from what helped a
            judge (`reward_models.dense_retrieval`). A profile is encoded once.
    """

    def __init__(self, *, encode: Encode) -> None:
        self._encode = encode
        self._embedded = lru_cache(maxsize=256)(self._directions)

    def rank(self, query: str, documents: Sequence[str]) -> list[int]:
        """All positions, nearest first.

        Raises:
            DataError: the encoder does not give one finite vector for each text.
        """
        return by_score(self.scores(query, documents))

    def scores(self, query: str, documents: Sequence[str]) -> NDArray[Any]:
        """Cosine of every document with the query, shape (n,), in [-1, 1]; a zero vector is near nothing."""
        found: NDArray[Any] = self._embedded(tuple(documents)) @ self._embedded((query,))[0]
        return found.round(6)

    def _directions(self, texts: tuple[str, ...]) -> NDArray[Any]:
        vectors = np.asarray(self._encode(texts), dtype=np.float64)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise DataError(
                f"the encoder gave an array of shape {vectors.shape} for {len(texts)} texts; expected one "
                "finite vector for each",
                field="encode",
                cure="give an encoder that returns shape (n, dim)",
            )
        directions: NDArray[Any] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return directions


RETRIEVERS: dict[str, type[Retriever]] = {
    "bm25": Bm25, "dense": Dense, "none": Nothing, "random": Drawn, "recency": Recency,
}  # fmt: skip
"""By their names on the command line."""


def retriever_names() -> list[str]:
    """Names of all retrievers, as on the command line."""
    return list(RETRIEVERS)


def open_retriever(name: str, *, seed: int = 0, encode: Encode | None = None) -> Retriever:
    """A retriever with what it needs of the two: the seed, the encoder.

    Raises:
        UnknownNameError: there is no such retriever.
        ConfigError: it needs an encoder and none is given.
        MissingExtraError: the library behind it is not installed.
    """
    if name not in RETRIEVERS:
        raise UnknownNameError("retriever", name, RETRIEVERS)
    if name == "random":
        return Drawn(seed=seed)
    if name != "dense":
        return RETRIEVERS[name]()
    if encode is None:
        raise ConfigError(f"the retriever {name!r} needs an encoder of texts; name one with --encoder")
    return Dense(encode=encode)
