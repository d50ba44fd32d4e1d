"""The documentation is true: its commands and examples run, its outputs and tables are what is measured."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
from pages import MARK, ROOT, blocks, missing, place_in, run, run_blocks

import reward_models
from synthesizeme.evaluation.report import Report

sys.path.insert(0, str(ROOT / "docs" / "hooks"))
import notebook

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = [page for page in PAGES if any(block.language == "sh" for block in blocks(page))]
WITH_EXAMPLES = [
    page
    for page in PAGES
    if page.parent.name != "adding"
    and page.name != "python.md"
    and any(block.language == "python" for block in blocks(page))
]
"""But for the pages whose code has tests of its own."""


def named(page):
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return place_in(tmp_path_factory.mktemp("reader"))


def test_readme_is_short_and_begins_with_two_commands_that_the_makefile_has():
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 220
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "induce-persona data/sample/pairs.jsonl --all-users --out out/demo" in makefile
    assert ["make demo", "make test"] in [block.text.splitlines() for block in blocks(README)]


@pytest.mark.parametrize("page", RUN, ids=named)
def test_the_commands_of_a_page_run_and_print_what_it_shows(page, place):
    commands = [block for block in blocks(page) if block.language == "sh"]
    if shutil.which("curl") is None and any("curl" in block.text for block in commands):
        pytest.skip("curl is not here")
    printed, done = run_blocks([block.text for block in commands], place)
    assert done.returncode == 0, done.stderr[-3000:]
    for block, output in zip(commands, printed, strict=True):
        assert output.strip(), block.text
        assert missing(block.shown, output) == [], output


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=named)
def test_the_examples_of_a_page_run_one_after_the_other_and_print_what_it_shows(page, place):
    examples = [block for block in blocks(page) if block.language == "python"]
    done = run([sys.executable, "-c", f"\nprint({MARK!r})\n".join(it.text for it in examples)], place)
    assert done.returncode == 0, done.stderr[-3000:]
    for example, printed in zip(examples, done.stdout.split(f"{MARK}\n"), strict=True):
        assert missing(example.shown, printed) == [], printed


def test_the_notebook_runs_and_its_outputs_are_the_committed_ones(monkeypatch):
    monkeypatch.chdir(ROOT)
    kept = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    fresh = json.loads(json.dumps(kept))
    notebook.run(fresh)
    assert missing(notebook.shown(kept), notebook.shown(fresh)) == []
    assert all(cell["outputs"] for cell in notebook.code_cells(kept))


def test_the_tables_are_those_of_the_committed_results():
    done = run_in_root("experiments/readme_tables.py", "--check")
    assert done.returncode == 0, done.stderr


def run_in_root(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_a_page_links_to_is_there(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    gone = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert gone == []


def test_readme_keeps_one_table_of_results_and_the_page_of_results_names_every_other_page():
    tables = re.findall(r"<!-- table: ([\w-]+) -->\n\|", README.read_text(encoding="utf-8"))
    assert tables == ["headline"]
    index = (ROOT / "docs" / "results" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs" / "results").glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in index


def test_committed_comparisons_are_reports_of_this_version():
    found = [
        path for path in (ROOT / "experiments").rglob("results.json") if '"protocol"' in path.read_text()
    ]
    assert len(found) >= 6
    for path in found:
        assert Report.from_json(path.read_bytes(), source=str(path)).rows


def test_the_tree_names_every_module_of_the_package():
    [tree] = [block.text for block in blocks(README) if block.text.startswith("synthesizeme/ ")]
    names = set(re.findall(r"^  ([\w./]+)", tree, re.MULTILINE))
    package = ROOT / "synthesizeme"
    there = {path.name for path in package.glob("*.py") if path.name != "__init__.py"}
    there |= {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert there - names == set()
    assert {name for name in names if not (package / name).exists()} == set()


def test_every_method_is_explained_and_no_other():
    page = (ROOT / "docs" / "methods" / "reward-models.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^### `(.+)`$", page, re.MULTILINE)) == reward_models.method_names()
