"""Verbs for typer: groups of flags, a line for each flag, help that fits a screen, defaults from a file.

A verb takes dataclasses whose fields are flags (`option`, `argument`), and `verb` spreads them:

    @dataclass(frozen=True)
    class Size:
        width: int = option(3, "Columns of the page.", "N", min=1)  # --width N

    @verb
    def draw(size: Size, page: str = argument(..., "What is drawn.", "PAGE")) -> None: ...
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand
from typer.models import OptionInfo

from synthesizeme.config import Kind, Setting, load_config

APPLICATION = "application"
"""Under which the state of a run has the application with all verbs, whose flags a file may name."""
ASSIGNMENT = "NAME=VALUE"
"""Metavar of a flag that is a table in the file."""
_NOT_SETTINGS = frozenset({"config", "help", "help-all", "diff"})
_KINDS: dict[Any, Kind] = {int: "whole number", float: "number", bool: "true or false"}
_DECLARED = "declared"
_EVERYTHING = "synthesizeme.everything"


def option(
    default: Any,
    help: str,
    metavar: str | None = None,
    *,
    panel: str | None = None,
    name: str = "",
    **more: Any,
) -> Any:
    """A flag, called as the field or parameter that it stands for: ``budget_calls`` is ``--budget-calls``.

    Args:
        default: Its value where it is not given; ``...`` if it must be.
        help: What it does; the first sentence stands in ``--help``, all of it in ``--help-all``.
        metavar: What stands for its value in the help.
        panel: Heading under which ``--help-all`` shows it; what has one is not in ``--help``.
        name: Its name, where it is another.
        **more: Further arguments of `typer.Option`, such as ``min``.
    """
    made = {"help": help, "metavar": metavar, "rich_help_panel": panel, **more}
    return field(
        default=MISSING if default is ... else default, metadata={_DECLARED: (typer.Option, name, made)}
    )


def argument(default: Any, help: str, metavar: str, **more: Any) -> Any:
    """What is told by its place alone. See `option`."""
    made = {"help": help, "metavar": metavar, **more}
    return field(
        default=MISSING if default is ... else default, metadata={_DECLARED: (typer.Argument, "", made)}
    )


def verb(function: Callable[..., None]) -> Callable[..., None]:
    """Replace every parameter of `function` whose type is a dataclass by the fields of that dataclass."""
    hints = get_type_hints(function, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    parameters = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            parameters += _parameters(groups[name])
        else:
            parameters.append(_parameter(name, parameter.default, hints[name]))

    def call(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{item.name: values.pop(item.name) for item in fields(group)})
        function(**values)

    call.__name__, call.__doc__, call.__module__ = function.__name__, function.__doc__, function.__module__
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return call


def add(app: typer.Typer, name: str, function: Callable[..., None]) -> None:
    """Give a command a verb; each paragraph of its docstring is one of the help."""
    paragraphs = (" ".join(part.split()) for part in (function.__doc__ or "").split("\n\n"))
    app.command(name, cls=Verb, help="\n\n".join(paragraphs))(function)


class Verb(TyperCommand):
    """A verb whose ``--help`` is its first paragraph and the flags that stand under no heading."""

    def format_help_text(self, context: Any, formatter: Any) -> None:
        """What it does."""
        paragraphs = (self.help or "").split("\n\n")
        with formatter.indentation():
            for text in paragraphs if _EVERYTHING in context.meta else paragraphs[:1]:
                formatter.write_paragraph()
                formatter.write_text(text)

    def format_options(self, context: Any, formatter: Any) -> None:
        """Its arguments and flags, by heading."""
        everything = _EVERYTHING in context.meta
        found: dict[str, list[tuple[str, str]]] = {}
        left = 0
        parameters: list[Any] = list(self.get_params(context))
        for parameter in parameters:
            panel = getattr(parameter, "rich_help_panel", None)
            record = parameter.get_help_record(context)
            if record is None or parameter.hidden:
                continue
            if panel and not everything:
                left += 1
                continue
            heading = "Arguments" if parameter.param_type_name == "argument" else panel or "Options"
            found.setdefault(heading, []).append(record if everything else _briefly(*record))
        for heading in sorted(found, key=lambda heading: heading != "Arguments"):
            with formatter.section(heading):
                formatter.write_dl(found[heading])
        if left:
            with formatter.indentation():
                formatter.write_paragraph()
                formatter.write_text(
                    f"--help-all shows {left} further options, and all there is to say of these."
                )


def show_everything(context: typer.Context, value: bool) -> bool:
    """Print the help with every option, and end."""
    if value:
        context.meta[_EVERYTHING] = True
        typer.echo(context.get_help())
        raise typer.Exit
    return value


def apply_config_file(context: typer.Context, value: Path | None) -> Path | None:
    """Read the file before the other flags are looked at, and make its values their defaults."""
    if value is None:
        return None
    app: typer.Typer = context.obj[APPLICATION]
    parameters = {name: dict(flags_of(function)) for name, function in verbs(app)}
    settings = {
        name: {flag: setting for flag, (_, setting) in found.items()} for name, found in parameters.items()
    }
    running = _running_verb(context)
    values = load_config(value, running, settings)
    context.default_map = {parameters[running][flag][0]: given for flag, given in values.items()}
    return value


def verbs(app: typer.Typer, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every verb of an app, ``data convert`` for one in a group, with the function behind it."""
    for command in app.registered_commands:
        if command.callback is not None and command.name:
            yield f"{prefix}{command.name}", command.callback
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from verbs(group.typer_instance, f"{prefix}{group.name} ")


