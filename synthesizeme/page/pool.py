"""What people are asked about: prompts with one answer to rate, two to choose between, or more to rank.

A row without labels::

    {"item_id": "q1", "prompt": "How deep is a fathom?", "responses": ["Six feet.", "A fathom is ..."]}

``prompt`` is text or messages; in place of ``responses`` there may be ``first`` and ``second``, ``response``,
or nothing, for a model to write. Rows of every format that the importers know are taken too; who said what of
them is not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from synthesizeme.datasets import read_feedback
from synthesizeme.datasets.rows import ReadReport, SourceRow, derived_id, messages, rows_of
from synthesizeme.discovery import resource
from synthesizeme.errors import DataError
from synthesizeme.feedback import Edit, Given, Ranking, Rating, Tie, Trait
from synthesizeme.types import Message, PreferencePair

SAMPLE = "data/sample/pairs.jsonl"
"""The pool that is shipped: invented questions, each with two invented answers."""
MOST_RESPONSES = 8
"""Most answers of one item."""
Kind = Literal["pair", "rating", "ranking"]
_OURS = frozenset(
    ("item_id", "pair_id", "prompt", "first", "second", "response", "responses", "metadata", "user_id")
)
_CURE = "give prompt, and responses, first and second, or response; texts or messages"


@dataclass(frozen=True)
class Item:
    """A prompt with the answers that a person is asked about."""

    item_id: str
    """Unique in a pool."""
    prompt: tuple[Message, ...]
    """The conversation; ends with a user turn."""
    responses: tuple[str, ...]
    """Different texts in an order that says nothing; none where a model is to write them."""
    gold: str | None = None
    """The one of two responses that is known to be the better one, where that is known."""

    @cached_property
    def key(self) -> str:
        """16 hex digits that stand for it in an address."""
        return hashlib.sha256(self.item_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def kind(self) -> Kind:
        """What is asked: to rate one response, to choose between two, to rank more."""
        return "pair" if len(self.responses) == 2 else "ranking" if len(self.responses) > 2 else "rating"


def sample_pool() -> Path:
    """The file with the pool that is shipped."""
    return resource(SAMPLE)


def read_items(path: str | Path, *, gold: bool = False) -> list[Item]:
    """The items of a file, a folder or a hub data set; the same prompt and responses once.

    Args:
        path: As `synthesizeme.datasets.read_pairs` takes it.
        gold: Whether the pairs say which response is the better one.

    Raises:
        DataError: it cannot be read, a row is no item, or gold pairs are none.
    """
    if not gold and Path(path).exists() and _are_ours(Path(path)):
        return _distinct(_item(place) for place in rows_of(Path(path), ReadReport()))
    found = read_feedback(str(path), user_id="nobody")
    if gold and not found.pairs:
        raise DataError("holds no pair", source=str(path), cure="give rows with prompt, chosen and rejected")
    given: Iterable[Given] = found.pairs if gold else (*found.pairs, *found.feedback)
    items = _distinct(_of(said) for said in given if not isinstance(said, Trait))
    if not gold:
        return items
    better = {_texts(_of(pair)): pair.chosen_text for pair in found.pairs}
    return [replace(item, gold=better[_texts(item)]) for item in items]


def with_gold(items: Iterable[Item], gold: Iterable[Item]) -> list[Item]:
    """Items together with those whose better answer is known, which stand for their equals."""
    known = list(gold)
    told = {_texts(item) for item in known}
    return [*known, *(item for item in items if _texts(item) not in told)]


def _are_ours(path: Path) -> bool:
    """Whether the first row is one without labels."""
    first = list(islice(rows_of(path, ReadReport(skip_bad_rows=True)), 1))
    return bool(first) and "prompt" in first[0].row and first[0].row.keys() <= _OURS


def _distinct(items: Iterable[Item]) -> list[Item]:
    found: dict[Any, Item] = {}
    for item in items:
        found.setdefault(_texts(item), item)
    ids: dict[str, Item] = {}
    for item in found.values():
        if ids.setdefault(item.item_id, item) is not item:
            problem = f"two different items have the id {item.item_id[:80]!r}; expected distinct ids"
            raise DataError(problem, field="item_id", cure="rename one, or leave the ids out")
    return list(found.values())


def _texts(item: Item) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    return item.prompt, item.responses


def _of(said: Given) -> Item:
    """What was asked, without what was answered."""
    if isinstance(said, PreferencePair):
        name, texts = said.pair_id, [said.chosen_text, said.rejected_text]
    elif isinstance(said, Tie | Ranking):
        name, texts = said.feedback_id, list(said.responses)
    elif isinstance(said, Edit):
        name, texts = said.feedback_id, [said.original, said.edited]
    else:
        assert isinstance(said, Rating)
        name, texts = said.feedback_id, [said.response]
    return Item(name, tuple(said.prompt), tuple(sorted(texts)))


def _item(place: SourceRow) -> Item:
    """The item of a row without labels."""
    row: Mapping[str, Any] = place.row
    prompt = messages(place, "prompt", row.get("prompt"), role="user")
    if not prompt or prompt[-1]["role"] != "user":
        raise place.error("does not end with a user turn", field="prompt", cure=_CURE)
    if isinstance(row.get("responses"), list):
        given = [("responses", it) for it in row["responses"]]
    else:
        given = [(name, row[name]) for name in ("first", "second", "response") if row.get(name) is not None]
    texts = [_text(place, field, value) for field, value in given]
    if len({text.strip() for text in texts}) < len(texts):
        raise place.error("two responses are the same text", field="responses", cure=_CURE)
    if len(texts) > MOST_RESPONSES:
        problem = f"has {len(texts)} responses; expected at most {MOST_RESPONSES}"
        raise place.error(problem, field="responses", cure="leave some out")
    name = row.get("item_id", row.get("pair_id"))
    content = {"prompt": prompt, "chosen": min(texts, default=""), "rejected": "\0".join(sorted(texts))}
    try:
        turns = tuple(Message(**turn) for turn in prompt)
    except ValidationError as error:
        raise place.error(error.errors()[0]["msg"], field="prompt", cure=_CURE) from None
    return Item(str(name) if name else derived_id(content), turns, tuple(sorted(texts)))


def _text(place: SourceRow, field: str, value: Any) -> str:
    turns = messages(place, field, value, role="assistant")
    if len(turns) != 1 or not turns[0]["content"].strip():
        raise place.error("found no text; expected one response", field=field, cure=_CURE)
    return str(turns[0]["content"])
