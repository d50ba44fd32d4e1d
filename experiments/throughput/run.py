"""Induction against an endpoint of fixed latency: slots kept busy, and our CPU time a call beside DSPy's.

OMP_NUM_THREADS=1 python experiments/throughput/run.py [config.toml]
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import dspy  # noqa: E402

from synthesizeme.backends import ModelSettings, Session, open_model  # noqa: E402
from synthesizeme.datasets.synthetic import planted_population  # noqa: E402
from synthesizeme.induction import InductionJob, run  # noqa: E402
from synthesizeme.induction.one_user import InductionSettings, induce_user  # noqa: E402
from synthesizeme.profiles import open_store  # noqa: E402
from synthesizeme.profiles.views import take_pairs  # noqa: E402


@contextmanager
def endpoint(config):
    """The stub in a process of its own; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = (port, config["latency_ms"], config["slots"])
    process = subprocess.Popen([sys.executable, HERE / "stub.py", *map(str, arguments)])
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def held(address):
    """Slot-seconds, seconds and calls at the endpoint since it was last asked."""
    with urllib.request.urlopen(f"{address}/occupancy") as answer:
        return json.load(answer)


def induction(address, pairs, config):
    """All users into a new store with a new cache; time of the calls alone and of everything."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store.db")
        with open_store(store) as opened:
            take_pairs(opened, pairs)
        job = InductionJob(
            store=store, model="stub", model_settings=ModelSettings(api_base=f"{address}/v1"),
            cache_dir=Path(folder) / "cache", concurrency=config["slots"],
        )  # fmt: skip
        held(address)
        started = time.process_time()
        summary = run(job)
        cpu = time.process_time() - started
    assert (summary.done, summary.failed) == (config["users"], 0), summary
    found = held(address)
    assert found["calls"] == summary.usage.distinct_calls, (found, summary.usage)
    return {
        "calls": found["calls"], "asked": summary.usage.calls, "seconds": found["seconds"],
        "calls_per_s": found["calls"] / found["seconds"],
        "slots_busy": found["slot_seconds"] / found["seconds"] / config["slots"],
        "cpu_ms_per_call": 1000 * cpu / found["calls"],
    }  # fmt: skip


class Judge(dspy.Signature):
    """Decide which of two responses this user prefers."""

    conversation: str = dspy.InputField()
    first_response: str = dspy.InputField()
    second_response: str = dspy.InputField()
    preference: str = dspy.OutputField(desc="First or Second")


def chain_of_thought(address, pairs, config):
    """The same pairs judged by `dspy.ChainOfThought` through litellm, as many in flight."""
    lm = dspy.LM(
        "openai/stub", api_base=f"{address}/v1", api_key="none", engine="litellm", cache=False, num_retries=0
    )
    judge, slots = dspy.ChainOfThought(Judge), asyncio.Semaphore(config["slots"])

    async def one(pair):
        async with slots:
            found = await judge.acall(
                conversation=pair.prompt[-1].content,
                first_response=pair.chosen_text,
                second_response=pair.rejected_text,
            )
        assert found.preference in ("First", "Second")

    async def every(some):
        with dspy.context(lm=lm, disable_history=True):
            await asyncio.gather(*map(one, some))

    asyncio.run(every(pairs[: config["slots"]]))  # imports and connections
    held(address)
    started = time.process_time()
    asyncio.run(every(pairs[: config["rival_calls"]]))
    cpu = time.process_time() - started
    found = held(address)
    return {
        "calls": found["calls"], "calls_per_s": found["calls"] / found["seconds"],
        "cpu_ms_per_call": 1000 * cpu / found["calls"],
    }  # fmt: skip


def main(config_path=HERE / "config.toml"):
    config = tomllib.loads(Path(config_path).read_text())
    users = planted_population(config["users"], config["pairs"], seed=config["seed"]).by_user
    pairs = [pair for own in users.values() for pair in own]
    with endpoint(config) as address:
        with Session(open_model("stub", ModelSettings(api_base=f"{address}/v1"))) as session:
            induce_user(session, pairs[: config["pairs"]], InductionSettings())  # imports
        rival = [chain_of_thought(address, pairs, config)]
        ours = induction(address, pairs, config)
        rival += [chain_of_thought(address, pairs, config) for _ in range(config["rounds"] - 1)]
    theirs = {name: statistics.median(row[name] for row in rival) for name in rival[0]}
    result = {
        "config": config, "cores": os.cpu_count(), "induction": ours, "chain_of_thought": theirs,
        "rounds": rival, "cpu_ratio": ours["cpu_ms_per_call"] / theirs["cpu_ms_per_call"],
        "saved_calls": 1 - ours["calls"] / ours["asked"],
    }  # fmt: skip
    for line in lines(result):
        print(line)
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "results.json").write_text(json.dumps(result, indent=2) + "\n")


def lines(result):
    config, ours, theirs = result["config"], result["induction"], result["chain_of_thought"]
    yield (
        f"{config['users']} users x {config['pairs']} pairs, {config['latency_ms']} ms a call, "
        f"{config['slots']} in flight"
    )
    yield (
        f"  induction: {ours['calls']:,} calls in {ours['seconds']:.1f} s, {ours['calls_per_s']:.0f}/s, "
        f"{100 * ours['slots_busy']:.1f} % of the slots busy, {ours['cpu_ms_per_call']:.2f} ms CPU a call"
    )
    yield (
        f"  dspy.ChainOfThought through litellm: {theirs['calls_per_s']:.0f} calls/s, "
        f"{theirs['cpu_ms_per_call']:.2f} ms CPU a call"
    )
    yield f"  CPU a call, ours / theirs: {result['cpu_ratio']:.3f} (wanted: at most 0.25)"
    yield f"  questions that were not sent, since they were asked before: {100 * result['saved_calls']:.0f} %"


if __name__ == "__main__":
    main(*sys.argv[1:])
