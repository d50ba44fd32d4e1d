"""``--config FILE.toml``: what the file says becomes the default of the flags of the verb that runs."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from synthesizeme.config import Kind, Setting, load_config

NOT_SETTINGS = frozenset({"config", "help", "diff"})
APPLICATION = "application"
"""Under which the state of a run has the application with all verbs, whose flags a file may name."""
ASSIGNMENT = "NAME=VALUE"
"""Metavar of a flag that is a table in the file."""
_KINDS: dict[Any, Kind] = {int: "whole number", float: "number", bool: "true or false"}


def apply_config_file(context: typer.Context, value: Path | None) -> Path | None:
    """Read the file before the other flags are looked at, and make its values their defaults."""
    if value is None:
        return None
    app: typer.Typer = context.obj[APPLICATION]
    parameters = {verb: dict(_parameters(function)) for verb, function in verbs(app)}
    settings = {
        verb: {flag: setting for flag, (_, setting) in found.items()} for verb, found in parameters.items()
    }
    verb = _running_verb(context)
    values = load_config(value, verb, settings)
    context.default_map = {parameters[verb][flag][0]: given for flag, given in values.items()}
    return value


def verbs(app: typer.Typer, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every verb of an app, ``data convert`` for one in a group, with the function behind it."""
    for command in app.registered_commands:
        if command.callback is not None and command.name:
            yield f"{prefix}{command.name}", command.callback
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from verbs(group.typer_instance, f"{prefix}{group.name} ")


def _running_verb(context: typer.Context) -> str:
    names: list[str] = []
    link: Any = context
    while link is not None:
        names.insert(0, link.info_name or "")
        link = link.parent
    return " ".join(names[1:]) or "induce-persona"


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[str, tuple[str, Setting]]]:
    """(flag without dashes in front, (name of the parameter, what it takes)) of every flag of a verb."""
    for name, hint in get_type_hints(function, include_extras=True).items():
        if get_origin(hint) is not Annotated:
            continue
        annotation, *extras = get_args(hint)
        for extra in extras:
            # Inside Annotated, typer keeps the first name of a flag where a default would stand.
            for declared in (getattr(extra, "default", None), *(getattr(extra, "param_decls", None) or ())):
                flag = str(declared).removeprefix("--").partition("/")[0]
                if str(declared).startswith("--") and flag not in NOT_SETTINGS:
                    is_table = getattr(extra, "metavar", None) == ASSIGNMENT
                    yield flag, (name, Setting("table of values") if is_table else _setting(annotation))


def _setting(annotation: Any) -> Setting:
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    if get_origin(annotation) is Literal:
        return Setting("text", tuple(get_args(annotation)))
    if get_origin(annotation) is list:
        return Setting("list of texts")
    return Setting(_KINDS.get(annotation, "text"))
