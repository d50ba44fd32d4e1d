from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import pytest
import typer

from synthesizeme.cli._apps import app_for, full_app
from synthesizeme.cli._command import verb
from synthesizeme.cli._options import CommonOptions
from synthesizeme.cli._output import print_json
from synthesizeme.cli._run import run
from synthesizeme.errors import BackendError, CacheError, ConfigError, DataError, UnknownNameError
from synthesizeme.plain_text import id_list, printable


def one_verb(error: BaseException | None) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    def verb() -> None:
        if error is not None:
            raise error

    return app


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (None, 0, ""),
        (DataError("is bad", source="f", line=3), 1, "Error: f:3: is bad\n"),
        (BackendError("is down"), 1, "Error: is down\n"),
        (CacheError("the disk is full"), 1, "Error: the disk is full\n"),
        (ConfigError(["one", "two"]), 2, "Error: 2 problems\n  - one\n  - two\n"),
        (UnknownNameError("thing", "x", ["y"]), 2, "Error: unknown thing 'x'"),
        (OSError(28, "No space left on device"), 1, "No space left"),
        (ZeroDivisionError("oops"), 1, "ZeroDivisionError: oops"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (typer.Exit(7), 7, ""),
    ],
)
def test_every_ending_has_its_status_and_message(capfd, error, status, said):
    assert run(one_verb(error), "verb", []) == status
    captured = capfd.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(("no_cache", "kept"), [(True, False), (False, True)])
def test_an_interrupted_run_promises_kept_calls_only_if_they_are(
    command, sample, monkeypatch, no_cache, kept
):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("synthesizeme.induction.induce_user", interrupt)
    ran = command("induce-persona", sample, "--user", "mara", *(["--no-cache"] if no_cache else []))
    assert ran.status == 130
    assert ("Finished calls are kept" in ran.err) is kept


def test_wrong_flags_say_how_to_get_help(capfd):
    assert run(one_verb(None), "verb", ["--nonsense"]) == 2
    assert "verb --help" in capfd.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["data", "--help"], ["induce-persona", "--help"], ["--version"]]
)
def test_help_is_on_standard_output(command, arguments):
    ran = command(*arguments)
    assert ran.status == 0
    assert ran.out
    assert ran.err == ""


def test_help_is_honest_about_the_builtin_model(command):
    for arguments in (["--help"], ["induce-persona", "--help"], ["judge", "--help"]):
        assert "rule-based reader, not a language model" in " ".join(
            command(*arguments).out.replace("│", " ").split()
        )


def test_text_from_data_cannot_move_the_cursor():
    assert printable("a\x1b[2Jb\nc\u202ed") == "a\\x1b[2Jb\\nc\\u202ed"
    assert printable("x" * 50, 10) == "x" * 9 + "…"
    listed = id_list(str(number) for number in range(100))
    assert listed.endswith("59 and 40 more")


def chatty() -> typer.Typer:
    """A verb amid libraries and processes that print."""
    app = typer.Typer()

    @app.command()
    @verb
    def chat(common: CommonOptions) -> None:
        sys.stdout.write("a library\n")
        os.write(1, b"a library in C\n")
        subprocess.run([sys.executable, "-c", "print('a process')"], check=True)
        print_json({"n": 1}) if common.json else typer.echo("done")

    return app


def test_with_json_nothing_else_reaches_standard_output(capfd):
    before = sys.stdout
    assert run(chatty(), "verb", ["--json"]) == 0
    ran = capfd.readouterr()
    assert json.loads(ran.out) == {"n": 1}
    assert all(said in ran.err for said in ("a library\n", "a library in C\n", "a process\n"))
    assert sys.stdout is before
    assert run(chatty(), "verb", []) == 0
    assert capfd.readouterr().out == "a library\na library in C\na process\ndone\n"


def test_a_reader_of_json_that_went_away_ends_the_command(tmp_path):
    code = (
        "import sys; from synthesizeme.cli import main; import time; time.sleep(0.5); "
        "sys.exit(main(['prompts', 'list', '--json']))"
    )
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} | true; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert (ran.stdout.strip(), ran.stderr) == ("141", "")


def test_a_verb_is_put_together_alone_and_answers_as_among_all_the_others(capfd):
    for words in (["score", "--help"], ["data", "convert", "--nonsense"], ["data"], ["judge"]):
        said = []
        for app in (app_for(words[0]), full_app()):
            status = run(app, "synthesizeme", words)
            said.append((status, *capfd.readouterr()))
        assert said[0] == said[1]
        assert len(app_for(words[0]).registered_commands + app_for(words[0]).registered_groups) == 1
    assert app_for("nonsense") is app_for("--version") is app_for(None) is full_app()
