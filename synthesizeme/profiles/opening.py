"""From a path or URL to a store, and to the profiles that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from synthesizeme.errors import ConfigError, DataError, MissingExtraError
from synthesizeme.plain_text import id_list, printable
from synthesizeme.profile import UserProfile
from synthesizeme.profiles._contents import open_seal
from synthesizeme.profiles.folder import INDEX, PROFILE, ProfileFolder, read_profile, rewrite_file
from synthesizeme.profiles.store import ProfileStore
from synthesizeme.profiles.views import StoredProfiles, rewrite_stored

if TYPE_CHECKING:
    from sqlalchemy import URL

    from synthesizeme.profiles._database import Database

EXTRA = "store"
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
_EXPECTED = "expected a path, sqlite:///PATH or postgresql://USER@HOST:PORT/DATABASE"


@contextmanager
def open_profiles(
    place: str | Path, *, key_file: str | Path | None = None
) -> Iterator[Mapping[str, UserProfile]]:
    """The latest profiles of a place by user id, to be read within a ``with``; each is read when asked for.

    Args:
        place: A folder of users that induce-persona wrote, the folder of one user, a ``profile.json``, or a
            store as for `open_store`, which has to be there.
        key_file: Key of an encrypted store.

    Raises:
        DataError: there are none, or they cannot be read.
        SynthesizeMeError: the place is a store, and as `open_store`.
    """
    path = Path(place)
    if path.is_dir() and ((path / INDEX).exists() or not (path / PROFILE).exists()):
        yield ProfileFolder(path)
    elif path.is_dir() or path.suffix == ".json":
        profile = read_profile(path / PROFILE if path.is_dir() else path)
        yield {profile.user_id: profile}
    else:
        with open_store(place, key_file=key_file, create=False) as store:
            yield StoredProfiles(store)


def rewrite_profile(
    place: str | Path,
    user: str | None,
    change: Callable[[UserProfile], UserProfile],
    documents: Callable[[UserProfile], Mapping[str, str]],
    *,
    key_file: str | Path | None = None,
) -> UserProfile:
    """Change a user's profile where it is kept; in a store as the next version.

    Args:
        place: As `open_profiles`.
        user: Whose; may be left out where there is one profile.
        change: Makes the new profile of the old one; what it raises leaves all as it was. In a store a user
            without a profile, of whom something else is known, has an empty one.
        documents: Text of the files that stand beside a ``profile.json``, by file name.
        key_file: Key of an encrypted store.

    Returns:
        The profile as it is now.

    Raises:
        ConfigError: as `named_user`.
        DataError: it cannot be read or written.
        StoreConflictError: another writer was first.
    """
    path = Path(place)
    with open_profiles(place, key_file=key_file) as profiles:
        if isinstance(profiles, StoredProfiles):
            store = profiles.store
            there = user is not None and (store.pairs(user) or store.words(user) or store.feedback(user))
            name = user if user is not None and there else named_user(profiles, user, place)
            found = rewrite_stored(store, name, change)
            return UserProfile(user_id=name) if found is None else found.profile
        name = named_user(profiles, user, place)
        single = path / PROFILE if path.is_dir() else path
        return rewrite_file(
            profiles.file(name) if isinstance(profiles, ProfileFolder) else single, change, documents
        )


def named_user(profiles: Mapping[str, UserProfile], user: str | None, place: str | Path) -> str:
    """The user of that name, or the only one.

    Args:
        profiles: Those of a place.
        user: Who; None for the only one.
        place: Where they are, for the message.

    Raises:
        DataError: there is no profile at all.
        ConfigError: the user has no profile there, or there are several and none is named.
    """
    if user is not None and user in profiles:
        return user
    names = list(profiles)
    if user is None and len(names) == 1:
        return names[0]
    if not names:
        raise DataError("holds no profile", source=str(place), cure="name what induce-persona wrote")
    known = f"Its users: {id_list(names)}"
    if user is None:
        raise ConfigError(
            f"{place} has profiles of {len(names)} users; name one with --user ID (user=ID). {known}"
        )
    raise ConfigError(f"{place} has no profile of {printable(user, 60)!r}. {known}")


def open_store(
    url: str | Path,
    *,
    key_file: str | Path | None = None,
    create: bool = True,
    migrate: bool | None = None,
    patience: float | None = None,
) -> ProfileStore:
    """Open a store of pairs and profiles; close it when done, or use it in a ``with``.

    Args:
        url: A path or ``sqlite:///PATH`` for SQLite in a file, made if it does not exist, or
            ``postgresql://…`` for a PostgreSQL database.
        key_file: File with the key of an encrypted store; a new store gets encrypted with it.
        create: Whether a SQLite file that does not exist, or is empty, becomes a store.
        migrate: Whether to make the tables and bring them up to date; by default in SQLite, and in a
            PostgreSQL database without any table.
        patience: Seconds a busy or absent database is waited for, by default 30.

    Raises:
        ConfigError: `url` names no store, or `key_file` holds no key.
        MissingExtraError: the database libraries are not installed.
        SealError: the key is missing or wrong, or the store has none.
        StoreError: the tables are of a newer version, or of an older one and `migrate` is not set.
        StoreUnavailableError: the database cannot be reached.
        DataError: the file cannot be used, is the database of something else, or is not there or empty and
            `create` is not set. It is left as it was.
    """
    seal = open_seal(None if key_file is None else Path(key_file))
    with _libraries():
        from synthesizeme.profiles._sql_store import SqlProfileStore
        from synthesizeme.profiles._tables import bring_up_to_date

        database = _database(url, create=create, patience=patience)
        try:
            bring_up_to_date(database, create=create, migrate=migrate)
            store = SqlProfileStore(database, seal)
            store.settle()
        except BaseException:
            database.close()
            raise
    return store


def migrate_store(url: str | Path, *, patience: float | None = None) -> tuple[str | None, str]:
    """Bring the tables of a store up to date, which makes them where there are none.

    Returns:
        The revision before, None if there were no tables, and the revision now.

    Raises:
        SynthesizeMeError: as `open_store`.
    """
    with _libraries():
        from synthesizeme.profiles._tables import REVISIONS, bring_up_to_date

        with closing(_database(url, create=True, patience=patience)) as database:
            return bring_up_to_date(database, create=True, migrate=True), REVISIONS[-1]


@contextmanager
def _libraries() -> Iterator[None]:
    """Say how to install the libraries of a database, at whichever step one is first needed."""
    try:
        yield
    except ImportError as error:
        raise MissingExtraError("a profile store", EXTRA) from error


def _database(url: str | Path, *, create: bool, patience: float | None) -> Database:
    from synthesizeme.profiles._database import PATIENCE, Database, make_file

    place = _parsed(url)
    if place.get_backend_name() == "sqlite":
        path = Path(place.database or "")
        if not create and not path.exists():
            cure = "check the path; `synthesizeme profiles import` makes a store"
            raise DataError("there is no such file", source=str(path), cure=cure)
        make_file(path)
    return Database(place, PATIENCE if patience is None else patience)


def _parsed(url: str | Path) -> URL:
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    given = str(url)
    scheme, separator, path = given.partition("://")
    if isinstance(url, Path) or not separator:
        scheme, path = "sqlite", f"/{given}"
    if scheme == "sqlite":
        if not path.startswith("/") or path[1:] in ("", ".", ":memory:") or "\0" in path:
            raise ConfigError(f"store {given!r}: names no file; {_EXPECTED}")
        return URL.create("sqlite", database=path[1:])
    if scheme not in _POSTGRESQL:
        raise ConfigError(f"store: {scheme!r} is no database known here; {_EXPECTED}")
    try:
        return make_url(given).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise ConfigError(f"store: the URL after {scheme}:// cannot be read; {_EXPECTED}") from None
