"""The page in a real browser, Debian's chromium: keys, reloads, the back button, hostile answers, axe-core."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from hostile import HOSTILE

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: no browser test runs"
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = (Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
PHONE, DESK = {"width": 375, "height": 760}, {"width": 1280, "height": 800}
PAGES = ("/", "/persona", "/try", "/take", "/team", "/enter", "/nowhere")
SETTLED_MS = 260
"""The page takes no click sooner after it is shown."""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: NO BROWSER TEST RUNS; apt install chromium"
)


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--disable-dev-shm-usage", *(["--no-sandbox"] if os.getuid() == 0 else [])]
        )  # fmt: skip
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Opens a page in a window of its own; whatever it complains of, or asks of elsewhere, fails the test."""
    contexts, complaints = [], []

    def one(page, **settings):
        context = chromium.new_context(viewport=DESK, base_url=page.url, accept_downloads=True, **settings)
        context.set_default_timeout(20_000)
        contexts.append(context)
        window = context.new_page()
        window.on(
            "console",
            lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None,
        )
        window.on("pageerror", lambda error: complaints.append(str(error)))
        window.on("dialog", lambda dialog: complaints.append(dialog.message))
        window.on(
            "request", lambda asked: None if asked.url.startswith(page.url) else complaints.append(asked.url)
        )
        window.complaints = complaints
        return window

    yield one
    for context in contexts:
        context.close()
    assert [it for it in complaints if "404" not in it] == []


def agree(window):
    window.goto("/")
    settle(window)
    window.keyboard.press("Enter")
    window.wait_for_url("**/question/*")


def settle(window):
    window.wait_for_timeout(SETTLED_MS)


def press(window, *keys):
    """Keys on a page that has settled, and the page that they lead to."""
    settle(window)
    before = window.url
    for key in keys:
        window.keyboard.press(key)
    window.wait_for_function(
        "before => location.href !== before && document.readyState === 'complete'", arg=before
    )


def shorter(window):
    texts = window.locator(".answer .text").all_inner_texts()
    return "1" if len(texts[0]) <= len(texts[1]) else "2"


def pairs(page):
    return page.page.store.pairs("me")


def test_the_whole_way_with_the_keyboard_from_an_empty_store_to_an_export(serve, visit):
    page = serve()
    window = visit(page)
    agree(window)
    for number in range(8):
        if number == 3:
            window.get_by_text("Say why").click()
            window.locator("#reason").fill("It comes to the point 1 2 0 u s.")
            window.locator("h1").click()
        press(window, shorter(window), "Enter")
    assert len(pairs(page)) == 8
    assert [pair.reason for pair in pairs(page) if pair.reason] == ["It comes to the point 1 2 0 u s."]
    press(window, "u", "Enter")
    assert len(pairs(page)) == 7
    assert window.locator(".answer.chosen").count() == 0
    press(window, "0", "Enter")
    assert len(page.page.store.feedback("me")) == 1
    window.get_by_role("link", name="My persona").click()
    settle(window)
    window.get_by_role("button", name="Write down what my 7 choices say").click()
    window.wait_for_load_state()
    window.goto("/persona")
    settle(window)
    window.locator("#add").fill("I like short answers.")
    window.locator(".adding").get_by_role("button", name="See what it would change").click()
    window.get_by_role("heading", name="What it would change").wait_for()
    settle(window)
    window.get_by_role("button", name="Save it").click()
    window.get_by_role("heading", name="Changed").wait_for()
    assert "would be guessed" in window.locator("#changed").inner_text()
    own = window.locator(".sentence", has_text="I like short answers.")
    assert "held in" in own.inner_text()
    settle(window)
    own.get_by_text("Edit", exact=True).click()
    own.locator("textarea").fill("I like answers that are short.")
    own.get_by_role("button", name="Save").click()
    window.locator(".said", has_text="I like answers that are short.").wait_for()
    settle(window)
    window.locator(".sentence", has_text="that are short").get_by_role("button", name="Pin").click()
    window.get_by_text("pinned: it stays").wait_for()
    window.goto("/take")
    with window.expect_download() as loading:
        window.get_by_role("link", name="everything.json").click()
    exported = json.loads(Path(loading.value.path()).read_text(encoding="utf-8"))
    assert len(exported["pairs"]) == 7
    assert exported["profiles"][-1]["profile"]["corrections"][-1]["kind"] == "pinned"
    window.locator("#sure").fill("delete")
    settle(window)
    window.get_by_role("button", name="Delete everything of mine").click()
    window.get_by_text("These were deleted and are gone: 7 choices, 1 other answers").wait_for()
    assert page.page.users.export("me") is None


