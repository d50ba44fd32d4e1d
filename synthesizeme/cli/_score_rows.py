"""Rows to be scored: from a line of JSON to a question, from a batch of questions to lines of answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synthesizeme.errors import DataError, RewardError

if TYPE_CHECKING:
    from synthesizeme.datasets.rows import SourceRow
    from synthesizeme.evaluation.selective import Abstainer
    from synthesizeme.feedback import UserWords
    from synthesizeme.serving.rewards import Margin, ScalarRewards, Score
    from synthesizeme.types import Message

KINDS = (("response",), ("chosen", "rejected"), ("first", "second"))
"""Fields of a row that hold what is scored: one response, or two to be set against each other."""
_LABELLED = ("chosen", "rejected")
_ERROR = {"first": 0.0, "tie": 0.5, "second": 1.0}
"""How wrong a verdict is where the first of the two was chosen."""
CARRIED = ("id", "pair_id")
"""Fields of a row that its answer repeats."""
_STATUS = {"ok": "scored", "population": "population"}
"""Words of this command for the statuses that come with a number."""
_NOBODY = "give every row a user_id, text or a whole number, or name the one user of all rows with --user ID"
_CURE = (
    "give prompt (text or messages) and response, chosen and rejected, or first and second; "
    "--on-error skip goes on without such rows"
)


@dataclass(frozen=True)
class AskedRow:
    """One row that can be scored."""

    line: int
    """1-based line it stands on."""
    user_id: str
    prompt: tuple[Message, ...]
    sides: tuple[str, ...]
    """Names of the fields of its one or two responses."""
    responses: tuple[str, ...]
    carried: Mapping[str, Any]
    """What the answer repeats."""
    about: UserWords | None = None
    """What the user said beside choices, where the row says it."""


def asked_rows(rows: Iterable[SourceRow | DataError], user: str | None) -> Iterator[AskedRow | DataError]:
    """Every row as a question, or as the error it makes.

    Args:
        rows: Rows and unreadable lines.
        user: Whose taste it is where the row names nobody.
    """
    for place in rows:
        if isinstance(place, DataError):
            yield place
            continue
        try:
            yield _question(place, user)
        except DataError as error:
            cure = _NOBODY if error.field == "user_id" else _CURE
            yield place.error(error.problem, field=error.field, cure=cure)


def answers(
    rewards: ScalarRewards, batch: Sequence[AskedRow], abstainer: Abstainer | None = None
) -> list[dict[str, Any]]:
    """The answer to each question, in order.

    Args:
        rewards: The scalar path of a fitted model.
        batch: The questions.
        abstainer: Says which comparisons are answered; None: all.

    Raises:
        DataError: a row cannot be scored for a reason that lies in the row.
    """
    from synthesizeme.serving.rewards import RewardQuestion
    from synthesizeme.types import Comparison

    rewards.introduce(asked.about for asked in batch)
    single = [asked for asked in batch if len(asked.sides) == 1]
    double = [asked for asked in batch if len(asked.sides) == 2]
    scores = rewards.scores(
        [RewardQuestion(asked.user_id, asked.prompt, asked.responses[0]) for asked in single]
    )
    margins = rewards.margins(
        [
            Comparison(
                pair_id=str(asked.line), user_id=asked.user_id, prompt=asked.prompt,
                first=asked.responses[0], second=asked.responses[1],
            )
            for asked in double
        ]
    )  # fmt: skip
    found = {asked.line: _reward(result, asked) for asked, result in zip(single, scores, strict=True)}
    for asked, result in zip(double, margins, strict=True):
        found[asked.line] = _margin(result, asked)
        if abstainer is not None:
            found[asked.line] |= _abstained(result, asked, abstainer)
    return [
        {"line": asked.line, **asked.carried, "user_id": asked.user_id, **found[asked.line]}
        for asked in batch
    ]


def _question(place: SourceRow, user: str | None) -> AskedRow:
    from synthesizeme.datasets.rows import SourceRow, read_prompt, read_response, read_user
    from synthesizeme.plain_text import short_repr
    from synthesizeme.serving.rows import read_about

    row = place.row
    named = user if row.get("user_id") is None else row["user_id"]
    if named is None:
        raise place.error("no user is named; expected user_id in the row, or --user", field="user_id")
    user_id = read_user(SourceRow(place.source, place.line, {"user_id": named}))
    kinds = [kind for kind in KINDS if any(row.get(field) is not None for field in kind)]
    if len(kinds) != 1:
        raise place.error(
            f"found the fields {short_repr(list(row))}; expected response, or chosen and rejected, or first "
            "and second, beside prompt"
        )
    return AskedRow(
        line=place.line,
        user_id=user_id,
        prompt=read_prompt(place),
        sides=kinds[0],
        responses=tuple([read_response(place, field, blank=False) for field in kinds[0]]),
        carried={name: row[name] for name in CARRIED if name in row},
        about=read_about(place, user_id),
    )


def _reward(found: Score, asked: AskedRow) -> dict[str, Any]:
    if found.value is None:
        return {"value": None, **_without(found, asked)}
    return {
        "value": found.value,
        "taste": found.taste,
        "floor": found.floor,
        "probability": found.probability,
        "standard_error": found.standard_error,
        "status": _STATUS[found.status],
        **_beside(found),
    }


def _margin(found: Margin, asked: AskedRow) -> dict[str, Any]:
    """The margin of the first of the two over the second; `prefers` names the field that wins."""
    if found.value is None or found.preference is None:
        return {"margin": None, **_without(found, asked)}
    sides = {"first": asked.sides[0], "second": asked.sides[1], "tie": "tie"}
    return {
        "margin": found.value,
        "floors": dict(zip(asked.sides, found.floors or (), strict=True)),
        "probability": found.probability,
        "standard_error": found.standard_error,
        "prefers": sides[found.preference],
        "status": _STATUS[found.status],
        **_beside(found),
    }


def _beside(found: Score | Margin) -> dict[str, Any]:
    """What is said of a row only where there is something to say."""
    judged = {} if found.judged is None else {"judged": found.judged}
    return {**judged, **({"stripped": list(found.stripped)} if found.stripped else {})}


def _abstained(found: Margin, asked: AskedRow, abstainer: Abstainer) -> dict[str, Any]:
    """What a line says instead, if it is abstained from; a promise is made for known users alone."""
    error = _ERROR[found.preference] if found.preference and asked.sides == _LABELLED else None
    if abstainer.answers(found.probability if found.status == "ok" else None, error) or found.value is None:
        return {}
    return {"prefers": None, "status": "abstained"}


def _without(found: Score | Margin, asked: AskedRow) -> dict[str, Any]:
    """What is said in place of a number; an exception of the model is raised here."""
    if found.error is None:
        detail = f"user {asked.user_id!r} is unknown to this model, and unknown users are refused"
        return {"status": found.status, "detail": detail}
    if not isinstance(found.error, RewardError):
        raise found.error
    return {"status": found.status, "detail": str(found.error)}