def flags_of(function: Callable[..., Any]) -> Iterator[tuple[str, tuple[str, Setting]]]:
    """(flag without dashes in front, (name of the parameter, what it takes)) of every flag of a verb."""
    for name, hint in function.__annotations__.items():
        kind, declared = (*get_args(hint), None, None)[:2]
        if not isinstance(declared, OptionInfo):
            continue
        flag = str(declared.default).removeprefix("--").partition("/")[0]
        if flag not in _NOT_SETTINGS:
            yield (
                flag,
                (name, Setting("table of values") if declared.metavar == ASSIGNMENT else _setting(kind)),
            )


def _briefly(names: str, help: str) -> tuple[str, str]:
    """A flag, its help up to the first full stop, semicolon or colon, and its default."""
    text, bracket, default = help.rpartition("  [")
    text = text if bracket else help
    first = re.split(r"(?<!e\.g)[.;:](?: |$)", text)[0]
    return names, first + (f" [{default}" if bracket else "")


def _running_verb(context: typer.Context) -> str:
    names: list[str] = []
    link: Any = context
    while link is not None:
        names.insert(0, link.info_name or "")
        link = link.parent
    return " ".join(names[1:]) or "induce-persona"


@cache
def _parameters(group: type[Any]) -> list[inspect.Parameter]:
    """One for every field of a dataclass, which many verbs may have in common."""
    hints = get_type_hints(group, include_extras=True)
    return [_parameter(item.name, item, hints[item.name]) for item in fields(group)]


def _parameter(name: str, declared: Any, hint: Any) -> inspect.Parameter:
    """What typer makes a flag or an argument of; a context is handed on as it is."""
    default, annotation = inspect.Parameter.empty, hint
    if isinstance(declared, Field):
        maker, called, made = declared.metadata[_DECLARED]
        names = [called or f"--{name.replace('_', '-')}"] if maker is typer.Option else []
        default = default if declared.default is MISSING else declared.default
        annotation = Annotated[hint, maker(*names, **made)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _setting(annotation: Any) -> Setting:
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    if get_origin(annotation) is Literal:
        return Setting("text", tuple(get_args(annotation)))
    if get_origin(annotation) is list:
        return Setting("list of texts")
    return Setting(_KINDS.get(annotation, "text"))