def test_reload_back_button_and_double_click_lose_and_double_nothing(serve, visit):
    page = serve()
    window = visit(page)
    agree(window)
    first = window.url
    settle(window)
    window.get_by_role("button", name="I like answer 1 better").dblclick()
    window.wait_for_url(lambda url: url != first)
    settle(window)
    assert len(pairs(page)) == 1
    second = window.url
    window.reload()
    assert window.url == second
    window.go_back()
    window.wait_for_url(first)
    window.get_by_text("You answered this").wait_for()
    assert window.locator(".answer.chosen h2").inner_text() == "Answer 1"
    settle(window)
    window.get_by_role("button", name="I like answer 2 better").click()
    window.wait_for_url(lambda url: url != first)
    (pair,) = pairs(page)
    assert pair.metadata["shown_first"] == "rejected"
    window.go_back()
    window.go_forward()
    assert len(pairs(page)) == 1


def test_without_a_script_all_of_it_works_as_plain_forms(serve, visit):
    page = serve()
    window = visit(page, java_script_enabled=False)
    window.goto("/")
    window.get_by_role("button", name="I agree").click()
    for name in ("I like answer 2 better", "Both good", "Skip for now", "Undo"):
        window.get_by_role("button", name=name).click()
    assert (len(pairs(page)), page.page.store.feedback("me")) == (1, ())
    window.goto("/persona")
    window.locator("#add").fill("I like plain forms.")
    window.get_by_role("button", name="Add").click()
    assert "I like plain forms." in window.locator(".said").first.inner_text()


def test_hostile_answers_neither_run_nor_load_nor_cover_anything(serve, visit, pool):
    chosen = [text for text in HOSTILE if "\0" not in text and len(text) < 100_000][::3]
    rows = [
        {"item_id": str(n), "prompt": text, "responses": [text, f"{text} "[:-1] + "."]}
        for n, text in enumerate(chosen)
    ]
    page = serve(pool=pool(*rows), order="file")
    window = visit(page)
    agree(window)
    for key in page.page.items:
        window.goto(f"/question/{key}")
        assert window.evaluate("window.harmed") is None
        assert (
            window.locator("main iframe, main img, main object, main style, main script, main meta").count()
            == 0
        )
        assert window.locator("main form").count() == 2
    window.get_by_role("button", name="I like answer 1 better").click(trial=True)
    assert window.evaluate("[...document.forms].every(it => new URL(it.action).origin === location.origin)")


@pytest.mark.parametrize("scheme", ["light", "dark"])  # the one on a phone, the other on a desk
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_a_phone(serve, visit, scheme, pool):
    rows = [
        {"prompt": f"Q{n}? " * 9, "responses": [f"a{n} " * 30, f"b{n} \n\n|a|b|\n|-|-|\n|1|{'x' * 90}|"]}
        for n in range(9)
    ]
    rows += [
        {"prompt": "مرحبا؟", "responses": ["نعم " * 9, "لا", "ربما"]},
        {"prompt": "Rate", "response": "`x` " * 90},
    ]
    page = serve(pool=pool(*rows))
    window = visit(page, color_scheme=scheme)
    agree(window)
    faults = []

    def look(path):
        window.goto(path)
        for width in (DESK, PHONE) if scheme == "light" else (PHONE, DESK):
            window.set_viewport_size(width)
            assert window.evaluate("document.documentElement.scrollWidth") <= width["width"], path
        window.evaluate(AXE)
        found = window.evaluate("axe.run(document, {resultTypes: ['violations']})")
        faults.extend(
            (path, it["id"], it["nodes"][0]["html"][:200])
            for it in found["violations"]
            if it["impact"] in ("serious", "critical")
        )

    look("/")
    for _ in range(6):
        press(window, shorter(window), "Enter")
    for path in (*PAGES, *(f"/question/{key}" for key in list(page.page.items)[-2:])):
        look(path)
    window.goto("/persona")
    settle(window)
    window.locator("#add").fill("I like short answers.")
    window.get_by_role("button", name="Add").click()
    window.get_by_role("heading", name="Changed").wait_for()
    look(window.url)
    assert faults == []
    window.goto(f"/question/{list(page.page.items)[-2]}")
    assert window.locator(".turn.user").evaluate("it => getComputedStyle(it).direction") == "rtl"
