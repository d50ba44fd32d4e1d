"""What texts are about, as directions among static embeddings: of concepts, of quoted texts, of any words."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from synthesizeme.discovery import resource
from synthesizeme.plain_text import QUOTATION, beginning, quotable
from synthesizeme.static_embedding import open_static_embedding

Vector = NDArray[np.float64]

DIMENSIONS = 256
TYPICAL_DIFFERENCE = 0.2
"""Of two responses to one prompt, along a direction: the mean over the sample."""
QUOTED = 78
"""Characters of a text that a statement quotes; four such texts fit into one statement."""
_APART = re.compile(r"\b(?:not|rather than|over|instead of|to ones like|than)\b")
_SAYS_LITTLE = re.compile(
    r"\bthe user\b|\b(?:very |slightly|somewhat|clearly|strongly)\w*\b|\b(?:prefers?|likes?|enjoys?|values?|"
    r"appreciates?|wants?|loves?|favou?rs?|chooses?|dislikes?|avoids?|rejects?|hates?|does not|answers?|"
    r"responses?|replies|that|which|are|about|with|without|the|an?|of|and|or|who|they|their|texts?|ones|like)\b",
    re.IGNORECASE,
)


def meaning(text: str) -> Vector:
    """The static embedding in typical differences, shape (`DIMENSIONS`,)."""
    return open_static_embedding().vector(text).astype(np.float64) / TYPICAL_DIFFERENCE


@cache
def concepts() -> dict[str, Vector]:
    """Direction of each shipped concept, of length 1: the mean of its phrases, less that of all concepts."""
    rows = tomllib.loads(resource("data/words/concepts.toml").read_text(encoding="utf-8"))["concept"]
    means = np.array([_unit(np.sum([meaning(it) for it in row["phrases"]], axis=0)) for row in rows])
    return {row["name"]: _unit(it) for row, it in zip(rows, means - means.mean(axis=0), strict=True)}


def between(liked: Sequence[str], disliked: Sequence[str]) -> Vector:
    """Direction from the one texts to the others, of length 1 (or 0 where it has none)."""
    found = np.zeros(DIMENSIONS)
    for texts, sign in ((liked, 1), (disliked, -1)):
        if texts:
            found += sign * np.mean([meaning(text) for text in texts], axis=0)
    return _unit(found)


def quoted(line: str) -> tuple[list[str], list[str]]:
    """The texts that a statement quotes: those liked, and those that stand behind a "not" or the like.

    >>> quoted("The user prefers answers like “More parks”, not like “More roads”.")
    (['More parks'], ['More roads'])
    """
    liked: list[str] = []
    disliked: list[str] = []
    found, end = liked, 0
    for quote in QUOTATION.finditer(line):
        if _APART.search(line[end : quote.start()].lower()):
            found = disliked
        found.append(quote[1])
        end = quote.end()
    return liked, disliked


def without_quotes(line: str) -> str:
    """A statement with nothing between its quotation marks."""
    return QUOTATION.sub("“”", line)


def as_quote(text: str) -> str:
    """The beginning of a text between quotation marks, on one line."""
    return f"“{beginning(quotable(text), QUOTED)}”"


def said(words: str) -> Vector:
    """Direction of what words are about, of length 1; 0 where they say nothing but that somebody likes it."""
    left = " ".join(_SAYS_LITTLE.sub(" ", words).split()).strip(" .,;:!")
    return _unit(meaning(left)) if len(left) >= 3 else np.zeros(DIMENSIONS)


def _unit(vector: Vector) -> Vector:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-9 else np.zeros(DIMENSIONS)
