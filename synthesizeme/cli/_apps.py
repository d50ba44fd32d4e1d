"""The two commands, put together from the verbs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import typer

from synthesizeme.cli import data, persona, profiles, prompts, vectors
from synthesizeme.cli._command import add, option, verb
from synthesizeme.cli.ask import ask
from synthesizeme.cli.compare import compare
from synthesizeme.cli.doctor import doctor
from synthesizeme.cli.evaluate import evaluate
from synthesizeme.cli.export import export
from synthesizeme.cli.induce_persona import induce_persona
from synthesizeme.cli.judge import judge
from synthesizeme.cli.page import page
from synthesizeme.cli.score import score
from synthesizeme.cli.serve import serve
from synthesizeme.cli.simulate import simulate
from synthesizeme.cli.train import train

_ABOUT = """Personas, personalized judges and their evaluation, from one user's preference pairs.

The default model, builtin, is a rule-based reader, not a language model: no download, no key.
"""
_VERBS: dict[str, Callable[..., None] | tuple[str, dict[str, Callable[..., None]]]] = {
    "induce-persona": induce_persona,
    "judge": judge,
    "evaluate": evaluate,
    "train": train,
    "compare": compare,
    "score": score,
    "serve": serve,
    "page": page,
    "export": export,
    "simulate": simulate,
    "ask": ask,
    "data": (data.HELP, data.VERBS),
    "prompts": (prompts.HELP, prompts.VERBS),
    "persona": (persona.HELP, persona.VERBS),
    "profiles": (profiles.HELP, profiles.VERBS),
    "vectors": (vectors.HELP, vectors.VERBS),
    "doctor": doctor,
}
"""What stands behind each word: a verb, or a group of verbs and what it is for."""


def _print_version(value: bool) -> None:
    if value:
        from synthesizeme.version import __version__

        typer.echo(__version__)
        raise typer.Exit


@verb
def _root(
    version: bool = option(False, "Print the version.", is_eager=True, callback=_print_version),
) -> None:
    """Take the flags that stand before a verb."""


def _new_app(name: str, **settings: bool | str) -> typer.Typer:
    return typer.Typer(name=name, pretty_exceptions_enable=False, rich_markup_mode=None, **settings)  # type: ignore[arg-type]


def app_for(word: str | None) -> typer.Typer:
    """`synthesizeme` with the one verb or group that a command line begins with; with all for any other word.

    Typer reads every flag of every verb that it is given, which takes longer than many a verb itself.
    """
    return _app(word if word in _VERBS else None)


@cache
def _app(word: str | None) -> typer.Typer:
    app = _new_app("synthesizeme", help=_ABOUT, no_args_is_help=True)
    app.callback()(_root)
    for name in _VERBS if word is None else [word]:
        behind = _VERBS[name]
        if callable(behind):
            add(app, name, behind)
            continue
        about, inner = behind
        group = _new_app(name, help=about, no_args_is_help=True)
        for called, function in inner.items():
            add(group, called, function)
        app.add_typer(group, name=name)
    return app


def full_app() -> typer.Typer:
    """`synthesizeme` with all its verbs; put together once in a process."""
    return app_for(None)


@cache
def induce_persona_app() -> typer.Typer:
    """`induce-persona` alone."""
    app = _new_app("induce-persona", add_completion=False)
    add(app, "induce-persona", induce_persona)
    return app
