"""``params.NAME=VALUE``: the keyword arguments of a reward model on the command line and in a TOML file.

What there is to set is read off the class: names, types and defaults from its constructor, explanations from
the ``Args:`` of its docstring. A method added as one file has its settings here without another line.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from synthesizeme.cli._command import ASSIGNMENT, argument, option
from synthesizeme.errors import ConfigError
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from reward_models import RewardModel

PREFIX = "params."
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_PLAIN = {int: "whole number", float: "number", bool: "true or false", str: "text", Path: "path"}
_ENTRY = re.compile(r"^ {4}(\w+(?:, \w+)*)(?: \([^)]*\))?: *(.*)$")


@dataclass(frozen=True)
class MethodParameter:
    """One keyword argument of a method."""

    name: str
    annotation: Any
    default: Any
    """`inspect.Parameter.empty` where there is none."""
    help: str
    """From the docstring; may be empty."""

    @property
    def kind(self) -> str:
        """What it takes, in words."""
        return " or ".join(_words(part) for part in _alternatives(self.annotation))

    @property
    def settable(self) -> bool:
        """Whether a text can say it."""
        return all(_is_plain(part) for part in _alternatives(self.annotation))

    @property
    def shown_default(self) -> str:
        """The default as it would be typed."""
        if self.default is inspect.Parameter.empty:
            return "required"
        if isinstance(self.default, bool) or self.default is None:
            return str(self.default).lower()
        if isinstance(self.default, tuple | list):
            return ",".join(map(str, self.default))
        return str(self.default)

    def read(self, text: str) -> Any:
        """The value of a text.

        Raises:
            ValueError: it is not of the kind expected.
        """
        for part in sorted(_alternatives(self.annotation), key=_rank):
            with suppress(ValueError):
                return _read(part, text)
        raise ValueError(f"found {printable(text, 60)!r}; expected {self.kind}")


def params_argument(shape: str, example: str) -> Any:
    """The argument of a verb that takes ``params.…``, of this shape."""
    return argument(
        None, f"Arguments of a reward model, e.g. {example}; tables `params` of a --config file.", shape
    )


def params_table() -> Any:
    """The same as a table of a --config file."""
    return option(None, "The same, for files.", ASSIGNMENT, name="--params", hidden=True)


def method_settings(method: type[RewardModel]) -> dict[str, MethodParameter]:
    """What can be set of a method, by name: its own arguments first, those of its bases after them."""
    from reward_models import method_parameters

    explained = _explained(method)
    found = {
        name: MethodParameter(name, parameter.annotation, parameter.default, explained.get(name, ""))
        for name, parameter in method_parameters(method).items()
    }
    return {name: it for name, it in found.items() if name not in method.unsaved and it.settable}


def assignments(words: Sequence[str], table: Sequence[str] = ()) -> dict[str, str]:
    """Texts by name from ``params.NAME=VALUE`` words and, under them, ``NAME=VALUE`` of a config file.

    Raises:
        ConfigError: a word is not of this form, or a name is given twice; lists all of them.
    """
    given, problems = dict(_parted(item) for item in table), []
    seen: set[str] = set()
    for word in words:
        name, value = _parted(word)
        if not name.startswith(PREFIX) or name == PREFIX or "=" not in word:
            problems.append(f"{printable(word, 60)!r}: expected {PREFIX}NAME=VALUE")
            continue
        name = name.removeprefix(PREFIX)
        if name in seen:
            problems.append(f"{PREFIX}{printable(name, 60)} is given twice")
        seen.add(name)
        given[name] = value
    if problems:
        raise ConfigError(problems)
    return given


def by_method(given: Mapping[str, str], methods: Sequence[str]) -> dict[str, dict[str, str]]:
    """Texts by method and name, from names of the form ``SCORER.NAME``.

    Raises:
        ConfigError: a name has no scorer in front, or one that is not among `methods`; lists all of them.
    """
    found: dict[str, dict[str, str]] = {name: {} for name in methods}
    problems = []
    for key, value in given.items():
        owner, dot, name = key.partition(".")
        if not dot or owner not in found:
            expected = f"{PREFIX}SCORER.NAME=VALUE, SCORER being one of {', '.join(methods)}"
            problems.append(f"{PREFIX}{printable(key, 60)}: expected {expected}")
        else:
            found[owner][name] = value
    if problems:
        raise ConfigError(problems)
    return found


def method_arguments(
    name: str, method: type[RewardModel], given: Mapping[str, str], *, prefix: str = PREFIX
) -> dict[str, Any]:
    """Keyword arguments for a method, from texts.

    Args:
        name: Name of the method, for messages.
        method: Its class.
        given: Texts by argument; dashes and underscores are the same.
        prefix: What stood before the names, for messages.

    Raises:
        ConfigError: a name is unknown or a value of the wrong kind; lists all of them.
    """
    known = method_settings(method)
    values: dict[str, Any] = {}
    problems = []
    for key, text in given.items():
        argument = key.replace("-", "_")
        if argument not in known:
            names = ", ".join(known)
            problems.append(f"{prefix}{printable(key, 60)}: {name} has no such argument; it has {names}")
            continue
        try:
            values[argument] = known[argument].read(text)
        except ValueError as error:
            problems.append(f"{prefix}{key}: {error}")
    if problems:
        raise ConfigError(problems)
    return values


def _parted(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return name.strip(), value.strip()


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _rank(part: Any) -> int:
    """Texts are tried last, since everything is one."""
    order = (NoneType, Literal, bool, int, float, tuple, list, Path, str)
    kind = get_origin(part) or part
    return next((place for place, it in enumerate(order) if kind is it), 0)


def _is_plain(part: Any) -> bool:
    if get_origin(part) in (tuple, list, Sequence):
        return all(item is Ellipsis or item in _PLAIN for item in get_args(part))
    return part in (*_PLAIN, NoneType) or get_origin(part) is Literal


def _words(part: Any) -> str:
    if part is NoneType:
        return "none"
    if get_origin(part) is Literal:
        return " or ".join(str(choice) for choice in get_args(part))
    if get_origin(part) in (tuple, list, Sequence):
        return f"{_PLAIN.get(get_args(part)[0], 'text')}s with commas between"
    return _PLAIN.get(part, str(part))


def _read(part: Any, text: str) -> Any:
    if part is NoneType or part is bool:
        table: dict[str, Any] = {"none": None} if part is NoneType else _TRUTH
        if text.lower() not in table:
            raise ValueError(text)
        return table[text.lower()]
    if get_origin(part) is Literal:
        choices = {str(choice): choice for choice in get_args(part)}
        if text not in choices:
            raise ValueError(text)
        return choices[text]
    if get_origin(part) in (tuple, list, Sequence):
        items = (_read(get_args(part)[0], item.strip()) for item in text.split(",") if item.strip())
        return list(items) if get_origin(part) is list else tuple(items)
    value = part(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(text)
    return value


def _explained(method: type[RewardModel]) -> dict[str, str]:
    """Explanations by argument, from the ``Args:`` of a class and of its bases."""
    found: dict[str, str] = {}
    for owner in method.__mro__:
        for name, text in _entries(inspect.cleandoc(owner.__doc__ or "").splitlines()):
            if not text.startswith("See "):
                found.setdefault(name, text.replace("`", ""))
    return found


def _entries(lines: Iterable[str]) -> list[tuple[str, str]]:
    """(name, text) of the ``Args:`` section of a Google docstring; a text may go on over further lines."""
    entries: list[tuple[str, str]] = []
    inside = False
    for line in lines:
        if line == "Args:":
            inside = True
        elif inside and line and not line.startswith(" "):
            break
        elif inside and (match := _ENTRY.match(line)):
            entries.append((match[1], match[2]))
        elif inside and line and entries:
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
    return entries
