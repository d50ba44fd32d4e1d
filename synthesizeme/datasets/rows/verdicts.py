"""What the words and numbers of a verdict say: which of two, by how much, a tie, a thumb up or down."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from synthesizeme.datasets.rows.pairs import validated
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.plain_text import short_repr
from synthesizeme.types import Strength

SIGNED = ("overall_preference", "preference_strength")
"""Columns of HelpSteer in which a number below 0 prefers the first response, by up to `SIGNED_LEVELS`."""
SIGNED_LEVELS = 3
_TIES = {"tie", "tied", "draw", "equal", "equally", "same", "both", "neither", "none"}
_GOOD, _BAD = {"good", "bothgood"}, {"bad", "bothbad"}
_HOW_MUCH = {"slightly": 1, "barely": 1, "clearly": 2, "much": 2, "significantly": 2, "strongly": 2}
_LEVELS_IN_WORDS = 2
_SIDES = ({"first", "left"}, {"second", "right"})
_UP = {"true", "1", "1.0", "+1", "up", "thumbs up", "thumb up", "like", "liked", "yes", "y", "good",
       "positive", "helpful", "👍"}  # fmt: skip
_DOWN = {"false", "0", "0.0", "-1", "-1.0", "down", "thumbs down", "thumb down", "dislike", "disliked", "no",
         "n", "bad", "negative", "unhelpful", "👎"}  # fmt: skip
_OF = re.compile(r"\s*(\d+)\s*(?:/|of)\s*(\d+)\s*")
_SCORES = (("score_chosen", "score_rejected"), ("chosen_score", "rejected_score"),
           ("rating_chosen", "rating_rejected"), ("chosen-rating", "rejected-rating"),
           ("chosen_rating", "rejected_rating"))  # fmt: skip
_SAY_STRENGTH = 'write level and number of levels, such as 2/3, or {"level": 2, "levels": 3}'


class Choice(NamedTuple):
    """What was said of two responses."""

    side: Literal["first", "second", "tie"]
    """Which one was preferred, if any."""
    both: Literal["good", "bad"] | None = None
    """Of a tie, whether both were called good or bad."""
    strength: Strength | None = None
    """Of a preference, how strong it was."""


def choice_of(
    place: SourceRow, column: str, sides: tuple[str, str], models: tuple[Any, Any]
) -> Choice | None:
    """What a cell says of two responses; None where it is blank.

    It may be the text of a response or its model, say that neither is better, or name a side: by the end of
    its column's name (``a``, ``Response 2``), by left, right, first or second. In the columns `SIGNED` it is
    a number.

    Args:
        place: The row.
        column: Column of the verdict.
        sides: Columns of the responses.
        models: Who wrote them, where that is known.

    Raises:
        DataError: it names no side, or might name either.
    """
    value = place.row.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if column.lower() in SIGNED:
        return _signed(place, column, value)
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    words, ends = set(_words(text)), _ends(sides)
    named = [_is_of(text, place.row[side], model) for side, model in zip(sides, models, strict=True)]
    if not any(named) and words & (_TIES | _GOOD | _BAD):
        return Choice("tie", "bad" if words & _BAD else "good" if words & _GOOD else None)
    for names in ([{end} for end in ends], _SIDES):
        if sum(named) != 1:
            named = [bool(words & its) for its in names]
    if sum(named) != 1:
        raise place.error(
            f"found {short_repr(value)}, which says not which of {sides[0]!r} and {sides[1]!r} was preferred",
            field=column,
            cure=f"write {ends[0]}, {ends[1]} or tie into it; 'both good' and 'both bad' are ties too",
        )
    level = next((_HOW_MUCH[word] for word in words if word in _HOW_MUCH), None)
    strength = Strength(level=level, levels=_LEVELS_IN_WORDS) if level else None
    return Choice("first" if named[0] else "second", strength=strength)


def thumb_of(value: Any) -> bool | None:
    """Whether a cell is a thumb up (True) or down (False); None where it is neither.

    >>> thumb_of("Like"), thumb_of(-1), thumb_of("3 stars")
    (True, False, None)
    """
    text = str(value).strip().lower().replace("_", " ")
    return True if text in _UP else False if text in _DOWN else None


def strength_of(place: SourceRow, report: ReadReport) -> Strength | None:
    """How much a row says its chosen response was preferred: in ``strength``, or by the scores of both.

    Scores count where their scale is known (`ReadReport.scale`) and that of the chosen response is higher.

    Raises:
        DataError: the strength is no level of a number of levels.
    """
    given = place.row.get("strength")
    if isinstance(given, Mapping):
        return validated(place, Strength, given, _SAY_STRENGTH)
    if isinstance(given, str) and (match := _OF.fullmatch(given)):
        level = {"level": int(match[1]), "levels": int(match[2])}
        return validated(place, Strength, level, _SAY_STRENGTH)
    if given is not None and str(given).strip():
        expected = "a level of a number of levels"
        raise place.unlike(given, expected, field="strength", cure=_SAY_STRENGTH)
    scores = next((pair for pair in _SCORES if set(pair) <= place.row.keys()), None)
    if scores is None or report.scale is None:
        return None
    better, worse = (number_of(place, name) for name in scores)
    if better is None or worse is None or better <= worse:
        return None
    try:
        return report.scale.strength(better, worse)
    except ValueError as error:
        raise place.error(str(error), field=scores[0], cure="correct the score, or --scale") from None


def number_of(place: SourceRow, column: str) -> float | None:
    """The number in a cell; None where it is blank.

    Raises:
        DataError: it is no number.
    """
    value = place.row.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        cure = "write a number, or leave the cell empty"
        raise place.unlike(value, "a number", field=column, cure=cure) from None


def _signed(place: SourceRow, column: str, value: Any) -> Choice:
    number = number_of(place, column)
    if number is None or not number.is_integer() or abs(number) > SIGNED_LEVELS:
        levels = f"-{SIGNED_LEVELS}, the first is much better, to {SIGNED_LEVELS}, the second is"
        cure = "correct it, or name the column of the preference with --columns winner=NAME"
        raise place.unlike(value, f"a whole number from {levels}", field=column, cure=cure)
    if number == 0:
        return Choice("tie")
    side: Literal["first", "second"] = "first" if number < 0 else "second"
    return Choice(side, strength=Strength(level=int(abs(number)), levels=SIGNED_LEVELS))


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", text.lower()) if word]


def _ends(sides: tuple[str, str]) -> tuple[str, str]:
    """What two names of columns differ in: ``a`` and ``b``, ``1`` and ``2``."""
    first, second = ([*_words(re.sub(r"(\d+)$", r"_\1", side))] for side in sides)
    differing = [(one, two) for one, two in zip(first, second, strict=False) if one != two]
    return differing[0] if differing else (sides[0].lower(), sides[1].lower())


def _is_of(text: str, response: Any, model: Any) -> bool:
    """Whether a verdict is a response itself, or the name of its model."""
    own = isinstance(response, str) and text == response.strip()
    return own or (model is not None and text == str(model).strip())
