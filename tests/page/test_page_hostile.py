"""Answers that would rather be something else than text are text: in answers, questions, reasons, sentences."""

from __future__ import annotations

import re

import pytest
from hostile import HOSTILE
from person import Shown

from synthesizeme.page.safe_text import shown, visible

TEXT_ELEMENTS = {
    "p", "a", "span", "pre", "code", "ul", "ol", "li", "em", "strong", "s", "blockquote", "hr", "br",
    "table", "thead", "tbody", "tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6",
}  # fmt: skip
ATTRIBUTES = {
    "a": {"class", "href", "rel", "target", "title"}, "span": {"class"}, "pre": {"class", "tabindex"}, "table": {"tabindex"}, "p": {"class"},
    "th": {"class"}, "td": {"class"}, "ol": {"start"},
}  # fmt: skip
CLASSES = {"image", "plain", "cut", "left", "center", "right"}


def foreign(text):
    """What of an HTML text is neither words nor one of the few elements that words may have."""
    return [
        (tag, attributes)
        for tag, attributes in Shown(text).elements
        if tag not in TEXT_ELEMENTS
        or attributes.keys() - ATTRIBUTES.get(tag, set())
        or not re.match("https?://|mailto:", attributes.get("href", "http://"))
        or attributes.get("class", "left") not in CLASSES
    ]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_answer_is_text(number):
    text = HOSTILE[number]
    html = str(shown(text))
    assert foreign(html) == []
    assert len(html) < 200_000
    words = Shown(html).text
    beginning = re.sub(r"[^a-z]", "", visible(text)[:60].lower())
    if not text.startswith(("[", "!", "`", "|", "&")):  # what Markdown takes away from the words
        assert re.sub(r"[^a-z]", "", words.lower()).startswith(beginning[:20])


def test_what_is_foreign_would_be_seen():
    assert (
        foreign("<p onclick=x>a</p><script></script><a href='javascript:x'>b</a><p class='card'>c</p>") != []
    )
    assert len(foreign("<img src=x><form></form><a href=' javascript:x'>b</a>")) == 3


def test_markdown_looks_like_it():
    html = str(
        shown("# T\n\n- a **b**\n\n|x|y|\n|--|-:|\n|1|2|\n\n```py\nx < 1\n```\n[ok](https://e.example)")
    )
    assert [tag for tag, _ in Shown(html).elements] == [
        "h1", "ul", "li", "strong", "table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td", "pre", "code", "p", "a",
    ]  # fmt: skip
    assert 'rel="noopener noreferrer nofollow external" target="_blank"' in html
    assert str(shown("مرحبا **a**")).count("strong") == 2


def test_all_of_them_on_the_pages_leave_the_pages_as_they_are(serve, pool):
    """The same elements as with harmless texts, in questions, answers, reasons and sentences."""
    rows = [
        {"item_id": str(number), "prompt": text, "responses": [text, f"{text} "[:-1] + "!"]}
        for number, text in enumerate(HOSTILE)
        if "\0" not in text
    ]
    page = serve(pool=pool(*rows), order="file")
    person = page.person()
    person.agree()
    allowed = None
    for text in HOSTILE[: len(rows)]:
        answered = person.choose("first", reason=text[:2000])
        assert person.response.status_code == 200
        of_texts = [it for it in answered.elements if it[0] not in TEXT_ELEMENTS]
        if allowed is None:
            allowed = {(tag, *sorted(attributes)) for tag, attributes in of_texts}
        assert {(tag, *sorted(attributes)) for tag, attributes in of_texts} <= allowed
        assert len(person.response.content) < 600_000
    for text in HOSTILE[:36:4]:
        person.look("/persona")
        person.send("/persona", change="add", text=text[:290], do="save")
        assert person.response.status_code in (200, 409, 422)
        person.look("/persona")
        scripts = [
            attributes
            for tag, attributes in person.shown.elements
            if tag in ("script", "iframe", "img", "object")
        ]
        assert scripts == [{"src": "/static/page.js", "defer": None}]
        handlers = [it for _, attributes in person.shown.elements for it in attributes if it.startswith("on")]
        assert handlers == []
