"""``train``: a personalized reward model from a file of pairs, as a checkpoint folder."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synthesizeme.cli._command import option, verb
from synthesizeme.cli._method_options import (
    PREFIX,
    assignments,
    method_arguments,
    method_settings,
    params_argument,
    params_table,
)
from synthesizeme.cli._options import ENGINE, FORCE, SEED, SKIP_BAD_ROWS, WORKERS, CommonOptions, folder
from synthesizeme.cli._output import check_replaceable, check_writable, print_json, say, tell, terminal
from synthesizeme.cli._pairs import (
    ABOUT,
    COLUMNS,
    KINDS,
    SCALE,
    read,
    read_about,
    say_unread,
    say_without_pairs,
)
from synthesizeme.cli._reward_options import FloorOptions
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.plain_text import count, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reward_models import RewardModel
    from synthesizeme.feedback import UserWords
    from synthesizeme.types import PreferencePair


HELD_OUT = ".test.jsonl"
"""What the name of the file of held out pairs adds to that of the checkpoint."""


@dataclass(frozen=True)
class TrainingOptions:
    """What is trained on what."""

    method: str = option(..., "Name of the reward model, e.g. hierarchical, lore.", "NAME")
    data: Path | None = option(
        None,
        f"Pairs, with other feedback if you like: {KINDS}. Rows of the test split are left out.",
        "PAIRS",
    )
    columns: list[str] | None = COLUMNS()
    scale: str | None = SCALE()
    about: Path | None = ABOUT()
    out: Path | None = option(None, "Folder for the checkpoint.", "DIR", parser=folder)
    backbone: str | None = option(
        None,
        "Pretrained model, by name or path, of a method that fine-tunes one; short for params.backbone=NAME.",
        "NAME",
    )
    force: bool = FORCE()
    holdout: float | None = option(
        None,
        "Share of each user's pairs to keep back, of a file without splits: drawn by the "
        f"seed, and written as test rows beside the checkpoint, as OUT{HELD_OUT}, for `evaluate "
        "--data`.",
        "SHARE",
        min=0,
        max=1,
    )
    engine: Literal["local", "ray"] = ENGINE()
    workers: int | None = WORKERS()
    seed: int = SEED()
    skip_bad_rows: bool = SKIP_BAD_ROWS()
    help_params: bool = option(False, "List the arguments of --method and train nothing.")


@verb
def train(
    options: TrainingOptions,
    floor: FloorOptions,
    common: CommonOptions,
    params: list[str] | None = params_argument("params.NAME=VALUE", "params.rank=10"),
    table: list[str] | None = params_table(),
) -> None:
    """Train a personalized reward model on the train and validation rows of a file of pairs.

    Writes a checkpoint folder for `synthesizeme score` and `--scorers`. Rows without a split are used; test
    rows never are. To measure it later, the file needs test rows, or --holdout.
    """
    from reward_models import method, use_engine
    from synthesizeme.datasets import write_pairs

    kind = method(options.method)
    if options.help_params:
        _show_settings(options.method, kind, as_json=common.json)
        return
    given = _given(assignments(params or [], table or []), backbone=options.backbone, floor=floor.name)
    model = kind(**{"seed": options.seed, **method_arguments(options.method, kind, given)})
    source, out = _places(options)
    file = read(
        source, columns=options.columns, skip_bad_rows=options.skip_bad_rows, scale=options.scale,
        feedback="beside" if model.reads_feedback else "unread",
    )  # fmt: skip
    pairs, skipped = _divided(file.pairs, source, options), [str(problem) for problem in file.skipped]
    splits = Counter(pair.split or "none" for pair in pairs)
    used = _learned_from(pairs, source)
    words = _words(options, kind, {pair.user_id for pair in used})
    heard = [said for said in file.feedback if said.split != "test"]
    say(f"Training {model.name} on {count(len(used), 'pair')} …")
    started = time.perf_counter()
    with use_engine(options.engine, options.workers):
        model.fit(used, words, heard)
    seconds = time.perf_counter() - started
    model.save(out)
    held_out = _beside(out) if options.holdout is not None else None
    if held_out is not None:
        write_pairs(held_out, [pair for pair in pairs if pair.split == "test"])
    facts = {
        "method": model.name,
        "params": model.params(),
        "data": str(source),
        "users": len({pair.user_id for pair in used}),
        "words": len(words),
        "pairs": {name: splits[name] for name in ("train", "validation", "none") if splits[name]},
        "left_out": {"test": splits["test"], "bad_rows": len(skipped)},
        "skipped_rows": skipped,
        "parameters": model.parameters,
        "fit": model.fit_report(),
        "fit_seconds": round(seconds, 3),
        "out": str(out),
        "held_out": str(held_out) if held_out else None,
    }
    tell(common.json, facts, _lines(facts))


def _given(settings: dict[str, Any], **flags: Any) -> dict[str, Any]:
    """Settings of the method together with those that have a flag of their own.

    Raises:
        ConfigError: one is given twice.
    """
    for name, value in flags.items():
        if value is not None and name in settings:
            raise ConfigError(f"--{name} and {PREFIX}{name} are the same; give one of them")
    return settings | {name: value for name, value in flags.items() if value is not None}


def _places(options: TrainingOptions) -> tuple[Path, Path]:
    """Where to read from and to write to, the latter free to be written.

    Raises:
        ConfigError: a flag is missing, the place cannot be written, or a checkpoint must not be replaced.
        DataError: the place holds something that is no checkpoint.
    """
    from reward_models import check_place

    if options.data is None or options.out is None:
        given = {"--data PAIRS": options.data, "--out DIR": options.out}
        raise ConfigError([f"{flag} is missing" for flag, value in given.items() if value is None])
    check_writable(options.out)
    check_place(options.out)
    for place in (options.out, *([_beside(options.out)] if options.holdout is not None else [])):
        check_replaceable(place, force=options.force)
    return options.data, options.out


def _beside(out: Path) -> Path:
    """Where held out pairs are written."""
    return out.with_name(out.name + HELD_OUT)


def _words(options: TrainingOptions, kind: type[RewardModel], users: set[str]) -> dict[str, UserWords]:
    """What the users said, where the method reads it."""
    words = read_about(options.about)
    if words and not kind.reads_words:
        say_unread(options.method)
        return {}
    say_without_pairs(words, users)
    return words


def _divided(
    pairs: tuple[PreferencePair, ...], source: Path, options: TrainingOptions
) -> tuple[PreferencePair, ...]:
    """The pairs with those to be held out as test rows; says what a file without splits leads to.

    Raises:
        ConfigError: --holdout is given for rows that name splits, or holds everything or nothing back.
    """
    split = sum(pair.split is not None for pair in pairs)
    if options.holdout is None:
        if pairs and not split:
            say(
                f"{printable(str(source))} has no splits, so every pair is learned from: measured on the "
                "same file the model would know the answers. --holdout 0.2 keeps test pairs back."
            )
        return pairs
    if split:
        raise ConfigError(
            f"--holdout: {split} of {len(pairs)} rows of {source} name a split; their test rows are held out "
            "already. Leave the flag out, or take `split` out of the rows"
        )
    from synthesizeme.datasets import hold_out

    drawn = tuple(hold_out(pairs, options.holdout, seed=options.seed))
    if not any(pair.split == "test" for pair in drawn):
        raise ConfigError(
            f"--holdout {options.holdout:g}: of {len(pairs)} pairs none is held out; expected a share "
            "that is a pair of some user, and less than all of them"
        )
    return drawn


def _learned_from(pairs: tuple[PreferencePair, ...], source: Path) -> list[PreferencePair]:
    """The train and validation pairs.

    Raises:
        DataError: there are none.
    """
    used = [pair for pair in pairs if pair.split != "test"]
    if not used:
        raise DataError(
            f"all {len(pairs)} pairs are of the test split; expected train or validation pairs to learn from",
            source=str(source),
            field="split",
            cure="draw splits with `synthesizeme data split`, or take `split` out of the rows",
        )
    return used


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    from synthesizeme.evaluation.tables import named

    pairs = ", ".join(
        f"{number:,} {'without a split' if name == 'none' else name}"
        for name, number in facts["pairs"].items()
    )
    left_out = facts["left_out"]["test"]
    words = f"words of {count(facts['words'], 'user')}; " if facts["words"] else ""
    yield (
        f"{facts['method']}: {count(facts['users'], 'user')}, {pairs}; "
        f"{words}{count(left_out, 'test pair')} left out, {count(facts['parameters'], 'learned number')}, "
        f"{facts['fit_seconds']:.2f} s."
    )
    if facts["fit"]:
        yield f"{named(facts['fit'])}."
    yield f"Written to {printable(facts['out'])}."
    if facts["held_out"]:
        place = printable(facts["held_out"])
        yield (
            f"Held out: {place}. To measure it: synthesizeme evaluate --data {place} "
            f"--scorers {printable(facts['out'])}"
        )
    elif left_out:
        place, source = printable(facts["out"]), printable(facts["data"])
        yield f"To measure it: synthesizeme compare --data {source} --scorers {place} --out RESULTS"


def _show_settings(name: str, kind: type[RewardModel], *, as_json: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    settings = method_settings(kind).values()
    if as_json:
        print_json({it.name: {"kind": it.kind, "default": it.shown_default, "help": it.help}
                    for it in settings})  # fmt: skip
        return
    console = terminal()
    console.print(Text(f"Arguments of {name}, given as {PREFIX}NAME=VALUE"))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("NAME", "VALUE", "default", ""):
        table.add_column(heading, overflow="fold")
    for it in settings:
        table.add_row(*(Text(part) for part in (it.name, it.kind, it.shown_default, it.help)))
    console.print(table)
