"""Pages of the site that stand elsewhere in the repository, and links between the two."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(!?)\[([^\]\[]*(?:\[[^\]]*\][^\]\[]*)*)\]\(([^)\s]+)\)")
CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def borrowed() -> dict[str, str]:
    """Files of the repository that are pages or pictures of the site, each with its place there."""
    places = {
        "README.md": "index.md",
        "CONTRIBUTING.md": "contributing.md",
        "CHANGELOG.md": "changelog.md",
        "experiments/PAPERS.md": "papers.md",
        "experiments/README.md": "studies/index.md",
        "data/README.md": "data/index.md",
        "reward_models/population/README.md": "population.md",
    }
    for card in sorted((ROOT / "data").glob("*/**/*.md")):
        name = card.relative_to(ROOT).as_posix()
        places[name] = name.replace("/README.md", ".md")
    for page in sorted((ROOT / "experiments").glob("*/*.md")):
        name = page.parent.name if page.name == "README.md" else f"{page.parent.name}-{page.stem.lower()}"
        places[page.relative_to(ROOT).as_posix()] = f"studies/{name}.md"
    for picture in sorted((ROOT / "experiments").rglob("*.png")):
        places[picture.relative_to(ROOT).as_posix()] = picture.relative_to(ROOT).as_posix()
    return {name: place for name, place in places.items() if (ROOT / name).is_file()}


def relinked(text: str, path: str, places: dict[str, str]) -> str:
    """A page whose links hold in the site.

    A link to a page or picture of the site leads there; one to another file of the repository, which the site
    does not have, becomes its text. Code is left as it is, and so is a link to nothing, which a strict build
    refuses.

    Args:
        text: The page, in Markdown.
        path: Where it stands in the repository, such as ``docs/floor.md``.
        places: Where files of the repository stand in the site, as `borrowed` says.
    """
    here = posixpath.dirname(places.get(path, path.removeprefix("docs/")))

    def link(match: re.Match[str]) -> str:
        mark, words, target = match.groups()
        name, _, anchor = target.partition("#")
        if not name or "://" in name or name.startswith("mailto:"):
            return match[0]
        there = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
        place = places.get(there) or (there.removeprefix("docs/") if there.startswith("docs/") else None)
        if place is not None:
            to = posixpath.relpath(place, here or ".") + (f"#{anchor}" if anchor else "")
            return f"{mark}[{words}]({to})"
        return words if os.path.exists(ROOT / there) else match[0]

    parts = CODE.split(text)
    linked = _around_code(parts)
    return re.sub("\0(\\d+)\0", lambda found: parts[int(found[1])], LINK.sub(link, linked))


def _around_code(parts: list[str]) -> str:
    """The text with its pieces of code, which stand at odd places, put out of the way."""
    return "".join(f"\0{at}\0" if at % 2 else part for at, part in enumerate(parts))
