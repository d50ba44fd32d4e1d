"""From a conversation and a response to the tokens a backbone reads, cut the same way on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from jinja2.exceptions import TemplateError

from synthesizeme.errors import ConfigError, DataError
from synthesizeme.types import Message

TEMPLATE = (
    "{{ cls_token or bos_token or '' }}{% for message in messages %}{{ message.role }}: "
    "{{ message.content }}{{ sep_token or eos_token or '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
"""Given to a tokenizer that has no chat template, and saved with it, so that others render the same text."""
SHORTEST = 48
"""Tokens of the smallest window."""
_PROBES = "01234"
"""Responses of one character; one of them begins and ends unlike any response."""


@dataclass(frozen=True)
class Rendered:
    """Tokens of one response to one prompt."""

    ids: list[int]
    """Token ids, special ones included; at most the window's length."""
    cut: bool
    """Whether something was left out to fit the window."""


@dataclass(frozen=True)
class Located:
    """Tokens of a conversation that ends with a response, and which of them are the response's."""

    ids: list[int]
    """Token ids, special ones included; at most the window's length."""
    begin: int
    """Where the response begins; the token before is the last one of the prompt."""
    end: int
    """Where it ends, before what the chat template puts behind a turn; past `begin`."""


class Renderer:
    """Renders with the tokenizer's chat template, within a window that depends on the prompt alone.

    The prompt may take half of the window; of a longer one the middle is left out, so that its beginning
    (with the profile) and the last turn stay. What remains of the window is the response's, whose end is cut.
    Neither depends on the response, so both sides of a pair lose the same prompt tokens and have the same
    room, and a response has one reading whatever it is compared with.

    Args:
        tokenizer: Of the backbone; gets `TEMPLATE` if it has no chat template.
        max_length: Length of the window in tokens.
    """

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        if max_length < SHORTEST:
            raise ConfigError(f"max_length is {max_length} tokens; expected at least {SHORTEST}")
        self.tokenizer, self.max_length = tokenizer, max_length
        if tokenizer.chat_template is None:
            tokenizer.chat_template = TEMPLATE
        self._system_role = self._takes_a_system_turn()

    def __call__(self, prompt: Sequence[Message], response: str, profile: str = "") -> Rendered:
        """Tokens of the profile (as a leading system turn, left out when empty), prompt and response.

        A profile longer than about a quarter of the window is cut at its end.

        Raises:
            DataError: the chat template of the backbone refuses the conversation.
        """
        profile, profile_cut = self._shortened(profile.encode(errors="replace").decode())
        turns = self._turns(prompt, profile)
        ids = self._ids([*turns, {"role": "assistant", "content": response}])
        half = self.max_length // 2
        if len(ids) <= half:
            return Rendered(ids, profile_cut)
        surplus = max(0, len(self._ids(turns, add_generation_prompt=True)) - half)
        ids = self._without(ids, surplus)
        too_long = len(ids) > self.max_length
        if too_long:
            ids = [*ids[: self.max_length - 1], ids[-1]]
        return Rendered(ids, profile_cut or surplus > 0 or too_long)

    def located(self, prompt: Sequence[Message], response: str, profile: str = "") -> Located:
        """`__call__`, with the place of the response: behind the template's head, before its tail.

        A token that holds text of both the template and the response is the response's. Of an empty response
        it is the token before, where it would begin.

        Raises:
            DataError: the chat template of the backbone refuses the conversation.
        """
        edges = {text[place] for text in (response, response.strip()) if text for place in (0, -1)}
        other = next(probe for probe in _PROBES if probe not in edges)
        ids, probed = (self(prompt, text, profile).ids for text in (response, other))
        begin = _shared(ids, probed)
        end = len(ids) - min(_shared(ids[::-1], probed[::-1]), len(ids) - begin)
        return Located(ids, begin, end) if begin < end else Located(ids, begin - 1, begin)

    def spoken(self, prompt: Sequence[Message], response: str, profile: str = "") -> Located:
        """What a model reads that says the response itself: `opening`, the response, and nothing behind it.

        Raises:
            DataError: the chat template of the backbone refuses the conversation.
        """
        turns, opening, surplus = self._opened(prompt, profile)
        ids = self._ids(turns, response, add_generation_prompt=True)
        begin = min(_shared(opening, ids), len(ids) - 1) - surplus
        ids = self._without(ids, surplus)[: self.max_length]
        return Located(ids, begin, len(ids))

    def opening(self, prompt: Sequence[Message], profile: str = "") -> list[int]:
        """Tokens in front of the response to a prompt, cut as in `__call__`.

        Raises:
            DataError: the chat template of the backbone refuses the conversation.
        """
        _, ids, surplus = self._opened(prompt, profile)
        return self._without(ids, surplus)

    def _opened(self, prompt: Sequence[Message], profile: str) -> tuple[list[dict[str, str]], list[int], int]:
        """The turns, the tokens in front of a response, and how many of those are too many."""
        profile, _ = self._shortened(profile.encode(errors="replace").decode())
        turns = self._turns(prompt, profile)
        ids = self._ids(turns, add_generation_prompt=True)
        return turns, ids, max(0, len(ids) - self.max_length // 2)

    def _without(self, ids: list[int], surplus: int) -> list[int]:
        """Tokens less `surplus` of them behind the kept beginning of the prompt."""
        kept = self.max_length // 4
        return ids[:kept] + ids[kept + surplus :] if surplus else ids

    def _turns(self, prompt: Sequence[Message], profile: str) -> list[dict[str, str]]:
        turns = [{"role": message.role, "content": message.content} for message in prompt]
        if not profile:
            return turns
        if turns[0]["role"] == "system" or not self._system_role:
            turns[0]["content"] = f"{profile}\n\n{turns[0]['content']}"
            return turns
        return [{"role": "system", "content": profile}, *turns]

    def _ids(self, turns: list[dict[str, str]], behind: str = "", **options: bool) -> list[int]:
        """Tokens of the turns, with more text behind what the template makes of them."""
        try:
            text = self.tokenizer.apply_chat_template(turns, tokenize=False, **options) + behind
        except TemplateError as error:
            raise DataError(
                f"the backbone's chat template refuses a conversation of roles "
                f"{[turn['role'] for turn in turns]}: {error}",
                field="prompt",
                cure="use another backbone, or give its tokenizer a chat template that takes these turns.",
            ) from None
        text = text.encode(errors="replace").decode()  # lone surrogates are no text to a tokenizer
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _shortened(self, profile: str) -> tuple[str, bool]:
        ends = self._ends(profile) if profile else []
        longest = self.max_length // 4 - 8  # the kept beginning of a prompt, less its marks
        if len(ends) <= longest:
            return profile, False
        return profile[: ends[longest - 1]], True

    def _ends(self, text: str) -> list[int]:
        """Where each token of `text` ends in it."""
        found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [end for _, end in found["offset_mapping"]]

    def _takes_a_system_turn(self) -> bool:
        turns = [{"role": role, "content": "x"} for role in ("system", "user", "assistant")]
        try:
            return "x" in self.tokenizer.apply_chat_template(turns, tokenize=False)
        except TemplateError:
            return False


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
