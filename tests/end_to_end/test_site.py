"""What makes the site: links that hold in it, pages made from the code, nothing loaded from elsewhere."""

from __future__ import annotations

import re
import sys

import pytest
import typer.main
from pages import ROOT

import synthesizeme
from synthesizeme.cli._apps import full_app

pytest.importorskip("griffe", reason="mkdocstrings is not here")
sys.path.insert(0, str(ROOT / "docs" / "hooks"))
import command_line
import house
import offline
import reference
import repository

PLACES = {"experiments/floor/README.md": "studies/floor.md", "README.md": "index.md"}


@pytest.mark.parametrize(
    ("page", "text", "expected"),
    [
        ("README.md", "[floor](docs/floor.md#a)", "[floor](floor.md#a)"),
        ("README.md", "[floor](experiments/floor/README.md)", "[floor](studies/floor.md)"),
        ("docs/results/x.md", "[floor](../../experiments/floor/README.md)", "[floor](../studies/floor.md)"),
        ("experiments/floor/README.md", "[home](../../README.md)", "[home](../index.md)"),
        ("README.md", "[`code`](synthesizeme/types.py)", "`code`"),
        ("README.md", "[gone](nowhere.md)", "[gone](nowhere.md)"),
        ("README.md", "[web](https://a.b/c) and [here](#part)", "[web](https://a.b/c) and [here](#part)"),
        ("README.md", "`[x](synthesizeme/types.py)`", "`[x](synthesizeme/types.py)`"),
        (
            "README.md",
            "```\n[x](synthesizeme/types.py)\n```\n[y](docs/data.md)",
            "```\n[x](synthesizeme/types.py)\n```\n[y](data.md)",
        ),
    ],
)
def test_a_link_of_the_repository_holds_in_the_site(page, text, expected):
    assert repository.relinked(text, page, PLACES) == expected


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://cdn.example/x.js"></script>', ["https://cdn.example/x.js"]),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', ["//fonts.example/a.css"]),
        ('<img src="http://a.example/b.png">', ["http://a.example/b.png"]),
        ('<link rel="canonical" href="https://a.example/"><a href="https://b.example">b</a>', []),
        ('<script src="assets/bundle.js"></script><img src="../a.png">', []),
    ],
)
def test_what_a_page_loads_from_elsewhere_is_found(html, found):
    assert offline.foreign(html) == found


def leaves(command, usage):
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, f"{usage} {name}")
    if not hasattr(command, "commands"):
        yield usage, command


def test_every_verb_has_a_page_with_every_option():
    pages = command_line.pages()
    for usage, command in leaves(typer.main.get_command(full_app()), "synthesizeme"):
        page = pages[f"command-line/{usage.split()[1]}.md"]
        assert f"\n{usage} " in page
        options = {
            name for it in command.params if not it.hidden for name in it.opts if name.startswith("--")
        }
        assert {name for name in options if f"`{name}`" not in page} <= {"--help"}


def test_the_reference_has_every_public_name_where_it_says():
    pages = reference.pages()
    links = dict(re.findall(r"\| \[`(\w+)`\]\[([\w.]+)\]", pages["python/synthesizeme.md"]))
    assert set(links) | {"__version__"} == set(synthesizeme.__all__)
    assert set(reference.PACKAGES) <= {name.removeprefix("python/").removesuffix(".md") for name in pages}


def test_the_drawing_has_every_part_once():
    drawn = house.drawn()
    parts = [part for floor in house.layers() for part in floor]
    assert re.findall(r'class="room"[^>]*>(\w+)<', drawn) == [
        part for floor in house.layers()[::-1] for part in floor
    ]
    assert all(
        (ROOT / "synthesizeme" / part).is_dir() or (ROOT / f"synthesizeme/{part}.py").is_file()
        for part in parts
    )
