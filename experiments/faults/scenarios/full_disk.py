"""A disk that is full, with the call cache or the store on it; then there is room again."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from scenarios.client import Client, judge, nothing_lost, serve
from scenarios.rows import Row
from scenarios.workplace import Ran, Workplace, finish

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
        place.reference()
        store, cache = ("disk/store.db", "cache") if full == "store" else ("store.db", "disk/cache")
        if full == "store":  # the pairs are there when it runs full
            place.take_in(store)
        ballast = disk / "ballast"
        _fill(ballast, disk, room_kib)
        ran = finish(place.induce(store, cache=cache, pairs=full == "cache"))
        row.promise("full" in ran.said, f"it said {ran.said[-300:]!r}")
        _went_on(row, place, ran, store, cache, cache if full == "cache" else store, ballast.unlink)
    return row


def limited_files(folder: Path, *, users: int, pairs: int, most_kib: int) -> Row:
    """The same where no disk can be mounted: no file of the run may grow beyond a size."""
    row = Row("files of the cache limited", f"{users} users, {most_kib} KiB a file")
    with Workplace(folder, users=users, pairs=pairs) as place:
        place.reference()
        place.take_in("store.db")
        process = place.induce("store.db", pairs=False)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most_kib * 1024, most_kib * 1024))
        _went_on(row, place, finish(process), "store.db", "cache", "cache", lambda: None)
    return row


def _went_on(
    row: Row, place: Workplace, ran: Ran, store: str, cache: str, named: str, make_room: Callable[[], object]
) -> None:
    endpoint, expected = place.endpoint, place.reference()
    before, recorded, asked = place.profiles(store), place.recorded(cache), dict(place.endpoint.asked)
    row.promise(ran.status == 1, f"it ended with {ran.status}")
    row.promise("disk" in ran.said and named in ran.said, f"it said {ran.said[-300:]!r}")
    row.promise(ran.summary.get("done") == len(before), "what was done is not told")
    row.promise(len(before) < len(place.people), "the disk never was full")
    lost = len(set(asked) - recorded)
    row.promise(lost <= place.concurrency, f"{lost} replies were not recorded")
    row.shown = f"exit 1, the place, {ran.summary.get('done')} users done"
    make_room()
    again = place.go_on(store, cache=cache)
    row.promise(not again.failed and not again.stopped, f"with room: {again}")
    twice = [mark for mark in recorded if endpoint.asked[mark] > asked.get(mark, 0)]
    row.promise(not twice, f"{len(twice)} recorded replies were asked for again")
    found = place.profiles(store)
    row.lost = sum(found.get(user) != profile for user, profile in before.items())
    row.promise(row.lost == 0, f"{row.lost} finished users were lost")
    row.promise(found == expected, "profiles differ from those of an undisturbed run")
    row.calls, row.repeated = endpoint.calls, endpoint.repeated
    row.finished = f"{len(found)} of {len(place.people)}"


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
