"""A wall clock that jumps, by years, several times a second, in both directions."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from scenarios.client import Client, serve
from scenarios.rows import Row, counted
from scenarios.workplace import IMPATIENT_S, Workplace, finish

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

/* The wall clock, `JUMP` seconds off in every other third of a second; the other clocks are true. */
static int (*tell)(clockid_t, struct timespec *);

static time_t off(void) {
    struct timespec now;
    const char *jump = getenv("JUMP");
    tell(CLOCK_MONOTONIC, &now);
    long thirds = now.tv_sec * 3 + now.tv_nsec / 333333334;
    return jump && thirds % 2 ? atol(jump) : 0;
}

int clock_gettime(clockid_t id, struct timespec *at) {
    if (!tell) tell = dlsym(RTLD_NEXT, "clock_gettime");
    int status = tell(id, at);
    if (!status && id == CLOCK_REALTIME) at->tv_sec += off();
    return status;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""
MAX_DELAY_S = 100.0
"""A wait by the wrong clock is cut off at 120 s."""
YEARS = 365 * 86_400


def why_not() -> str | None:
    """Why no clock can be made to jump here, or None."""
    return None if shutil.which("cc") else "no C compiler (cc) makes a clock that jumps"


def jumping(folder: Path, seconds: int) -> dict[str, str]:
    """Environment of a process whose wall clock jumps by so many seconds and back."""
    library = folder / "clock.so"
    if not library.exists():
        source = folder / "clock.c"
        source.write_text(SOURCE)
        command = ["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True, capture_output=True)
    return {"LD_PRELOAD": str(library), "JUMP": str(seconds)}


def jumping_clock(folder: Path, *, users: int, pairs: int) -> Row:
    """Make profiles by a clock that jumps ahead, update them by one that jumps back, with waits until a date.

    Promised: nothing waits longer than it was asked to, no profile differs, versions are in order, and so are
    their times.
    """
    row = Row("clock jumps", f"{users} users, 20 years ahead 3 times a second; an update, 20 years back")
    with Workplace(folder, users=users, pairs=pairs, timeout_s=IMPATIENT_S) as place:
        expected, endpoint = place.reference(), place.endpoint
        endpoint.fail(0.2, ["429 until a date", "slow"])
        retries = 0
        for years, flags in ((20, ()), (-20, ("--effort", "low"))):
            began = time.monotonic()
            ran = finish(place.induce("store.db", *flags, env=jumping(folder, years * YEARS)))
            row.promise(ran.status == 0, f"{years} years: it ended with {ran.status}: {ran.said[-300:]}")
            row.promise(time.monotonic() - began < MAX_DELAY_S, f"{years} years: it waited for too long")
            retries += ran.summary["usage"]["retries"] if ran.summary else 0
            if years > 0:
                found = place.profiles("store.db")
                row.promise(found == expected, "profiles differ from those of a steady clock")
        for numbers, times in (zip(*them, strict=True) for them in place.versions("store.db").values()):
            row.promise(numbers == (1, 2), f"versions {numbers}")
            row.promise(list(times) == sorted(times), f"times of versions {times}")
        row.calls, row.repeated = endpoint.calls, endpoint.repeated
        row.promise(0 < retries == endpoint.repeated, f"{endpoint.repeated} repeats, {retries} retries shown")
        row.finished = f"{len(place.profiles('store.db'))} of {users}"
        row.shown = counted({"retries": retries})
    return row


def jumping_clock_of_a_server(folder: Path, *, scores: int) -> Row:
    """Ask a server whose clock jumps for scores, and give it pairs.

    Promised: nothing is late by a deadline, and every answer is good.
    """
    row = Row("clock jumps", f"reward server, {scores} scores, 20 years ahead and back, 3 times a second")
    with Workplace(folder, users=6, pairs=12) as place:
        with Client(serve(place, "users.db", env=jumping(folder, 20 * YEARS))) as client:
            client.until(lambda: client.codes["score", 200] >= scores)
        wrong = {f"{kind} {code}": n for (kind, code), n in client.codes.items() if code != 200}
        row.promise(not wrong, f"answers {wrong}")
        row.promise(client.acknowledged, "no pair was added")
        row.finished = f"{client.codes['pairs', 200]} pairs, {client.codes['score', 200]} scores"
        row.shown = counted(wrong)
    return row
