"""Workers that are killed, and two that do the same work."""

from __future__ import annotations

import random
import time
from pathlib import Path

from scenarios.rows import Row, counted
from scenarios.workplace import Workplace, finish, kill

START_S = 3.0
"""About what a worker takes to start: every fifth kill falls into it."""


def kills(
    folder: Path,
    *,
    users: int,
    pairs: int,
    number: int,
    most_calls: int,
    store: str = "store.db",
    seed: int = 0,
) -> Row:
    """Kill a worker again and again, each time after a random number of calls, then let it finish.

    Promised: no user that was finished changes or is gone; no reply that was recorded at a kill is asked for
    again; at each kill no more is repeated than was in flight; the profiles are those of an undisturbed run.
    """
    kind = "PostgreSQL" if "://" in store else "SQLite"
    row = Row(f"kill -9, {number} times", f"{users} users in {kind}, after 0 to {most_calls} calls each")
    rng = random.Random(seed)
    with Workplace(folder, users=users, pairs=pairs, latency_s=0.05) as place:
        expected, endpoint = place.reference(), place.endpoint
        hits = most_lost = 0
        finished: dict[str, object] = {}
        kept: dict[str, int] = {}
        for turn in range(number):
            worker, before = place.induce(store), dict(endpoint.asked)
            if turn % 5 == 4:
                endpoint.wait_for(endpoint.calls + 1, seconds=rng.random() * START_S)
            else:
                endpoint.wait_for(endpoint.calls + rng.randint(1, most_calls), seconds=60)
                time.sleep(rng.random() * 0.05)
            hits += kill(worker)
            recorded, asked = place.recorded(), dict(endpoint.asked)
            sent = {mark for mark, times in asked.items() if times > before.get(mark, 0)}
            most_lost = max(most_lost, len(sent - recorded))
            now = place.profiles(store) if "://" in store or (place.folder / store).exists() else {}
            row.lost += sum(now.get(user) != profile for user, profile in finished.items())
            finished = dict(now)
            for mark in recorded:
                kept.setdefault(mark, asked[mark])
        left = len(finished)
        place.take_in(store)
        last = place.go_on(store)
        row.promise(not last.failed and not last.stopped, f"the last run: {last}")
        _settle(row, place, store, expected)
        again = sum(endpoint.asked[mark] > times for mark, times in kept.items())
        row.promise(again == 0, f"{again} recorded replies were asked for again")
        row.promise(hits == number, f"only {hits} of {number} workers were still running")
        row.promise(left < users, "everything was finished before the last kill")
        row.promise(row.lost == 0, f"{row.lost} finished users were lost or changed")
        row.promise(
            most_lost <= place.concurrency,
            f"{most_lost} calls were lost at one kill, {place.concurrency} fly",
        )
        row.promise(
            endpoint.repeated <= number * place.concurrency, f"{endpoint.repeated} calls were repeated"
        )
        row.shown = f"at most {most_lost} calls lost at a kill"
    return row


def twins(folder: Path, *, users: int, pairs: int, number: int = 2) -> Row:
    """Let several processes take in and induce the same users of one new store at the same time.

    Promised: all end well, each user has one version, made once; no reply is asked for that another process
    had recorded.
    """
    row = Row(f"{number} processes, the same users", f"{users} users, a new store and cache")
    with Workplace(folder, users=users, pairs=pairs, latency_s=0.05) as place:
        expected = place.reference()
        ran = [finish(process) for process in [place.induce("store.db") for _ in range(number)]]
        for one in ran:
            row.promise(one.status == 0, f"one ended with {one.status}: {one.said[-300:]}")
        _settle(row, place, "store.db", expected)
        asked = sum(one.sent for one in ran)
        row.promise(asked == row.calls, f"{row.calls} calls were made, {asked} are in the summaries")
        done = sum(one.summary.get("done", 0) for one in ran)
        row.promise(done == users, f"{done} users were made, of {users}")
        versions = [[number for number, _ in found] for found in place.versions("store.db").values()]
        row.promise(versions == [[1]] * users, f"versions {versions}")
        row.promise(place.endpoint.late == 0, f"{place.endpoint.late} recorded replies were asked for again")
        most = number * len(place.endpoint.asked)
        row.promise(place.endpoint.calls <= most, "more was asked than each alone would ask")
        row.shown = counted({"users done by the other": sum(one.summary.get("unchanged", 0) for one in ran)})
    return row


def _settle(row: Row, place: Workplace, store: str, expected: object) -> None:
    found = place.profiles(store)
    row.calls, row.repeated = place.endpoint.calls, place.endpoint.repeated
    row.finished = f"{len(found)} of {len(place.people)}"
    row.promise(found == expected, "profiles differ from those of an undisturbed run")
