"""What was read in any known format, written in ours: pairs in one file, other feedback in another."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Unpack

from synthesizeme.datasets._base import made
from synthesizeme.datasets._reading import WhatWasRead, load_dataset, open_source
from synthesizeme.datasets.jsonl import OVERWRITE, write_pairs
from synthesizeme.datasets.rows.sources import ReadOptions, ReadReport
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.feedback import Judgement, kinds_of


@dataclass(frozen=True, kw_only=True)
class ConvertReport(WhatWasRead):
    """What a conversion did."""

    target: Path | None = None
    """File that the pairs were written to; None: to none."""
    pairs_written: int
    """Pairs in the target; 0 without one."""
    feedback_target: Path | None = None
    """File that other feedback was written to; None: to none."""
    feedback: Mapping[str, int] = field(default_factory=dict)
    """How much other feedback was read and wanted, by kind; see `synthesizeme.feedback.kinds_of`."""


def convert(
    source: str | Path,
    target: str | Path | None = None,
    *,
    format: str = "auto",
    feedback_target: str | Path | None = None,
    overwrite: bool = False,
    **options: Unpack[ReadOptions],
) -> ConvertReport:
    """Read pairs in any known format and write them in ours, one in memory at a time.

    Args:
        source: As `read_pairs` takes it, or the name of a data set that is made here, e.g. ``synthetic``.
        target: ``.jsonl`` or ``.jsonl.gz`` file for the pairs, written whole or not at all; None: none.
        format: Name of the format, or ``auto`` to tell it from the first rows.
        feedback_target: Such a file for what is no choice between two responses; it is held in memory until
            all is read. None: it is counted.
        overwrite: Replace what a target holds. What an equal conversion wrote may always be written again.
        **options: See `ReadOptions`.

    Raises:
        ConfigError: there is no target, or one file for both.
        DataError: the source cannot be read, its format cannot be told, a row is malformed and bad rows are
            not skipped, nothing is left for a target, or a target is the source or holds something else.
        UnknownNameError: there is no such format.
    """
    targets = _targets(target, feedback_target)
    if target is not None and str(source) in made() and not os.path.exists(source):
        written = write_pairs(target, load_dataset(str(source)), overwrite=overwrite)
        told: dict[str, Any] = {"source": str(source), "format": str(source), "rows_read": written}
        return ConvertReport(target=Path(target), pairs_written=written, **told)
    for place in targets:
        if not overwrite and os.path.isfile(source) and place.exists() and os.path.samefile(source, place):
            raise DataError("the file to write is the one that is read", source=str(place), cure=OVERWRITE)
    opened = open_source(source, ReadReport(**options), format)
    kept: list[Judgement] = []
    counts: Counter[str] = Counter()

    def hear(said: Judgement) -> None:
        counts.update(kinds_of([said]))
        kept.extend([said] if feedback_target is not None else [])

    read = opened.pairs(hear)
    first = list(islice(read, 1))
    if not first and not kept:
        raise opened.nothing(counts)
    written = 0 if target is None else write_pairs(target, chain(first, read), overwrite=overwrite)
    deque(read, maxlen=0)
    if feedback_target is not None:
        write_pairs(feedback_target, kept, overwrite=overwrite)
    return ConvertReport(
        target=None if target is None else Path(target),
        pairs_written=written,
        feedback_target=None if feedback_target is None else Path(feedback_target),
        feedback=dict(counts.most_common()),
        **opened.told(),
    )


def _targets(*places: str | Path | None) -> list[Path]:
    found = [Path(place) for place in places if place is not None]
    if not found or len({place.absolute() for place in found}) < len(found):
        raise ConfigError(
            "name a file for pairs, one for other feedback, or two different ones: --out, --feedback-out"
        )
    return found
