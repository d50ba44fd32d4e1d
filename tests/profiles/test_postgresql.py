"""A server that has to be migrated, stops, comes back, or drops its connections."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from postgres_server import DATABASE
from sqlalchemy import make_url

from synthesizeme.errors import DataError, StoreError, StoreUnavailableError
from synthesizeme.profiles import migrate_store, open_store
from synthesizeme.profiles._tables import REVISIONS

DROP_CONNECTIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"


def test_an_empty_database_is_migrated_by_itself(postgres):
    url = postgres.empty("one")
    with open_store(url, create=False) as store:
        assert store.users() == ()
    assert migrate_store(url) == (REVISIONS[-1], REVISIONS[-1])
    with pytest.raises(StoreError, match=r"holds no tables of a profile store; expected revision"):
        open_store(postgres.empty("two"), migrate=False)


def test_many_may_migrate_at_once(postgres):
    url, found = postgres.empty("three"), []
    threads = [threading.Thread(target=lambda: found.append(migrate_store(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(before) for before, _ in found) == [*[REVISIONS[-1]] * 3, "None"]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg"])
def test_other_names_of_the_scheme_are_understood(postgres_place, scheme):
    postgres_place.url = postgres_place.url.replace("postgresql", scheme, 1)
    assert postgres_place.open().users() == ()


def test_dropped_connections_are_not_noticed(postgres_place, postgres, pair, profile):
    store = postgres_place.open()
    for number in range(5):
        assert store.add_pairs("ada", [pair(f"p{number}")]) == 1
        postgres.sql(DROP_CONNECTIONS)
        assert store.put_profile(profile(), expected_version=number).version == number + 1
    postgres.sql(DROP_CONNECTIONS)
    assert len(store.pairs("ada")) == 5


def test_connections_dropped_in_the_middle_of_writes_lose_and_repeat_nothing(
    postgres_place, postgres, pair, profile
):
    store = postgres_place.open()
    told = []

    def work(name):
        for number in range(20):
            store.add_pairs("ada", [pair(f"{name}-{number}")])
            told.append(store.put_profile(profile("ada", f"{name}-{number}")).version)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    drops = 0
    while any(thread.is_alive() for thread in threads):
        before = len(told)
        postgres.sql(DROP_CONNECTIONS)
        drops += 1
        while len(told) == before and any(thread.is_alive() for thread in threads):
            time.sleep(0.01)  # however slow the machine is, a write gets through between two drops
    assert drops > 1
    assert sorted(told) == [note.version for note in store.versions("ada")] == list(range(1, 41))
    texts = [it["profile"]["persona"]["sentences"][0]["text"] for it in store.export("ada")["profiles"]]
    assert len(set(texts)) == len(store.pairs("ada")) == 40


def test_a_server_that_comes_back_is_waited_for(postgres_place, postgres, pair):
    store = postgres_place.open()
    store.add_pairs("ada", [pair("p0")])
    postgres.stop()
    timer = threading.Timer(1.0, postgres.start)
    timer.start()
    try:
        assert store.add_pairs("ada", [pair("p1")]) == 1
    finally:
        timer.join()
    assert [it.pair_id for it in store.pairs("ada")] == ["p0", "p1"]


def test_a_server_that_stays_away_is_an_error_that_hides_the_password(postgres_place, postgres, pair):
    store = postgres_place.open(patience=0.3)
    secret = make_url(postgres_place.url).set(password="hunter2").render_as_string(hide_password=False)
    postgres.stop()
    try:
        with pytest.raises(
            StoreUnavailableError, match=r"cannot be reached: .*Cure: check the URL and that the server"
        ):
            store.add_pairs("ada", [pair("p0")])
        with pytest.raises(StoreUnavailableError) as caught:
            open_store(secret, patience=0.3)
        assert "hunter2" not in str(caught.value)
        assert "***" in str(caught.value)
    finally:
        postgres.start()
    assert store.add_pairs("ada", [pair("p0")]) == 1


def test_what_waiting_does_not_change_is_not_waited_for(postgres, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"slept {seconds} s"))
    for url in (
        postgres.url("no_such_database"),
        postgres.url(DATABASE).replace("postgres@", "nobody_here@"),
    ):
        with pytest.raises(StoreUnavailableError, match="does not exist"):
            open_store(url)


def test_a_role_that_may_not_write_is_told(postgres_place, postgres, pair):
    store = postgres_place.open()
    postgres.sql(f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = on")
    postgres.sql(DROP_CONNECTIONS)
    try:
        with pytest.raises(DataError, match=r"may not be written: .*read-only transaction"):
            store.add_pairs("ada", [pair()])
    finally:
        postgres.sql(f"ALTER DATABASE {DATABASE} RESET default_transaction_read_only")
        postgres.sql(DROP_CONNECTIONS)
    assert store.add_pairs("ada", [pair()]) == 1


def test_deleted_rows_are_gone(postgres_place, pair, profile):
    store = postgres_place.open()
    store.add_pairs("ada", [pair()])
    store.put_profile(profile())
    store.delete("ada")
    with psycopg.connect(postgres_place.url) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM profile_store_{name}").fetchone()
            for name in ("users", "pairs", "profiles")
        ]
    assert counts == [(0,)] * 3


def test_tables_of_other_applications_are_left_alone(postgres, pair):
    url = postgres.empty("shared")
    for name in ("users", "pairs", "profiles", "alembic_version"):
        postgres.sql(f"CREATE TABLE shared.{name} (mine integer)", DATABASE)
    with pytest.raises(StoreError, match=r"alembic_version.*Cure: run `synthesizeme profiles migrate"):
        open_store(url)
    with open_store(url, migrate=True) as store:
        store.add_pairs("ada", [pair()])
        store.delete("ada")
    found = postgres.sql(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'shared' ORDER BY tablename", DATABASE
    )
    ours = [
        f"profile_store_{name}"
        for name in ("facts", "feedback", "inductions", "pairs", "profiles", "users", "version", "words")
    ]
    assert [row[0] for row in found] == ["alembic_version", "pairs", *ours, "profiles", "users"]
