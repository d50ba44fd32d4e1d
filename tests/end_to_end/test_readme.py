"""README is true: its commands run, its example runs, its tables are those of the results files."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from synthesizeme.cli import induce_persona_main, main
from synthesizeme.evaluation.report import Report

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
COMMANDS = [
    line
    for language, body in BLOCKS
    if not language
    for line in body.splitlines()
    if line.startswith(".venv/bin/")
]
PROGRAMS = {"induce-persona": induce_persona_main, "synthesizeme": main}


def run(arguments, cwd):
    environment = os.environ | {"SYNTHESIZEME_CACHE_DIR": str(cwd / ".cache"), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        arguments, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the sample and the profiles that `make demo` makes."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "PAIRS.jsonl").symlink_to(ROOT / "data" / "sample" / "pairs.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SYNTHESIZEME_CACHE_DIR", str(folder / ".cache"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        assert induce_persona_main(shlex.split("data/sample/pairs.jsonl --all-users --out out/demo")) == 0
        yield folder


def test_the_demo_of_the_makefile_is_the_one_tested_here():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "induce-persona data/sample/pairs.jsonl --all-users --out out/demo" in makefile
    assert ["make demo", "make test"] in [body.split("\n")[:-1] for _, body in BLOCKS]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_runs(line, place, capfd):
    """In this process; `test_processes` starts the installed commands as they are."""
    program, arguments = line.removeprefix(".venv/bin/").split(" ", 1)
    status = PROGRAMS[program](shlex.split(arguments.replace("--user ID", "--user mara")))
    out, err = capfd.readouterr()
    assert status == 0, err
    assert out.strip()


EXAMPLES = [body for language, body in BLOCKS if language == "python"]
SAID = ("with the profile", "status='scored'")
"""What each of them prints, in their order."""


@pytest.mark.parametrize(
    ("example", "said"), list(zip(EXAMPLES, SAID, strict=True)), ids=["profile", "words"]
)
def test_an_example_runs_and_is_short(example, said, place):
    assert len(example.splitlines()) <= 22
    done = run([sys.executable, "-c", example], place)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


def test_the_tables_are_those_of_the_committed_results():
    done = run([sys.executable, "experiments/readme_tables.py", "--check"], ROOT)
    assert done.returncode == 0, done.stderr


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_readme_keeps_one_table_of_results_and_names_every_page_of_the_others():
    tables = re.findall(r"<!-- table: ([\w-]+) -->\n\|", README)
    assert tables == ["headline"]
    for page in (ROOT / "docs" / "results").glob("*.md"):
        assert f"docs/results/{page.name}" in README


def test_committed_comparisons_are_reports_of_this_version():
    found = [
        path for path in (ROOT / "experiments").rglob("results.json") if '"protocol"' in path.read_text()
    ]
    assert len(found) >= 6
    for path in found:
        assert Report.from_json(path.read_bytes(), source=str(path)).rows


def test_the_tree_names_every_module_of_the_package():
    [tree] = [body for language, body in BLOCKS if body.startswith("synthesizeme/ ")]
    named = set(re.findall(r"^  ([\w./]+)", tree, re.MULTILINE))
    package = ROOT / "synthesizeme"
    there = {path.name for path in package.glob("*.py") if path.name != "__init__.py"}
    there |= {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert there - named == set()
    assert {name for name in named if not (package / name).exists()} == set()
