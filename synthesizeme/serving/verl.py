"""A reward function for verl: ``reward.custom_reward_function.path`` names this module.

    reward.custom_reward_function.path=pkg://synthesizeme.serving.verl
    +reward.custom_reward_function.reward_kwargs.model=CHECKPOINT

Before verl 0.7.1 the two began with ``custom_reward_function``, which later versions do not read. verl does
not hand over the prompt, so the data set's ``extra_info`` carries it: ``{"prompt": text or messages,
"user_id": ...}``, and maybe ``"about"``: what the user said beside choices, as text or an object with fields
of `synthesizeme.feedback.UserWords`, which makes known a user whom the model does not know. The checkpoint
may also be named by the environment variable ``SYNTHESIZEME_REWARD_MODEL``; it is read once in a process.

An exception ends a training run, but verl's managers ``rate_limited`` and ``prime`` take the reward to be 0
instead: with these, answer unknown users by the population and watch ``scored``.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from functools import cache
from typing import Any

from synthesizeme.datasets.rows import SourceRow, read_prompt, read_response, read_user
from synthesizeme.errors import DataError
from synthesizeme.plain_text import short_repr
from synthesizeme.serving.opening import SETTING_VARIABLES, opened
from synthesizeme.serving.rewards import RewardQuestion, ScalarRewards, Score
from synthesizeme.serving.rows import ABOUT, VerlResult, answered, read_about, refusal

_SETTINGS = ("model", "profiles", *SETTING_VARIABLES)
_OF_VERL = frozenset({
    "reward_router_address", "reward_model_tokenizer", "sandbox_fusion_url", "concurrent_semaphore",
    "memory_limit_mb",
})  # fmt: skip
"""What verl's managers hand over of their own accord."""
_ALIKE = 0.7
"""How alike a name is to that of a setting which was meant, from 0 to 1."""
_log = logging.getLogger("synthesizeme.serving.verl")
_CURE = 'give every row of the data set extra_info={"prompt": text or messages, "user_id": text}.'


def compute_score(
    data_source: Any = None,
    solution_str: Any = None,
    ground_truth: Any = None,
    extra_info: dict[str, Any] | None = None,
    *,
    data_sources: Any = None,
    solution_strs: Sequence[Any] | None = None,
    ground_truths: Any = None,
    extra_infos: Sequence[Any] | None = None,
    model: str | None = None,
    profiles: str | None = None,
    **reward_kwargs: Any,
) -> Any:
    """The reward of one response for the user that `extra_info` names, or those of a batch.

    Args:
        data_source: Not read.
        solution_str: The response.
        ground_truth: Not read.
        extra_info: ``prompt`` (text, or messages as a list or array), ``user_id`` and maybe ``about``.
        data_sources: Not read.
        solution_strs: The responses of a batch, where verl's manager ``batch`` asks for all at once.
        ground_truths: Not read.
        extra_infos: The `extra_info` of each.
        model: Checkpoint folder, or ``judge:NAME``; by default that of ``SYNTHESIZEME_REWARD_MODEL``, else
            the population that is shipped.
        profiles: Store of profiles whose users are fitted; by default that of ``SYNTHESIZEME_PROFILES``.
        **reward_kwargs: Fields of `synthesizeme.serving.settings.Settings`, or their text, among them
            ``unknown_user``: ``refuse`` (default) raises for a user the model does not know, ``population``
            (the default of the shipped population without `profiles`) gives the population's reward; and
            ``on_error``: ``population`` (default) gives a response that cannot be scored the population's
            reward, and where there is none the mean of the rewards so far, ``raise`` raises. Whatever else
            verl passes, such as ``reward_router_address``, is not read.

    Returns:
        ``score``, ``scored`` (1: the user's own reward, 0: a substitute), ``status``, ``taste`` and ``floor``
        in the model's own unit, ``below_floor`` (1: the response is hardly an answer, else 0) and
        ``stripped`` (1: something was not scored); for a batch a list of these.

    Raises:
        UnknownUserError: the user is unknown and unknown users are refused; names the user.
        DataError: `extra_info` names no user, or has no prompt or no ``about`` that can be read.
        RewardError: the response cannot be scored and `on_error` is ``raise``.
        ConfigError: the model knows nobody, or a setting is wrong.
        TypeError: `reward_kwargs` has a name that is much like one of a setting, which is misspelt.
    """
    settings: Any = {name: reward_kwargs.pop(name) for name in SETTING_VARIABLES if name in reward_kwargs}
    _check_names(tuple(reward_kwargs))
    rewards = opened(model, profiles=profiles, **settings)
    if solution_strs is None:
        return _results(rewards, [solution_str], [extra_info])[0]
    return _results(rewards, list(solution_strs), list(() if extra_infos is None else extra_infos))


@cache
def _check_names(names: tuple[str, ...]) -> None:
    """Refuse misspelt settings; of other names that verl is not known to pass, say once that they do nothing.

    Raises:
        TypeError: a name is much like one of a setting.
    """
    for name in names:
        if name in _OF_VERL:
            continue
        if meant := difflib.get_close_matches(name.lower(), _SETTINGS, n=1, cutoff=_ALIKE):
            raise TypeError(
                f"compute_score() got an unexpected keyword argument {name!r}. Cure: write {meant[0]!r} in "
                "reward_kwargs"
            )
        _log.warning("%r in reward_kwargs is no setting of compute_score and changes nothing; there are %s",
                     name, ", ".join(_SETTINGS))  # fmt: skip


def _results(rewards: ScalarRewards, responses: list[Any], infos: list[Any]) -> list[dict[str, Any]]:
    if len(infos) != len(responses):
        problem = f"found {len(infos)} for {len(responses)} responses; expected one for each"
        raise DataError(problem, field="extra_info", cure=_CURE)
    asked = [_asked(info, response) for info, response in zip(infos, responses, strict=True)]
    found = answered(rewards, asked)
    if refused := refusal(asked, found):
        raise refused
    return [_result(rewards, score) for score in found]


def _result(rewards: ScalarRewards, score: Score) -> dict[str, Any]:
    found = rewards.substituted(score)
    return VerlResult(score=found.value, status=found.status, **rewards.told(found))


def _asked(info: Any, response: Any) -> RewardQuestion | DataError:
    """The question about a response, or what is wrong with the response.

    Raises:
        DataError: the user or the prompt is missing or wrong, which is the data set's fault.
    """
    if not isinstance(info, dict):
        problem = f"found {short_repr(info)}; expected a dict with prompt and user_id"
        raise DataError(problem, field="extra_info", cure=_CURE)
    row = {name: _lists(info.get(name)) for name in ("user_id", "prompt", ABOUT)} | {"response": response}
    place = SourceRow("extra_info", 1, row)
    try:
        user_id, turns = read_user(place), read_prompt(place)
    except DataError as error:
        found = f"found {short_repr(row[str(error.field)])}"
        problem = error.problem if error.problem.startswith("found") else f"{found}: {error.problem}"
        raise DataError(problem, source="extra_info", field=error.field, cure=_CURE) from None
    said = read_about(place, user_id)
    try:
        return RewardQuestion(user_id, turns, read_response(place), said)
    except DataError as error:
        return error


def _lists(value: Any) -> Any:
    """A value with lists and numbers of Python in place of the arrays that parquet gives."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_lists(item) for item in value]
    return {name: _lists(item) for name, item in value.items()} if isinstance(value, dict) else value
