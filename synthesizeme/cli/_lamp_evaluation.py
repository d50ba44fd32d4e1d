"""``evaluate`` on LaMP: reward models take part too, and LaMP's own metrics are reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthesizeme.cli._options import ModelOptions
from synthesizeme.cli._text import say
from synthesizeme.errors import ConfigError

if TYPE_CHECKING:
    from synthesizeme.judges.names import RetrievalSettings
    from synthesizeme.lamp import LampReport
    from synthesizeme.personas.workflow import InductionSettings

LAMP_PANEL = "LaMP"
FAMILIES = ("lamp/", "lamp-time/")
USUAL = "default,retrieval-bm25"


@dataclass(frozen=True)
class LampOptions:
    """What of LaMP is read."""

    split: Annotated[
        str,
        typer.Option(
            "--split",
            help="Split of LaMP: train, dev or test (whose golds are not published).",
            rich_help_panel=LAMP_PANEL,
        ),
    ] = "dev"
    ranking: Annotated[
        Path | None,
        typer.Option(
            "--ranking",
            help="JSON of item ids by question id, best first: what direct-… and vote-… are shown.",
            metavar="FILE",
            rich_help_panel=LAMP_PANEL,
        ),
    ] = None


def is_lamp(names: Sequence[str]) -> bool:
    """Whether benchmarks are tasks of LaMP."""
    return all(name.startswith(FAMILIES) for name in names)


def lamp_reports(
    benchmarks: Sequence[str],
    scorers: Sequence[str],
    data_dir: Path | None,
    max_users: int | None,
    options: LampOptions,
    settings: InductionSettings,
    retrieval: RetrievalSettings,
    model: ModelOptions,
    *,
    controls: bool,
    floor: str | None = None,
) -> Iterator[LampReport]:
    """The report of each task.

    Raises:
        UnknownNameError: a scorer is none.
        ConfigError: a scorer cannot answer a task.
        DataError: the data is nowhere or wrong.
    """
    from synthesizeme.cli._session import open_session
    from synthesizeme.datasets.lamp import lamp_task, load_lamp
    from synthesizeme.lamp import LampRun, read_ranking
    from synthesizeme.lamp.run import asks, check_names, writers
    from synthesizeme.progress import ProgressDisplay

    models = _models(scorers, settings.seed, floor)
    for name in benchmarks:
        check_names(scorers, lamp_task(name), tuple(models))
    if model.model == "builtin" and any(name in writers() for name in scorers):
        raise ConfigError("direct-… needs a language model; the builtin reader compares, it does not write")
    with ExitStack() as stack:
        display = stack.enter_context(ProgressDisplay())
        session = stack.enter_context(open_session(model, display)) if any(map(asks, scorers)) else None
        for name in benchmarks:
            display.label(name, 1, 1)
            data = load_lamp(name, split=options.split, data_dir=data_dir)
            if data.invented:
                say(f"Note: {name} is in no folder of data; a small sample of invented authors is taken.")
            ranking = read_ranking(options.ranking, data) if options.ranking else None
            run = LampRun(
                data.first_users(max_users),
                settings,
                session=session,
                models=models,
                retrieval=retrieval,
                ranking=ranking,
                on_label=display.label,
            )
            yield run.report(scorers, controls=controls)


def _models(scorers: Sequence[str], seed: int, floor: str | None) -> dict[str, Any]:
    """The reward models among the names, not fitted yet.

    Raises:
        MissingExtraError: the library of one is not installed.
    """
    from reward_models import method, method_names

    known = set(method_names())
    arguments: dict[str, Any] = {"seed": seed} if floor is None else {"seed": seed, "floor": floor}
    return {name: method(name)(**arguments) for name in scorers if name in known}
