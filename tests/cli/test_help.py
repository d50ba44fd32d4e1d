"""Help that fits a screen, and all there is to say behind ``--help-all``."""

from __future__ import annotations

from functools import cache

import pytest
import typer.main

from synthesizeme.cli._apps import full_app
from synthesizeme.cli._command import verbs

VERBS = [name for name, _ in verbs(full_app())]
ROOT = typer.main.get_command(full_app())
SCREEN = (80, 50)
"""Columns and lines."""


def joined(text):
    return "".join(text.split())


@cache
def parameters(name):
    command = ROOT
    for word in name.split():
        command = command.commands[word]
    return [it for it in command.params if not it.hidden]


@pytest.fixture(autouse=True)
def narrow(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(SCREEN[0]))


@pytest.mark.parametrize("name", VERBS)
def test_help_fits_a_screen_and_help_all_shows_every_option(command, name):
    lines = command(*name.split(), "--help").out.splitlines()
    assert len(lines) <= SCREEN[1]
    assert max(map(len, lines)) <= SCREEN[0]
    whole = command(*name.split(), "--help-all").out
    for it in parameters(name):
        shown = it.opts if it.param_type_name == "option" else [it.display_name_raw]
        assert all(f"  {word}" in whole for word in shown), it.name
        assert joined(it.help or "") in joined(whole), it.name


def test_what_help_leaves_out_is_counted(command):
    shown = command("judge", "--help").out
    assert "--temperature" not in shown
    assert "--temperature" in command("judge", "--help-all").out
    assert "further options" in shown
    assert "further options" not in command("prompts", "list", "--help-all").out.lower().split("debug")[-1]


def test_one_name_has_one_meaning_in_every_verb():
    """What is asked, read, measured and written is called the same everywhere."""
    found = {name: {flag for it in parameters(name) for flag in it.opts} for name in VERBS}
    assert all(
        "--json" in flags and "--config" in flags and "--help-all" in flags for flags in found.values()
    )
    gone = {
        "--profiles",
        "--profile",
        "--pairs",
        "--overwrite",
        "--fresh",
        "--user-id",
        "--answers",
    }
    assert {name: flags & gone for name, flags in found.items() if flags & gone} == {}
    having = {
        flag: {name for name in VERBS if flag in found[name]} for flag in ("--reward-model", "--scorers")
    }
    assert having["--reward-model"] == {"score", "serve", "export", "ask", "induce-persona", "page"}
    assert having["--scorers"] == {"evaluate", "compare"}
    writing = {name for name in VERBS if "--out" in found[name]} - {"ask"}
    assert {name for name in VERBS if "--force" in found[name]} == writing
