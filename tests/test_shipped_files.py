"""Shipped text and bytes are found in the checkout and inside the installed package."""

from __future__ import annotations

import pytest

from synthesizeme import discovery


def test_shipped_files_and_folders_are_found():
    assert discovery.resource("prompts").is_dir()
    assert discovery.resource("prompts/judge/default.md").is_file()
    assert discovery.resource("data/sample/pairs.jsonl").is_file()


def test_what_is_bundled_wins_over_the_checkout(tmp_path, monkeypatch):
    package = tmp_path / "package"
    for root in (package / "_bundled", tmp_path):
        (root / "prompts").mkdir(parents=True)
    monkeypatch.setattr(discovery, "_PACKAGE", package)
    assert discovery.resource("prompts") == package / "_bundled" / "prompts"
    (package / "_bundled" / "prompts").rmdir()
    assert discovery.resource("prompts") == tmp_path / "prompts"


def test_a_broken_installation_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(discovery, "_PACKAGE", tmp_path / "package")
    with pytest.raises(
        FileNotFoundError, match="prompts is neither bundled with the package nor beside it; reinstall"
    ):
        discovery.resource("prompts")
