"""Flags of the verbs that open a store of profiles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from synthesizeme.profiles import ProfileStore

Store = Annotated[
    str,
    typer.Option(
        "--store",
        help="A path or sqlite:///PATH (SQLite in a file), or postgresql://USER@HOST:PORT/DATABASE.",
        metavar="URL|PATH",
    ),
]
User = Annotated[str, typer.Option("--user", help="The user.", metavar="ID")]


@dataclass(frozen=True)
class StoreOptions:
    """Where the store is and how to open it."""

    store: Store
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            help="Key of an encrypted store, 32 random bytes in base64; a new store gets encrypted with it.",
            metavar="FILE",
        ),
    ] = None
    migrate: Annotated[
        bool,
        typer.Option(
            "--migrate",
            help="Bring the tables of PostgreSQL up to date first; in SQLite, and in an empty database, this "
            "is done anyway.",
        ),
    ] = False

    def open(self, *, create: bool = False) -> ProfileStore:
        """The store, made if it does not exist and `create` is set; close it when done."""
        from synthesizeme.profiles import open_store

        return open_store(self.store, key_file=self.key_file, create=create, migrate=self.migrate or None)
