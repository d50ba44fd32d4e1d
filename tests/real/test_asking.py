"""Personas and judges by a real model, in this process and through a server: whatever it says, the counts add up."""

from __future__ import annotations

import json
import signal
import sqlite3
import time

SHORT = ("--max-tokens", 64, "--timeout", 600)
SMALL = (*SHORT, "--effort", "low")


def test_induce_then_judge_and_a_dry_run_foresees_the_calls(command, door, pairs):
    induce = ("induce-persona", pairs, "--user", "mara", *door, *SMALL, "--out", "out")
    dry = command(*induce, "--dry-run")
    [foreseen], [user] = dry["users"], command(*induce)["users"]
    for stage, usage in (("induction", user["usage"]), ("evaluation", user["evaluation_usage"])):
        assert 0 < usage["distinct_calls"] <= foreseen[stage]["calls"], stage
        assert usage["follow_ups"] <= dry["most_follow_ups_per_call"] * usage["distinct_calls"], stage
        assert min(usage["prompt_tokens"], usage["completion_tokens"]) > 0, stage
    for measured in user["accuracy"].values():
        assert measured["n"] <= 2
        assert measured["n"] == 2 or measured["failures"] > 0
    profile = command.place / user["files"]["profile"]
    assert json.loads(profile.read_text())["user_id"] == "mara"
    asked = ("--prompt", "Can I freeze rice?", "--first", "Yes, for three months.", "--second", "No idea.")
    said = command("judge", "--store", profile, *door, *SHORT, *asked)
    assert said["preference"] in ("first", "second", "tie")


def test_every_question_of_an_evaluation_has_a_verdict_or_a_failure(command, door, pairs):
    report = command("evaluate", "--data", pairs, "--scorers", "default,retrieval-bm25", *door, *SHORT)
    assert [row["name"] for row in report["rows"]] == ["default", "retrieval-bm25"]
    assert not report["failed"]
    for row in report["rows"]:
        failed = sum(row["failures"].values())
        assert (row["n_pairs"], row["n_questions"]) == (2, 4)
        assert failed <= 4
        assert (row["coverage"] == 1) == (failed == 0)
        assert row["usage"]["distinct_calls"] >= 4
    assert report["rows"][1]["usage"]["prompt_tokens"] > report["rows"][0]["usage"]["prompt_tokens"]


def answered(place):
    """Replies that are kept in a cache and could be read; the others are asked for again."""
    file = place / "calls.sqlite"
    if not file.exists():
        return 0
    with sqlite3.connect(file) as connection:
        try:
            rows = connection.execute("SELECT value FROM replies").fetchall()
        except sqlite3.OperationalError:  # it is being made
            return 0
    return sum(json.loads(reply).get("readable", False) for (reply,) in rows)


def test_a_killed_run_goes_on_with_the_answers_it_has(command, server, pairs):
    induce = ("induce-persona", pairs, "--user", "mara", "--model", "smollm2", "--api-base", server, *SMALL,
              "--concurrency", 1)  # fmt: skip
    process, cache = command.start(*induce), command.place / "cache"
    deadline = time.monotonic() + 600
    while answered(cache) < 5:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list(command.place.rglob("profile.json"))
    kept = answered(cache)
    [user] = command(*induce)["users"]
    assert kept <= user["usage"]["cached_calls"] < user["usage"]["distinct_calls"]
    [again] = command(*induce)["users"]
    unread = again["usage"]["unreadable"] + again["usage"]["refused"]
    assert again["usage"]["cached_calls"] == again["usage"]["distinct_calls"] - unread
    assert (again["accuracy"], again["persona"]) == (user["accuracy"], user["persona"])
