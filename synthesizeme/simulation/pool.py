"""What users can be asked about: prompts with two responses, with or without labels.

A row without labels::

    {"pair_id": "q1", "prompt": "How deep is a fathom?", "first": "Six feet.", "second": "A fathom is ..."}

``prompt`` is text or messages, a response is text or one message, `pair_id` may be left out. A row that is a
pair of some user is taken too; who chose what in it is not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from synthesizeme.datasets.rows import ReadReport, SourceRow, derived_id, read_prompt, read_response, rows_of
from synthesizeme.errors import DataError
from synthesizeme.types import Comparison, Message, PreferencePair

SIDES = (("first", "second"), ("chosen", "rejected"))
NOBODY = ""
"""User of a comparison that nobody was asked about yet."""
_CURE = (
    "give prompt, and first and second (or chosen and rejected); prompts and responses are text or messages"
)


def read_pool(path: str | Path) -> list[Comparison]:
    """The comparisons of JSON Lines, a JSON list, CSV or Parquet, each in an order that says nothing.

    Rows with the same prompt and the same two responses are one.

    Raises:
        DataError: the file cannot be read, holds no row, a row is no comparison, or two different ones have
            the same id.
    """
    found = distinct(_comparison(place) for place in rows_of(Path(path), ReadReport()))
    ids: dict[str, Comparison] = {}
    for comparison in found:
        if ids.setdefault(comparison.pair_id, comparison) is not comparison:
            raise DataError(
                f"two different comparisons have the id {comparison.pair_id[:80]!r}; expected distinct ids",
                source=str(path),
                field="pair_id",
                cure="rename one, or leave the ids out.",
            )
    return found


def pool_of(pairs: Iterable[PreferencePair]) -> list[Comparison]:
    """The comparisons of pairs, their labels and users left behind."""
    return distinct(pair.compare("chosen_first") for pair in pairs)


def distinct(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Comparisons of nobody in drawn orders, the same prompt and two responses once."""
    found: dict[tuple[Any, ...], Comparison] = {}
    for comparison in comparisons:
        drawn = in_drawn_order(comparison.model_copy(update={"user_id": NOBODY}))
        found.setdefault((drawn.prompt, drawn.first, drawn.second), drawn)
    return list(found.values())


def asked_of(user_id: str, comparison: Comparison) -> Comparison:
    """A comparison of the pool as it is shown to a user."""
    return in_drawn_order(comparison.model_copy(update={"user_id": user_id}))


def _comparison(place: SourceRow) -> Comparison:
    row = place.row
    sides = next((pair for pair in SIDES if all(row.get(name) is not None for name in pair)), None)
    try:
        if sides is None or row.get("prompt") is None:
            raise place.error("holds no comparison")
        prompt, texts = read_prompt(place), [read_response(place, name, blank=False) for name in sides]
        if texts[0].strip() == texts[1].strip():
            raise place.error("both responses are the same text", field=sides[1])
        pair_id = row.get("pair_id", _derived_id(prompt, texts))
        if not isinstance(pair_id, str) or not pair_id:
            raise place.error("is no id; expected text that is not empty", field="pair_id")
    except DataError as error:
        raise place.error(error.problem, field=error.field, cure=_CURE) from None
    return Comparison(pair_id=pair_id, user_id=NOBODY, prompt=prompt, first=texts[0], second=texts[1])


def _derived_id(prompt: Iterable[Message], texts: Sequence[str]) -> str:
    """An id from what is asked, whoever is asked and whichever response stands first."""
    turns = [turn.model_dump() for turn in prompt]
    return derived_id({"prompt": turns, "chosen": min(texts), "rejected": max(texts)})


def in_drawn_order(comparison: Comparison, seed: int = 0) -> Comparison:
    """The comparison, its two sides exchanged or not by a coin of the seed, the user and the two texts.

    Which response a pool calls the first, or chose, then says nothing.
    """
    texts = sorted((comparison.first, comparison.second))
    key = f"{seed}\0{comparison.user_id}\0{texts[0]}\0{texts[1]}"
    coin = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[0] & 1
    first, second = texts if coin else texts[::-1]
    return comparison.model_copy(update={"first": first, "second": second})
