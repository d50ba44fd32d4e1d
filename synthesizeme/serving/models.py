"""What gives the rewards, by name: a checkpoint folder, or a language model that rates.

    judge:NAME[@URL][?choices=8&concurrency=64]

NAME is a model as on the command line (``builtin``, ``openai/...``), URL an OpenAI-compatible server. See
`synthesizeme.judges.rating.JudgeRewards` for ``choices``. Either stands on a floor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

from synthesizeme.errors import ConfigError
from synthesizeme.profile import UserProfile
from synthesizeme.scoring import PersonalRewards

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
