"""Retrieves nothing: the control of every other retriever."""

from __future__ import annotations

from collections.abc import Sequence

from synthesizeme.retrieval._base import Retriever


class Nothing(Retriever):
    """Shows no item."""

    def rank(self, query: str, documents: Sequence[str]) -> list[int]:
        """No position."""
        return []
