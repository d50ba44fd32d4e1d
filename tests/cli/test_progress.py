from __future__ import annotations

from synthesizeme.backends import Progress
from synthesizeme.cli import _progress
from synthesizeme.cli._progress import ProgressDisplay
from synthesizeme.types import Usage


def at(done: int) -> Progress:
    usage = Usage(
        calls=done, distinct_calls=done, prompt_tokens=1000, completion_tokens=200, cost_usd=0.5,
        mended=1, unreadable=done // 2, failed=2,
    )  # fmt: skip
    return Progress("judging", done, 40, usage)


def test_not_a_terminal_gets_a_line_now_and_then(capfd, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: clock[0])
    with ProgressDisplay() as display:
        display.label("ann\n", 2, 3)
        for done in range(1, 31):
            clock[0] += 1.0
            display(at(done))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 3
    assert (
        lines[0]
        == "ann\\n (2/3): judging 2/40; 2 calls (0 cached) · 1,200 tokens · $0.50 · 1 mended · 1 unreadable · 2 failed"
    )


def test_a_short_run_says_nothing_and_neither_does_a_quiet_one(capfd):
    with ProgressDisplay() as display:
        display(at(1))
    with ProgressDisplay(quiet=True) as display:
        display(at(1))
    assert capfd.readouterr().err == ""
