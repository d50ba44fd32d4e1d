"""What gives the rewards, by name: a checkpoint folder, or a language model that rates; opened once.

    judge:NAME[@URL][?choices=8&concurrency=64]

NAME is a model as on the command line (``builtin``, ``openai/...``), URL an OpenAI-compatible server. See
`synthesizeme.judges.rating.JudgeRewards` for ``choices``. Either stands on a floor.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Unpack
from urllib.parse import parse_qsl

from synthesizeme.errors import ConfigError
from synthesizeme.profile import UserProfile
from synthesizeme.scoring import PersonalRewards
from synthesizeme.serving.rewards import ScalarRewards
from synthesizeme.serving.settings import GivenSettings, Settings, parsed
from synthesizeme.serving.users import fit_stored

JUDGE = "judge:"
_SPEC = re.compile(r"judge:(?P<name>[^?]+?)(?:@(?P<url>https?://[^?]+))?(?:\?(?P<options>.*))?")
_NUMBERS = ("choices", "concurrency")


class JudgeSpec(NamedTuple):
    """A judge as it is named in settings."""

    name: str
    """Model."""
    api_base: str | None = None
    """Server behind it."""
    choices: int = 8
    concurrency: int = 8


def read_spec(text: str) -> JudgeSpec:
    """What ``judge:...`` asks for.

    Raises:
        ConfigError: it is not written like that; lists all problems.
    """
    match = _SPEC.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text!r} names no judge; expected judge:NAME, or judge:NAME@http://HOST:PORT/v1")
    problems: list[str] = []
    found: dict[str, int] = {}
    for key, value in parse_qsl(match["options"] or "", keep_blank_values=True):
        if key in _NUMBERS and value.isascii() and value.isdigit() and int(value) > 0:
            found[key] = int(value)
        else:
            problems.append(
                f"{text!r}: found {key}={value}; expected choices=N or concurrency=N, N 1 or more"
            )
    if problems:
        raise ConfigError(problems)
    return JudgeSpec(match["name"], match["url"], **found)


def open_rewards(
    name: str, profiles: Callable[[], Mapping[str, UserProfile] | None] | None = None
) -> PersonalRewards:
    """The model of that name; a checkpoint knows its users itself, a judge those of `profiles`.

    Args:
        name: Checkpoint folder, or ``judge:NAME``.
        profiles: Opens what is known of users in words; called for a judge only, once its model is open, so
            that a wrong name makes no store.

    Raises:
        ConfigError: the name is not written as it should be.
        DataError: the folder holds no checkpoint that can be read.
        UnknownNameError: no backend serves the judge.
        CredentialError: the judge needs a key.
    """
    if not name.startswith(JUDGE):
        from reward_models import load

        return load(Path(name))
    from reward_models import Standing
    from synthesizeme.backends import ModelSettings, Session, open_model
    from synthesizeme.judges.rating import PRIOR_VARIANCE, JudgeRewards

    spec = read_spec(name)
    model = open_model(spec.name, ModelSettings(api_base=spec.api_base))
    session = Session(model, concurrency=spec.concurrency)
    known = None if profiles is None else profiles()
    standing = Standing(
        "base", math.sqrt(PRIOR_VARIANCE)
    )  # strengths are shrunk from there, and scatter less
    return JudgeRewards(session, known, choices=spec.choices, standing=standing)


MODEL_VARIABLE = "SYNTHESIZEME_REWARD_MODEL"
"""Environment variable with the checkpoint folder, or a judge as in `synthesizeme.serving.opening`."""
PROFILES_VARIABLE = "SYNTHESIZEME_PROFILES"
"""Environment variable with the store of profiles whose users are fitted; none is needed."""
SETTING_VARIABLES = {name: f"SYNTHESIZEME_{name.upper()}" for name in GivenSettings.__annotations__}
"""Environment variables with the settings, for loops that pass no arguments."""

_log = logging.getLogger(__name__)


def opened(
    model: PersonalRewards | str | Path | None = None,
    *,
    profiles: str | None = None,
    **settings: Unpack[GivenSettings],
) -> ScalarRewards:
    """The rewards of a checkpoint or judge; in one process, the same names and settings give the same object.

    Args:
        model: Checkpoint folder, or ``judge:NAME``; by default that of the environment variable, else the
            population that is shipped, which is logged. A model that is fitted already is asked as it is.
        profiles: Path or URL of a store of profiles, whose users are fitted to their pairs and words; by
            default that of the environment variable, if any.
        **settings: Fields of `Settings`, or their text; by default those of the environment variables, else
            of `Settings`. `unknown_user` is by default ``population`` for the shipped population without a
            store, which knows nobody.

    Raises:
        ConfigError: the model knows nobody while unknown users are refused, a setting is wrong, or the model
            lacks what one needs.
        DataError: the folder holds no checkpoint that can be read, or the store is not there.
        StoreError: the store cannot be opened.
    """
    from reward_models import POPULATION

    if model is not None and not isinstance(model, str | Path):
        given: dict[str, Any] = {name: it for name, it in settings.items() if it is not None}
        return ScalarRewards(model, Settings(**given))
    named = str(model or os.environ.get(MODEL_VARIABLE) or POPULATION)
    if unknown := settings.keys() - SETTING_VARIABLES.keys():
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
    found = {
        name: os.environ.get(variable) if settings.get(name) in (None, "") else settings.get(name)
        for name, variable in SETTING_VARIABLES.items()
    }
    store = profiles or os.environ.get(PROFILES_VARIABLE) or None
    if named == str(POPULATION) and store is None:
        found["unknown_user"] = found["unknown_user"] or "population"
    read = {name: parsed(name, value) for name, value in found.items() if value not in (None, "")}
    return _opened(named, store, Settings(**read))


@lru_cache(maxsize=8)
def _opened(name: str, profiles: str | None, settings: Settings) -> ScalarRewards:
    from reward_models import POPULATION

    if name == str(POPULATION):
        _log.warning(
            "no reward model is named: the shipped population answers, for all users alike unless a store "
            "knows them. Name one with model=DIR or %s; variables of a driver do not reach the workers of a "
            "Ray cluster that already runs, a file with reward_function(model=DIR) does",
            MODEL_VARIABLE,
        )
    if profiles is None:
        return _with_users(name, open_rewards(name), settings)
    from synthesizeme.profiles import StoredProfiles, open_store

    store = open_store(profiles, create=False)
    try:
        model = open_rewards(name, lambda: StoredProfiles(store))
        fit_stored(model, store)
        return _with_users(name, model, settings)
    except BaseException:
        store.close()
        raise


def _with_users(name: str, model: PersonalRewards, settings: Settings) -> ScalarRewards:
    if not model.users_ and settings.unknown_user == "refuse":
        raise ConfigError(
            f"{name} knows no user and unknown users are refused, so nobody could be scored. Cure: name a "
            f"store with their profiles or pairs (profiles=URL, or {PROFILES_VARIABLE}), or set unknown_user "
            "to 'population'"
        )
    return ScalarRewards(model, settings)
