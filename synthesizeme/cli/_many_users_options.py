"""The flags of ``induce-persona`` that speak of a store, of parts of the users, and of what may be spent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synthesizeme.errors import ConfigError

if TYPE_CHECKING:
    from synthesizeme.backends import Caps

MANY_PANEL = "Many users"


@dataclass(frozen=True)
class ManyUsersOptions:
    """Very many users: where they are kept, which of them, and what they may cost."""

    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            help="Keep pairs and profiles in this store instead of a folder: a path or sqlite:///PATH, or "
            "postgresql://USER@HOST:PORT/DATABASE (extra `store`). Finished users are skipped.",
            metavar="URL|PATH",
            rich_help_panel=MANY_PANEL,
        ),
    ] = None
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file", help="Key of an encrypted store.", metavar="FILE", rich_help_panel=MANY_PANEL
        ),
    ] = None
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Only the users whose id hashes to I modulo N, I from 0: N processes share a store.",
            metavar="I/N",
            rich_help_panel=MANY_PANEL,
        ),
    ] = None
    min_new_pairs: Annotated[
        int,
        typer.Option(
            "--min-new-pairs",
            help="Update a finished user when so many pairs have come since.",
            min=1,
            metavar="N",
            rich_help_panel=MANY_PANEL,
        ),
    ] = 1
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            "--engine",
            help="Where users are induced: in this process, or on the Ray cluster of $RAY_ADDRESS or one "
            "started here (extra `ray`), with the same profiles.",
            rich_help_panel=MANY_PANEL,
        ),
    ] = "local"
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            help="Processes of --engine ray; by default one for each core of the cluster.",
            min=1,
            metavar="N",
            rich_help_panel=MANY_PANEL,
        ),
    ] = None
    budget_tokens: Annotated[
        int | None,
        typer.Option(
            "--budget-tokens",
            help="Most tokens of this run, sent and received; calls from the cache are free.",
            min=1,
            metavar="N",
            rich_help_panel=MANY_PANEL,
        ),
    ] = None
    budget_cost: Annotated[
        float | None,
        typer.Option(
            "--budget-cost",
            help="Most US dollars of this run by the price list; calls from the cache are free.",
            metavar="USD",
            rich_help_panel=MANY_PANEL,
        ),
    ] = None

    def caps(self, calls: int | None = None) -> Caps:
        """What the calls may take.

        Raises:
            ConfigError: a budget is no amount.
        """
        from synthesizeme.backends import Caps

        return Caps(calls, self.budget_tokens, self.budget_cost)


def refuse_for_store(
    user: str | None, all_users: bool, evidence: bool, many: ManyUsersOptions, out: Path | None
) -> None:
    """Refuse flags that do not go together with ``--store``.

    Raises:
        ConfigError: some do not; all of them are listed.
    """
    problems = []
    if (user is None) != all_users:
        problems.append("--store needs either --all-users or --user ID")
    if evidence:
        problems.append("--evidence fits a model to all pairs of a file at once; it does not go with --store")
    if many.engine == "ray" and out is not None:
        problems.append("--engine ray writes into the store alone; leave out --out")
    if many.engine == "local" and many.workers is not None:
        problems.append("--workers is for --engine ray")
    if problems:
        raise ConfigError(problems)


def refuse_without_store(many: ManyUsersOptions) -> None:
    """Refuse flags that need ``--store``.

    Raises:
        ConfigError: some are given without it; all of them are listed.
    """
    if many.store is not None:
        return
    given = {
        "--key-file": many.key_file is not None,
        "--shard": many.shard is not None,
        "--min-new-pairs": many.min_new_pairs != 1,
        "--engine ray": many.engine == "ray",
        "--workers": many.workers is not None,
    }
    if problems := [f"{flag} needs --store, the store to work on" for flag, there in given.items() if there]:
        raise ConfigError(problems)
