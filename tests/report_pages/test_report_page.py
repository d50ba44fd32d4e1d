"""The page of `compare` and `evaluate`: hostile texts, what may run, numbers behind numbers, its size."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode

import pytest
from page_parts import Page, pair, part

from synthesizeme.report_pages import measured as pages
from synthesizeme.report_pages.document import made_for, mark_of, shown
from synthesizeme.report_pages.measured import report_page

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</table></main></body></html>",
    "</pre></details><form action=//evil><input name=x>",
    "<style>*{display:none}</style>",
    "<a href='javascript:alert(1)'>here</a>",
    "<!-- ",
    "]]><![CDATA[",
    "&lt;b&gt;&#x202e;",
    "abc\u202edcba\u2066x\u200f",
    "bell\x07 null\x00 escape\x1b[2J line\u2028end",
    "<iframe src=https://evil.example></iframe><link rel=stylesheet href=//evil>",
    "\u05e9\u05dc\u05d5\u05dd <b>bold</b> می‌خواهم 👩‍💻",
)
ALLOWED = {
    "html", "head", "meta", "title", "style", "script", "body", "main", "h1", "h2", "h3", "p", "b", "ul", "li",
    "nav", "a", "section", "div", "figure", "figcaption", "details", "summary", "pre", "table", "caption",
    "thead", "tbody", "tr", "th", "td", "svg", "g", "span", "line", "text", "circle", "path", "polyline",
}  # fmt: skip


def page_of(texts, *, with_texts=True):
    pairs = [
        pair(f"p{i}{text}", f"u{text}", prompt=f"?{text}", chosen=f"+{text}", rejected=f"-{text}")
        for i, text in enumerate(texts)
    ]
    found = part(
        pairs,
        {f"scorer{texts[0]}": [[0.8] * len(pairs), [0.3] * len(pairs)]},
        name=f"bench{texts[0]}",
        notes=tuple(texts),
        failed={text: text for text in texts},
    )
    return report_page([found], mark=mark_of("compare", texts), with_texts=with_texts)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_text_wherever_it_stands(text):
    page = Page(page_of([text]))
    assert page.inside == []
    assert {tag for tag, _ in page.tags} <= ALLOWED
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    for _, attributes in page.tags:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "style", "action")
        ]
        assert (attributes.get("href") or "#").startswith("#")
    seen = shown(text).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&#x27;", "'")
    seen = seen.replace("&amp;", "&")
    assert all(f"{sign}{seen}" in page.text for sign in "?+-")
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\x00-\x08\x1b\ud800-\udfff]", page.text)


def test_a_long_text_is_cut_and_the_page_says_by_how_much():
    text = page_of(["x" * 1_000_000])
    assert "998,001 characters more" in Page(text).text
    assert len(text) < 100_000
    assert max(map(len, re.findall("x+", text))) <= 2_000


def test_the_document_allows_its_own_style_and_script_and_nothing_else():
    text = page_of(["plain"])
    (policy,) = [it["content"] for tag, it in Page(text).tags if it.get("http-equiv")]
    for tag in ("style", "script"):
        ((body,)) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not re.findall(r"""(?:https?:)?//\w|url\(|@import""", re.sub("data-src", "", text))


def test_every_number_leads_to_its_pairs():
    pairs = [pair(f"p{i}", "ann" if i < 3 else "bob") for i in range(5)]
    found = part(pairs, {"a": [[0.9, 0.2, 0.5, None, 0.7], [0.4, 0.4, 0.6, 0.6, 0.1]], "b": [[0.6] * 5]})
    page = Page(report_page([found], mark="m"))
    assert page.table("Every pair, and what was said about it") == [
        ["pair", "user", "a", "b"],
        ["p0", "ann", "✓ 90", "✓ 60"],
        ["p1", "ann", "✗ 20", "✓ 60"],
        ["p2", "ann", "½ 50", "✓ 60"],
        ["p3", "bob", "– parse", "✓ 60"],
        ["p4", "bob", "✓ 70", "✓ 60"],
    ]
    assert page.table("Every pair, and what was said about it under each control")[4][2] == "✓ 60"
    users = page.table(
        "Accuracy of every user in %, and the gain in points over the same scorer without the user"
    )
    assert users == [
        ["user", "pairs", "a", "a, gain", "b"],
        ["ann", "3", "50", "+17", "100"],
        ["bob", "2", "100", "+100", "100"],
    ]
    accuracy = page.table("Accuracy")
    assert [row[0] for row in accuracy] == ["scorer", "a", "b"]
    assert accuracy[1][1] == f"{100 * 2.5 / 4:.1f}"


