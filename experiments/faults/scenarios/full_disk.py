"""A disk that is full, with the call cache or the store on it; then there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from scenarios.client import Client, judge, nothing_lost, serve
from scenarios.rows import Row
from scenarios.workplace import Workplace, finish

DISK_MIB = 8


def why_not() -> str | None:
    """Why no small disk can be had here, or None."""
    if os.geteuid() != 0:
        return "a small disk can only be mounted by root"
    folder = Path("/tmp") / f"faults-{os.getpid()}"
    try:
        with small_disk(folder):
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no small disk can be mounted here: {error}"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of a few MiB mounted at a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ("-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=700", "none")
    subprocess.run(["mount", *options, str(folder)], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def full_disk(folder: Path, *, users: int, pairs: int, full: Literal["cache", "store"], room_kib: int) -> Row:
    """Let the disk run full in the middle of a run, make room, and run again.

    Promised: the run ends with a message that names the place and how much was done; what was finished or
    recorded is there and not asked for again; at most the calls in flight repeat.
    """
    row = Row(f"disk of the {full} full", f"{users} users, {room_kib} KiB of room")
    with Workplace(folder, users=users, pairs=pairs) as place, small_disk(folder / "disk") as disk:
        expected, endpoint = place.reference(), place.endpoint
        store, cache = ("disk/store.db", "cache") if full == "store" else ("store.db", "disk/cache")
        if full == "store":  # the pairs are there when it runs full
            place.take_in(store)
        ballast = disk / "ballast"
        _fill(ballast, disk, room_kib)
        ran = finish(place.induce(store, cache=cache, pairs=full == "cache"))
        row.promise(ran.status == 1, f"it ended with {ran.status}")
        row.promise("disk" in ran.said and "full" in ran.said, f"it said {ran.said[-300:]!r}")
        row.promise(str(cache if full == "cache" else "store.db") in ran.said, "the place is not named")
        before, recorded = place.profiles(store), place.recorded(cache)
        row.promise(ran.summary.get("done") == len(before), "what was done is not told")
        row.promise(len(before) < users, "the disk never was full")
        in_flight = len(set(endpoint.asked) - recorded)
        row.promise(in_flight <= place.concurrency, f"{in_flight} replies were not recorded")
        row.shown = f"exit 1, the place, {ran.summary.get('done')} users done"
        ballast.unlink()
        asked = dict(endpoint.asked)
        again = place.go_on(store, cache=cache)
        row.promise(not again.failed and not again.stopped, f"with room: {again}")
        twice = [mark for mark in recorded if endpoint.asked[mark] > asked.get(mark, 0)]
        row.promise(not twice, f"{len(twice)} recorded replies were asked for again")
        found = place.profiles(store)
        row.lost = sum(found.get(user) != profile for user, profile in before.items())
        row.promise(row.lost == 0, f"{row.lost} finished users were lost")
        row.promise(found == expected, "profiles differ from those of an undisturbed run")
        row.calls, row.repeated, row.finished = endpoint.calls, endpoint.repeated, f"{len(found)} of {users}"
    return row


def _fill(ballast: Path, disk: Path, room_kib: int) -> None:
    found = os.statvfs(disk)
    size = found.f_bavail * found.f_frsize - room_kib * 1024
    ballast.write_bytes(b"\0" * size)


def full_disk_of_a_server(folder: Path, *, room_kib: int) -> Row:
    """Let the disk of a reward server's users run full while it is given pairs, then make room.

    Promised: as where a database is away (`scenarios.client.judge`); what was acknowledged is there.
    """
    row = Row("disk of the users full", f"reward server, {room_kib} KiB of room")
    with Workplace(folder, users=6, pairs=12) as place, small_disk(folder / "disk") as disk:
        store = place.place("disk/users.db")
        with Client(serve(place, store), padding=20_000) as client:
            client.until(lambda: client.codes["pairs", 200] >= 3)
            _fill(disk / "ballast", disk, room_kib)
            client.until(lambda: client.codes["pairs", 503] >= 3)
            (disk / "ballast").unlink()
            well = client.codes["pairs", 200] + 3
            client.until(lambda: client.codes["pairs", 200] >= well)
        judge(row, client)
        nothing_lost(row, client, store)
    return row
