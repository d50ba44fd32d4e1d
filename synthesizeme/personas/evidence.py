"""What a reward model learned about a user, inside a persona prompt: how it is shown and how it is cited.

The model's items are marked E1, E2, ... in the order given. A sentence of the reply names those it rests
on beside its pairs, ``[2, 5; E1]``. What does not exist is left out and counted, with the sentences that
name nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from synthesizeme.errors import DataError
from synthesizeme.profile import PersonaSentence, Provenance
from synthesizeme.prompts import as_data, load_prompt
from synthesizeme.types import Evidence, PreferencePair

EVIDENCE_PROMPT = "persona/evidence"
"""The prompt that is added to the persona-writing prompt, whichever that is."""
_MAX_CHARACTERS = 200

_TAG = re.compile(r"<(?=\s*/?\s*evidence\b)", re.IGNORECASE)
_BRACKETS = re.compile(r"\s*[\[(]([^\[\]()]*)[\])]")
_PART = re.compile(
    r"\s*(?:(?P<items>evidence(?: items?)?|items?)\b|(?P<pairs>pairs?(?: numbers?)?\b|#|;)"
    r"|none\b|and\b|[,:&|]|(?P<mark>E)?(?P<first>\d{1,9})\d*(?:\s*(?:-|–|to)\s*[E#]?(?P<last>\d{1,9})\d*)?\b)"
    r"\s*",
    re.IGNORECASE,
)
_Range = tuple[int, int]


@dataclass(frozen=True)
class Citations:
    """What the brackets of a text name."""

    body: str
    """The text without those brackets."""
    pairs: tuple[int, ...] = ()
    """Numbers of existing pairs, from 1, in the order of naming."""
    items: tuple[int, ...] = ()
    """Numbers of existing items, from 1, in the order of naming."""
    unknown: int = 0
    """References to pairs and items that do not exist."""


def evidence_text(evidence: Sequence[Evidence], pair_ids: Sequence[str]) -> str:
    """What the system message of a persona prompt says of `evidence`; empty without any.

    Args:
        evidence: The items, in the order of their markers.
        pair_ids: The pairs the prompt shows, in the order of their numbers; others are not mentioned.
    """
    if not evidence:
        return ""
    prompt = load_prompt(EVIDENCE_PROMPT)
    number = {pair_id: str(position) for position, pair_id in enumerate(pair_ids, 1)}
    lines = []
    for position, item in enumerate(evidence, 1):
        shown = [number[pair_id] for pair_id in item.pair_ids if pair_id in number]
        lines.append(
            prompt.render(
                "item",
                marker=f"E{position}",
                statement=_one_line(item.statement),
                feature=_one_line(item.feature),
                weight=f"{item.weight:+.2f}",
                standard_error=f"{item.standard_error:.2f}",
                others=""
                if item.population is None
                else prompt.render("others", weight=f"{item.population:+.2f}"),
                pairs=prompt.render("pairs", numbers=", ".join(shown)) if shown else "",
            )
        )
    return prompt.render("system", items="\n".join(lines))


def without_evidence_tags(text: str) -> str:
    """`text` with the bracket taken from every evidence tag, so that data cannot pose as evidence."""
    return _TAG.sub("‹", text)


def read_citations(text: str, n_pairs: int, n_items: int) -> Citations:
    """Take the brackets that name pairs and items out of a text; brackets with other words stay.

    >>> read_citations("The user prefers short answers. [2, 5; E1, E9]", 12, 3)
    Citations(body='The user prefers short answers.', pairs=(2, 5), items=(1,), unknown=1)
    """
    pairs: dict[int, None] = {}
    items: dict[int, None] = {}
    unknown = 0

    def taken(match: re.Match[str]) -> str:
        nonlocal unknown
        named = _references(match[1])
        if named is None:
            return match[0]
        for ranges, known, largest in zip(named, (pairs, items), (n_pairs, n_items), strict=True):
            for first, last in ranges:
                existing = range(max(1, first), min(largest, last) + 1)
                known.update(dict.fromkeys(existing))
                unknown += len(existing) < last - first + 1
        return ""

    body = _BRACKETS.sub(taken, text)
    return Citations(body, tuple(pairs), tuple(items), unknown)


def check_evidence(evidence: Sequence[Evidence], history: Sequence[PreferencePair]) -> None:
    """Refuse evidence that rests on anything but the user's own train and validation pairs.

    Raises:
        DataError: an item names another pair.
    """
    known = {pair.pair_id for pair in history}
    for item in evidence:
        strange = [pair_id for pair_id in item.pair_ids if pair_id not in known]
        if strange:
            raise DataError(
                f"the evidence on {item.feature!r} names pair {strange[0]!r}, which is no train or "
                "validation pair of this user",
                field="pair_ids",
                cure="take the evidence from a model fitted to this user's history alone",
            )


def cited(sentence: PersonaSentence, provenance: Provenance | None) -> list[str]:
    """The evidence behind a sentence for people: feature, weight and standard error where they are known."""
    items = {item.feature: item for item in provenance.evidence} if provenance else {}
    return [
        f"{name} {items[name].weight:+.2f} ± {items[name].standard_error:.2f}" if name in items else name
        for name in sentence.evidence
    ]


def _one_line(text: str) -> str:
    return without_evidence_tags(as_data(" ".join(text.split())[:_MAX_CHARACTERS]))


def _references(inside: str) -> tuple[list[_Range], list[_Range]] | None:
    """Pairs and items named between two brackets; None where it is no citation."""
    pairs: list[_Range] = []
    items: list[_Range] = []
    of_items, position = False, 0
    while position < len(inside):
        part = _PART.match(inside, position)
        if part is None:
            return None
        position = part.end()
        if part["items"] or part["pairs"]:
            of_items = bool(part["items"])
        elif part["first"]:
            named = items if part["mark"] or of_items else pairs
            named.append((int(part["first"]), int(part["last"] or part["first"])))
    return (pairs, items) if pairs or items else None
