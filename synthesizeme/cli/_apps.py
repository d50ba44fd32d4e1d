"""The two commands, put together from the verbs."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import typer

from synthesizeme.cli._groups import flowing
from synthesizeme.cli.ask import ask
from synthesizeme.cli.compare import compare
from synthesizeme.cli.data import app as data_app
from synthesizeme.cli.doctor import doctor
from synthesizeme.cli.evaluate import evaluate
from synthesizeme.cli.export import export
from synthesizeme.cli.induce_persona import induce_persona
from synthesizeme.cli.judge import judge
from synthesizeme.cli.profiles import app as profiles_app
from synthesizeme.cli.prompts import app as prompts_app
from synthesizeme.cli.score import score
from synthesizeme.cli.serve import serve
from synthesizeme.cli.simulate import simulate
from synthesizeme.cli.train import train
from synthesizeme.cli.vectors import app as vectors_app

_ABOUT = """Personas, personalized judges and their evaluation, from one user's preference pairs.

The default model, builtin, is a rule-based reader, not a language model: no download, no key.
"""


def _print_version(value: bool) -> None:
    if value:
        from synthesizeme.version import __version__

        typer.echo(__version__)
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Take the flags that stand before a verb."""


def _new_app() -> typer.Typer:
    app = typer.Typer(name="synthesizeme", help=_ABOUT, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_root)
    return app


@cache
def full_app() -> typer.Typer:
    """`synthesizeme` with all its verbs; put together once in a process."""
    app = _new_app()
    app.command("induce-persona", help=flowing(induce_persona))(induce_persona)
    app.command("judge", help=flowing(judge))(judge)
    app.command("evaluate", help=flowing(evaluate))(evaluate)
    app.command("train", help=flowing(train))(train)
    app.command("compare", help=flowing(compare))(compare)
    app.command("score", help=flowing(score))(score)
    app.command("serve", help=flowing(serve))(serve)
    app.command("export", help=flowing(export))(export)
    app.command("simulate", help=flowing(simulate))(simulate)
    app.command("ask", help=flowing(ask))(ask)
    app.add_typer(data_app(), name="data")
    app.add_typer(prompts_app(), name="prompts")
    app.add_typer(profiles_app(), name="profiles")
    app.add_typer(vectors_app(), name="vectors")
    app.command("doctor", help=flowing(doctor))(doctor)
    return app


@cache
def app_for(word: str | None) -> typer.Typer:
    """`full_app` with the one verb or group that a command line begins with; all of it for any other word.

    Typer reads every flag of every verb that it is given, which takes longer than many a verb itself.
    """
    whole = full_app()
    commands = [command for command in whole.registered_commands if command.name == word]
    groups = [group for group in whole.registered_groups if group.name == word]
    if not commands and not groups:
        return whole
    part = _new_app()
    part.registered_commands, part.registered_groups = commands, groups
    return part


@cache
def induce_persona_app() -> typer.Typer:
    """`induce-persona` alone."""
    app = typer.Typer(name="induce-persona", add_completion=False, pretty_exceptions_enable=False)
    app.command("induce-persona", help=flowing(induce_persona))(induce_persona)
    return app