def test_texts_are_shown_only_when_asked_for():
    pairs = [
        pair("p0", prompt="secret question", chosen="secret yes", rejected="secret no", reason="secret why")
    ]
    found = part(pairs, {"a": [[0.9]]})
    without, with_texts = (report_page([found], mark="m", with_texts=it) for it in (False, True))
    assert "secret" not in without
    assert "no prompt and no response" in without
    for said in ("secret question", "secret yes", "secret no", "secret why"):
        assert said in with_texts
    page = Page(with_texts)
    links = [it["href"][1:] for tag, it in page.tags if tag == "a"]
    assert links == ["r0p0"]
    assert [it.get("id") for tag, it in page.tags if tag == "details"].count("r0p0") == 1


def test_a_large_result_stays_light_and_says_what_is_cut():
    pairs = [pair(f"pair-{i:06d}-of-a-long-name", f"user-{i % 700}") for i in range(6000)]
    found = part(pairs, {f"scorer-{n}": [[0.25 + 0.1 * n] * 6000] for n in range(5)})
    text = report_page([found], mark="m")
    assert 300_000 < len(text.encode()) < 500_000
    page = Page(text)
    rows = page.table("Every pair, and what was said about it")[1:]
    assert f"Of 6,000 pairs the first {len(rows):,} are shown" in page.text
    assert (
        len(
            page.table(
                "Accuracy of every user in %, and the gain in points over the same scorer without the user"
            )
        )
        == 701
    )
    several = report_page([found, found, found], mark="m")
    assert len(several.encode()) < 600_000


def test_a_page_is_readable_by_keyboard_and_screen_reader():
    pairs = [pair(f"p{i}", f"u{i % 3}") for i in range(9)]
    text = report_page(
        [part(pairs, {"a": [[0.7] * 9, [0.4] * 9]}), part(pairs, {"b": [[0.6] * 9]}, "other")], mark="m"
    )
    page = Page(text)
    tags = page.tags
    assert dict(tags[0][1]) == {"lang": "en"}
    assert all(it.get("scope") in ("col", "row") for tag, it in tags if tag == "th")
    assert all(name for name, _ in page.tables)
    assert all(it["aria-label"] and it["role"] == "img" for tag, it in tags if tag == "svg")
    scrolling = [it for tag, it in tags if tag == "div" and it.get("class") == "wide"]
    assert scrolling
    assert all(it["tabindex"] == "0" and it["aria-label"] for it in scrolling)
    ids = [it["id"] for _, it in tags if it.get("id")]
    assert len(ids) == len(set(ids))
    assert {it["href"][1:] for tag, it in tags if tag == "a"} <= set(ids)


def test_pages_of_the_same_result_are_the_same_and_know_who_made_them(tmp_path):
    pairs = [pair(f"p{i}") for i in range(4)]
    texts = [
        report_page([part(pairs, {"a": [[0.7] * 4]})], mark=mark_of("evaluate", ["toy"])) for _ in range(2)
    ]
    assert texts[0] == texts[1]
    place = tmp_path / "page.html"
    place.write_text(texts[0], encoding="utf-8")
    assert made_for(place) == mark_of("evaluate", ["toy"]) != mark_of("compare", ["toy"])
    place.write_text("<html>mine</html>", encoding="utf-8")
    assert made_for(place) is None
    assert made_for(tmp_path / "nowhere") is None


def test_nobody_who_answered_is_a_page_too():
    text = report_page([part([pair("p")], {"silent": [[None]]})], mark="m")
    assert Page(text).table("Every pair, and what was said about it")[1] == ["p", "ann", "– parse"]
    assert pages.ROOM < 500_000
