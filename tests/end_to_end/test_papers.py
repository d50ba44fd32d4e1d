"""The page of papers is true: its methods, modules, settings and commands are those of the code."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path

import pytest
import typer.main

import reward_models
from reward_models import method_parameters
from reward_models.dense_retrieval import DistilledEncoder
from synthesizeme.cli._apps import full_app
from synthesizeme.judges.names import RetrievalSettings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "experiments" / "PAPERS.md").read_text(encoding="utf-8")
SECTIONS = {
    name: body.partition("\n## ")[0]
    for name, body in re.findall(r"^### `(.+?)`\n(.*?)(?=^### |\Z)", PAGE, re.DOTALL | re.MULTILINE)
}
NAMED_FILES = sorted(set(re.findall(r"(?:reward_models|synthesizeme|prompts|experiments)/[\w/]+\.\w+", PAGE)))
LINKS = re.findall(r"\]\(([^)]+)\)", PAGE)
COMMANDS = [
    line
    for block in re.findall(r"^```\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]


def test_every_method_has_its_section_and_no_other():
    assert sorted(SECTIONS) == reward_models.method_names()


@pytest.mark.parametrize("name", reward_models.method_names())
def test_every_section_names_its_module_first(name):
    module = f"reward_models/{name.replace('-', '_')}.py"
    assert SECTIONS[name].strip().startswith(f"[{module}](../{module})")
    assert (ROOT / module).is_file()


@pytest.mark.parametrize("name", reward_models.method_names())
def test_every_setting_is_the_default(name):
    defaults = {key: p.default for key, p in method_parameters(reward_models.method(name)).items()}
    for key, value in re.findall(r"`(\w+)=([^`]+)`", SECTIONS[name]):
        assert key in defaults, f"{name} has no argument {key}"
        assert str(defaults[key]) == value, f"{name}: {key} is {defaults[key]}"


def test_the_settings_of_persona_vectors_are_the_defaults():
    pytest.importorskip("torch")
    from reward_models import persona_vectors as vectors

    [section] = re.findall(r"^## Persona vectors\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE)
    found = 0
    for line in section.splitlines():
        for name, value in re.findall(r"`(\w+)=([^`]+)`", line):
            function = {
                "steering": vectors.choose_layer,
                "monitoring": vectors.DriftMonitor,
                "rollouts": vectors.keep,
            }[re.findall(r"persona_vectors/(\w+)\.py", line)[0]]
            assert str(inspect.signature(function).parameters[name].default) == value, name
            found += 1
    assert found == 10


@pytest.mark.parametrize("kind", [DistilledEncoder, RetrievalSettings])
def test_every_setting_of_retrieval_is_the_default(kind):
    defaults = inspect.signature(kind).parameters
    stated = re.findall(rf"^\| `{kind.__name__}\.(\w+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert len(stated) >= 2
    for name, value in stated:
        assert str(defaults[name].default) == value, f"{kind.__name__}.{name} is {defaults[name].default}"


def test_every_file_named_exists():
    assert [path for path in NAMED_FILES if not (ROOT / path).is_file()] == []


def test_every_link_leads_somewhere():
    links = [link for link in LINKS if "://" not in link]
    assert [link for link in links if not (ROOT / "experiments" / link).is_file()] == []


def test_the_page_is_linked():
    assert "(PAPERS.md)" in (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_parses(line, tmp_path, monkeypatch):
    """The flags exist and take these values; nothing is run, since it would need the hub and an accelerator."""
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line.partition(" < ")[0])
    if words[0] == "accelerate":
        assert (ROOT / words[words.index("--config_file") + 1]).is_file()
        words = words[words.index("-m") + 1 :]
    program, *arguments = words
    assert program in ("synthesizeme", "synthesizeme.cli")
    for file in ("prism.jsonl", "prism-survey.jsonl"):
        (tmp_path / file).write_text("{}\n")
    command = typer.main.get_command(full_app())
    while hasattr(command, "commands"):
        verb, *arguments = arguments
        command = command.commands[verb]
    context = command.make_context("synthesizeme", arguments)
    for name in context.params.get("methods") or []:
        assert set(name.split(",")) <= set(reward_models.method_names())
    for assignment in context.params.get("params") or []:
        keys = re.fullmatch(r"params\.(?:([\w-]+)\.)?(\w+)=.+", assignment)
        method = keys[1] or context.params["method"]
        assert keys[2] in method_parameters(reward_models.method(method)), assignment
