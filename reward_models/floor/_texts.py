"""A prompt and a response as the floor reads them: words, tokens, vectors, sentences."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from reward_models.floor._cues import cues

Read = TypeVar("Read")
READ = 8192
"""Characters that are read of a text: twice as many with the end, if it is longer."""
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_PIECES = re.compile(r"[.?!:;\n\"“”]+")
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+")


class Text:
    """One text.

    Args:
        text: The whole of it. White space around it is not read, nor the middle of more than 2 `READ`
            characters.
    """

    def __init__(self, text: str) -> None:
        text = text.strip()
        text = text if len(text) <= 2 * READ else f"{text[:READ]}\n{text[-READ:]}"
        self.text = text.encode("utf-8", "replace").decode()
        self._readings: dict[str, Any] = {}

    def once(self, name: str, reading: Callable[[], Read]) -> Read:
        """What a reading of the text gives, read once: of a prompt for the first of its responses alone."""
        if name not in self._readings:
            self._readings[name] = reading()
        found: Read = self._readings[name]
        return found

    @cached_property
    def words(self) -> list[str]:
        """In lower case, without punctuation."""
        return _WORD.findall(self.text.lower())

    @cached_property
    def bigrams(self) -> list[tuple[str, str]]:
        """Neighbouring words."""
        return list(zip(self.words, self.words[1:], strict=False))

    @cached_property
    def stems(self) -> frozenset[str]:
        """First six letters of every word."""
        return frozenset(word[:6] for word in self.words)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Different words."""
        return frozenset(self.words)

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Different bigrams."""
        return frozenset(self.bigrams)

    @cached_property
    def pieces(self) -> list[list[str]]:
        """Words of each stretch between full stops, colons, quotation marks and lines, of two words on."""
        found = (_WORD.findall(piece.lower()) for piece in _PIECES.split(self.text))
        return [piece for piece in found if len(piece) > 1]

    @cached_property
    def again(self) -> float:
        """Share of the runs of three words that stood in the text before, in [0, 1]."""
        triples = list(zip(self.words, self.words[1:], self.words[2:], strict=False))
        return 1 - len(set(triples)) / len(triples) if triples else 0.0

    @cached_property
    def sentences(self) -> list[str]:
        """Sentences and lines."""
        return [piece for piece in (p.strip() for p in _SENTENCE.split(self.text)) if piece]


class Prompt(Text):
    """The last user turn, with what it asks for."""

    @cached_property
    def cues(self) -> dict[str, float]:
        """See `reward_models.floor._cues.cues`."""
        return cues(self.text)

    @cached_property
    def content(self) -> frozenset[str]:
        """Its longer words, by their first letters, which differ less than their endings."""
        return frozenset(word[:6] for word in self.words if len(word) > 4)
