"""Rows with what somebody said of one response or of two, in columns of many names.

Two responses and which one was preferred, one response and what it was given, or one response and its edit::

    {"user_id": "ada", "prompt": "How deep is a fathom?", "response_a": "Six feet.", "response_b": "A unit.",
     "winner": "a", "reason": "I asked for a number."}
    {"context": [...], "response1": "...", "response2": "...", "overall_preference": -2}
    {"user_id": "ada", "prompt": "...", "completion": "...", "label": true}
    {"user_id": "ada", "prompt": "...", "response": "...", "stars": 4, "scale": "1..5"}
    {"user_id": "ada", "prompt": "...", "response": "...", "edited": "..."}

The second is HelpSteer2 and HelpSteer3 (Wang et al. 2024, arXiv:2410.01257; 2025, arXiv:2505.11475): below 0
the first is better, and how far says by how much. The third is KTO (Ethayarajh et al. 2024,
arXiv:2402.01306), a thumb and no choice. The ratings of HelpSteer (arXiv:2311.09528), from 0 to 4, are known
by their five columns; ``helpfulness`` is of the response as a whole. Names of columns are read whatever their
case; ``--columns`` names others. A row may say several things: stars and a thumb, a choice and its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from synthesizeme.datasets import jsonl
from synthesizeme.datasets._base import Format, by_row
from synthesizeme.datasets.rows.feedback import mapped_feedback, scale_of
from synthesizeme.datasets.rows.pairs import FIELDS, mapped_pair, messages
from synthesizeme.datasets.rows.plain import Row, as_json
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.datasets.rows.turns import SYSTEM_COLUMNS, with_system
from synthesizeme.datasets.rows.verdicts import choice_of, number_of, strength_of, thumb_of
from synthesizeme.feedback import THUMBS, Edit, Given, Rating, Scale, Tie
from synthesizeme.plain_text import short_repr

_SIDES = (
    *(
        (f"{name}{first}", f"{name}{second}")
        for name in ("response", "answer", "output", "completion", "text")
        for first, second in (("_a", "_b"), ("_1", "_2"), ("_0", "_1"), ("1", "2"), ("a", "b"), ("0", "1"),
                              (" a", " b"), (" 1", " 2"))
    ),
    ("a", "b"), ("first", "second"), ("model_a_response", "model_b_response"),
)  # fmt: skip
_NAMES = {
    "prompt": ("prompt", "question", "instruction", "context", "query", "user_prompt", "input"),
    "user": ("user_id", "user", "annotator_id", "annotator", "worker_id", "worker", "rater_id", "rater"),
    "reason": ("reason", "rationale", "comment", "explanation", "justification", "why", "feedback_text"),
}
"""What columns hold, by the names that they may have."""
_OF_TWO = {"choice": (
    "winner", "preference", "overall_preference", "choice", "preferred", "better", "better_response_id",
    "vote", "human_preference", "preference_strength", "verdict", "label",
)}  # fmt: skip
"""The same of rows with two responses."""
_OF_ONE = {
    "response": ("response", "completion", "answer", "output"),
    "edited": ("edited", "edited_response", "edit", "corrected", "correction", "rewrite", "revised"),
    "thumb": ("thumb", "thumbs", "thumbs_up", "thumb_up", "liked", "like", "label", "vote", "feedback"),
    "rating": ("rating", "stars", "score", "overall_score", "overall_rating"),
}
"""The same of rows with one response."""
_HELPSTEER = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
_HELPSTEER_SCALE = Scale(lowest=0, highest=4, levels=5)
_MODELS = (("model_a", "model_b"), ("model_1", "model_2"), ("model1", "model2"))


def recognises(row: Row) -> bool:
    """Whether a row holds a judged response, and is in no stricter format."""
    if {"chosen", "rejected"} <= set(row) or "conversation_a" in row or jsonl.FORMAT.recognises(row):
        return False
    found, _ = _columns(row)
    judged = found.keys() & {"edited", "thumb", "rating"} or set(row) >= set(_HELPSTEER)
    return "prompt" in found and ("choice" in found or bool("response" in found and judged))


def _columns(row: Mapping[str, Any]) -> tuple[dict[str, str], tuple[str, str] | None]:
    """Names of the columns of a row by what they hold, and those of its two responses, if it has two."""
    names: dict[str, str] = {name.strip().lower(): name for name in reversed(list(row))}
    sides = next(((names[one], names[two]) for one, two in _SIDES if {one, two} <= names.keys()), None)
    wanted = _NAMES | (_OF_TWO if sides else _OF_ONE)
    held = {what: next((names[it] for it in some if it in names), None) for what, some in wanted.items()}
    return {what: name for what, name in held.items() if name is not None}, sides


def _given(place: SourceRow, report: ReadReport) -> Iterator[Given | None]:
    row, (found, sides) = place.row, _columns(place.row)
    if "prompt" not in found or (sides is None and "response" not in found):
        cure = "name its columns with --columns prompt=NAME,response=NAME or response_a=NAME,response_b=NAME"
        problem = f"there is no prompt or no response; found {short_repr(list(row))}"
        raise place.error(problem, field="response" if "prompt" in found else "prompt", cure=cure)
    shared = {
        "user_id": row.get(found.get("user", "")),
        "prompt": with_system(row, messages(place, "prompt", row[found["prompt"]], role="user")),
        "split": row.get("split"),
        "created_at": row.get("created_at"),
        "reason": row.get(found.get("reason", "")),
        "metadata": _kept(row, {*found.values(), *(sides or ())}),
    }
    if sides is not None and "choice" in found:
        yield _chosen(place, report, sides, found["choice"], shared)
    elif sides is None:
        yield from _judged(place, report, found, shared)
    else:
        problem = f"two responses, and nothing that says which was preferred; found {short_repr(list(row))}"
        raise place.error(problem, field="winner", cure="name its column with --columns winner=NAME")


def _chosen(
    place: SourceRow, report: ReadReport, sides: tuple[str, str], column: str, shared: Row
) -> Given | None:
    """What a row says of its two responses."""
    row = place.row
    models = next(((row.get(one), row.get(two)) for one, two in _MODELS if one in row), (None, None))
    choice = choice_of(place, column, sides, models)
    if choice is None:
        report.leave_out(place, "no verdict")
        return None
    first, second = (row[side] for side in sides)
    if choice.side == "tie":
        name = row.get("feedback_id", row.get("pair_id"))
        return mapped_feedback(
            place, report, Tie, feedback_id=name, responses=[first, second], both=choice.both, **shared
        )
    chosen, rejected = (first, second) if choice.side == "first" else (second, first)
    shared["metadata"]["shown_first"] = "chosen" if choice.side == "first" else "rejected"
    return mapped_pair(
        place, report, pair_id=row.get("pair_id"), chosen=chosen, rejected=rejected,
        strength=choice.strength or strength_of(place, report), **shared,
    )  # fmt: skip


def _judged(
    place: SourceRow, report: ReadReport, found: Mapping[str, str], shared: Row
) -> Iterator[Given | None]:
    """What a row says of its one response."""
    row = place.row
    response = row[found["response"]]
    values = list(_values(place, report, found))
    edited = row.get(found.get("edited", ""))
    has_edit = isinstance(edited, list) or (isinstance(edited, str) and bool(edited.strip()))
    several = len(values) + has_edit > 1
    for value, scale, aspect in values:
        name = None if several else row.get("feedback_id")
        yield mapped_feedback(
            place, report, Rating, feedback_id=name, response=response, value=value, scale=scale,
            aspect=aspect, **shared,
        )  # fmt: skip
    if has_edit:
        name = None if several else row.get("feedback_id")
        yield mapped_feedback(
            place, report, Edit, feedback_id=name, original=response, edited=edited, **shared
        )
    if not values and not has_edit:
        report.leave_out(place, "no verdict")


def _values(
    place: SourceRow, report: ReadReport, found: Mapping[str, str]
) -> Iterator[tuple[float, Scale, str | None]]:
    """What the response of a row was given: value, scale, and of which aspect."""
    row = place.row
    if set(row) >= set(_HELPSTEER):
        for column in _HELPSTEER:
            if (number := number_of(place, column)) is not None:
                yield number, _HELPSTEER_SCALE, None if column == _HELPSTEER[0] else column
    given = row.get(found.get("thumb", ""))
    if given is not None and str(given).strip():
        if (up := thumb_of(given)) is None:
            cure = "write up or down, true or false, 1 or -1; other ratings stand in a column `rating`"
            raise place.unlike(given, "a thumb", field=found["thumb"], cure=cure)
        yield float(up), THUMBS, None
    if (number := number_of(place, found.get("rating", ""))) is not None:
        yield number, scale_of(place, report, row.get("scale")), None


def _kept(row: Row, columns: set[str]) -> Row:
    """Further columns."""
    read = {*columns, *FIELDS, *SYSTEM_COLUMNS, *_HELPSTEER, "feedback_id", "scale"}
    own = row.get("metadata")
    further = {name: as_json(it) for name, it in row.items() if name not in read and it not in (None, "")}
    return {**further, **(own if isinstance(own, dict) else {})}


FORMAT = Format(
    "two responses and a verdict, or one with a rating, a thumb or an edit: KTO, HelpSteer, tables",
    recognises,
    by_row(_given),
    sources=("nvidia/HelpSteer", "nvidia/HelpSteer2", "nvidia/HelpSteer3"),
)
