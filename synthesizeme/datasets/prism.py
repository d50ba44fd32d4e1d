"""The PRISM Alignment data set: people's own conversations with several models, every response rated.

A row of ``conversations.jsonl`` (Kirk et al. 2024, arXiv:2404.16019; shortened)::

    {"conversation_id": "c0", "user_id": "user0", "conversation_type": "unguided", "conversation_history": [
      {"turn": 0, "role": "user", "content": "Where should I travel?"},
      {"turn": 0, "role": "model", "content": "...", "model_name": "m", "score": 80, "if_chosen": true},
      {"turn": 0, "role": "model", "content": "...", "model_name": "n", "score": 31, "if_chosen": false}]}

``utterances.jsonl`` holds the same in long form, one row per rated response (`user_prompt`,
`model_response`); it is read as well. A pair sets the chosen response of a turn against each other response
of that turn, after the turns before it as the person continued them, and has its strength from their scores.
Responses rated alike make no pair. Each score is also a rating, and a turn of three responses or more also a
ranking, which name these pairs in `instead_of`; two responses rated alike are a tie. ``survey.jsonl`` beside
the file gives `metadata.user_profile`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from synthesizeme.datasets._base import Format
from synthesizeme.datasets.rows.containers import rows_of
from synthesizeme.datasets.rows.feedback import mapped_feedback, mapped_ranking
from synthesizeme.datasets.rows.pairs import CURE, mapped_pair
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import Origin, ReadReport, SourceRow
from synthesizeme.feedback import Given, Rating, Scale
from synthesizeme.types import PreferencePair, Strength

SCALE = Scale(lowest=1, highest=100, levels=100)
"""Scores that a response may be given."""
PROFILE_FIELDS = (
    "age", "gender", "employment_status", "education", "marital_status", "english_proficiency",
    "study_locale", "religion", "ethnicity", "location",
)  # fmt: skip
"""Columns of the survey that make the demographic profile."""

_LONG_FORM = {"conversation_id", "turn", "user_prompt", "model_response", "if_chosen"}


def recognises(row: Row) -> bool:
    """Whether a row is a PRISM conversation or utterance."""
    return {"conversation_history", "user_id"} <= set(row) or set(row) >= _LONG_FORM


def _read(source: Origin, report: ReadReport) -> Iterator[Given]:
    """The pairs of a file of conversations or utterances, or of the folder it lies in."""
    profiles = _profiles(source) if isinstance(source, Path) else {}
    conversations = _conversations(rows_of(source, report))
    return report.given(
        conversations, lambda place: _given(place, report, profiles.get(place.row.get("user_id")))
    )


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


def _given(place: SourceRow, report: ReadReport, profile: Row | None) -> Iterator[Given | None]:
    turns: dict[int, tuple[list[Row], list[Row]]] = {}
    try:
        for turn in place.row["conversation_history"]:
            said, answers = turns.setdefault(int(turn["turn"]), ([], []))
            (said if turn["role"] == "user" else answers).append(
                {"role": turn["role"], "content": turn["content"], "about": turn}
            )
    except (KeyError, TypeError, ValueError) as error:
        problem = f"a turn cannot be read ({type(error).__name__}: {error}); expected turn, role and content"
        raise place.error(problem, field="conversation_history", cure=CURE) from None
    prompt: list[Row] = []
    for number in sorted(turns):
        said, answers = turns[number]
        prompt = prompt + said
        chosen = [answer for answer in answers if answer["about"].get("if_chosen")]
        if len(said) != 1 or len(chosen) != 1:
            report.leave_out(place, "a turn without exactly one question and one chosen response")
            return
        made = [
            _pair(place, report, profile, (number, index), prompt, chosen[0], answer)
            for index, answer in enumerate(answers)
            if answer is not chosen[0]
        ]
        yield from made
        same_act = tuple(pair.pair_id for pair in made if pair is not None)
        yield from _scores(place, report, number, prompt, chosen[0], answers, same_act)
        prompt = [*prompt, chosen[0]]


def _pair(
    place: SourceRow,
    report: ReadReport,
    profile: Row | None,
    where: tuple[int, int],
    prompt: list[Row],
    chosen: Row,
    rejected: Row,
) -> PreferencePair | None:
    row, better, worse = place.row, chosen["about"], rejected["about"]
    if better.get("score") is not None and better.get("score") == worse.get("score"):
        return None
    known = {
        "conversation_id": row.get("conversation_id"),
        "conversation_type": row.get("conversation_type"),
        "chosen_model": better.get("model_name"),
        "rejected_model": worse.get("model_name"),
        "chosen_score": better.get("score"),
        "rejected_score": worse.get("score"),
        "user_profile": profile,
    }
    return mapped_pair(
        place,
        report,
        pair_id=f"{row.get('conversation_id')}:{where[0]}:{where[1]}",
        user_id=row.get("user_id"),
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        strength=_strength(better.get("score"), worse.get("score")),
        metadata={"turn": where[0], **{key: value for key, value in known.items() if value is not None}},
    )


def _scores(
    place: SourceRow,
    report: ReadReport,
    turn: int,
    prompt: list[Row],
    chosen: Row,
    answers: list[Row],
    same_act: tuple[str, ...],
) -> Iterator[Given | None]:
    """What the scores of a turn say: a rating of each response, and the order of all."""
    name = f"{place.row.get('conversation_id')}:{turn}"
    said: Row = {"user_id": place.row.get("user_id"), "prompt": prompt, "instead_of": same_act}
    written = [answer for answer in answers if str(answer["content"]).strip()]
    for answer in written:
        index, score = answers.index(answer), answer["about"].get("score")
        if score is not None:
            about = {"turn": turn, "model": answer["about"].get("model_name")}
            yield mapped_feedback(
                place, report, Rating, feedback_id=f"{name}:{index}:rating", response=answer, value=score,
                scale=SCALE, metadata=about, **said,
            )  # fmt: skip
    scores = [answer["about"].get("score") for answer in written]
    best = chosen["about"].get("score")
    if best is None or None in scores or best < max(scores):
        ranks = [1 if answer is chosen else 2 for answer in written]
    else:
        ranks = [1 + sorted(set(scores), reverse=True).index(score) for score in scores]
    if chosen not in written or len({answer["content"].strip() for answer in written}) < len(written):
        return
    if len(written) > 2 or ranks == [1, 1]:
        yield mapped_ranking(place, report, written, ranks, feedback_id=f"{name}:order", **said)


def _strength(better: Any, worse: Any) -> Strength | None:
    on_scale = all(
        isinstance(it, int | float) and SCALE.lowest <= it <= SCALE.highest for it in (better, worse)
    )
    return SCALE.strength(better, worse) if on_scale and better > worse else None


def _profiles(beside: Path) -> dict[Any, Row]:
    """Demographics by user, from the survey if it is there."""
    path = (beside if beside.is_dir() else beside.parent) / "survey.jsonl"
    if not path.exists():
        return {}
    found = {}
    for item in rows_of(path, ReadReport()):
        answers = {name: _plain(item.row.get(name)) for name in PROFILE_FIELDS}
        found[item.row.get("user_id")] = {name: text for name, text in answers.items() if text}
    return found


def _plain(answer: Any) -> Any:
    """One value of an answer that the survey gives in several codings."""
    if isinstance(answer, dict):
        return answer.get("simplified") or answer.get("reside_country") or answer.get("self_described")
    return answer


FORMAT = Format(
    "PRISM conversations or utterances with rated responses, demographics from the survey",
    recognises,
    _read,
    sources=("HannahRoseKirk/prism-alignment",),
    files=(
        "prism-alignment/conversations.jsonl",
        "prism/conversations.jsonl",
        "conversations.jsonl",
        "utterances.jsonl",
    ),
    download=("conversations.jsonl", "survey.jsonl"),
)
