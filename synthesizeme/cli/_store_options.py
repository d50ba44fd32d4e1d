"""Flags of the verbs that open a store of profiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthesizeme.errors import ConfigError
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from synthesizeme.profile import UserProfile
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
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        help="Key of an encrypted store, 32 random bytes in base64; a new store gets encrypted with it.",
        metavar="FILE",
    ),
]
Profiles = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="Where profiles are: a folder that induce-persona wrote, one profile.json, or a store.",
        metavar="DIR|FILE|URL",
    ),
]


@contextmanager
def profiles_in(store: str, key_file: Path | None) -> Iterator[Mapping[str, UserProfile]]:
    """The profiles of a folder, of one file or of a store, by user id; each is read when asked for.

    Raises:
        DataError: there are none, or they cannot be read.
    """
    from synthesizeme.personas.store import INDEX, ProfileDirectory, load_profile
    from synthesizeme.profiles import StoredProfiles, open_store

    place = Path(store)
    if place.is_dir() and ((place / INDEX).exists() or not (place / "profile.json").exists()):
        yield ProfileDirectory(place)
    elif place.is_dir() or place.suffix == ".json":
        profile = load_profile(place)
        yield {profile.user_id: profile}
    else:
        with open_store(store, key_file=key_file) as opened:
            yield StoredProfiles(opened)


def profile_in(store: str, key_file: Path | None, user: str | None) -> UserProfile:
    """The profile of `user`, or of the only user that there is.

    Raises:
        ConfigError: the user has none there, or there are several and none is named.
        DataError: see `profiles_in`.
    """
    from synthesizeme.plain_text import id_list

    with profiles_in(store, key_file) as profiles:
        if user is None and len(profiles) == 1:
            return next(iter(profiles.values()))
        if user is not None and user in profiles:
            return profiles[user]
        found = f"Its users: {id_list(list(profiles))}"
    if user is None:
        raise ConfigError(f"{store} has profiles of several users; name one with --user ID. {found}")
    raise ConfigError(f"{store} has no profile of {printable(user, 60)!r}. {found}")


@dataclass(frozen=True)
class StoreOptions:
    """Where the store is and how to open it."""

    store: Store
    key_file: KeyFile = None
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
