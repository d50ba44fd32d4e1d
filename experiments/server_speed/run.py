"""Speed of the reward server beside a bare FastAPI endpoint that echoes: same run, same load, same machine.

OMP_NUM_THREADS=1 python experiments/server_speed/run.py [config.toml]
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import orjson
import uvloop

from reward_models import method
from synthesizeme.datasets import read_pairs
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.discovery import resource

HERE = Path(__file__).parent
JSON = {"Content-Type": "application/json"}
WITH_WORDING, NAMED = "hierarchical-stylometric", "lore"
SETTINGS = ("--no-access-log", "--log-level", "warning", "--no-server-header", "--no-proxy-headers")
"""Of uvicorn, the same as `synthesizeme serve` uses."""
MOST_ROWS = 1024
"""Rows in flight when a request has several."""
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def server(*command, ready):
    """A server process on a free port; gives its address and process id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, *command, "--port", str(port)], cwd=HERE)
    try:
        for _ in range(600):
            assert process.poll() is None, command
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}{ready}", process.pid
    finally:
        process.terminate()
        process.wait(30)


def sample_texts():
    """Responses of the sample, some 70 words each."""
    pairs = read_pairs(resource("data/sample/pairs.jsonl")).pairs
    return [text for pair in pairs for text in (pair.chosen_text, pair.rejected_text)]


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def megabytes(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def bodies(texts, rows, users, numbers):
    """Endless request bodies; `numbers` makes every response another one, so that nothing is remembered."""
    while True:
        some = [
            {"user_id": users[i % len(users)], "prompt": "How does one begin?",
             "response": f"{i} {texts[i % len(texts)]}"}
            for i in itertools.islice(numbers, rows)
        ]  # fmt: skip
        yield orjson.dumps(some[0] if rows == 1 else {"rows": some})


async def load(url, source, connections, seconds):
    """Seconds of every request while `connections` of them are in flight, and the seconds it all took."""
    found, end = [], time.perf_counter() + seconds

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one():
            while time.perf_counter() < end:
                body = next(source)
                started = time.perf_counter()
                async with session.post(url, data=body, headers=JSON) as answer:
                    content = await answer.read()
                found.append(time.perf_counter() - started)
                assert answer.status == 200, content

        started = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(connections)))
        return found, time.perf_counter() - started


def measured(place, source, config, rows=1):
    url, pid = place
    before = cpu_seconds(pid)
    found, took = uvloop.run(load(url, source, config["connections"], config["seconds"]))
    found.sort()
    return {
        "requests_per_s": len(found) / took,
        "rows_per_s": rows * len(found) / took,
        "p50_ms": 1000 * found[len(found) // 2],
        "p99_ms": 1000 * found[int(0.99 * len(found))],
        "cpu_ms_per_row": 1000 * (cpu_seconds(pid) - before) / len(found) / rows,
        "megabytes": megabytes(pid),
    }


def trained(config, folder):
    users, pairs = config["users"], config["pairs"]
    planted = planted_population(users, pairs, seed=config["seed"]).pairs
    population = [pair.model_copy(update={"split": "train"}) for pair in planted]
    method("hierarchical-stylometric")(variances="fixed").fit(population).save(folder / WITH_WORDING)
    method("lore")(features="stylometric").fit(population).save(folder / NAMED)
    return list(dict.fromkeys(pair.user_id for pair in population))


def ratio(rounds, ours, rival, figure):
    """Median over the rounds, each of which measured both, and the least and the largest."""
    pairs = zip(rounds[ours], rounds[rival], strict=True)
    found = [mine[figure] / theirs[figure] for mine, theirs in pairs]
    return {"median": statistics.median(found), "least": min(found), "largest": max(found)}


def median(rows):
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def main(config_path=HERE / "config.toml"):
    config = tomllib.loads(Path(config_path).read_text())
    texts = sample_texts()
    names = ("echo", "bytes", NAMED, WITH_WORDING, f"{WITH_WORDING}, no batching")
    rounds = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        users = trained(config, Path(folder))
        wording, named = (
            ("-m", "synthesizeme.cli", "serve", "--reward-model", str(Path(folder) / name))
            for name in (WITH_WORDING, NAMED)
        )
        rivals = ("-m", "uvicorn", "echo:app", *SETTINGS)
        with (
            server(*rivals, ready="/echo") as echo,
            server(*rivals, ready="/bytes") as raw,
            server(*named, ready="/v1/score") as light,
            server(*wording, ready="/v1/score") as score,
            server(*wording, "--max-rows", "1", ready="/v1/score") as single,
        ):
            numbers = itertools.count()
            source = bodies(texts, 1, users, numbers)
            for _ in range(config["rounds"]):
                for name, place in zip(names, (echo, raw, light, score, single), strict=True):
                    rounds[name].append(measured(place, source, config))
            batched = {str(rows): [] for rows in config["rows"]}
            for _, rows in itertools.product(range(config["rounds"]), config["rows"]):
                few = config | {"connections": min(config["connections"], MOST_ROWS // rows)}
                batched[str(rows)].append(measured(score, bodies(texts, rows, users, numbers), few, rows))
    found = {name: median(rows) for name, rows in rounds.items()}
    ratios = {
        f"{ours} / {rival}": {
            "requests": ratio(rounds, ours, rival, "requests_per_s"),
            "p99": ratio(rounds, ours, rival, "p99_ms"),
            "cpu": ratio(rounds, rival, ours, "cpu_ms_per_row"),
        }
        for ours in (NAMED, WITH_WORDING)
        for rival in ("echo", "bytes")
    }
    result = {
        "config": {name: value for name, value in config.items() if name != "soak"},
        "cores": os.cpu_count(),
        "words_each": statistics.mean(len(text.split()) for text in texts),
        "batch_of_1": found,
        "ratios": ratios,
        "rows_per_request": {rows: median(several) for rows, several in batched.items()},
        "rounds": rounds,
    }
    for line in lines(result):
        print(line)
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "results.json").write_text(json.dumps(result, indent=2) + "\n")


def lines(result):
    config = result["config"]
    yield (
        f"{config['connections']} connections, one row a request, {result['words_each']:.0f} words a "
        f"response, medians of {config['rounds']} interleaved rounds"
    )
    for name, row in result["batch_of_1"].items():
        yield (
            f"  {name}: {row['requests_per_s']:,.0f} requests/s, p50 {row['p50_ms']:.0f} ms, p99 "
            f"{row['p99_ms']:.0f} ms, {row['cpu_ms_per_row']:.3f} ms CPU a request"
        )
    for name, row in result["ratios"].items():
        share, late, cpu = row["requests"], row["p99"], row["cpu"]
        yield (
            f"  {name}: {100 * share['median']:.0f} % of its requests/s ({100 * share['least']:.0f} to "
            f"{100 * share['largest']:.0f}), p99 {late['median']:.1f} x ({late['least']:.1f} to "
            f"{late['largest']:.1f}), {100 * cpu['median']:.0f} % by CPU time"
        )
    sizes = ", ".join(f"{row['megabytes']:.0f}" for row in result["rounds"][WITH_WORDING])
    yield f"  memory of the server after each round: {sizes} MB"
    for rows, row in result["rows_per_request"].items():
        gain = row["rows_per_s"] / result["batch_of_1"][WITH_WORDING]["rows_per_s"]
        yield (
            f"  {rows} rows a request: {row['rows_per_s']:,.0f} rows/s, {gain:.1f} times as with one, "
            f"{row['cpu_ms_per_row']:.3f} ms CPU a row, p99 {row['p99_ms']:.0f} ms"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
