"""The pages of the command line, made from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer.main

from synthesizeme.cli._apps import full_app

Command = Any
Parameter = Any
"""Typer keeps the types of what it makes to itself."""
ABOUT = """# Command line

`synthesizeme VERB`; `induce-persona` is a command of its own as well. Made from the code: what stands
here is what `--help-all` says; `--help` fits a screen. All verbs take `--json`, and `--config
FILE.toml`, whose keys are the flags. A flag has one meaning in all of them: `--model` is a language
model, `--reward-model` a checkpoint, `--data` pairs, `--history` one user's own, `--store` where
profiles are, `--scorers` who is measured, `--out` where results go. What is at `--out` is replaced with
`--force` alone, unless it is the command's own earlier result for the same user, model or data. Exit
status: 0 done, 1 failed, 2 wrong usage."""


def pages() -> dict[str, str]:
    """A page for each verb in the order of `--help`, after one that lists them."""
    root = typer.main.get_command(full_app())
    found = {"command-line/index.md": _index(root)}
    for name, command in root.commands.items():
        verbs = list(_verbs(command, f"synthesizeme {name}"))
        found[f"command-line/{name}.md"] = f"# {name}\n\n" + "\n".join(
            _verb(verb, usage, deeper=len(verbs) > 1) for usage, verb in verbs
        )
    return found


def _verbs(command: Command, usage: str) -> Iterator[tuple[str, Command]]:
    """A command, or those of a group, each with what is typed for it."""
    yield usage, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _verbs(inner, f"{usage} {name}")


def _index(root: Command) -> str:
    rows = [
        f"| [`{usage}`]({name}.md) | {_cell(command.get_short_help_str(400))} |"
        for name, group in root.commands.items()
        for usage, command in _verbs(group, name)
    ]
    return "\n".join([ABOUT, "", "| verb | does |", "|---|---|", *rows, ""])


def _verb(command: Command, usage: str, *, deeper: bool) -> str:
    """What one command does, and its arguments and options by their panels."""
    context = typer.Context(command, info_name=usage)
    group = hasattr(command, "commands")
    lines = [] if group or not deeper else [f"## {usage.removeprefix('synthesizeme ')}", ""]
    lines += [_text(command.help or ""), ""]
    if group:
        return "\n".join(lines)
    lines += ["```", " ".join([usage, *command.collect_usage_pieces(context)]), "```", ""]
    panels: dict[str, list[str]] = {}
    for option in command.get_params(context):
        if "--help" not in option.opts and not option.hidden:
            kind = "Arguments" if option.param_type_name == "argument" else "Options"
            panels.setdefault(option.rich_help_panel or kind, []).append(_row(option, context))
    for panel, rows in panels.items():
        lines += [f"**{panel}**", "", "| | |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _row(option: Parameter, context: typer.Context) -> str:
    if option.param_type_name == "argument":
        name = f"`{option.display_name_raw}`"
    else:
        shape = option.display_type_rich(ctx=context)
        name = " ".join(f"`{it}`" for it in (*option.opts, *option.secondary_opts))
        name += "" if shape in (None, "<bool>") else f" `{shape}`"
    default = (
        "" if option.default in (None, False, (), []) or callable(option.default) else _plain(option.default)
    )
    more = " Required." if option.required else f" Default: `{default}`." if default else ""
    return f"| {name} | {_cell(option.help or '')}{more} |"


def _plain(value: object) -> str:
    value = getattr(value, "value", value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _cell(text: str) -> str:
    return _text(" ".join(text.split()))


def _text(text: str) -> str:
    """Help as Markdown: what looks like a tag, a link or emphasis is text, and code stands in backticks."""
    pieces = re.split(r"(`[^`]*`)", text.replace("\b\n", ""))
    return "".join(
        piece if at % 2 else re.sub(r"([<*_|\[\]])", r"\\\1", piece) for at, piece in enumerate(pieces)
    )
