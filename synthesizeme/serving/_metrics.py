"""What a server counts, for Prometheus: requests, rows by status, batches, and what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from synthesizeme.serving._pages import EVERY, SharedPages
from synthesizeme.serving._queue import ModelQueue
from synthesizeme.serving.protocol import STATUSES

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
        self._counters: dict[tuple[str, int], Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def answered(self, route: str, code: int, seconds: float) -> None:
        """Count one request."""
        counter = self._counters.get((route, code))
        if counter is None:
            counter = self._counters[route, code] = self._requests.labels(route, str(code))
            self._histograms[route] = self._seconds.labels(route)
        counter.inc()
        self._histograms[route].observe(seconds)

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
