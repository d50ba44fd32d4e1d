"""What is scored of a row: the turns of its prompt, and of its response what the user gets to see."""

from __future__ import annotations

import logging
from typing import NamedTuple

from synthesizeme.serving.templates import taken_apart, without_head
from synthesizeme.types import Message
from synthesizeme.visible_text import without_special_tokens, without_thoughts

TEMPLATE, THOUGHTS, TOKENS = "template", "thoughts", "tokens"
KINDS = (TEMPLATE, THOUGHTS, TOKENS)
"""What can be stripped: a chat template around the prompt, which becomes turns again; what was thought before
an answer; special tokens, the head of the assistant's turn and blanks at both ends."""
ALL, NONE = "all", "none"
_SAID = {
    TEMPLATE: "a prompt is the text of a chat template and was taken apart into turns, of which there are %d",
    THOUGHTS: "%d characters of thoughts in a response are not scored",
    TOKENS: "%d characters of special tokens and blanks around a text are not scored",
}

_log = logging.getLogger(__name__)


class Seen(NamedTuple):
    """What is left of a row, and what was stripped."""

    prompt: tuple[Message, ...]
    responses: tuple[str, ...]
    stripped: tuple[str, ...]
    """Those of `KINDS` that the row had."""


def read_strip(value: str) -> frozenset[str] | None:
    """The kinds that ``all``, ``none`` or kinds joined by ``+`` name; None where it names something else."""
    if value in (ALL, NONE):
        return frozenset(KINDS if value == ALL else ())
    kinds = frozenset(part.strip() for part in value.split("+"))
    return kinds if kinds <= frozenset(KINDS) else None


class Stripper:
    """Strips rows, and says once of each kind that it was found.

    Args:
        kinds: Those of `KINDS` to be stripped.
    """

    def __init__(self, kinds: frozenset[str]) -> None:
        self._kinds = kinds
        self._told: set[str] = set()

    def __call__(self, prompt: tuple[Message, ...], *responses: str) -> Seen:
        """What is left of a prompt and its responses."""
        if not self._kinds:
            return Seen(prompt, responses, ())
        found: dict[str, int] = {}
        begun = ""
        if TEMPLATE in self._kinds and len(prompt) == 1:
            turns = taken_apart(prompt[0].content)
            if turns is not None:
                prompt, begun = turns
                found[TEMPLATE] = len(prompt)
        prompt = tuple([self._turn(turn, found) for turn in prompt])
        left = tuple([self._response(begun + response, found) for response in responses])
        for kind in found.keys() - self._told:
            self._told.add(kind)
            _log.warning(f"{_SAID[kind]} (said once; strip=%s leaves it in)", found[kind], NONE)
        return Seen(prompt, left, tuple(kind for kind in KINDS if kind in found))

    def _turn(self, turn: Message, found: dict[str, int]) -> Message:
        """A turn; one of which nothing would be left stays as it is."""
        here: dict[str, int] = {}
        content = turn.content
        if turn.role == "assistant":
            content = self._without_thoughts(content, here)
        content = self._without_tokens(content, here)
        if not here or not content.strip():
            return turn
        found.update(here)
        return Message(role=turn.role, content=content)

    def _response(self, response: str, found: dict[str, int]) -> str:
        """What a response says: no head of its turn, no thoughts, no tokens or blanks at its ends."""
        if TOKENS in self._kinds:
            response = _less(response, without_head(response), TOKENS, found)
        response = self._without_tokens(self._without_thoughts(response, found), found)
        return _less(response, response.strip(), TOKENS, found) if TOKENS in self._kinds else response

    def _without_thoughts(self, text: str, found: dict[str, int]) -> str:
        return _less(text, without_thoughts(text), THOUGHTS, found) if THOUGHTS in self._kinds else text

    def _without_tokens(self, text: str, found: dict[str, int]) -> str:
        return _less(text, without_special_tokens(text), TOKENS, found) if TOKENS in self._kinds else text


def _less(text: str, left: str, kind: str, found: dict[str, int]) -> str:
    if left != text:
        found[kind] = found.get(kind, 0) + len(text) - len(left)
    return left
