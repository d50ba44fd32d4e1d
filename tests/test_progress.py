from __future__ import annotations

import time

import pytest

from synthesizeme import progress
from synthesizeme.errors import ConfigError
from synthesizeme.progress import Progress, ProgressDisplay, waiting, watched
from synthesizeme.types import Usage


def at(done: int) -> Progress:
    usage = Usage(
        calls=done, distinct_calls=done, prompt_tokens=1000, completion_tokens=200, cost_usd=0.5,
        mended=1, unreadable=done // 2, failed=2,
    )  # fmt: skip
    return Progress("judging", done, 40, usage)


def test_not_a_terminal_gets_a_line_now_and_then(capfd, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
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


def test_what_cannot_be_counted_shows_how_long_it_has_taken(capfd, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with watched(True, "hierarchical") as told:
        clock[0] += 75.0
        told(Progress("fitting", 0, 0))
    assert capfd.readouterr().err == "hierarchical: fitting 1:15\n"


def test_a_short_run_says_nothing_and_neither_does_a_quiet_one(capfd):
    with watched(True, "ann") as told:
        told(at(1))
    for quiet in (None, False):
        with watched(quiet, "ann") as told:
            assert told is None
        with waiting(quiet, "ann", "fitting"):
            pass
    assert capfd.readouterr().err == ""


def test_a_function_is_told_of_every_step_and_while_something_goes_on():
    seen: list[Progress] = []
    with watched(seen.append, "ann") as told:
        told(at(3))
    assert seen == [at(3)]
    seen.clear()
    with waiting(seen.append, "ann", "fitting"):
        while not seen:
            time.sleep(0.05)
    assert seen[0] == Progress("fitting", 0, 0)


def test_anything_else_is_refused():
    with (
        pytest.raises(ConfigError, match="progress is 'yes'; expected True, False, or a function"),
        watched("yes", "a"),
    ):
        pass
