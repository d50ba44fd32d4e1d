"""Reading a prompt back: which task it sets, the data between its tags, and proposals for a better one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from synthesizeme.replies import SMALL_NUMBERS

_FIELD = re.compile(r"<(\w+)(?: [^<>\n]*)?>\n?(.*?)\n?</\1>", re.DOTALL)
_PAIR = re.compile(r'<pair number="(\d+)">\n(.*?)\n</pair>', re.DOTALL)
_PAST = re.compile(r'<past_choice number="(\d+)">\n(.*?)\n</past_choice>', re.DOTALL)
_TURN = re.compile(r'<turn role="(\w+)">\n(.*?)\n</turn>', re.DOTALL)
_EVIDENCE = re.compile(r"^<evidence>\n(.*?)\n</evidence>$", re.DOTALL | re.MULTILINE)
_FINDING = re.compile(
    r"^(E\d+): .* \((.+) ([+-]\d+\.\d+) ± (\d+\.\d+)(?:; most people [+-]\d+\.\d+)?(?:; pairs [\d, ]+)?\)$",
    re.MULTILINE,
)
_WISH = re.compile(r"^(W\d+): wishes of an assistant: (.+)$", re.MULTILINE)
_PREFERENCE = re.compile(r"^Preference: (First|Second)\b", re.MULTILINE)
_AT_MOST = re.compile(r"at most (\w+)(?: short)?(?: lines| sentences| statements)?\b(?! sentences)")
_NUMBERS = SMALL_NUMBERS[:13]
"""Up to twelve, the most statements that a persona holds."""


@dataclass(frozen=True)
class Shown:
    """Two responses as a prompt shows them."""

    question: str
    """Text of the last user turn."""
    first: str
    second: str


@dataclass(frozen=True)
class Choice:
    """Two responses and which one the user chose."""

    shown: Shown
    sign: int
    """+1 for the first response, -1 for the second."""
    number: int = 0
    """Number of the pair in a persona prompt."""


@dataclass(frozen=True)
class Rated:
    """One response to be rated, and past choices to hold it against."""

    question: str
    response: str
    choices: tuple[Choice, ...]
    """The first response of each is the chosen one."""


@dataclass(frozen=True)
class Finding:
    """An item of evidence in a persona prompt."""

    marker: str
    """How a statement cites it, e.g. ``E1``."""
    feature: str
    weight: float
    """How far the user's is from most people's, in log-odds per typical difference."""
    standard_error: float


def read_shown(text: str) -> Shown | None:
    """The comparison in a message, or None when there is none."""
    fields = dict(_FIELD.findall(text))
    return _between(fields, "first_response", "second_response")


def read_rated(text: str) -> Rated | None:
    """The response to be rated in a message and what it is held against, or None when there is none."""
    choices = []
    for number, body in _PAST.findall(text):
        shown = _between(dict(_FIELD.findall(body)), "chosen_response", "rejected_response")
        if shown:
            choices.append(Choice(shown, 1, int(number)))
    fields = dict(_FIELD.findall(_PAST.sub("", text)))
    if "new_response" not in fields:
        return None
    return Rated(_question(fields.get("conversation", "")), fields["new_response"], tuple(choices))


def read_persona(system: str) -> str:
    """The persona in a judge's system prompt; empty when there is none."""
    match = re.search(r"^<persona>\n(.*?)\n</persona>$", system, re.DOTALL | re.MULTILINE)
    return match[1] if match else ""


def read_demonstrations(turns: list[tuple[str, str]]) -> tuple[Choice, ...]:
    """Choices in the (role, text) turns before the last one: a comparison, then an answer."""
    found = []
    for (_, asked), (role, answered) in pairwise(turns):
        shown, answers = read_shown(asked), _PREFERENCE.findall(answered)
        if role == "assistant" and shown and answers:
            found.append(Choice(shown, 1 if answers[-1] == "First" else -1))
    return tuple(found)


def read_pairs(text: str) -> Iterator[Choice]:
    """The numbered pairs of a persona-writing prompt."""
    for number, body in _PAIR.findall(text):
        shown = read_shown(body)
        choice = re.search(r"<choice>(First|Second)</choice>", body)
        if shown and choice:
            yield Choice(shown, 1 if choice[1] == "First" else -1, int(number))


def read_trial(text: str) -> tuple[str, list[tuple[int, Shown]]] | None:
    """The statement of a trial and its numbered pairs, or None where a message holds none."""
    statement = dict(_FIELD.findall(_PAIR.sub("", text))).get("statement")
    if statement is None:
        return None
    asked = [(int(number), read_shown(body)) for number, body in _PAIR.findall(text)]
    return statement, [(number, shown) for number, shown in asked if shown]


def read_findings(system: str) -> tuple[Finding, ...]:
    """The evidence in a persona-writing instruction, if it has any."""
    block = _EVIDENCE.search(system)
    found = _FINDING.findall(block[1]) if block else ()
    return tuple(Finding(marker, name, float(weight), float(error)) for marker, name, weight, error in found)


def read_wishes(text: str) -> dict[str, str]:
    """By marker what the user wished, in a persona-writing prompt that says so."""
    return dict(_WISH.findall(_PAIR.sub("", text)))


def read_limit(system: str, default: int) -> int:
    """How many statements a persona-writing instruction allows ("at most eight")."""
    match = _AT_MOST.search(system)
    if match is None:
        return default
    word = match[1].lower()
    return int(word) if word.isdigit() else _NUMBERS.index(word) if word in _NUMBERS else default


def _between(fields: dict[str, str], first: str, second: str) -> Shown | None:
    if first not in fields or second not in fields:
        return None
    return Shown(_question(fields.get("conversation", "")), fields[first], fields[second])


def _question(conversation: str) -> str:
    """Text of the last user turn."""
    turns = [body for role, body in _TURN.findall(conversation) if role == "user"]
    return turns[-1] if turns else conversation


LIMITS = ("three", "twelve", "five", "ten", "four", "six", "seven", "two")
_ASKED = re.compile(
    r"^\[\[ ## (basic|current)_instruction ## \]\]\n(.*?)\n\n(?:\[\[ ## |Respond with )",
    re.DOTALL | re.MULTILINE,
)
_LIMIT = re.compile(r"at most \w+")


def propose(text: str, request_number: int) -> str | None:
    """The reply to a request for a new instruction by MIPROv2 (DSPy's chat format) or GEPA (its JSON format).

    Args:
        text: The last message.
        request_number: How often this reader was asked before, so that proposals differ.

    Returns:
        The reply, or None when `text` is no such request.
    """
    asked = _ASKED.search(text) if text.startswith("[[ ## ") else None
    if asked is None:
        return None
    field, instruction = asked.groups()
    limit = LIMITS[request_number % len(LIMITS)]
    varied, changes = _LIMIT.subn(f"at most {limit}", instruction, count=1)
    varied = varied if changes else f"{instruction}\nWrite at most {limit} statements."
    if field == "current":
        return json.dumps({"new_instruction": varied})
    return f"[[ ## proposed_instruction ## ]]\n{varied}\n\n[[ ## completed ## ]]"
