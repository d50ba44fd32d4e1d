"""What a server counts, for Prometheus; several processes answer as one, whichever is asked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from synthesizeme.files import write_whole
from synthesizeme.serving.queue import ModelQueue
from synthesizeme.serving.rewards import STATUSES

PREFIX = "synthesizeme"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The counters of one server.

    Args:
        queue: Whose batches and statuses are shown.
        pages: Where the processes of one server keep their pages, if there are several.
    """

    def __init__(self, queue: ModelQueue, pages: SharedPages | None = None) -> None:
        self._pages = pages
        self._registry = CollectorRegistry()
        self._requests = Counter(
            f"{PREFIX}_requests_total", "Requests answered", ["route", "code"], registry=self._registry
        )
        self._seconds = Histogram(
            f"{PREFIX}_request_seconds", "Seconds from request to answer", ["route"], buckets=_BUCKETS,
            registry=self._registry,
        )  # fmt: skip
        self._registry.register(_OfTheQueue(queue))

    def answered(self, route: str, code: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(route, str(code)).inc()
        self._seconds.labels(route).observe(seconds)

    def page(self) -> bytes:
        """The page that Prometheus reads."""
        own = generate_latest(self._registry)
        return own if self._pages is None else self._pages.together(own)

    async def keep(self) -> None:
        """Let the other processes know of these numbers again and again, until cancelled."""
        if self._pages is None:
            return
        try:
            while True:
                self._pages.keep(generate_latest(self._registry))
                await asyncio.sleep(EVERY)
        finally:
            self._pages.keep(generate_latest(self._registry))


class _OfTheQueue(Collector):
    """Numbers that the queue and the scalar path keep themselves."""

    def __init__(self, queue: ModelQueue) -> None:
        self._queue = queue

    def collect(self) -> Iterator[Metric]:
        """The numbers as they are now."""
        queue = self._queue
        rows = CounterMetricFamily(f"{PREFIX}_rows", "Rows answered by status", labels=["status"])
        for status in STATUSES:
            rows.add_metric([status], queue.rewards.counts[status])
        yield rows
        yield CounterMetricFamily(f"{PREFIX}_batches", "Batches scored", value=queue.batches)
        yield CounterMetricFamily(f"{PREFIX}_batched_rows", "Rows in them", value=queue.batched_rows)
        yield GaugeMetricFamily(f"{PREFIX}_waiting_rows", "Rows that wait", value=queue.waiting)
        yield GaugeMetricFamily(f"{PREFIX}_processes", "Processes that answer", value=1)
        users = len(queue.rewards.model.users_)
        yield GaugeMetricFamily(f"{PREFIX}_users", "Users with a state", value=users)


EVERY = 1.0
"""Seconds after which a process writes down its counters again."""
_SUFFIX, _SAME = ".prom", "_users"


class SharedPages:
    """A folder where every process keeps its page of counters, for the others to add up.

    What a process counted is kept when it ends; what it holds at the moment (gauges) ends with it. Users are
    those of the process that knows most of them, since all know the same.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._own = folder, folder / f"{os.getpid()}{_SUFFIX}"

    def keep(self, page: bytes) -> None:
        """Write down the page of this process."""
        write_whole(self._own, page.decode())

    def together(self, page: bytes) -> bytes:
        """The sums over this page and those that the other processes wrote last."""
        self.keep(page)
        pages = {path: path.read_text() for path in sorted(self._folder.glob(f"*{_SUFFIX}"))}
        return generate_latest(_Sums(pages))


class _Sums(Collector):
    """The sums over pages, by the files that processes wrote them to."""

    def __init__(self, pages: Mapping[Path, str]) -> None:
        self._pages = pages

    def collect(self) -> Iterator[Metric]:
        """The sums."""
        sums: dict[str, tuple[Metric, dict[tuple[str, tuple[tuple[str, str], ...]], float]]] = {}
        for path, text in self._pages.items():
            alive = _lives(int(path.stem))
            for family in text_string_to_metric_families(text):
                if family.name.endswith("_created") or (family.type == "gauge" and not alive):
                    continue
                empty = Metric(family.name, family.documentation, family.type)
                values = sums.setdefault(family.name, (empty, {}))[1]
                for sample in family.samples:
                    key = sample.name, tuple(sorted(sample.labels.items()))
                    before = values.get(key, 0.0)
                    same = family.name.endswith(_SAME)
                    values[key] = max(before, sample.value) if same else before + sample.value
        for metric, values in sums.values():
            for (name, labels), value in values.items():
                metric.add_sample(name, dict(labels), value)
            yield metric


def _lives(process: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
