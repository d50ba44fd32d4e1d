"""The file is the registration: a module in a package is a name on the command line."""

from __future__ import annotations

import sys

import pytest

from synthesizeme import discovery
from synthesizeme.errors import UnknownNameError


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """A package with two public modules and a private one."""
    package = tmp_path / "plugins_of_a_test"
    package.mkdir()
    for name in ("__init__", "red", "dark_blue", "_shared"):
        (package / f"{name}.py").write_text(f"WHO = {name!r}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield package.name
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


def test_names_are_the_public_modules_with_dashes(plugins):
    assert discovery.names(plugins) == ["dark-blue", "red"]
    assert not {"red", "dark_blue"} & {name.partition(".")[2] for name in sys.modules if plugins in name}


def test_adding_a_file_adds_a_name(plugins, tmp_path):
    (tmp_path / plugins / "green.py").write_text("WHO = 'green'\n", encoding="utf-8")
    assert discovery.names(plugins) == ["dark-blue", "green", "red"]
    assert discovery.load(plugins, "green", kind="colour").WHO == "green"


def test_a_name_is_loaded_by_its_dashed_form(plugins):
    assert discovery.load(plugins, "dark-blue", kind="colour").WHO == "dark_blue"


@pytest.mark.parametrize("name", ["dark_blue", "_shared", "reed", "", "red.x", "../red"])
def test_anything_else_is_unknown_and_the_names_are_listed(plugins, name):
    with pytest.raises(UnknownNameError, match=r"unknown colour .*Known: dark-blue, red\."):
        discovery.load(plugins, name, kind="colour")


def test_the_shipped_backends_and_datasets_are_found():
    assert {"builtin", "hosted", "in-process", "local-server", "scripted"} <= set(
        discovery.names("synthesizeme.backends")
    )
    assert {"jsonl", "llmfao", "prism", "synthetic"} <= set(discovery.names("synthesizeme.datasets"))
