"""Memory of the reward server under mixed load for minutes: its slope, with the error of the slope.

OMP_NUM_THREADS=1 python experiments/server_speed/soak.py [config.toml] [minutes]
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

import aiohttp
import numpy as np
import orjson
import uvloop
from run import HERE, JSON, WITH_WORDING, megabytes, sample_texts, server, trained

SAMPLED_EVERY = 2.0
WARM = 0.2
"""Share of the time that is left out of the slope: caches fill."""


def actions(texts, users, guests, seed):
    """Endless requests as (name, method, path, body), drawn with these weights; no text comes twice."""
    rng = random.Random(seed)
    weights = {"score": 60, "compare": 15, "get_reward": 10, "add pairs": 8, "export": 4, "delete": 3}
    for number in itertools.count():
        name = rng.choices(list(weights), list(weights.values()))[0]
        user, guest = rng.choice(users), f"guest-{rng.randrange(guests)}"
        one, other = (f"{number} {side} {rng.choice(texts)}" for side in ("a", "b"))
        prompt = f"How does one begin, for the {number}th time?"
        path = f"/v1/users/{guest}"
        if name == "score":
            row = {"prompt": prompt, "response": one}
            yield name, "POST", "/v1/score", {"rows": [{"user_id": who, **row} for who in (user, guest)]}
        elif name == "compare":
            yield (
                name,
                "POST",
                "/v1/compare",
                {"user_id": user, "prompt": prompt, "first": one, "second": other},
            )
        elif name == "get_reward":
            yield (
                name,
                "POST",
                "/get_reward",
                {"query": [prompt + one], "prompts": [prompt], "labels": [user]},
            )
        elif name == "add pairs":
            pair = {"prompt": prompt, "chosen": one, "rejected": other}
            yield name, "POST", f"{path}/pairs", {"pairs": [pair]}
        else:
            yield name, "DELETE" if name == "delete" else "GET", path, None


async def load(place, source, config, seconds):
    """Statuses by action, and (seconds, MB) of the server, while requests come at the rate of `config`."""
    url, pid = place
    statuses, sizes, began = Counter(), [], time.perf_counter()
    every = config["connections"] / config["requests_per_s"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(number):
            for turn in itertools.count():
                due = began + (turn + number / config["connections"]) * every
                if due > began + seconds:
                    return
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                name, method, path, body = next(source)
                content = None if body is None else orjson.dumps(body)
                async with session.request(method, url + path, data=content, headers=JSON) as answer:
                    await answer.read()
                    statuses[name, answer.status] += 1

        async def watch():
            while (passed := time.perf_counter() - began) < seconds:
                sizes.append((passed, megabytes(pid)))
                await asyncio.sleep(SAMPLED_EVERY)

        await asyncio.gather(watch(), *(one(number) for number in range(config["connections"])))
    return statuses, sizes


def slope(sizes, seconds):
    """MB a minute after the warm-up, and its standard error (Newey and West, as samples hang together)."""
    minutes, values = np.array([size for size in sizes if size[0] >= WARM * seconds]).T
    minutes = minutes / 60 - (minutes / 60).mean()
    found = float((minutes @ values) / (minutes @ minutes))
    scores = minutes * (values - values.mean() - found * minutes)
    lags = max(1, int(len(scores) ** 0.5))
    variance = scores @ scores
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (scores[lag:] @ scores[:-lag])
    return found, float(max(variance, 0.0) ** 0.5 / (minutes @ minutes))


def expected(name, status):
    """A guest that was deleted, or has not come yet, is not there."""
    return status == 200 or (name in ("export", "delete") and status == 404)


def main(config_path=HERE / "config.toml", minutes=None):
    config = tomllib.loads(Path(config_path).read_text())
    soak = config["soak"] | ({} if minutes is None else {"minutes": float(minutes)})
    seconds = 60 * soak["minutes"]
    with tempfile.TemporaryDirectory() as folder:
        users = trained(config, Path(folder))
        checkpoint = str(Path(folder) / WITH_WORDING)
        store = ("--store", str(Path(folder) / "users.sqlite")) if soak["store"] else ()
        with server(
            "-m", "synthesizeme.cli", "serve", "--reward-model", checkpoint, *store, ready=""
        ) as place:
            source = actions(sample_texts(), users, soak["guests"], config["seed"])
            statuses, sizes = uvloop.run(load(place, source, soak, seconds))
    found, error = slope(sizes, seconds)
    warm = next(size for at, size in sizes if at >= WARM * seconds)
    result = {
        "soak": soak,
        "requests": sum(statuses.values()),
        "statuses": {f"{name}: {status}": number for (name, status), number in sorted(statuses.items())},
        "errors": sum(number for what, number in statuses.items() if not expected(*what)),
        "megabytes": {"first": sizes[0][1], "after_warming": warm, "last": sizes[-1][1]},
        "megabytes_per_minute": found,
        "standard_error": error,
        "samples": [[round(at, 1), round(size, 2)] for at, size in sizes],
    }
    print(
        f"{soak['minutes']:g} minutes, {result['requests']:,} requests, {result['errors']} errors; "
        f"{warm:.1f} MB after warming up, {sizes[-1][1]:.1f} MB at the end; "
        f"slope {found:+.3f} +- {error:.3f} MB a minute"
    )
    for what, number in result["statuses"].items():
        print(f"  {what}: {number:,}")
    (HERE / "results" / "soak.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
