"""An HTML document in one file: what is no `Html` is text, nothing is loaded, one script of known hash sorts.

The document forbids itself everything else (Content-Security-Policy), so that a text that were taken for
markup could neither run nor fetch anything.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from math import inf
from pathlib import Path
from unicodedata import category

from synthesizeme.plain_text import count

MARK = "synthesizeme-report"
"""Name of the line in the head that says which command wrote the file about what."""
LONGEST_TEXT = 2_000
"""Characters of a text that are shown at most."""
_HEAD_BYTES = 4096
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of what a reader cannot see, or what turns the direction of writing."""
_KEPT = "\n\t\u200c\u200d"
"""Of these what is harmless and needed: lines, tabs, and the joiners of scripts and emoji."""


class Html(str):
    """Markup. Any other string is text, and is escaped where it is put into a document."""

    __slots__ = ()


def shown(value: str) -> Html:
    r"""A text as markup that shows it as it is; what cannot be seen stands as an escape.

    Of a text with more than `LONGEST_TEXT` characters the first ones are shown, and how many more there are.

    >>> print(shown("<b>\u202e"), shown(Html("<b>")))
    &lt;b&gt;\u202e <b>
    """
    if isinstance(value, Html):
        return value
    plain = "".join(
        repr(char)[1:-1] if category(char) in _UNSEEN and char not in _KEPT else char
        for char in value[:LONGEST_TEXT]
    )
    beyond = len(value) - LONGEST_TEXT
    return Html(escape(plain) + (f"… ({beyond:,} characters more)" if beyond > 0 else ""))


def joined(parts: Iterable[str]) -> Html:
    """Parts after one another."""
    return Html("".join(map(shown, parts)))


def element(tag: str, *children: str, **attributes: str | None) -> Html:
    """An element; of an attribute's name ``class_`` the ending is left out, ``_`` within it is ``-``.

    >>> element("p", "a < b", class_="note", id=None)
    '<p class="note">a &lt; b</p>'
    """
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{shown(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{given}>{joined(children)}</{tag}>")


def note(*text: str) -> Html:
    """A paragraph in a quieter colour; nothing for no text."""
    return element("p", *text, class_="note") if any(text) else Html()


def bullets(items: Iterable[str], class_: str | None = None) -> Html:
    """A list; nothing for no items."""
    lines = joined(element("li", item, dir="auto") for item in items)
    return element("ul", lines, class_=class_) if lines else Html()


def folded(summary: str, *body: str, id: str | None = None) -> Html:
    """What opens on demand; without a script too."""
    return element("details", element("summary", summary), *body, id=id)


def section(
    heading: str, *body: str, id: str | None = None, level: int = 2, class_: str | None = None
) -> Html:
    """A heading and what is below it; nothing for an empty body."""
    found, head = joined(body), element(f"h{level}", heading, dir="auto")
    return element("section", head, found, id=id, class_=class_) if found else Html()


def table(
    cells: Sequence[Sequence[str]],
    caption: str,
    *,
    texts: Collection[int] | None = None,
    legend: Iterable[tuple[str, str]] = (),
    room: float = inf,
    noun: str = "row",
) -> Html:
    """A table that can be sorted by any column; nothing without a row.

    Args:
        cells: The first row is the heading; the first column names the row.
        caption: What it is a table of.
        texts: Columns that hold words, by default those without a digit and the first; the others hold
            numbers, and what is wrong begins with ``✗``.
        legend: What headings mean.
        room: Bytes that its rows may take; of those beyond a line below the table says how many there are.
        noun: What a row is of.
    """
    head, *rows = cells
    if not rows:
        return Html()
    if texts is None:
        texts = [
            i for i in range(len(head)) if i == 0 or not any(map(str.isdigit, "".join(r[i] for r in rows)))
        ]
    heads = (
        f'<th scope="col"{" class=t" if i in texts else ""}>{shown(name)}</th>' for i, name in enumerate(head)
    )
    lines = list(fitting((f"<tr>{_row(row, texts)}\n" for row in rows), room))
    drawn = Html(
        f'<div class="wide" tabindex="0" role="group" aria-label="{shown(caption)}"><table>'
        f"<caption>{element('span', caption)}</caption><thead><tr>{''.join(heads)}</tr></thead>"
        f"<tbody>\n{''.join(lines)}</tbody></table></div>\n"
    )
    meant = [joined([element("b", name), f": {meaning}"]) for name, meaning in legend]
    below = folded("What the columns mean", bullets(meant)) if meant else Html()
    return joined([drawn, left_out(len(lines), len(rows), noun), below])


def fitting(parts: Iterable[str], room: float) -> Iterator[str]:
    """The first parts that fit into so many bytes together."""
    for part in parts:
        room -= len(part.encode())
        if room < 0:
            return
        yield part


def left_out(kept: int, whole: int, noun: str) -> Html:
    """A line on what a page has no room for; nothing where all is there."""
    if kept == whole:
        return Html()
    return note(
        f"Of {count(whole, noun)} the first {kept:,} are shown: a page is to be light enough for mail."
    )


def _row(row: Sequence[str], texts: Collection[int]) -> str:
    first, *others = row
    named = f'<th scope="row" dir="auto">{shown(first)}</th>'
    return named + "".join(f"<td{_look(i, cell, texts)}>{shown(cell)}" for i, cell in enumerate(others, 1))


def _look(column: int, cell: str, texts: Collection[int]) -> str:
    if column in texts:
        return ' class="t" dir="auto"'
    return ' class="w"' if cell.startswith("✗") else ""


def figure(chart: str, caption: str, cells: Sequence[Sequence[str]] | None = None) -> Html:
    """A picture with its caption and, folded, the numbers that it shows; nothing without a picture."""
    if not chart:
        return Html()
    data = folded("The numbers of this figure", table(cells, caption)) if cells else Html()
    return element("figure", element("div", chart, class_="chart"), element("figcaption", caption), data)


def document(title: str, *body: str, mark: str) -> str:
    """The whole file.

    Args:
        title: Of the page.
        *body: What stands below it.
        mark: Which command wrote it about what; see `made_for`.
    """
    style, script = (files(__package__).joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="{MARK}" content="{shown(mark)}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">\n'
        f"<title>{shown(title)}</title><style>{style}</style></head>\n<body><main>\n"
        f"{element('h1', title, dir='auto')}\n{joined(body)}\n</main>"
        f"<script>{script}</script></body></html>\n"
    )


def mark_of(verb: str, of: Iterable[str]) -> str:
    """What `document` is marked with: the command, and a hash over the names of what it is about."""
    names = "\0".join(sorted(of)).encode("utf-8", "surrogatepass")
    return f"{verb} {hashlib.sha256(names).hexdigest()}"


def made_for(path: Path) -> str | None:
    """The mark of a file that `document` made; None of any other."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return None
    found = re.search(rb'<meta name="%s" content="([^"]*)">' % MARK.encode(), head)
    return found[1].decode("utf-8", "replace") if found else None


def _digest(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
