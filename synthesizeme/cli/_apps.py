"""The two commands, put together from the verbs."""

from __future__ import annotations

from typing import Annotated

import typer

from synthesizeme.cli import data, doctor, evaluate, induce_persona, judge, prompts

_ABOUT = """Personas, personalized judges and their evaluation, from one user's preference pairs.

The default model, builtin, is a rule-based reader, not a language model: no download, no key.
"""


def _print_version(value: bool) -> None:
    if value:
        from synthesizeme import __version__

        typer.echo(__version__)
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Take the flags that stand before a verb."""


def full_app() -> typer.Typer:
    """`synthesizeme` with all its verbs."""
    app = typer.Typer(name="synthesizeme", help=_ABOUT, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_root)
    app.command("induce-persona")(induce_persona.induce_persona)
    app.command("judge")(judge.judge)
    app.command("evaluate")(evaluate.evaluate)
    app.add_typer(data.app(), name="data")
    app.add_typer(prompts.app(), name="prompts")
    app.command("doctor")(doctor.doctor)
    return app


def induce_persona_app() -> typer.Typer:
    """`induce-persona` alone."""
    app = typer.Typer(name="induce-persona", add_completion=False, pretty_exceptions_enable=False)
    app.command("induce-persona")(induce_persona.induce_persona)
    return app
