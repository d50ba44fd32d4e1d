"""Answers of anybody as HTML: Markdown, code and tables look like it; nothing runs, nothing is loaded.

HTML within a text is text. An image becomes the words that stand for it and a link to it; a link goes to
http, https or mailto, in a window that knows nothing of this one, or it is text. Characters that turn the
direction of what follows are shown by their code points.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

LONGEST_MARKDOWN = 20_000
"""Characters of a text that is read as Markdown; a longer one is shown as it is."""
LONGEST_SHOWN = 20_000
"""Characters of a text that are shown at once; of a longer one the beginning."""
_SCHEMES = ("http://", "https://", "mailto:")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u202a-\u202e\u2066-\u2069\u200b\u2060\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


class _Renderer(RendererHTML):
    """Writes no image, and links that tell nothing."""

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """The words that stand for an image, with a link where it may be followed."""
        token = tokens[idx]
        words = self.renderInlineAsText(token.children or [], options, env) or "image"
        told = escapeHtml(f"[image: {words}]")
        address = str(token.attrs.get("src", ""))
        if not _may_be_followed(address):
            return f'<span class="image">{told}</span>'
        return f'<a class="image" {_link(address)}>{told}</a>'

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """The beginning of a link, which says where it goes."""
        return f"<a {_link(str(tokens[idx].attrs.get('href', '')))}>"

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A block of code, whatever language it says it is in."""
        return f'<pre tabindex="0"><code>{escapeHtml(tokens[idx].content)}</code></pre>\n'

    def table_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """The beginning of a table, which the keyboard may scroll, as a block of code."""
        return '<table tabindex="0">\n'

    def code_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """An indented block of code."""
        return self.fence(tokens, idx, options, env)

    def th_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """The beginning of a cell of a heading."""
        return f"<th{_aligned(tokens[idx])}>"

    def td_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """The beginning of a cell."""
        return f"<td{_aligned(tokens[idx])}>"

    def link_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """The end of a link."""
        return "</a>"


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    made = MarkdownIt(
        "commonmark",
        {"html": False, "linkify": False, "typographer": False, "breaks": True, "maxNesting": 20},
        renderer_cls=_Renderer,
    )  # fmt: skip
    made.validateLink = _may_be_followed  # type: ignore[method-assign, assignment]
    return made.enable(["table", "strikethrough"])


@lru_cache(maxsize=1024)
def shown(text: str) -> Markup:
    """A text as HTML in which nothing but text, code, tables and links can be."""
    seen = visible(text)
    if len(seen) > LONGEST_MARKDOWN:
        cut = seen[:LONGEST_SHOWN]
        left = len(seen) - len(cut)
        more = f'<p class="cut">… and {left:,} characters more</p>' if left else ""
        return Markup(f'<pre class="plain">{escapeHtml(cut)}</pre>{more}')
    return Markup(_markdown().render(seen))


def visible(text: str) -> str:
    r"""A text whose hidden characters are shown by their code points; lines end as everywhere.

    >>> visible("a\u202eb\r\nc")
    'a[U+202E]b\nc'
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _INVISIBLE.sub(lambda found: f"[U+{ord(found[0]):04X}]", lines)


def _may_be_followed(address: str) -> bool:
    return address.strip().lower().startswith(_SCHEMES)


def _aligned(cell: Token) -> str:
    side = str(cell.attrs.get("style", "")).removeprefix("text-align:")
    return f' class="{side}"' if side in ("left", "center", "right") else ""


def _link(address: str) -> str:
    where = escapeHtml(address)
    return f'href="{where}" rel="noopener noreferrer nofollow external" target="_blank" title="{where}"'
