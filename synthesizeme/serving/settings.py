"""What an adapter may be told: who is answered, how cautiously, on which scale, and on which floor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from synthesizeme.errors import ConfigError, UnknownNameError
from synthesizeme.scoring import PersonalRewards
from synthesizeme.serving.stripping import ALL, KINDS, NONE, read_strip

_WORDS = {"unknown_user": ("refuse", "population"), "on_error": ("raise", "population")}
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Settings:
    """What every adapter honours.

    With s the standard error of a reward r = taste + floor, what is given is

        value = r - pessimism * s,                         and, where it is to be normalised,
        value = clip((r - pessimism * s - m) / scale),     m = mean - pessimism * mean standard error,

    with `synthesizeme.scoring.RewardScale` of the model's training answers, whose values have mean zero then.
    Taste and floor are told beside it as the model has them, and are then not its two parts.

    Raises:
        ConfigError: a setting has another value; lists all problems.
    """

    unknown_user: Literal["refuse", "population"] = "refuse"
    """A user the model does not know: no value, or the population's."""
    on_error: Literal["raise", "population"] = "population"
    """A row that cannot be scored: an exception, or the population's value where there is one."""
    pessimism: float = 0.0
    """Standard errors that are taken off a reward, 0 or more."""
    normalize: bool = False
    """Whether rewards are brought to mean zero and standard deviation one over the training answers."""
    clip: float | None = None
    """Largest absolute value of a normalised reward, in units of the scale; None: no limit. It also bounds
    how far below any answer lies what is none."""
    floor: str | None = None
    """What rewards stand on, ``base``, ``none`` or ``lm:NAME``; None: what the model stands on."""
    strip: str = ALL
    """What is not scored: ``all``, ``none``, or some of ``template``, ``thoughts`` and ``tokens`` joined by
    ``+`` (`synthesizeme.serving.stripping`)."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)!r}; expected {' or '.join(values)}"
            for name, values in _WORDS.items()
            if getattr(self, name) not in values
        ]
        if not (_is_number(self.pessimism) and 0 <= self.pessimism < math.inf):
            problems.append(
                f"pessimism is {self.pessimism!r}; expected a number of standard errors from 0 on"
            )
        if not isinstance(self.normalize, bool):
            problems.append(f"normalize is {self.normalize!r}; expected True or False")
        if self.clip is not None and not (_is_number(self.clip) and 0 < self.clip < math.inf):
            problems.append(f"clip is {self.clip!r}; expected a number above 0, in units of the scale")
        elif self.clip is not None and not self.normalize:
            problems.append("clip is in units of the scale; give normalize too")
        if self.floor is not None:
            problems += _no_floor(self.floor)
        if not isinstance(self.strip, str) or read_strip(self.strip) is None:
            problems.append(
                f"strip is {self.strip!r}; expected {ALL}, {NONE}, or some of {', '.join(KINDS)} joined by +"
            )
        if problems:
            raise ConfigError(problems)

    def check(self, model: PersonalRewards) -> None:
        """Refuse what a model cannot do.

        Raises:
            ConfigError: it has no standard errors and is to be pessimistic, or no scale and is to be
                normalised; lists all problems.
        """
        problems = []
        if self.pessimism and not model.standard_errors:
            problems.append(without_standard_errors(model.name))
        if self.normalize and model.reward_scale is None:
            problems.append(
                f"{model.name} knows no mean and scale of the rewards of training answers, which normalize "
                "needs: it was not trained here, or its rewards do not vary; leave normalize out, or train a "
                "reward model"
            )
        if problems:
            raise ConfigError(problems)


class GivenSettings(TypedDict, total=False):
    """Fields of `Settings` as an adapter is given them, values or their text; None leaves the default."""

    unknown_user: str | None
    on_error: str | None
    pessimism: float | str | None
    normalize: bool | str | None
    clip: float | str | None
    floor: str | None
    strip: str | None


def without_standard_errors(name: str) -> str:
    """What is said where standard errors are asked of a model that has none."""
    return (
        f"{name} has no standard errors, which pessimism needs; leave pessimism at 0, or use hierarchical, "
        "hierarchical-stylometric or judge:NAME"
    )


def parsed(name: str, value: Any) -> Any:
    """A setting that may have been written as text, as in an environment variable.

    Raises:
        ConfigError: the text is none of the setting's.
    """
    if not isinstance(value, str) or name in _WORDS or name in ("floor", "strip"):
        return value
    if name == "normalize":
        if value.strip().lower() not in _TRUTH:
            raise ConfigError(f"normalize is {value!r}; expected true or false")
        return _TRUTH[value.strip().lower()]
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"{name} is {value!r}; expected a number") from None


def _no_floor(name: str) -> list[str]:
    from reward_models.floor import check_name

    try:
        check_name(name)
    except UnknownNameError as error:
        return [str(error)]
    return []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
