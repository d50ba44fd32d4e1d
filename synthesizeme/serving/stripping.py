"""What is scored of a row: the turns of its prompt, and of its response what the user gets to see.

A chat template is told by the marks before its turns, so that no tokenizer is needed. Known are ChatML (Qwen,
SmolLM, Phi-4, Kimi), Llama 2, 3 and 4, Mistral, Gemma, DeepSeek, Phi-3, Zephyr, Tulu, GLM, Granite, Command,
EXAONE, Apertus, gpt-oss, MiniMax and Seed; and the plain words of Alpaca, Vicuna and
``User: ... Assistant:``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import NamedTuple

from synthesizeme.types import Message, Role
from synthesizeme.visible_text import token_ahead, without_special_tokens, without_thoughts

_NAMES: dict[Role, tuple[str, ...]] = {
    "assistant": ("assistant", "model", "chatbot", "ai", "bot", "gpt", "response", "answer", "/inst"),
    "system": ("system", "developer", "system_prompt"),
}
"""Whose turn a mark begins; whatever else it names (a user, a tool, an input) speaks to the model."""
_ROLES = {name: role for role, names in _NAMES.items() for name in names}
_WORD = r"(?P<role>[A-Za-z][\w-]*)"
_LINE_END = r"(?:\n|\Z)"


class _Form(NamedTuple):
    """How one family of templates marks its turns."""

    head: re.Pattern[str]
    """What stands before a turn; names its role."""
    leads: bool = False
    """Whether the system's turn has no mark of its own."""
    plain: bool = False
    """Whether the marks are ordinary words, which only count where the text ends with the assistant's."""


def _form(head: str, *, leads: bool = False, plain: bool = False) -> _Form:
    return _Form(re.compile(head, re.MULTILINE), leads, plain)


_FORMS = (
    _form(rf"<\|im_start\|>{_WORD}[^\n<>]*?(?:<\|im_sep\|>|\n|\Z)"),
    _form(r"<\|im_(?P<role>system|user|assistant)\|>[^<>\n]*<\|im_middle\|>"),
    _form(rf"<\|start_header_id\|>\s*{_WORD}\s*<\|end_header_id\|>\n*"),
    _form(rf"<\|header_start\|>\s*{_WORD}\s*<\|header_end\|>\n*"),
    _form(rf"<start_of_turn>{_WORD}{_LINE_END}"),
    _form(rf"<\|turn>{_WORD}{_LINE_END}"),
    _form(rf"<\|start_of_role\|>{_WORD}[^<>]*<\|end_of_role\|>"),
    _form(rf"<\|start\|>{_WORD}[^<>]*(?:<\|channel\|>[^<>]*)?(?:<\|message\|>|\Z)"),
    _form(
        r"<\|START_OF_TURN_TOKEN\|><\|(?P<role>[A-Z]+)_TOKEN\|>(?:<\|START_(?:RESPONSE|TEXT)\|>)?",
    ),
    _form(r"<\|(?P<role>system|developer|user|assistant)_start\|>"),
    _form(r"\[\|(?P<role>system|user|assistant|tool)\|\]\n?"),
    _form(rf"<seed:bos>{_WORD}{_LINE_END}"),
    _form(rf"\]~b\]{_WORD}[^\n]*{_LINE_END}"),
    _form(r"<｜(?:\w+_)?(?P<role>(?i:user|assistant|system))｜>", leads=True),
    _form(r"<\|(?P<role>(?i:system|user|assistant|observation|tool))\|>\n?", leads=True),
    _form(r"\[(?P<role>INST|/INST|SYSTEM_PROMPT)\]", leads=True),
    _form(
        r"^###\s*(?P<role>(?i:instruction|input|question|response|answer|system|user|human|assistant))"
        r"\s*:?\s*$",
        leads=True, plain=True,
    ),
    _form(
        r"(?:^|(?<=\s)(?=[A-Z]+:))(?P<role>System|SYSTEM|User|USER|Human|HUMAN|Assistant|ASSISTANT)"
        r"\s?:[ \t]*",
        leads=True, plain=True,
    ),
)  # fmt: skip
_LLAMA_2_SYSTEM = re.compile(r"\A\s*<<SYS>>\n?(.*?)\n?<</SYS>>\s*", re.DOTALL)


class Turns(NamedTuple):
    """What a text was made from."""

    prompt: tuple[Message, ...]
    """The conversation; ends with a user turn."""
    begun: str
    """What the template has already put into the assistant's mouth, such as ``<think>``."""


def taken_apart(text: str) -> Turns | None:
    """The turns of a text that a chat template made; None where it is no such text, or no user asks in it."""
    marked, asks = any(mark in text for mark in "<[]"), text.rstrip().endswith(":") or "\n###" in text
    for form in _FORMS:
        if not (asks if form.plain else marked):
            continue
        said = without_special_tokens(text) if form.plain else text
        heads = list(form.head.finditer(said))
        if heads and (found := _turns(said, heads, form)) is not None:
            return found
    return None


def without_head(response: str) -> str:
    """A response without the mark that a template puts before the assistant's turn, if it begins with one.

    Special tokens may stand before the mark, and go with it.
    """
    text = response.lstrip()
    while text.startswith(("<", "[", "]")):
        for form in _FORMS:
            match = None if form.plain else form.head.match(text)
            if match and _role(match) == "assistant":
                return text[match.end() :]
        text = text[token_ahead(text) :].lstrip() if token_ahead(text) else ""
    return response


def _turns(text: str, heads: list[re.Match[str]], form: _Form) -> Turns | None:
    lead = without_special_tokens(text[: heads[0].start()]).strip()
    asked = _role(heads[-1]) == "assistant"
    if (lead and not form.leads) or (form.leads and not asked):
        return None
    if form.plain and text[heads[-1].end() :].strip():
        return None
    said: list[tuple[Role, str]] = [("system", lead)]
    for head, end in zip(heads, [*(head.start() for head in heads[1:]), len(text)], strict=True):
        content = text[head.end() : end]
        if head["role"] == "INST" and (system := _LLAMA_2_SYSTEM.match(content)):
            said.append(("system", system[1].strip()))
            content = content[system.end() :]
        said.append((_role(head), content))
    begun = said.pop()[1].lstrip() if asked else ""
    turns = [(role, without_special_tokens(content).strip()) for role, content in said]
    prompt = tuple(Message(role=role, content=content) for role, content in turns if content)
    if not prompt or prompt[-1].role != "user":
        return None
    return Turns(prompt, begun)


def _role(head: re.Match[str]) -> Role:
    return _ROLES.get(head["role"].lower(), "user")


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
            content = self._without(THOUGHTS, without_thoughts, content, here)
        content = self._without(TOKENS, without_special_tokens, content, here)
        if not here or not content.strip():
            return turn
        found.update(here)
        return Message(role=turn.role, content=content)

    def _response(self, response: str, found: dict[str, int]) -> str:
        """What a response says: no head of its turn, no thoughts, no tokens or blanks at its ends."""
        response = self._without(TOKENS, without_head, response, found)
        response = self._without(THOUGHTS, without_thoughts, response, found)
        response = self._without(TOKENS, without_special_tokens, response, found)
        return self._without(TOKENS, str.strip, response, found)

    def _without(self, kind: str, strip: Callable[[str], str], text: str, found: dict[str, int]) -> str:
        """A text without one kind, if that is stripped; how many characters went is counted."""
        left = strip(text) if kind in self._kinds else text
        if left != text:
            found[kind] = found.get(kind, 0) + len(text) - len(left)
        return left
