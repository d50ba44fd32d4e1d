"""Community Alignment: people of five countries choose the best of up to four responses, many saying why.

A row of ``facebook/community-alignment-dataset`` (Zhang et al. 2025, arXiv:2507.09650; shortened)::

    {"conversation_id": 7, "annotator_id": 31, "assigned_lang": "en", "first_turn_prompt": "Where to?",
     "first_turn_response_a": "Rome.", "first_turn_response_b": "Oslo.", "first_turn_response_c": "Home.",
     "first_turn_response_d": "Away.", "first_turn_preferred_response": "response_b",
     "first_turn_feedback": "It is cool there.", "second_turn_prompt": "Why?", ...}

Each turn gives a pair of the preferred response and each other one, with the reason, and a ranking that
stands instead of them: the best of as many. The conversation goes on with what was preferred.
"""

from __future__ import annotations

from collections.abc import Iterator

from synthesizeme.datasets._base import Format, by_row
from synthesizeme.datasets.rows.feedback import mapped_ranking
from synthesizeme.datasets.rows.pairs import CURE, mapped_pair
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.feedback import Given

_TURNS = ("first", "second", "third", "fourth")
_LETTERS = "abcd"
_END = "<|end_of_text|>"
_ABOUT = (
    "conversation_id", "assigned_lang", "is_pregenerated_first_prompt", "annotator_age", "annotator_gender",
    "annotator_education_level", "annotator_political", "annotator_ethnicity", "annotator_country",
)  # fmt: skip


def recognises(row: Row) -> bool:
    """Whether a row is an annotated conversation."""
    return {"annotator_id", "first_turn_prompt", "first_turn_preferred_response"} <= set(row)


def _given(place: SourceRow, report: ReadReport) -> Iterator[Given | None]:
    row = place.row
    about = {name: row[name] for name in _ABOUT if row.get(name) not in (None, "")}
    prompt: list[Row] = []
    for turn in _TURNS:
        asked, named = row.get(f"{turn}_turn_prompt"), row.get(f"{turn}_turn_preferred_response")
        if not asked or not named:
            if turn == _TURNS[0]:
                report.leave_out(place, "no preferred response")
            return
        texts = {
            letter: str(text).replace(_END, "").strip()
            for letter in _LETTERS
            if (text := row.get(f"{turn}_turn_response_{letter}"))
        }
        best = str(named)[-1].lower()
        if best not in texts:
            expected = f"one of the responses, {', '.join(texts)}"
            raise place.unlike(named, expected, field=f"{turn}_turn_preferred_response", cure=CURE)
        prompt = [*prompt, {"role": "user", "content": str(asked)}]
        yield from _turn(place, report, turn, prompt, texts, best, about)
        prompt = [*prompt, {"role": "assistant", "content": texts[best]}]


def _turn(
    place: SourceRow,
    report: ReadReport,
    turn: str,
    prompt: list[Row],
    texts: dict[str, str],
    best: str,
    about: Row,
) -> Iterator[Given | None]:
    name = f"{place.row.get('conversation_id')}:{turn}"
    shared = {
        "user_id": place.row["annotator_id"], "prompt": prompt,
        "reason": place.row.get(f"{turn}_turn_feedback"), "metadata": {"turn": turn, **about},
    }  # fmt: skip
    made = [
        mapped_pair(place, report, pair_id=f"{name}:{letter}", chosen=texts[best], rejected=text, **shared)
        for letter, text in texts.items()
        if letter != best
    ]
    yield from made
    same_act = tuple(pair.pair_id for pair in made if pair is not None)
    if len(same_act) > 1:
        ranked = [letter for letter in texts if letter == best or f"{name}:{letter}" in same_act]
        ranks = [1 if letter == best else 2 for letter in ranked]
        yield mapped_ranking(
            place, report, [texts[letter] for letter in ranked], ranks, feedback_id=f"{name}:best",
            instead_of=same_act, **shared,
        )  # fmt: skip


FORMAT = Format(
    "Community Alignment: the best of four responses by annotator, with reasons",
    recognises,
    by_row(_given),
    sources=("facebook/community-alignment-dataset",),
    files=("community-alignment-dataset",),
)
