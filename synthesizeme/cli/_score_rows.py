"""Rows to be scored: from a line of JSON to a question, from a batch of questions to lines of answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synthesizeme.errors import DataError

if TYPE_CHECKING:
    from reward_models import RewardModel
    from synthesizeme.datasets._intake import SourceRow
    from synthesizeme.types import Failure, Message, Reward, Verdict

KINDS = (("response",), ("chosen", "rejected"), ("first", "second"))
"""Fields of a row that hold what is scored: one response, or two to be set against each other."""
CARRIED = ("id", "pair_id")
"""Fields of a row that its answer repeats."""
_CURE = (
    "give prompt (text or messages) and response, chosen and rejected, or first and second; "
    "--on-error skip goes on without such rows"
)


@dataclass(frozen=True)
class Question:
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


def questions(rows: Iterable[SourceRow | DataError], user: str | None) -> Iterator[Question | DataError]:
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
            yield place.error(error.problem, field=error.field, cure=_CURE)


def answers(model: RewardModel, batch: Sequence[Question], known: frozenset[str]) -> list[dict[str, Any]]:
    """The answer to each question, in order.

    Args:
        model: A fitted model.
        batch: The questions.
        known: Users with a state in the model.
    """
    from synthesizeme.types import Comparison

    single = [asked for asked in batch if len(asked.sides) == 1]
    double = [asked for asked in batch if len(asked.sides) == 2]
    rewards = model.score(
        [asked.prompt for asked in single],
        [asked.responses[0] for asked in single],
        [asked.user_id for asked in single],
    )
    verdicts = model.compare(
        [
            Comparison(
                pair_id=str(asked.line), user_id=asked.user_id, prompt=asked.prompt,
                first=asked.responses[0], second=asked.responses[1],
            )
            for asked in double
        ]
    )  # fmt: skip
    found = {asked.line: _reward(result) for asked, result in zip(single, rewards, strict=True)}
    for asked, result in zip(double, verdicts, strict=True):
        found[asked.line] = _margin(result, asked, known)
    return [
        {"line": asked.line, **asked.carried, "user_id": asked.user_id, **found[asked.line]}
        for asked in batch
    ]


def _question(place: SourceRow, user: str | None) -> Question:
    from synthesizeme.datasets._intake import shown

    row = place.row
    user_id = row.get("user_id", user)
    if not isinstance(user_id, str) or not user_id:
        raise place.error("no user is named; expected user_id in the row, or --user", field="user_id")
    kinds = [kind for kind in KINDS if any(row.get(field) is not None for field in kind)]
    if len(kinds) != 1:
        raise place.error(
            f"found the fields {shown(list(row))}; expected response, or chosen and rejected, or first and "
            "second, beside prompt"
        )
    return Question(
        line=place.line,
        user_id=user_id,
        prompt=_prompt(place),
        sides=kinds[0],
        responses=tuple(_response(place, field) for field in kinds[0]),
        carried={name: row[name] for name in CARRIED if name in row},
    )


def _prompt(place: SourceRow) -> tuple[Message, ...]:
    from pydantic import ValidationError

    from synthesizeme.datasets._pairs import messages
    from synthesizeme.types import Message

    if place.row.get("prompt") is None:
        raise place.error("is missing", field="prompt")
    try:
        turns = tuple(Message(**turn) for turn in messages(place, "prompt", place.row["prompt"], role="user"))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise place.error(
            f"a message is wrong: {problem['loc'][-1]}: {problem['msg']}", field="prompt"
        ) from None
    if not turns or turns[-1].role != "user":
        raise place.error("does not end with a user turn", field="prompt")
    return turns


def _response(place: SourceRow, field: str) -> str:
    from synthesizeme.datasets._pairs import messages

    if place.row.get(field) is None:
        raise place.error("is missing", field=field)
    turns = messages(place, field, place.row[field], role="assistant")
    if len(turns) != 1:
        raise place.error(f"found {len(turns)} messages; expected one", field=field)
    if not turns[0]["content"].strip():
        raise place.error("is blank; expected text", field=field)
    return str(turns[0]["content"])


def _reward(found: Reward | Failure) -> dict[str, Any]:
    from synthesizeme.types import Failure

    if isinstance(found, Failure):
        return {"reward": None, "status": found.kind, "detail": found.detail}
    return {
        "reward": found.value,
        "probability": found.probability,
        "standard_error": found.standard_error,
        "status": found.status,
    }


def _margin(found: Verdict | Failure, asked: Question, known: frozenset[str]) -> dict[str, Any]:
    """The margin of the first of the two over the second; `prefers` names the field that wins."""
    from synthesizeme.types import Failure

    if isinstance(found, Failure):
        return {"margin": None, "status": found.kind, "detail": found.detail}
    sides = {"first": asked.sides[0], "second": asked.sides[1], "tie": "tie"}
    return {
        "margin": found.margin,
        "probability": found.probability,
        "standard_error": found.standard_error,
        "prefers": sides[found.preference],
        "status": "scored" if asked.user_id in known else "population",
    }
