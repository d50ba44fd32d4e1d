"""What a person gets to see of a language model's text: neither its thoughts nor special tokens.

Thoughts are told by their marks (``<think>``, ``[THINK]``, ``◁think▷``, the channels of gpt-oss, ...),
special tokens by their shape (``<|...|>``, ``</s>``, ``[PAD]``, ...), so that no tokenizer is needed. Marks
that an answer may have too (``<analysis>``, ``<plan>``, ``[thinking]``) are those of thoughts where a closed
block of prose stands before everything else that is said. Code is left as it stands: an answer may speak of
either.
"""

from __future__ import annotations

import re

_WORD = r"(?:[a-z]{1,12}[:_])?(?:think(?:ing)?|thoughts?|reasoning|reflection|scratchpad|inner_monologue)"
_SURE = (
    r"<(?:[a-z]{1,12}[:_])?think(?:ing)?\s*>|<\|(?:begin_of_)?(?:think(?:ing)?|thought)\|>"
    r"|<\|start_thinking\|>|\[think\]|◁think▷"
)
_OPEN = rf"(?:{_SURE}|<{_WORD}\s*>|<\|channel>thought\b|<unused94>)"
_CLOSE = (
    rf"(?:</{_WORD}\s*>|<\|(?:end_of_|/)(?:think(?:ing)?|thought)\|>|<\|end_thinking\|>|\[/think\]|◁/think▷"
    r"|<channel\|>|<unused95>)"
)
_AHEAD = (
    rf"{_WORD}|ant_?thinking|(?:inner_|internal_)?(?:thinking|thought|reasoning)_?process|(?:chain_of_)?thoughts?"
    r"|analysis|analy[sz]e|reason|rationale|cot|plan|planning|internal(?:_monologue|_thoughts?)?|reflect|deliberation"
)
_LEADING = re.compile(
    rf"(?:(?:<|&lt;|\\<)(?P<tag>{_AHEAD})\s*(?:>|&gt;|\\>)(?!\s*<\w).*?(?:<|&lt;|\\<)/(?P=tag)\s*(?:>|&gt;|\\>)"
    r"|\[(?P<box>think(?:ing)?|thoughts?|reasoning|analysis)\].*?\[/(?P=box)\]"
    r"|<details\s[^<>]*\btype=[\"']?reasoning\b[^<>]*>.*?</details\s*>)"
    r"(?=\s*(?:[^\s<]|<(?!\w)|<[|｜]|<(?:final_?)?(?:answer|response|output|reply)\s*>))",
    re.IGNORECASE | re.DOTALL,
)
"""A closed block of prose before an answer that is no more of the same XML."""
_MAY_LEAD = ("<", "[", "&", "\\")
_FLAGS = re.IGNORECASE | re.DOTALL | re.MULTILINE
_ANY = re.compile(rf"{_OPEN}|{_CLOSE}", _FLAGS)
_CODE = r"```.*?```|`[^`\n]*`"
_NEVER_OPENED = re.compile(rf"\A(?>{_CODE}|(?!{_OPEN}|{_CLOSE}).)*+{_CLOSE}", _FLAGS)
"""All up to a closing mark whose opening one stood in the prompt."""
_THOUGHT = re.compile(rf"(?P<code>{_CODE})|{_OPEN}.*?{_CLOSE}|(?:{_SURE}|^[ \t]*{_OPEN}).*\Z", _FLAGS)
"""Code; a thought; one that was cut off, to the end of the text."""
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<>|]*(?:<\|[^<>|]*\|>[^<>|]*)??<\|message\|>")
_BARE_CHANNEL = re.compile(r"\Aanalysis(?=\S).*?assistant(?:commentary.*?assistant)?final", re.DOTALL)
"""The same once a tokenizer has left the marks out."""
_SPOKEN = re.compile(r"\AHere(?: is|'s) my thought process:.*?(?:^Here(?: is|'s) my response:|\Z)", _FLAGS)

_NAMED = (
    r"/?s|(?:pad|eos|bos|unk|sep|cls|mask)(?:_token)?|eo[tdmp]|sop|bot|im_(?:start|end)|end_?of_?\w{1,20}|start_of_\w{1,20}"
    r"|0x[0-9a-f]{2}|begin_of_\w{1,20}|start_header_id|end_header_id|eot_id|extra_id_\d+|unused_?\d+|reserved\w{0,30}"
    r"|seed:[be]os|/?(?:tool_)?turn"
)
_TOKEN = (
    r"(?:<[|｜][^<>|｜\n]{1,60}[|｜]>|<[|｜][\w.:/▁-]{1,40}>|<[\w.:/▁-]{1,40}[|｜]>|\[\|[^\[\]|\n]{1,40}\|\]"
    rf"|<(?i:{_NAMED})>|<</?SYS>>|\[e~\[|\]~!?b\[?"
    r"|\[/?(?:PAD|CLS|SEP|UNK|MASK|EOS|BOS|EOT|EOD|INST|SYSTEM_PROMPT|gMASK|sMASK|UNUSED_TOKEN_|control_)\d*\])"
)
_TURN = (
    r"(?<![^\n>\]])(?:<\|im_start\|>|<\|turn>|<start_of_turn>|<\|start_of_role\|>|<\|start_header_id\|>|<\|header_start\|>"
    r"|<\|start\|>|<seed:bos>|\]~b\])\s*(?:user|human|assistant|model|system|developer|tool|ai)"
)
"""The head of the next turn, on a line of its own or behind a special token."""
_AT_START = re.compile(rf"[\s▁]*{_TOKEN}▁*")
_AT_END = re.compile(rf"▁*(?:{_TURN}|{_TOKEN})▁*\Z")
_CLOSING = re.compile(r"<(?:/(?:answer|response|assistant|output)|end|stop)\s*>\Z", re.IGNORECASE)
_OPENING = re.compile(r"<(?:answer|response|assistant|output|begin|start)\b[^<>]*>", re.IGNORECASE)
"""What ends an answer in which nothing stands that such a mark would close."""
_LONGEST = 80
"""Characters of the longest special token."""
_STRUCK = re.compile(r"<(/?)s>", re.IGNORECASE)


