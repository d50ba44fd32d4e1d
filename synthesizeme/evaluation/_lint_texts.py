"""A finding of a lint, and those in the responses themselves: damage and give-aways."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from pydantic import Field

from synthesizeme.evaluation.intervals import Interval, interval
from synthesizeme.types import Frozen, PreferencePair

Level = Literal["error", "warning", "note"]
EXAMPLES = 5
"""Most pairs named as examples."""


class Declared(Frozen):
    """How many there should be; None where nothing is declared."""

    pairs: int | None = Field(default=None, ge=0)
    """Pairs of all splits."""
    users: int | None = Field(default=None, ge=0)
    """Different users."""
    test_pairs: int | None = Field(default=None, ge=0)
    """Test pairs of all folds."""

    def departures(self, pairs: int, users: int, test_pairs: int) -> list[tuple[str, int, int]]:
        """(what, number found, number declared) of every number that is not the one declared."""
        found = {"pairs": pairs, "users": users, "test_pairs": test_pairs}
        return [
            (name.replace("_", " "), found[name], declared)
            for name, declared in self.model_dump().items()
            if declared is not None and found[name] != declared
        ]


class Finding(Frozen):
    """One thing found."""

    level: Level
    """How much it matters."""
    name: str
    """Name of the check."""
    problem: str
    """What was found, to be read after the numbers."""
    count: int
    """Number of pairs, rows or users concerned."""
    out_of: int
    """Number of those that were looked at."""
    share_chosen: Interval | None = None
    """Where labels follow something: how often the side that has it is the chosen one."""
    pair_ids: tuple[str, ...] = ()
    """The first few pairs concerned."""
    cure: str
    """What can be done, or how figures are to be read."""


def findings(
    level: Level, name: str, what: Sequence[PreferencePair] | int, out_of: int, problem: str, cure: str
) -> Iterator[Finding]:
    """A finding about some pairs, or about a number of rows or users; none about no one."""
    pairs = () if isinstance(what, int) else what
    if what:
        yield Finding(
            level=level, name=name, count=what if isinstance(what, int) else len(what), out_of=out_of,
            problem=problem, cure=cure, pair_ids=tuple(pair.pair_id for pair in pairs[:EXAMPLES]),
        )  # fmt: skip


FEWEST = 10
"""With fewer pairs that differ, nothing is said of a side."""
FEW_USERS = 10
"""With fewer users than this, a leaning may be their taste, and is never more than a warning."""
LEAN = 0.1
"""How far from one half a share must be to be worth a warning."""
GIVES_AWAY = 0.95
"""From this share on, on at least `COMMON` of the pairs, the form gives the label away."""
COMMON = 0.2

_REPR = re.compile(r"\s*[\[({]\s*['\"{]")
_LONG_ITEM = 5
"""Words from which on an item of a list reads as a message and not as an answer of names."""
_TRAITS: Mapping[str, Callable[[str], object]] = {
    "headings or bold text": re.compile(r"\*\*\S|^#{1,6} ", re.MULTILINE).search,
    "lists": re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE).search,
    "code blocks": re.compile(r"```").search,
    "tables": re.compile(r"^\s*\|.*\|\s*$", re.MULTILINE).search,
    "white space at an end": re.compile(r"\A\s|\s\Z").search,
}
"""What may stand on one side of a pair more often than on the other."""


def text_findings(pairs: Sequence[PreferencePair]) -> Iterator[Finding]:
    """Texts stored as the repr of a list, formatting on one side, labels by length."""
    damaged = [p for p in pairs if is_list_repr(p.chosen_text) or is_list_repr(p.rejected_text)]
    chosen = sum(is_list_repr(pair.chosen_text) for pair in damaged)
    rejected = sum(is_list_repr(pair.rejected_text) for pair in damaged)
    yield from findings(
        "error", "list-repr", damaged, len(pairs),
        "pairs have a response that is the printed form of a list or of a message, not text "
        f"({chosen:,} chosen, {rejected:,} rejected)",
        "take the text out of the list where the pairs are made: a scorer learns the bracket",
    )  # fmt: skip
    for trait, has in _TRAITS.items():
        sides = [(bool(has(pair.chosen_text)), bool(has(pair.rejected_text))) for pair in pairs]
        yield from _leaning(
            "one-sided-format", f"pairs have {trait} in one response alone, which", pairs, sides,
            "strip it where it came from the source and not from the writer; else know that this much can be "
            "had without reading",
        )  # fmt: skip
    lengths = [(len(pair.chosen_text), len(pair.rejected_text)) for pair in pairs]
    yield from _leaning(
        "label-by-length", "pairs have responses of unequal length; the longer one", pairs,
        [(chosen > rejected, rejected > chosen) for chosen, rejected in lengths],
        "report the scorer `longer` beside every other: length alone gets this far",
    )  # fmt: skip


def is_list_repr(text: str) -> bool:
    """Whether a response is the ``repr`` of a list of texts or messages; an answer of short names is not.

    >>> is_list_repr("['Paris is the capital of France.']"), is_list_repr("['red', 'green']")
    (True, False)
    """
    if not _REPR.match(text):
        return False
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    items = value if isinstance(value, list | tuple) else [value]
    return any(
        (isinstance(item, str) and len(item.split()) >= _LONG_ITEM)
        or (isinstance(item, dict) and {"role", "content"} <= set(item))
        for item in items
    )


def _leaning(
    name: str,
    what: str,
    pairs: Sequence[PreferencePair],
    sides: Sequence[tuple[bool, bool]],
    cure: str,
) -> Iterator[Finding]:
    """A finding where something is on one side of many pairs, and that side is not chosen half the time."""
    differing = [(pair, chosen) for pair, (chosen, rejected) in zip(pairs, sides, strict=True)
                 if chosen != rejected]  # fmt: skip
    users = {pair.user_id for pair, _ in differing}
    few = len(users) < FEW_USERS
    units = [pair.pair_id if few else pair.user_id for pair, _ in differing]
    share = interval([float(chosen) for _, chosen in differing], units)
    share = share.model_copy(update={"n_users": len(users), "unit": "pair" if few else "user"})
    if len(differing) < FEWEST or share.value is None or share.low is None or share.high is None:
        return
    leaning = max(share.value, 1 - share.value)
    if share.low <= 0.5 <= share.high or leaning < 0.5 + LEAN:
        return
    common = len(differing) >= COMMON * len(pairs)
    level: Level = "error" if leaning >= GIVES_AWAY and common and not few else "warning"
    over = (
        f"over pairs; {len(users)} {'user' if len(users) == 1 else 'users'}, whose taste it may be"
        if few
        else "over users"
    )
    typical = [pair.pair_id for pair, chosen in differing if chosen == (share.value > 0.5)]
    yield Finding(
        level=level, name=name, count=len(differing), out_of=len(pairs),
        problem=f"{what} is chosen in {100 * share.value:.0f} % "
        f"(95 % interval {100 * share.low:.0f} to {100 * share.high:.0f} {over})",
        share_chosen=share, pair_ids=tuple(typical[:EXAMPLES]), cure=cure,
    )  # fmt: skip
