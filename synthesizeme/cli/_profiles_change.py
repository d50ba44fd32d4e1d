"""The verbs of ``profiles`` that change a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthesizeme.cli._groups import spread
from synthesizeme.cli._options import CommonOptions
from synthesizeme.cli._store_options import Store, StoreOptions, User
from synthesizeme.cli._text import count, print_json, printable


@spread
def roll_back(
    version: Annotated[int, typer.Argument(help="The version to go back to.", metavar="N")],
    user: User,
    options: StoreOptions,
    common: CommonOptions,
) -> None:
    """Make an old version of a user's profile the latest; it becomes a version of its own, none is lost."""
    with options.open() as store:
        note = store.roll_back(user, version)
    if common.json:
        print_json({"user_id": user, **note.model_dump(mode="json")})
        return
    typer.echo(f"Version {version} is the latest again, as version {note.version}.")


@spread
def delete(
    user: User,
    options: StoreOptions,
    common: CommonOptions,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete everything about a user, to the last byte in the files of SQLite, which are written anew."""
    if not yes:
        question = f"Delete everything about {printable(user, 80)} from {printable(_place(options.store))}?"
        typer.confirm(question, abort=True, err=True)
    with options.open() as store:
        gone = store.delete(user)
    if common.json:
        print_json({"user_id": user, **gone.model_dump()})
        return
    typer.echo(f"Deleted {count(gone.pairs, 'pair')} and {count(gone.versions, 'version')} of a profile.")


@spread
def take_in(
    folder: Annotated[Path, typer.Argument(help="Folder that induce-persona wrote.", metavar="DIR")],
    options: StoreOptions,
    common: CommonOptions,
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs",
            help="Also the pairs of this file, .jsonl or .jsonl.gz; rows of the test split are left out.",
            metavar="PAIRS",
        ),
    ] = None,
) -> None:
    """Store the profiles of a folder, each as its user's next version unless it is the latest already.

    A SQLite store that is not there is made.
    """
    from synthesizeme.datasets import read_pairs
    from synthesizeme.personas.store import ProfileDirectory
    from synthesizeme.profiles.intake import take_pairs, take_profiles

    profiles = ProfileDirectory(folder)
    rows = () if pairs is None else read_pairs(pairs).pairs
    with options.open(create=True) as store:
        appended = take_pairs(store, rows)
        put = take_profiles(store, profiles)
    if common.json:
        print_json({"profiles": put.model_dump(), "pairs": appended.model_dump()})
        return
    typer.echo(f"{count(put.new, 'profile')} stored, {put.unchanged:,} there already.")
    if pairs is not None:
        typer.echo(f"{count(appended.new, 'pair')} stored, {appended.unchanged:,} there already.")


@spread
def migrate(store: Store, common: CommonOptions) -> None:
    """Make the tables of a store, or bring those of an older version up to date."""
    from synthesizeme.profiles import migrate_store

    before, now = migrate_store(store)
    if common.json:
        print_json({"before": before, "now": now})
        return
    typer.echo(f"At revision {now}" + (" already." if before == now else f"; it was at {before or 'none'}."))


def _place(store: str) -> str:
    """Where a store is, without a password."""
    scheme, separator, rest = store.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if separator else store
