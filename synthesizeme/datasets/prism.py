"""The PRISM Alignment data set: people's own conversations with several models, every response rated.

A row of ``conversations.jsonl`` (Kirk et al. 2024, arXiv:2404.16019; shortened)::

    {"conversation_id": "c0", "user_id": "user0", "conversation_type": "unguided", "conversation_history": [
      {"turn": 0, "role": "user", "content": "Where should I travel?"},
      {"turn": 0, "role": "model", "content": "...", "model_name": "m", "score": 80, "if_chosen": true},
      {"turn": 0, "role": "model", "content": "...", "model_name": "n", "score": 31, "if_chosen": false}]}

``utterances.jsonl`` holds the same in long form, one row per rated response (`user_prompt`,
`model_response`); it is read as well. A pair sets the chosen response of a turn against each other response
of that turn, after the turns before it as the person continued them. Responses rated alike are ties and
make no pair. ``survey.jsonl`` beside the file gives `metadata.user_profile`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from synthesizeme.datasets._base import loader, within
from synthesizeme.datasets.rows.containers import rows_of
from synthesizeme.datasets.rows.lines import json_lines
from synthesizeme.datasets.rows.pairs import mapped_pair
from synthesizeme.datasets.rows.sources import Origin, ReadReport, Row, SourceRow
from synthesizeme.errors import DataError
from synthesizeme.types import PreferencePair

DESCRIPTION = "PRISM conversations or utterances with rated responses, demographics from the survey"
SOURCES = ("HannahRoseKirk/prism-alignment",)
FILES = (
    "prism-alignment/conversations.jsonl",
    "prism/conversations.jsonl",
    "conversations.jsonl",
    "utterances.jsonl",
)
DOWNLOAD = ("conversations.jsonl", "survey.jsonl")

PROFILE_FIELDS = (
    "age", "gender", "employment_status", "education", "marital_status", "english_proficiency",
    "study_locale", "religion", "ethnicity", "location",
)  # fmt: skip
"""Columns of the survey that make the demographic profile."""

_LONG_FORM = {"conversation_id", "turn", "user_prompt", "model_response", "if_chosen"}


def recognises(row: Row) -> bool:
    """Whether a row is a PRISM conversation or utterance."""
    return {"conversation_history", "user_id"} <= set(row) or set(row) >= _LONG_FORM


def read(source: Origin, report: ReadReport) -> Iterator[PreferencePair]:
    """The pairs of a file of conversations or utterances, or of the folder it lies in."""
    path = within(source, FILES)
    profiles = _profiles(path) if isinstance(path, Path) else {}
    for conversation in _conversations(rows_of(path, report)):
        yield from _pairs_of(conversation, report, profiles.get(conversation.row.get("user_id")))


load = loader(read, DOWNLOAD)


def _conversations(rows: Iterable[SourceRow]) -> Iterator[SourceRow]:
    """Rows of conversations as they are; utterances gathered into conversations."""
    gathered: dict[str, SourceRow] = {}
    for place in rows:
        row = place.row
        if not set(row) >= _LONG_FORM:
            yield place
            continue
        kept = {key: row.get(key) for key in ("conversation_id", "user_id", "conversation_type")}
        first = SourceRow(place.source, place.line, {**kept, "conversation_history": []})
        history = gathered.setdefault(str(row["conversation_id"]), first).row["conversation_history"]
        if not any(turn["turn"] == row["turn"] for turn in history):
            history.append({"turn": row["turn"], "role": "user", "content": row["user_prompt"]})
        history.append({**row, "role": "model", "content": row["model_response"]})
    for conversation in gathered.values():
        conversation.row["conversation_history"].sort(key=lambda turn: turn["turn"])
        yield conversation


def _pairs_of(place: SourceRow, report: ReadReport, profile: Row | None) -> Iterator[PreferencePair]:
    turns: dict[int, tuple[list[Row], list[Row]]] = {}
    try:
        for turn in place.row["conversation_history"]:
            said, answers = turns.setdefault(int(turn["turn"]), ([], []))
            (said if turn["role"] == "user" else answers).append(
                {"role": turn["role"], "content": turn["content"], "about": turn}
            )
    except (KeyError, TypeError, ValueError) as error:
        cure = "correct the row, or leave such rows out with --skip-bad-rows"
        problem = f"a turn cannot be read ({type(error).__name__}: {error}); expected turn, role and content"
        report.reject(place.error(problem, field="conversation_history", cure=cure))
        return
    prompt: list[Row] = []
    for number in sorted(turns):
        said, answers = turns[number]
        prompt = prompt + said
        chosen = [answer for answer in answers if answer["about"].get("if_chosen")]
        if len(said) != 1 or len(chosen) != 1:
            report.leave_out(place, "a turn without exactly one question and one chosen response")
            return
        for index, answer in enumerate(answers):
            if answer is not chosen[0]:
                yield from _pair(place, report, profile, (number, index), prompt, chosen[0], answer)
        prompt = [*prompt, chosen[0]]


def _pair(
    place: SourceRow,
    report: ReadReport,
    profile: Row | None,
    where: tuple[int, int],
    prompt: list[Row],
    chosen: Row,
    rejected: Row,
) -> Iterator[PreferencePair]:
    row, better, worse = place.row, chosen["about"], rejected["about"]
    if better.get("score") is not None and better.get("score") == worse.get("score"):
        report.leave_out(place, "tie: both responses have the same score")
        return
    known = {
        "conversation_id": row.get("conversation_id"),
        "conversation_type": row.get("conversation_type"),
        "chosen_model": better.get("model_name"),
        "rejected_model": worse.get("model_name"),
        "chosen_score": better.get("score"),
        "rejected_score": worse.get("score"),
        "user_profile": profile,
    }
    pair = mapped_pair(
        place,
        report,
        pair_id=f"{row.get('conversation_id')}:{where[0]}:{where[1]}",
        user_id=row.get("user_id"),
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        metadata={"turn": where[0], **{key: value for key, value in known.items() if value is not None}},
    )
    if pair:
        yield pair


def _profiles(beside: Path) -> dict[Any, Row]:
    """Demographics by user, from the survey if it is there."""
    path = (beside if beside.is_dir() else beside.parent) / "survey.jsonl"
    if not path.exists():
        return {}
    found = {}
    for item in json_lines(path):
        if isinstance(item, DataError):
            raise item
        answers = {name: _plain(item.row.get(name)) for name in PROFILE_FIELDS}
        found[item.row.get("user_id")] = {name: text for name, text in answers.items() if text}
    return found


def _plain(answer: Any) -> Any:
    """One value of an answer that the survey gives in several codings."""
    if isinstance(answer, dict):
        return answer.get("simplified") or answer.get("reside_country") or answer.get("self_described")
    return answer
