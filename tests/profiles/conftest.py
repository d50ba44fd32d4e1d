from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from postgres_server import DATABASE, TABLES, PostgresServer, why_not

from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.profiles import migrate_store, open_store
from synthesizeme.profiles.store import ProfileStore
from synthesizeme.types import Demonstration, Message, PreferencePair


@dataclass
class Place:
    """Where a store is, and with which key."""

    url: str
    key_file: Path | None = None
    opened: list[ProfileStore] = field(default_factory=list)

    def open(self, **options: Any) -> ProfileStore:
        store = open_store(self.url, **{"key_file": self.key_file, "patience": 20.0} | options)
        self.opened.append(store)
        return store


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL server, its database `profiles` migrated."""
    if reason := why_not():
        pytest.skip(reason)
    server = PostgresServer()
    try:
        server.sql(f"CREATE DATABASE {DATABASE}")
        migrate_store(server.url(DATABASE))
        yield server
    finally:
        server.remove()


@pytest.fixture
def new_key(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a key file: `new_key("name")`; the same name, the same key."""

    def write(name: str) -> Path:
        path = tmp_path / f"{name}.key"
        path.write_bytes(base64.b64encode(name.encode().ljust(32, b"#")) + b"\n")
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def closing() -> Iterator[Callable[[Place], Place]]:
    """Closes every store that was opened at a place."""
    places: list[Place] = []

    def remember(place: Place) -> Place:
        places.append(place)
        return place

    yield remember
    for place in places:
        for store in place.opened:
            store.close()


@pytest.fixture
def sqlite_place(tmp_path: Path, closing: Callable[[Place], Place]) -> Place:
    return closing(Place(str(tmp_path / "store" / "profiles.db")))


@pytest.fixture
def sealed_place(sqlite_place: Place, new_key: Callable[[str], Path]) -> Place:
    sqlite_place.key_file = new_key("right")
    return sqlite_place


@pytest.fixture
def postgres_place(postgres: PostgresServer, closing: Callable[[Place], Place]) -> Place:
    """The empty database of the server."""
    if not postgres.running():
        postgres.start()
    postgres.sql(f"TRUNCATE {TABLES}", DATABASE)
    return closing(Place(postgres.url(DATABASE)))


@pytest.fixture(
    params=["sqlite_place", "sealed_place", "postgres_place"], ids=["sqlite", "sealed", "postgresql"]
)
def place(request: pytest.FixtureRequest) -> Place:
    """An empty place for a store: a SQLite file, an encrypted one, a PostgreSQL database."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(place: Place) -> ProfileStore:
    return place.open()


@pytest.fixture
def pair() -> Callable[..., PreferencePair]:
    """A pair: `pair("p1", "ada")`; keywords replace fields."""

    def make(pair_id: str = "p1", user_id: str = "ada", **fields: Any) -> PreferencePair:
        base: dict[str, Any] = {
            "pair_id": pair_id,
            "user_id": user_id,
            "prompt": (Message(role="user", content=f"A question of {pair_id}?"),),
            "chosen": (Message(role="assistant", content="A marmalade answer."),),
            "rejected": (Message(role="assistant", content="Another answer."),),
        }
        return PreferencePair(**base | fields)

    return make


@pytest.fixture
def profile(pair: Callable[..., PreferencePair]) -> Callable[..., UserProfile]:
    """A profile: `profile("ada", "Likes ships.", "Hates rain.", shows=("p1",))`."""

    def make(user_id: str = "ada", *sentences: str, shows: tuple[str, ...] = ()) -> UserProfile:
        texts = tuple(PersonaSentence(text=text) for text in sentences or ("Likes marmalade.",))
        return UserProfile(
            user_id=user_id,
            persona=Persona(sentences=texts, made_by="test", prompt_id="theta@1"),
            demonstrations=tuple(
                Demonstration(comparison=pair(name, user_id).compare("chosen_first"), preference="first")
                for name in shows
            ),
        )

    return make