def thoughts(text: str) -> list[tuple[int, int]]:
    """Where the text thinks, marks included: (start, end) of each stretch, in order.

    A thought that was cut off reaches to the end of the text; one whose opening mark stood in the prompt
    begins with the text.
    """
    found = _channels(text)
    begun = found[0][1] if found and not found[0][0] else 0
    end = found[0][0] if found and found[0][0] else len(text)
    lead = _leading(text, begun, end)
    if lead:
        found, begun = [*found, lead], lead[1]
    if any(mark in text for mark in "<[◁") and _ANY.search(text, begun, end):
        return _marked(text, begun, end, found)
    spoken = _SPOKEN.match(text) if text.startswith("Here") else None
    return [spoken.span()] if spoken else found


def without_thoughts(text: str) -> str:
    """The text without what was thought before, between or after what is said; empty where nothing is.

    Text without `thoughts` comes back as it is, otherwise without blanks around it.
    """
    found = thoughts(text)
    return _rest(text, found).strip() if found else text


def without_special_tokens(text: str) -> str:
    """The text without special tokens, and blanks around them, at its beginning and its end.

    ``<s>`` and ``</s>`` also strike text out in HTML: they stay where the text in between has one without the
    other.
    """
    found = _trimmed(text)
    if found != text and _STRUCK.search(text):
        marks = [match[1] for match in _STRUCK.finditer(found)]
        if marks.count("") != marks.count("/"):
            return _trimmed(text, keep=("<s>", "</s>"))
    return found


def _leading(text: str, begun: int, end: int) -> tuple[int, int] | None:
    """Where a text thinks before it answers, between marks that an answer may have too."""
    while match := _AT_START.match(text, begun, end):
        begun = match.end()
    begun += len(text[begun:end]) - len(text[begun:end].lstrip())
    match = _LEADING.match(text, begun, end) if text.startswith(_MAY_LEAD, begun) else None
    return match.span() if match else None


def token_ahead(text: str) -> int:
    """Characters of the special token that a text begins with, blanks included; 0 without one."""
    match = _AT_START.match(text)
    return match.end() if match else 0


def _channels(text: str) -> list[tuple[int, int]]:
    """What stands before the final channel of gpt-oss, the one for the user; all, if none is final."""
    if "<|channel|>" in text:
        parts = list(_CHANNEL.finditer(text))
        final = [part for part in parts if part[1].lower() == "final"]
        if final:
            return [(0, final[-1].end())]
        return [(parts[0].start(), len(text))] if parts else []
    bare = _BARE_CHANNEL.match(text) if text.startswith("analysis") else None
    return [bare.span()] if bare else []


def _marked(text: str, begun: int, end: int, found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """`found`, and the thoughts between marks in the text from `begun` to `end`."""
    rest = text[begun:end]
    unopened = _NEVER_OPENED.match(rest)
    start = unopened.end() if unopened else 0
    inside = [match.span() for match in _THOUGHT.finditer(rest[start:]) if match["code"] is None]
    spans = [(0, start)] * bool(start) + [(start + first, start + last) for first, last in inside]
    left = _NEVER_OPENED.match(_rest(rest, spans))  # thoughts within thoughts leave a closing mark
    if left:
        reach, place = left.end(), 0
        for first, last in spans:
            if place + reach <= first:
                break
            reach, place = reach - (first - place), last
        spans = [(0, place + reach), *(span for span in spans if span[0] >= place + reach)]
    return sorted([*found, *((begun + first, begun + last) for first, last in spans)])


def _rest(text: str, spans: list[tuple[int, int]]) -> str:
    """The text without stretches of it."""
    pieces, place = [], 0
    for first, last in spans:
        pieces.append(text[place:first])
        place = last
    return "".join([*pieces, text[place:]])


def _closing(text: str) -> re.Match[str] | None:
    """The mark that closes the answer, at its end; None where the text has what it may close."""
    found = _CLOSING.search(text, max(0, len(text) - _LONGEST)) if text.endswith(">") else None
    return None if found and _OPENING.search(text) else found


def _trimmed(text: str, keep: tuple[str, ...] = ()) -> str:
    start, end = 0, len(text)
    while (match := _AT_START.match(text, start)) and match[0].strip().lower() not in keep:
        start = match.end()
    while end > start:
        shown = text[start:end].rstrip() if end == len(text) else text[start:end]
        match = _AT_END.search(shown, max(0, len(shown) - _LONGEST)) or _closing(shown)
        if match is None or match[0].lower() in keep:
            break
        end = start + len(shown[: match.start()].rstrip())
    return text[start:end].lstrip() if start else text[start:end]
