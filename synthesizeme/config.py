"""One TOML file whose keys are the flags of the command line.

    seed = 7                      # a key at the top applies to every verb that has such a flag
    [induce-persona]
    model = "openai/gpt-4o-mini"  # a table is for one verb
    budget-calls = 200
    [data.convert]                # a verb of two words; [data] is for all verbs that begin so
    skip-bad-rows = true
    [train.params]                # a flag that takes NAME=VALUE is a table
    rank = 10

The nearest table wins, and flags on the command line win over the file. Dashes and underscores are the same.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from synthesizeme.errors import ConfigError
from synthesizeme.plain_text import short_repr

Kind = Literal["text", "whole number", "number", "true or false", "list of texts", "table of values"]


@dataclass(frozen=True)
class Setting:
    """What a flag takes."""

    kind: Kind
    """Kind of value."""
    choices: tuple[str, ...] = ()
    """Texts it may be; empty for any."""

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value for it, or None."""
        if not _is_of(self.kind, value):
            return f"is {short_repr(value)}; expected {self.kind}"
        if self.choices and value not in self.choices:
            return f"is {short_repr(value)}; expected one of {', '.join(self.choices)}"
        return None

    def taken(self, value: Any) -> Any:
        """A valid value as the flag takes it: one text for a list is a list of one, a table is NAME=VALUE."""
        if self.kind == "table of values":
            return list(_assignments(value))
        return [value] if self.kind == "list of texts" and isinstance(value, str) else value


Verbs = Mapping[str, Mapping[str, Setting]]
"""Settings by flag (without dashes in front) by verb, e.g. ``data convert``."""


def load_config(path: str | Path, verb: str, verbs: Verbs) -> dict[str, Any]:
    """The values that a config file gives to the flags of `verb`.

    Args:
        path: The TOML file.
        verb: Verb that runs.
        verbs: Every verb with its flags; the whole file is checked against them, not only `verb`.

    Returns:
        Values by flag, spelled with dashes.

    Raises:
        ConfigError: the file cannot be read, or keys are unknown or values of the wrong kind; all at once.
    """
    problems: list[str] = []
    found: list[tuple[int, str, Any]] = []
    for table, key, value in _entries(_read(Path(path)), verbs):
        flag = key.replace("_", "-")
        known = {
            name: it for owner, flags in verbs.items() if _covers(table, owner) for name, it in flags.items()
        }
        if flag not in known:
            problems.append(f"{path}: {_place(table)}{key}: {_unknown(flag, table, known, verbs)}")
        elif problem := known[flag].problem(value):
            problems.append(f"{path}: {_place(table)}{key} {problem}")
        elif _covers(table, verb) and flag in verbs[verb]:
            found.append((len(table.split()), flag, known[flag].taken(value)))
    if problems:
        raise ConfigError(problems)
    return {flag: value for _, flag, value in sorted(found, key=lambda entry: entry[0])}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from None


def _entries(document: Mapping[str, Any], verbs: Verbs, table: str = "") -> Iterator[tuple[str, str, Any]]:
    """(verb or nothing, key, value); tables that name a verb or the beginning of one are entered."""
    for key, value in document.items():
        name = f"{table} {key.replace('_', '-')}".strip()
        if isinstance(value, dict) and any(_covers(name, verb) for verb in verbs):
            yield from _entries(value, verbs, name)
        else:
            yield table, key, value


def _covers(table: str, verb: str) -> bool:
    """Whether a table speaks to a verb: its own, that of its group, or the top of the file."""
    return not table or verb == table or verb.startswith(f"{table} ")


def _place(table: str) -> str:
    return f"[{table.replace(' ', '.')}] " if table else ""


def _unknown(flag: str, table: str, known: Mapping[str, Setting], verbs: Verbs) -> str:
    below = [verb.removeprefix(table).split()[0] for verb in verbs if _covers(table, verb) and verb != table]
    close = difflib.get_close_matches(flag, [*known, *below], n=1)
    owner = f"{table!r} has no such flag" if table else "no verb has such a flag or name"
    return f"{owner}; did you mean {close[0]!r}?" if close else f"{owner}; see --help"


def _is_of(kind: Kind, value: Any) -> bool:
    if kind == "true or false":
        return isinstance(value, bool)
    if kind == "list of texts":
        return isinstance(value, str) or (
            isinstance(value, list) and all(isinstance(item, str) for item in value)
        )
    if kind == "table of values":
        return isinstance(value, dict) and all(
            isinstance(item, str | int | float) or _is_of(kind, item) for item in value.values()
        )
    if isinstance(value, bool):
        return False
    return isinstance(value, {"text": str, "whole number": int, "number": int | float}[kind])


def _assignments(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """``NAME=VALUE`` of a table, ``TABLE.NAME=VALUE`` of one inside it."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _assignments(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={str(value).lower() if isinstance(value, bool) else value}"
