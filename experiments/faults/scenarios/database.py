"""A PostgreSQL server that goes away in the middle of an induction, and of serving."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postgres_server import DATABASE, PostgresServer, why_not

from scenarios.client import Client, judge, nothing_lost, serve
from scenarios.rows import Row
from scenarios.workplace import Workplace, finish
from synthesizeme.profiles import migrate_store

__all__ = ["away_from_a_server", "away_from_an_induction", "why_not"]

WAITS = "cannot be reached"


@contextmanager
def database() -> Iterator[tuple[PostgresServer, str]]:
    """A server of its own with an empty store, and its URL."""
    server = PostgresServer()
    try:
        server.sql(f"CREATE DATABASE {DATABASE}")
        migrate_store(server.url(DATABASE))
        yield server, server.url(DATABASE)
    finally:
        server.remove()


def away_from_an_induction(
    folder: Path, *, users: int, pairs: int, seconds: float, crash: bool = False
) -> Row:
    """Stop the database in the middle of an induction, orderly or not, and start it again.

    Promised: the run waits, says so, and goes on; no call is asked twice, nothing is lost.
    """
    how = "crashes, away" if crash else "away"
    row = Row("database away", f"{users} users induced, {how} for {seconds:g} s")
    with Workplace(folder, users=users, pairs=pairs, latency_s=0.05) as place, database() as (server, url):
        expected, endpoint = place.reference(), place.endpoint
        worker = place.induce(url)
        endpoint.wait_for(sum(map(len, place.people.values())) * 2)
        before = place.profiles(url)
        server.stop("immediate" if crash else "fast")
        time.sleep(seconds)
        running = worker.poll() is None
        server.start()
        ran = finish(worker)
        row.promise(running, "the run ended while the database was away")
        row.promise(ran.status == 0, f"it ended with {ran.status}: {ran.said[-300:]}")
        row.promise(WAITS in ran.said or seconds < 2, "nobody was told of the wait")
        found = place.profiles(url)
        row.lost = sum(found.get(user) != profile for user, profile in before.items())
        row.promise(len(before) < users, "all was done before the database went away")
        row.promise(found == expected, "profiles differ from those of an undisturbed run")
        row.promise(endpoint.repeated == 0, f"{endpoint.repeated} calls were repeated")
        row.calls, row.repeated, row.finished = endpoint.calls, endpoint.repeated, f"{len(found)} of {users}"
        row.shown = f"{ran.said.count(WAITS)} lines on waiting"
    return row


def away_from_a_server(folder: Path, *, seconds: float) -> Row:
    """Stop the database of a reward server that is asked for scores and given pairs, and start it again.

    Promised: scores go on; pairs are refused with 503 and a time to come back, never another error; what was
    acknowledged is in the store afterwards; all is well again soon.
    """
    row = Row("database away", f"reward server, away for {seconds:g} s")
    with Workplace(folder, users=6, pairs=12) as place, database() as (server, url):
        with Client(serve(place, url)) as client:
            client.until(lambda: client.codes["pairs", 200] >= 3 and client.codes["score", 200] >= 3)
            server.stop()
            client.until(lambda: client.codes["pairs", 503] >= 1)
            while_away = client.codes["score", 200]
            time.sleep(seconds)
            kept_on = client.codes["score", 200] - while_away
            server.start()
            back = time.monotonic()
            well = client.codes["pairs", 200] + 3
            client.until(lambda: client.codes["pairs", 200] >= well)
            row.promise(time.monotonic() - back < 10, "it took more than 10 s to be well again")
        row.promise(kept_on >= seconds, f"only {kept_on} scores while the database was away")
        judge(row, client)
        nothing_lost(row, client, url)
    return row
