"""From a row to feedback that is no choice between two: strictly for our own format, by mapping for others.

Nothing is turned into pairs here but a ranking of two, which is one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from synthesizeme.datasets.rows.pairs import (
    BLANK,
    CURE,
    SAME_TEXT,
    addressed,
    mapped_pair,
    named_user,
    response_text,
    unasked,
    validated,
)
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.feedback import KINDS, Edit, Given, Judgement, Ranking, Scale, Tie
from synthesizeme.plain_text import short_repr

Kind = TypeVar("Kind", bound=Judgement)

SAY_SCALE = (
    "say what can be given: --scale 1..5 (scale=Scale(...) in Python), or a column `scale` with the same in "
    "every row"
)
"""The cure for ratings of which it is not known what could be given."""
ALIKE = "all responses are ranked alike"
_SCALE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:\.\.|to|–|-)\s*(-?\d+(?:\.\d+)?)\s*(?:/\s*(\d+))?\s*")
_ONE = "give the response that it is for, as text or one message, or leave such rows out with --skip-bad-rows"
_NOT_SAID = ("feedback_id", "split", "metadata", "reason", "instead_of")
"""Fields that have no say in a derived id."""
_CURES = {
    "value": "correct the value or the scale, or leave such rows out with --skip-bad-rows",
    "scale": SAY_SCALE,
    "ranks": "number the responses 1, 2, 3, …, from the best on, equal ones by the same number",
    "edited": "leave the row out: an unchanged response says nothing",
    "reason": "leave the field out where no reason was given",
    "responses": "give each response once; three or more are a ranking, two a pair or a tie",
    "both": "write good or bad, or leave the field out",
    "feature": "name a named feature; a wish in words of one's own goes into --about",
    "answer": "write yes, no, or no matter",
}
"""What helps against a problem of a field."""


def parse_scale(text: str) -> Scale:
    """A scale in words: ``1..5`` has whole numbers as levels, ``0..10/21`` as many as stand behind the slash.

    Raises:
        ConfigError: it is none.
    """
    match = _SCALE.fullmatch(text)
    lowest, highest = (float(match[1]), float(match[2])) if match else (1.0, 0.0)
    whole = lowest.is_integer() and highest.is_integer()
    if match is None or lowest >= highest or not (match[3] or whole):
        raise ConfigError(
            f"scale: found {short_repr(text)}; expected LOWEST..HIGHEST such as 1..5, and the number of "
            "values behind a slash where they are not the whole numbers, such as 0..5/11"
        )
    levels = int(match[3]) if match[3] else int(highest - lowest) + 1
    if levels < 2:
        raise ConfigError(f"scale: found {short_repr(text)}, with {levels} levels; expected 2 or more")
    return Scale(lowest=lowest, highest=highest, levels=levels)


def scale_of(place: SourceRow, report: ReadReport, given: Any) -> Scale:
    """The scale that a row names, or else the one that the report has.

    Args:
        place: The row.
        report: Has the scale of rows that name none.
        given: What the row says: text as `parse_scale` reads it, an object, or None.

    Raises:
        DataError: neither says it, or the row's is none.
    """
    if isinstance(given, str) and given.strip():
        try:
            return parse_scale(given)
        except ConfigError as error:
            raise place.error(str(error).removeprefix("scale: "), field="scale", cure=SAY_SCALE) from None
    if isinstance(given, Mapping):
        return validated(place, Scale, given, SAY_SCALE)
    if report.scale is not None:
        return report.scale
    raise place.error("it is not said what ratings could be given", field="scale", cure=SAY_SCALE)


def strict_feedback(place: SourceRow, report: ReadReport) -> Judgement | None:
    """The feedback of a row in our own format; a row without `feedback_id` gets one derived from its content.

    Raises:
        DataError: anything is wrong with the row.
    """
    row = {name: value for name, value in place.row.items() if value is not None}
    kind = KINDS.get(str(row.get("kind")))
    if kind is None:
        cure = "correct it; a choice between two has no kind"
        raise place.unlike(row.get("kind"), ", ".join(KINDS), field="kind", cure=cure)
    if unknown := [name for name in row if name not in kind.model_fields]:
        problem = f"is not a field of a {row['kind']}; expected {', '.join(kind.model_fields)}"
        raise place.error(problem, field=unknown[0][:80], cure="put it into metadata")
    named = named_user(place, row.get("user_id"))
    if not named and report.user_id:
        row["user_id"] = report.user_id
        report.own(place)
    return _admitted(place, report, kind, row)


def mapped_feedback(place: SourceRow, report: ReadReport, kind: type[Kind], **fields: Any) -> Kind | None:
    """Feedback of a foreign row, or None when it was left out or rejected; the report has the reason.

    Args:
        place: Where the row stands.
        report: Keeps the tally.
        kind: What it is.
        **fields: Fields of `kind`; the prompt may be a string, a message or a list of messages, each response
            a string or a message, a blank reason is none.

    Raises:
        DataError: a field is missing or wrong, and bad rows are not skipped.
    """
    try:
        named = named_user(place, fields.get("user_id"))
        row = addressed(place, report, "feedback_id", fields)
        for field in ("response", "original", "edited"):
            if field in row:
                row[field] = response_text(place, field, row[field], _ONE)
        if "responses" in row:
            row["responses"] = [response_text(place, "responses", it, _ONE) for it in row["responses"]]
        texts = [
            *row.get("responses", ()),
            *(row[it] for it in ("response", "original", "edited") if it in row),
        ]
        reason = unasked(row["prompt"]) or (None if all(it.strip() for it in texts) else BLANK)
        if reason is None and kind is not Edit and len({it.strip() for it in texts}) < len(texts):
            reason = SAME_TEXT if len(texts) == 2 else "two of the responses are the same text"
        if reason is not None:
            report.leave_out(place, reason)
            return None
        found = _admitted(place, report, kind, {name: it for name, it in row.items() if it is not None})
    except DataError as error:
        report.refuse(place, error)
        return None
    if found is not None and not named:
        report.own(place)
    return found


def mapped_ranking(
    place: SourceRow, report: ReadReport, responses: Sequence[Any], ranks: Sequence[Any], **fields: Any
) -> Given | None:
    """The ranking of a foreign row; of two responses it is a pair or a tie.

    Equal ranks may be followed by the next number (1, 1, 2) or leave out as many as share them (1, 1, 3).

    Args:
        place: Where the row stands.
        report: Keeps the tally.
        responses: Each a string or a message.
        ranks: Rank of each response, from 1, the best.
        **fields: Further fields, see `mapped_feedback`.

    Raises:
        DataError: a rank is none or left out, or as `mapped_feedback`.
    """
    order = sorted(range(len(responses)), key=lambda at: _rank(place, ranks[at]))
    values = [_rank(place, ranks[at]) for at in order]
    dense = list(dict.fromkeys(values))
    if dense != list(range(1, len(dense) + 1)) and values != [values.index(it) + 1 for it in values]:
        missing = next(number for number in range(1, len(values) + 2) if number not in values)
        problem = f"found {short_repr(values)}; rank {missing} is left out"
        raise place.error(problem, field="ranks", cure=_CURES["ranks"])
    sorted_responses = [responses[at] for at in order]
    if len(responses) == 2 and len(dense) == 1:
        return mapped_feedback(place, report, Tie, responses=sorted_responses, **fields)
    if len(responses) == 2:
        fields["pair_id"] = fields.pop("feedback_id", None)
        chosen, rejected = sorted_responses
        return mapped_pair(place, report, chosen=chosen, rejected=rejected, **fields)
    if len(dense) == 1:
        report.leave_out(place, ALIKE)
        return None
    own = [dense.index(value) + 1 for value in values]
    return mapped_feedback(place, report, Ranking, responses=sorted_responses, ranks=own, **fields)


def _rank(place: SourceRow, value: Any) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.5
    if isinstance(value, bool) or not number.is_integer() or number < 1:
        expected = "a whole number from 1, the best"
        raise place.unlike(value, expected, field="ranks", cure=_CURES["ranks"])
    return int(number)


def _admitted(place: SourceRow, report: ReadReport, kind: type[Kind], row: Row) -> Kind | None:
    """A value of the kind with its id, unless it was seen before."""
    given = row.get("feedback_id")
    try:
        made = validated(place, kind, {**row, "feedback_id": given or "derived"})
    except DataError as error:
        cure = _CURES.get(re.split(r"[.\[]", error.field or "")[0], CURE)
        raise place.error(error.problem, field=error.field, cure=cure) from None
    if not given:
        said = made.model_dump(mode="json", exclude=set(_NOT_SAID))
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode("utf-8", "surrogatepass"))
        name = f"{made.kind}-{digest.hexdigest()[:16]}"
        made = validated(place, kind, {**row, "feedback_id": name})
    return report.admit(place, made, id_is_derived=not given)
