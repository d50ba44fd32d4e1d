"""The verbs of ``profiles`` that change a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthesizeme.cli._about import About, read_about
from synthesizeme.cli._groups import spread
from synthesizeme.cli._options import CommonOptions
from synthesizeme.cli._pairs_input import KINDS, read
from synthesizeme.cli._store_options import Store, StoreOptions, User
from synthesizeme.cli._text import print_json
from synthesizeme.errors import ConfigError
from synthesizeme.plain_text import count, printable


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
    also = ", and the user's words" if gone.words else ""
    dropped = f"{count(gone.pairs, 'pair')} and {count(gone.versions, 'version')} of a profile"
    typer.echo(f"Deleted {dropped}{also}.")


@spread
def take_in(
    options: StoreOptions,
    common: CommonOptions,
    folder: Annotated[
        Path | None, typer.Argument(help="Folder that induce-persona wrote.", metavar="[DIR]")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help=f"Also these pairs: {KINDS}; rows of the test split are left out.",
            metavar="PAIRS",
        ),
    ] = None,
    about: About = None,
) -> None:
    """Store the profiles of a folder, each as its user's next version unless it is the latest already.

    Pairs are added to those that are there; words take the place of what the user said before. A SQLite store
    that is not there is made.
    """
    from synthesizeme.personas.store import ProfileDirectory
    from synthesizeme.profiles.intake import take_pairs, take_profiles, take_words

    if folder is None and data is None and about is None:
        raise ConfigError("expected DIR, --data PAIRS or --about FILE; found none of them")
    profiles = {} if folder is None else ProfileDirectory(folder)
    words = read_about(about)
    rows = () if data is None else read(data).pairs
    with options.open(create=True) as store:
        appended = take_pairs(store, rows)
        spoken = take_words(store, words.values())
        put = take_profiles(store, profiles)
    taken = {"profiles": put, "pairs": appended, "words": spoken}
    if common.json:
        print_json({name: it.model_dump() for name, it in taken.items()})
        return
    said = {
        count(put.new, "profile"): (put, folder),
        count(appended.new, "pair"): (appended, data),
        f"Words of {count(spoken.new, 'user')}": (spoken, about),
    }
    for what, (it, given) in said.items():
        if given is not None:
            typer.echo(f"{what} stored, {it.unchanged:,} there already.")


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
