"""The flags of ``compare``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from synthesizeme.cli._abstaining import MAX_ERROR
from synthesizeme.cli._command import ASSIGNMENT, argument, option
from synthesizeme.cli._measuring import MeasuringOptions
from synthesizeme.cli._options import ENGINE, FURTHER, WORKERS
from synthesizeme.cli._pairs import ABOUT

PARAMS = partial(
    argument,
    None,
    "Arguments of a reward model or variant, e.g. params.lore.rank=10; the tables "
    "compare.params.NAME of a --config file.",
    "params.SCORER.NAME=VALUE",
)
PARAMS_TABLE = partial(option, None, "The same, for files.", ASSIGNMENT, name="--params", hidden=True)


@dataclass(frozen=True)
class ComparisonOptions(MeasuringOptions):
    """Who is compared on what, and how closely."""

    about: Path | None = ABOUT()
    variants: list[str] | None = option(
        None,
        "A row of a reward model under a name and with arguments of its own: small=lore, then "
        "params.small.rank=2. Several by repeating the flag; the table compare.variants of a --config "
        "file. They are among --scorers models and all.",
        ASSIGNMENT,
    )
    diff: tuple[Path, Path] | None = option(
        None, "Set two results side by side, files or folders, and measure nothing.", "A B"
    )
    resplits: int = option(
        0,
        "Also the mean over N re-splits: of the pairs within users, or of a benchmark of new items.",
        "N",
        min=0,
    )
    cold_start: bool = option(
        True,
        "Whether the history-length curve of the reward models is measured: users who were not in the "
        "training bring 0, 1, 2, 4, 8, 16, 32 pairs, their first ones and random ones.",
        name="--cold-start/--no-cold-start",
    )
    max_error: float | None = MAX_ERROR()
    backbone: str | None = option(
        None,
        "Pretrained model, by name or path, of every method that fine-tunes one; "
        "params.METHOD.backbone wins.",
        "NAME",
        panel=FURTHER,
    )
    engine: Literal["local", "ray"] = ENGINE()
    workers: int | None = WORKERS()
