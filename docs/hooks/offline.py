"""The site asks nothing of other machines: no foreign scripts, styles, fonts or pictures."""

from __future__ import annotations

from html.parser import HTMLParser

LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "link": "href",
}
ONLY_NAMED = ("canonical", "next", "prev", "alternate", "license")
"""Relations of a `link` that a browser follows only when asked."""


class _Loaded(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag makes a browser load from elsewhere."""
        given = dict(attrs)
        address = given.get(LOADED.get(tag, ""), "") or ""
        named = tag == "link" and given.get("rel") in ONLY_NAMED
        if address.startswith(("http:", "https:", "//")) and not named:
            self.found.append(address)


def foreign(html: str) -> list[str]:
    """Addresses on other machines that a browser asks when it shows a page."""
    parser = _Loaded()
    parser.feed(html)
    return parser.found
