"""What rows are that no format reads, told by the names of their columns, and what makes pairs of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthesizeme.datasets.rows.report import short_repr

_OURS = ("prompt", "chosen", "rejected", "user_id")
_SIDES = (
    *(
        (f"{name}{first}", f"{name}{second}")
        for name in ("response", "answer", "output", "completion", "conversation", "text")
        for first, second in (("_a", "_b"), ("_1", "_2"), ("_0", "_1"), ("1", "2"), ("a", "b"), ("0", "1"))
    ),
    ("a", "b"), ("first", "second"), ("model_a_response", "model_b_response"),
)  # fmt: skip
_CHOICES = (
    "winner", "preference", "overall_preference", "choice", "preferred", "better", "better_response_id",
    "label", "vote", "human_preference", "preference_strength",
)  # fmt: skip
_SINGLE = ("completion", "response", "answer", "output")
_VERDICTS = ("label", "rating", "score", "thumbs_up", "feedback", "reward")


def columns_held(row: Mapping[str, Any]) -> bool:
    """Whether a row is a whole table by columns: lists of one length, also of the users, or of responses."""
    if not row or not all(isinstance(value, list) for value in row.values()):
        return False
    sides = [row.get(name) for name in ("chosen", "rejected")]
    texts = all(side and all(isinstance(it, list | str) for it in side) for side in sides)
    return len({len(value) for value in row.values()}) == 1 and ("user_id" in row or texts)


def unknown_layout(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """What a row is whose fields no format knows, and the cure; None where nothing tells."""
    names = {name.strip().lower(): name for name in row}
    if columns_held(row):
        return "is one table by columns", (
            "write it row by row, in Python with "
            "rows = [dict(zip(table, row)) for row in zip(*table.values())]"
        )
    if held := [name for name, value in row.items() if _holds_rows(value)]:
        return f"is one object that holds lists of rows in {', '.join(map(short_repr, held))}", (
            f"give each list by itself, in Python with read_pairs(table[{held[0]!r}]), as a file with "
            f"`jq '.[\"{held[0]}\"]' IN > OUT`"
        )
    if {"prompt", "chosen", "rejected"} <= names.keys():
        named = ",".join(f"{ours}={names[ours]}" for ours in _OURS if ours in names and names[ours] != ours)
        return "names its columns otherwise", f"name them with --columns '{named}'"
    sides = next((pair for pair in _SIDES if set(pair) <= names.keys()), None)
    verdict = next((name for name in _CHOICES if name in names), None)
    if sides and verdict:
        return _judged(names[sides[0]], names[sides[1]], names[verdict])
    single, judged = (next((it for it in some if it in names), None) for some in (_SINGLE, _VERDICTS))
    if single and judged:
        return f"has one response, {names[single]!r}, and what it is worth, {names[judged]!r}, as for KTO", (
            "a pair needs two responses of which one was preferred: join rows of one user and prompt, the "
            f"one with the better {names[judged]!r} as chosen, and leave out what has no other side; "
            "--columns cannot do it"
        )
    return None


def _judged(first: str, second: str, verdict: str) -> tuple[str, str]:
    """The same of rows with two responses and a verdict."""
    signs = "; in HelpSteer3 a number below 0 prefers the first, above 0 the second, and 0 is a tie"
    return f"has two responses, {first!r} and {second!r}, and in {verdict!r} which one was preferred", (
        f"write chosen and rejected into every row by its {verdict!r} and leave ties out; --columns cannot "
        f"do it, for it would take {first!r} to be chosen in every row"
        + (signs if verdict == "overall_preference" else "")
    )


def _holds_rows(value: Any) -> bool:
    """Whether a value is a list of rows, and no conversation."""
    return (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict)
        and not {"content", "value"} & value[0].keys() and len(value[0]) > 1
    )  # fmt: skip
