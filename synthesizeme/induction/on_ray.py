"""A run spread over a Ray cluster: every task does one shard of the users, as a process of its own would.

The tasks meet in the store alone, so the profiles are those of a single process. SQLite needs one machine;
several need PostgreSQL. A worker that dies is replaced, and its shard goes on where it was.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from synthesizeme.errors import MissingExtraError, SynthesizeMeError
from synthesizeme.induction.job import InductionJob
from synthesizeme.induction.run import run
from synthesizeme.induction.summary import RunSummary

SHARDS_PER_WORKER = 4
"""So that a worker which is done early takes another shard."""


def run_on_ray(
    job: InductionJob, workers: int, on_shard: Callable[[RunSummary], None] | None = None
) -> RunSummary:
    """Bring every user of the job's shard up to date, on the Ray cluster that this process is connected to.

    The budget and the calls in flight are divided: together the workers keep to those of the job.

    Args:
        job: What to do; its store must be in reach of every worker.
        workers: Shards that are worked on at the same time.
        on_shard: Told of the run so far whenever a shard is done.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("--engine ray", "ray") from error
    jobs = job.divided(SHARDS_PER_WORKER * workers, at_once=workers)
    task = ray.remote(_run_shard).options(num_cpus=1, max_retries=3)
    total, waiting = RunSummary(), list(reversed(jobs))
    flying: list[Any] = []
    while waiting or flying:
        while waiting and len(flying) < workers:
            flying.append(task.remote(waiting.pop()))
        landed, flying = ray.wait(flying)
        for summary in ray.get(landed):
            total += RunSummary.model_validate_json(summary)
        if on_shard:
            on_shard(total)
    return total


def _run_shard(job: InductionJob) -> str:
    """One shard in a worker; what ends it comes back in the summary, since not every exception travels."""
    try:
        return run(job).model_dump_json()
    except SynthesizeMeError as error:
        return RunSummary(stopped=f"a worker on {socket.gethostname()}: {error}").model_dump_json()
