"""The site as one whole: pages by hand, pages from the rest of the repository, pages made from the code.

In the navigation a name that ends in ``/`` stands for the made pages of that folder.
"""

from __future__ import annotations

import json
import posixpath
import re
from functools import cache
from typing import Any

import command_line
import house
import notebook
import offline
import reference
import repository
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PLACES = repository.borrowed()
ORIGIN = {place: name for name, place in PLACES.items()}
SHOWN = {"docs/notebook.ipynb": "notebook.md"}
"""Files that a made page shows."""
DRAWN = re.compile(r"<!-- drawn: house -->")


@cache
def made() -> dict[str, str]:
    """Pages that no file holds, by their place in the site."""
    path = repository.ROOT / "docs" / "notebook.ipynb"
    shown = notebook.shown(json.loads(path.read_text(encoding="utf-8")))
    return {**command_line.pages(), **reference.pages(), "notebook.md": shown}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the made pages of a folder where the navigation names the folder."""
    config.nav = [_filled(entry) for entry in config.nav or ()]
    return config


def _filled(entry: Any) -> Any:
    if isinstance(entry, list):
        return [_filled(it) for it in entry]
    if isinstance(entry, dict):
        return {title: _filled(it) for title, it in entry.items()}
    if not entry.endswith("/"):
        return entry
    return [it for it in (*made(), *PLACES.values()) if it.startswith(entry) and it.endswith(".md")]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what does not stand in this folder."""
    for place, text in made().items():
        files.append(File.generated(config, place, content=text))
    for place, name in ORIGIN.items():
        files.append(File.generated(config, place, abs_src_path=str(repository.ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Make links of repository and site one, and draw the house where it is asked for."""
    place = page.file.src_uri
    if place not in made():
        path = ORIGIN.get(place, posixpath.join("docs", place))
        markdown = repository.relinked(markdown, path, PLACES | SHOWN)
    return DRAWN.sub(lambda _: house.drawn(), markdown)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Refuse a page that needs another machine."""
    foreign = offline.foreign(output)
    if foreign:
        raise PluginError(f"{page.file.src_uri} loads {', '.join(foreign)}; the site must work offline")
    return output
