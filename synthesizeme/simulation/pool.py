"""What users can be asked about: prompts with two responses, with or without labels.

A row without labels::

    {"pair_id": "q1", "prompt": "How deep is a fathom?", "first": "Six feet.", "second": "A fathom is ..."}

``prompt`` is text or messages, a response is text or one message, `pair_id` may be left out. A row that is a
pair of some user is taken too; who chose what in it is not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synthesizeme.datasets.rows import ReadReport, SourceRow, derived_id, messages, rows_of
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
    if sides is None or row.get("prompt") is None:
        raise place.error("holds no comparison", cure=_CURE)
    prompt = messages(place, "prompt", row["prompt"], role="user")
    texts = [_response(place, name) for name in sides]
    if texts[0].strip() == texts[1].strip():
        raise place.error("both responses are the same text", field=sides[1], cure=_CURE)
    if not prompt or prompt[-1]["role"] != "user":
        raise place.error("does not end with a user turn", field="prompt", cure=_CURE)
    content = {"prompt": prompt, "chosen": min(texts), "rejected": max(texts)}
    pair_id = row.get("pair_id", derived_id(content))
    if not isinstance(pair_id, str) or not pair_id:
        raise place.error("is no id; expected text that is not empty", field="pair_id", cure=_CURE)
    try:
        turns = tuple(Message(**turn) for turn in prompt)
    except ValidationError as error:
        raise place.error(error.errors()[0]["msg"], field="prompt", cure=_CURE) from None
    return Comparison(pair_id=pair_id, user_id=NOBODY, prompt=turns, first=texts[0], second=texts[1])


def _response(place: SourceRow, field: str) -> str:
    turns = messages(place, field, place.row[field], role="assistant")
    if len(turns) != 1 or not turns[0]["content"].strip():
        raise place.error("found no text; expected one response", field=field, cure=_CURE)
    return str(turns[0]["content"])


def in_drawn_order(comparison: Comparison, seed: int = 0) -> Comparison:
    """The comparison, its two sides exchanged or not by a coin of the seed, the user and the two texts.

    Which response a pool calls the first, or chose, then says nothing.
    """
    texts = sorted((comparison.first, comparison.second))
    key = f"{seed}\0{comparison.user_id}\0{texts[0]}\0{texts[1]}"
    coin = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[0] & 1
    first, second = texts if coin else texts[::-1]
    return comparison.model_copy(update={"first": first, "second": second})
