"""The reward of a user's own taste for TRL's trainers, with ``user_id`` as a column of the data set.

    from synthesizeme.serving.trl import reward_function

    trainer = GRPOTrainer(model, reward_funcs=reward_function("CHECKPOINT"), train_dataset=rows, ...)

It serves ``GRPOTrainer``, ``RLOOTrainer``, ``OnlineDPOTrainer`` and ``AsyncGRPOTrainer`` alike. A row is
``{"prompt": text or messages, "user_id": ...}``. A column ``about`` with what the user said beside choices
(text, or an object with fields of `synthesizeme.feedback.UserWords`) makes known a user whom the model does
not know. What was not scored is None, which is said once for each reason. ``OnlineDPOTrainer`` then trains on
an arbitrary choice, and TRL logs a row for which every reward function gives None in full: with that trainer,
or with private prompts, answer unknown users by the population, or leave them out of the data.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from synthesizeme.datasets.rows import SourceRow, messages
from synthesizeme.errors import ConfigError, DataError, SynthesizeMeError
from synthesizeme.plain_text import short_repr
from synthesizeme.scoring import PersonalRewards
from synthesizeme.serving.loaded import LoadedRewardModel
from synthesizeme.serving.opening import opened
from synthesizeme.serving.rewards import TOLD, RewardQuestion, Score, Status
from synthesizeme.serving.rows import ABOUT, answered, tried
from synthesizeme.serving.settings import GivenSettings

Rewards = list[float | None]
NAME = "personal_reward"
"""What TRL calls the function in its logs."""

_OWN = re.compile(r"\d+|(['\"]).*?\1")
_log = logging.getLogger(__name__)


def reward_function(
    model: PersonalRewards | LoadedRewardModel | str | Path | None = None,
    *,
    profiles: str | None = None,
    user_column: str = "user_id",
    about_column: str = "about",
    **settings: Unpack[GivenSettings],
) -> PersonalReward:
    """A reward function for ``reward_funcs``, which can be pickled.

    Through TRL's ``log_metric`` it logs ``personal_reward/scored``, the share of rows that got their own
    user's reward; and of the rows with a reward the mean ``taste`` and the mean ``floor``, in the model's own
    unit, ``below_floor``, the share whose response is hardly an answer to its prompt, and ``stripped``, the
    share of which something was not scored. It warns once for each reason why rows get None. Its attribute
    ``counts`` holds the rows so far by status.

    Args:
        model: A fitted or loaded model, a checkpoint folder, or ``judge:NAME`` (see
            `synthesizeme.serving.opening`). By default that of the environment variable
            ``SYNTHESIZEME_REWARD_MODEL``, else the population that is shipped;
            ``load_reward_model().fit_users(...)`` is that one with users of yours.
        profiles: Path or URL of a store of profiles whose users are fitted, for a model that is not given
            fitted.
        user_column: Column of the data set with the user's id.
        about_column: Column with what the user said beside choices; it may be missing, and null in rows.
        **settings: Fields of `synthesizeme.serving.settings.Settings`, above all `unknown_user`: ``refuse``
            (default) gives None for a user the model does not know, ``population`` (the default of the
            shipped population without `profiles`) the population's reward; and `on_error`: ``population``
            (default) gives a row that cannot be scored the population's reward, or None where there is none
            either, ``raise`` raises. A fitted model is put on the `floor`, if one is named.

    Raises:
        ConfigError: a setting is wrong, the model lacks what one needs, or a model that is not given fitted
            knows nobody while unknown users are refused.
        DataError: the folder holds no checkpoint that can be read.
    """
    bare = model.model if isinstance(model, LoadedRewardModel) else model
    return PersonalReward(bare, profiles, settings, user_column, about_column)


def async_reward_function(
    model: PersonalRewards | LoadedRewardModel | str | Path | None = None, **options: Any
) -> AsyncPersonalReward:
    """`reward_function` as a coroutine function: it scores in a thread while others are awaited.

    Args:
        model: See `reward_function`.
        **options: Likewise.
    """
    return AsyncPersonalReward(personal_reward, reward_function(model, **options))


class PersonalReward:
    """The rewards of a batch as TRL asks for them; see `reward_function` for the arguments.

    Pickled, a model that was given fitted travels along as its checkpoint; one that was named is opened where
    it arrives.
    """

    def __init__(
        self,
        model: PersonalRewards | str | Path | None,
        profiles: str | None,
        settings: GivenSettings,
        user_column: str,
        about_column: str,
    ) -> None:
        self.__name__ = NAME
        self._made = (model, profiles, settings, user_column, about_column)
        self._user_column, self._about_column = user_column, about_column
        self._scalar = opened(model, profiles=profiles, **settings)
        self._told: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        model, *rest = self._made
        if model is None or isinstance(model, str | Path):
            return type(self), self._made
        from reward_models import RewardModel, packed

        if not isinstance(model, RewardModel):
            raise TypeError(f"{model.name} cannot travel to another process; name it: model='judge:NAME'")
        return _rebuilt, (packed(model), *rest)

    @property
    def counts(self) -> Counter[Status]:
        """Rows so far by status."""
        return self._scalar.counts

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> Rewards:
        """The reward of every row.

        Raises:
            ConfigError: the data set has no column with users.
            RewardError: a row cannot be read or scored and `on_error` is ``raise``.
        """
        users = columns.get(self._user_column)
        if users is None:
            names = ", ".join(sorted(name for name, value in columns.items() if isinstance(value, list)))
            raise ConfigError(
                f"the data set has no column {self._user_column!r} (found {names or 'none'}); add one with "
                "the id of each prompt's user, or name it with user_column"
            )
        said = columns.get(self._about_column) or [None] * len(users)
        rows = [
            {"user_id": user, "prompt": prompt, "response": _text(completion), ABOUT: about}
            for user, prompt, completion, about in zip(users, prompts, completions, said, strict=True)
        ]
        asked = [tried(SourceRow(NAME, number, row)) for number, row in enumerate(rows, start=1)]
        found = answered(self._scalar, asked)
        self._say_none(asked, found)
        if callable(log_metric := columns.get("log_metric")):
            for name, value in self._metrics(found).items():
                log_metric(f"{NAME}/{name}", value)
        return [score.value for score in found]

    def _metrics(self, found: Sequence[Score]) -> dict[str, float]:
        told = [self._scalar.told(score) for score in found if score.value is not None]
        known = {name: [value for it in told if (value := it[name]) is not None] for name in TOLD}
        known["scored"] = [score.scored for score in found]
        return {name: sum(values) / len(values) for name, values in known.items() if values}

    def _say_none(self, asked: Sequence[RewardQuestion | DataError], found: Sequence[Score]) -> None:
        """Warn, once for each reason, of the rows that got None."""
        none = {row: _reason(score) for row, score in enumerate(found) if score.value is None}
        for row, reason in none.items():
            if reason in self._told:
                continue
            self._told.add(reason)
            status, same = found[row].status, sum(other == reason for other in none.values())
            _log.warning(
                "%d of %d rows in this batch get None in place of a reward (%s), the first because %s%s. TRL "
                "trains on nothing where all are None. This is said once; `counts` has the rows so far",
                same,
                len(found),
                status,
                _why(asked[row], found[row]),
                "" if len(none) < len(found) else "; no row of the batch has a reward",
            )


def _rebuilt(model: bytes, *rest: Any) -> PersonalReward:
    from reward_models import unpacked

    return PersonalReward(unpacked(model), *rest)


class AsyncPersonalReward(functools.partial[Any]):
    """The same as a coroutine function."""

    __name__ = NAME

    @property
    def counts(self) -> Counter[Status]:
        """Rows so far by status."""
        reward: PersonalReward = self.args[0]
        return reward.counts


async def personal_reward(
    reward: PersonalReward, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
) -> Rewards:
    """The rewards of a batch; TRL calls them by the name of this function."""
    return await asyncio.to_thread(reward, prompts, completions, **columns)


def _reason(score: Score) -> str:
    """Why a row got None, without what tells rows with one reason apart: places, numbers, what was found."""
    error = score.error
    if isinstance(error, DataError):
        _, _, expected = error.problem.partition("; expected ")
        return f"{score.status} {error.field} {re.sub(_OWN, '', expected or error.problem)}"
    return f"{score.status} {type(error).__name__}"


def _why(asked: RewardQuestion | DataError, score: Score) -> str:
    if isinstance(asked, RewardQuestion) and score.status == "unknown_user":
        return (
            f"the model does not know user {short_repr(asked.user_id)}. Cure: fit them to their pairs "
            "(profiles=URL of a store), leave them out of the data, or set unknown_user to 'population'"
        )
    if isinstance(score.error, DataError):
        problem, field = score.error.problem, score.error.field
        if problem.startswith("found") and field != "user_id":
            problem = problem.partition("; ")[2]  # what was found may be private
        return f"of row {score.error.line}: {field}: {problem}"
    ours = isinstance(score.error, SynthesizeMeError)
    return str(score.error) if ours else f"the model raised {type(score.error).__name__}"


def _text(completion: Any) -> Any:
    """A completion as one response: of several messages, the text of the assistant's."""
    if not isinstance(completion, list) or len(completion) < 2:
        return completion
    said = [turn for turn in completion if isinstance(turn, dict) and turn.get("role") == "assistant"]
    try:
        turns = messages(SourceRow(NAME, 1, {}), "response", said, role="assistant")
    except DataError:
        return completion  # which is then refused by name
    return "\n\n".join(turn["content"] for turn in turns) if turns else completion
