"""Real commands, endpoints, disks, clocks and databases that fail: what is lost, repeated, and shown.

OMP_NUM_THREADS=1 python experiments/faults/run.py [FAULT ...]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parents[1] / "tests"
sys.path[:0] = [str(HERE), *(str(TESTS / name) for name in ("backends", "end_to_end", "profiles"))]

from scenarios import clock, database, full_disk  # noqa: E402
from scenarios.endpoint import KINDS  # noqa: E402
from scenarios.failing_endpoint import failing_endpoint  # noqa: E402
from scenarios.kills import kills, twins  # noqa: E402
from scenarios.rows import Row, table  # noqa: E402

RESULTS = HERE / "results" / "results.json"
Scenario = Callable[[Path], Row]


def endpoint(config: dict) -> Iterator[Scenario]:
    """All ways together, and each by itself."""
    few = config.pop("users_a_kind")
    yield lambda folder: failing_endpoint(folder, **config)
    for kind in KINDS:
        yield lambda folder, kind=kind: failing_endpoint(folder, **config | {"users": few}, kinds=[kind])


def killed(config: dict) -> Iterator[Scenario]:
    """Workers on a store in a file, and on PostgreSQL."""
    on_postgresql = config.pop("number_postgresql")
    yield lambda folder: kills(folder, **config)
    if why := database.why_not():
        return skipped(why)
    yield lambda folder: killed_on_postgresql(folder, config | {"number": on_postgresql})


def killed_on_postgresql(folder: Path, config: dict) -> Row:
    with database.database() as (_, url):
        return kills(folder, **config, store=url)


def together(config: dict) -> Iterator[Scenario]:
    yield lambda folder: twins(folder, **config)


def disk(config: dict) -> Iterator[Scenario]:
    """The disk of the cache, and that of the store."""
    rooms = {full: config.pop(f"{full}_room_kib") for full in ("cache", "store")}
    yield lambda folder: full_disk.limited_files(folder, **config, most_kib=rooms["cache"])
    if why := full_disk.why_not():
        return skipped(why)
    for full, room in rooms.items():
        yield lambda folder, full=full, room=room: full_disk.full_disk(
            folder, **config, full=full, room_kib=room
        )
    yield lambda folder: full_disk.full_disk_of_a_server(folder, room_kib=rooms["store"])


def jumps(config: dict) -> Iterator[Scenario]:
    """An induction, and a server."""
    if why := clock.why_not():
        return skipped(why)
    scores = config.pop("scores")
    yield lambda folder: clock.jumping_clock(folder, **config)
    yield lambda folder: clock.jumping_clock_of_a_server(folder, scores=scores)


def away(config: dict) -> Iterator[Scenario]:
    """Away from an induction, stopped and crashed, and from a server."""
    if why := database.why_not():
        return skipped(why)
    for crash in (False, True):
        yield lambda folder, crash=crash: database.away_from_an_induction(folder, **config, crash=crash)
    yield lambda folder: database.away_from_a_server(folder, seconds=config["seconds"])


def skipped(why: str) -> None:
    print(f"left out: {why}")


FAULTS = {
    "endpoint": endpoint, "kills": killed, "twins": together, "disk": disk, "clock": jumps, "database": away,
}  # fmt: skip


def main(names: list[str]) -> int:
    config = tomllib.loads((HERE / "config.toml").read_text())
    kept = json.loads(RESULTS.read_text())["faults"] if RESULTS.exists() else {}
    for name in names or FAULTS:
        kept[name] = {"config": config[name], "cores": os.cpu_count(), "rows": []}
        for scenario in FAULTS[name](dict(config[name])):
            started = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="faults-") as folder:
                row = scenario(Path(folder))
            kept[name]["rows"].append(asdict(row))
            print(" | ".join(row.cells()), f"({time.monotonic() - started:.0f} s)", flush=True)
    write({name: kept[name] for name in FAULTS if name in kept})
    return int(any(row["problems"] for name in names or FAULTS for row in kept[name]["rows"]))


def write(found: dict) -> None:
    """The rows of the latest run of each fault."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"faults": found}, indent=2) + "\n")
    rows = (Row(**row) for part in found.values() for row in part["rows"])
    RESULTS.with_name("table.md").write_text(table(rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
