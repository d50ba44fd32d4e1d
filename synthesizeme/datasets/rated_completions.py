"""A prompt with a list of responses, each with a score or a rank: UltraFeedback and its like.

A row of ``openbmb/UltraFeedback`` (Cui et al. 2024, arXiv:2310.01377; shortened)::

    {"instruction": "How deep is a fathom?", "completions": [
      {"model": "m", "response": "Six.", "overall_score": 8.5, "fine-grained_score": 4.5, "critique": "…"},
      {"model": "n", "response": "A unit.", "overall_score": 3, "fine-grained_score": 2.0, "critique": "…"}]}

There GPT-4 gave the scores, from 1 to 10 in halves, and `metadata.simulated` says so. Of other rows `--scale`
says what ``score`` or ``rating`` could be. Responses with a ``rank`` are a ranking. No pair is made of
scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from synthesizeme.datasets._base import Format, by_row
from synthesizeme.datasets.rows.feedback import mapped_feedback, mapped_ranking, scale_of
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.feedback import Given, Rating, Scale
from synthesizeme.types import SIMULATED

SCORES_OF_GPT4 = Scale(lowest=1, highest=10, levels=19)
"""Overall scores of UltraFeedback."""
_PROMPTS = ("instruction", "prompt", "question")
_LISTS = ("completions", "responses", "candidates", "answers")
_TEXTS = ("response", "text", "content", "completion", "answer")
_SCORES = ("overall_score", "score", "rating")
_RANK = "rank"
_OF_GPT4 = {"critique", "fine-grained_score"}


def recognises(row: Row) -> bool:
    """Whether a row is a prompt with judged responses."""
    items = _items(row)
    judged = {name for item in items for name in item}
    return bool(items) and any(name in row for name in _PROMPTS) and bool(judged & {*_SCORES, _RANK})


def _items(row: Mapping[str, Any]) -> list[Row]:
    found: list[Row] = next((row[name] for name in _LISTS if isinstance(row.get(name), list)), [])
    return found if all(isinstance(it, dict) and _first(it, _TEXTS) is not None for it in found) else []


def _first(item: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)


def _given(place: SourceRow, report: ReadReport) -> Iterator[Given | None]:
    row, items = place.row, _items(place.row)
    if not items:
        report.leave_out(place, "no responses")
        return
    shared = {
        "user_id": row.get("user_id"), "prompt": _first(row, _PROMPTS), "split": row.get("split"),
        "created_at": row.get("created_at"),
    }  # fmt: skip
    texts = [_first(item, _TEXTS) for item in items]
    if all(item.get(_RANK) is not None for item in items):
        yield mapped_ranking(
            place, report, texts, [item[_RANK] for item in items], reason=row.get("reason"), **shared
        )
        return
    for text, item in zip(texts, items, strict=True):
        score = _first(item, _SCORES)
        if score is None:
            report.leave_out(place, "a response without a score")
            continue
        by_gpt4 = item.keys() >= _OF_GPT4
        metadata = {"model": item["model"]} if item.get("model") else {}
        yield mapped_feedback(
            place, report, Rating, response=text, value=score,
            scale=SCORES_OF_GPT4 if by_gpt4 else scale_of(place, report, row.get("scale")),
            reason=item.get("critique") or item.get("reason") or item.get("rationale"),
            metadata=metadata | ({SIMULATED: {"by": "gpt-4"}} if by_gpt4 else {}), **shared,
        )  # fmt: skip


FORMAT = Format(
    "prompts with lists of scored or ranked responses: UltraFeedback and its like",
    recognises,
    by_row(_given),
    sources=("openbmb/UltraFeedback",),
)
