"""What it costs to induce more and more users into a store: CPU seconds, peak memory, size of the store.

OMP_NUM_THREADS=1 python experiments/many_users/run.py [config.toml]
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from synthesizeme.datasets import write_pairs
from synthesizeme.datasets.synthetic import planted_population

HERE = Path(__file__).parent
AT_ONCE = 100
"""Users that are made at once: the file is longer than what is in memory."""
COMMAND = "import sys; from synthesizeme.cli import induce_persona_main as main; sys.exit(main())"


def simulated(users, pairs, seed):
    """Pairs of so many users, whose ids tell which hundred they are of."""
    for part in range(-(-users // AT_ONCE)):
        some = min(AT_ONCE, users - part * AT_ONCE)
        for pair in planted_population(some, pairs, seed=seed + part).pairs:
            names = {name: f"{part:04d}-{getattr(pair, name)}" for name in ("user_id", "pair_id")}
            yield pair.model_copy(update=names)


def measured(users, config):
    """`induce-persona --all-users --store` on that file and a new store, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        pairs, store, out = (Path(folder) / name for name in ("pairs.jsonl", "store.db", "out.json"))
        write_pairs(pairs, simulated(users, config["pairs"], config["seed"]))
        arguments = [
            sys.executable, "-c", COMMAND, str(pairs), "--all-users", "--store", str(store),
            "--model", config["model"], "--no-cache", "--json",
        ]  # fmt: skip
        started = time.perf_counter()
        with out.open("wb") as stream:
            child = os.posix_spawn(
                sys.executable,
                arguments,
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, stream.fileno(), 1)],
            )
            _, status, used = os.wait4(child, 0)
        seconds = time.perf_counter() - started
        summary = json.loads(out.read_text())
        assert (status, summary["done"], summary["failed"]) == (0, users, 0), (status, summary)
        return {
            "users": users, "cpu_s": used.ru_utime + used.ru_stime, "seconds": seconds,
            "peak_mb": used.ru_maxrss / 1024, "store_mb": store.stat().st_size / 2**20,
            "calls": summary["usage"]["distinct_calls"],
            "accuracy": {name: it["correct"] / it["pairs"] for name, it in summary["accuracy"].items()},
        }  # fmt: skip


def line_through(points):
    """Slope, its standard error and R^2 of a straight line through (log users, log CPU seconds)."""
    xs, ys = ([math.log(value) for value in side] for side in zip(*points, strict=True))
    n, mx, my = len(xs), sum(xs) / len(xs), sum(ys) / len(ys)
    sxx = sum((x - mx) ** 2 for x in xs)
    slope = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sxx
    rest = sum((y - my - slope * (x - mx)) ** 2 for x, y in zip(xs, ys, strict=True))
    error = math.sqrt(rest / (n - 2) / sxx) if n > 2 else None
    return {"slope": slope, "standard_error": error, "r2": 1 - rest / sum((y - my) ** 2 for y in ys)}


def main(config_path=HERE / "config.toml"):
    config = tomllib.loads(Path(config_path).read_text())
    measured(1, config)  # files of the libraries into the memory of the machine
    start = measured(1, config)
    rows = []
    for users in config["users"]:
        rows.append(measured(users, config))
        print(row_line(rows[-1]), flush=True)
    result = {
        "config": config, "machine": {"processor": processor(), "cores": os.cpu_count()}, "start": start,
        "rows": rows,
        "fit": line_through([(row["users"], row["cpu_s"] - start["cpu_s"]) for row in rows]),
        "fit_with_start": line_through([(row["users"], row["cpu_s"]) for row in rows]),
        "million": million(rows[-1], start),
    }  # fmt: skip
    for line in lines(result):
        print(line)
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "results.json").write_text(json.dumps(result, indent=2) + "\n")


def million(row, start):
    """The largest run, carried on to a million users."""
    each = (row["cpu_s"] - start["cpu_s"]) / row["users"]
    return {
        "cpu_ms_per_user": 1000 * each, "core_hours": 1e6 * each / 3600,
        "store_gb": row["store_mb"] / row["users"] * 1e6 / 1024, "calls": row["calls"] / row["users"] * 1e6,
    }  # fmt: skip


def processor():
    names = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")]
    return names[0].partition(": ")[2] if names else platform.processor()


def row_line(row):
    return (
        f"  {row['users']:,} users: {row['cpu_s']:.1f} CPU s, {row['seconds']:.1f} s, "
        f"peak {row['peak_mb']:.0f} MB, store {row['store_mb']:.1f} MB, {row['calls']:,} calls"
    )


def lines(result):
    fit, far, start = result["fit"], result["million"], result["start"]["cpu_s"]
    yield f"{result['config']['pairs']} pairs a user; starting the command takes {start:.1f} CPU s"
    yield (
        f"  log-log slope of CPU seconds less the start: {fit['slope']:.3f}, standard error "
        f"{fit['standard_error']} (R² {fit['r2']:.5f})"
    )
    yield f"  slope with the start: {result['fit_with_start']['slope']:.3f}"
    yield f"  {far['cpu_ms_per_user']:.1f} ms CPU a user on {result['machine']['processor']}"
    yield (
        f"  a million users: {far['core_hours']:.1f} core hours, a store of {far['store_gb']:.0f} GB, "
        f"{far['calls'] / 1e6:.0f} million calls"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
