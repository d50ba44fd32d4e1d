"""Pictures of every page at the width of a phone and of a desk, for `docs/page`; needs chromium.

python experiments/page/pictures.py
"""

from __future__ import annotations

import html
import re
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from run import TEXT, page

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs" / "page"
SIZES = {375: 760, 1280: 800}
TALLEST = {375: 1500, 1280: 1500}
COLOURS = 64
CHOICES = 24
SETTLED_MS = 260
PROJECT = 'title = "Your taste, in your words"\nlicence = "CC-BY-4.0"\n'


def kept(window, name, width):
    """A picture of the page as it is, in few colours."""
    path = DOCS / f"{name}-{width}.png"
    window.screenshot(path=path, full_page=True)
    with Image.open(path) as seen:
        cut = seen.crop((0, 0, seen.width, min(seen.height, TALLEST[width])))
        cut.convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
            path, optimize=True
        )


def pressed(window, name):
    window.wait_for_timeout(SETTLED_MS)
    window.get_by_role("button", name=name).first.click()
    window.wait_for_load_state()


def choose(window):
    """As somebody who likes it short and calm."""
    first, second = (html.unescape(it) for it in TEXT.findall(window.content()))
    taste = lambda text: len(text) + 200 * text.count("!")  # noqa: E731
    pressed(window, f"I like answer {1 if taste(first) <= taste(second) else 2} better")


def used(window):
    """Choices, a persona, an own sentence."""
    for _ in range(CHOICES):
        choose(window)
    window.goto("/persona")
    pressed(window, re.compile("Write down what my"))
    window.goto("/persona")
    pressed(window, "Pin")
    window.locator("#add").fill("I want the answer first, and the reasons after it.")
    pressed(window, "Add")


def tried(window):
    window.goto("/try")
    window.locator("#question").fill("Can I freeze cooked rice?")
    window.locator("#first").fill("Yes. Cool it fast, bag it flat, and keep it for up to three months.")
    window.locator("#second").fill(
        "What a wonderful question! Rice is loved all over the world, and yes, you can! " * 2
    )
    pressed(window, "See which one")


def main():
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        (Path(folder) / "project.toml").write_text(PROJECT, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with page("choices.db", ".", folder) as (url, _):
            windows = {}
            for width, height in SIZES.items():
                context = browser.new_context(base_url=url, viewport={"width": width, "height": height})
                windows[width] = context.new_page()
                windows[width].goto("/")
                kept(windows[width], "welcome", width)
            first = next(iter(windows.values()))
            pressed(first, "I agree")
            used(first)
            for width, window in windows.items():
                for name, path in {"persona": "/persona", "data": "/take"}.items():
                    window.goto(path)
                    kept(window, name, width)
                window.goto("/team")
                window.locator("#name").fill(f"annotator {width}")
                pressed(window, "Make a link")
                kept(window, "team", width)
                tried(window)
                kept(window, "try", width)
                window.goto("/")
                window.wait_for_url("**/question/*")
                kept(window, "question", width)
        browser.close()
    for path in sorted(DOCS.glob("*.png")):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
