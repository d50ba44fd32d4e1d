"""The items that share the rarest words with the query, by BM25."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synthesizeme.errors import ConfigError, MissingExtraError
from synthesizeme.retrieval._base import Retriever, by_score, words

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
