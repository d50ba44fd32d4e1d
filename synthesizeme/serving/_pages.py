"""The counters of several processes as one page: whichever is asked, it answers for all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from synthesizeme.files import write_whole

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
        registry = CollectorRegistry()
        registry.register(_Sum(list(_summed(pages.items()))))
        return generate_latest(registry)


class _Sum(Collector):
    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        """The sums."""
        return self._found


def _summed(pages: Iterable[tuple[Path, str]]) -> Iterator[Metric]:
    sums: dict[str, tuple[Metric, dict[tuple[str, tuple[tuple[str, str], ...]], float]]] = {}
    for path, text in pages:
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
