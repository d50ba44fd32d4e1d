"""The flags of ``compare``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from synthesizeme.cli._about import About
from synthesizeme.cli._abstaining import MaxError
from synthesizeme.cli._config_file import ASSIGNMENT
from synthesizeme.cli._options import BENCHMARKS, Benchmarked, DataDir, Engine, NoAnswers, Workers, folder
from synthesizeme.cli._pairs_input import Columns

Params = Annotated[
    list[str] | None,
    typer.Argument(
        help="Arguments of a reward model or variant, e.g. params.lore.rank=10; the tables "
        "compare.params.NAME of a --config file.",
        metavar="params.SCORER.NAME=VALUE",
    ),
]
ParamsTable = Annotated[
    list[str] | None, typer.Option("--params", help="The same, for files.", metavar=ASSIGNMENT, hidden=True)
]


@dataclass(frozen=True)
class ComparisonOptions:
    """Who is compared on what."""

    benchmark: Annotated[
        str | None,
        typer.Option(
            "--benchmark",
            help=f"{BENCHMARKS}; or a family of them, e.g. llmfao.",
            metavar="NAME",
        ),
    ] = None
    data: Benchmarked = None
    columns: Columns = None
    about: About = None
    scorers: Annotated[
        list[str] | None,
        typer.Option(
            "--scorers",
            help="Names of reward models, folders of checkpoints, names of judges (default, memory, "
            "persona, demonstrations, both, retrieval-bm25 and others, see evaluate) and of references "
            "(longer, random, oracle, majority, gpt4, gpt3), or models, judges, retrieval, references, "
            "all. Several with commas or by repeating the flag; all if none is given.",
            metavar="NAME",
        ),
    ] = None
    variants: Annotated[
        list[str] | None,
        typer.Option(
            "--variants",
            help="A row of a reward model under a name and with arguments of its own: small=lore, then "
            "params.small.rank=2. Several by repeating the flag; the table compare.variants of a "
            "--config file. They are among --scorers models and all.",
            metavar=ASSIGNMENT,
        ),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for results.json, results.md, figures/ and measurements/; finished work in it is "
            "not done again.",
            metavar="DIR",
            parser=folder,
        ),
    ] = None
    diff: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--diff",
            help="Set two results side by side, files or folders, and measure nothing.",
            metavar="A B",
        ),
    ] = None
    resplits: Annotated[
        int,
        typer.Option(
            "--resplits",
            help="Also the mean over N re-splits: of the pairs within users, or of a benchmark of new items.",
            min=0,
            metavar="N",
        ),
    ] = 0
    cold_start: Annotated[
        bool,
        typer.Option(
            "--cold-start/--no-cold-start",
            help="Whether the history-length curve of the reward models is measured: users who were not in "
            "the training bring 0, 1, 2, 4, 8, 16, 32 pairs, their first ones and random ones.",
        ),
    ] = True
    max_error: MaxError = None
    no_answers: NoAnswers = 100
    force: Annotated[
        bool,
        typer.Option("--force", help="Measure anew what is finished in --out, and replace what is there."),
    ] = False
    data_dir: DataDir = None
    max_users: Annotated[
        int | None, typer.Option("--max-users", help="Take only the first N users.", min=1, metavar="N")
    ] = None
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            help="Pretrained model, by name or path, of every method that fine-tunes one; "
            "params.METHOD.backbone wins.",
            metavar="NAME",
        ),
    ] = None
    engine: Engine = "local"
    workers: Workers = None
