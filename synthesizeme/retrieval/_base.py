"""The contract of a retriever: documents in the order of time and a query in, positions out."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from synthesizeme.errors import DataError

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
