"""The tables that the migrations make, and databases of other versions."""

from __future__ import annotations

import builtins
import re
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing as closed
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from synthesizeme.errors import DataError, MissingExtraError, StoreError, install_line
from synthesizeme.profiles import migrate_store, open_store
from synthesizeme.profiles._tables import FOLDER, REVISIONS, VERSION_TABLE, metadata


def test_the_migrations_make_the_tables_that_are_used(place):
    store = place.open()
    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == REVISIONS[-1]


def test_every_revision_is_known_and_shipped_in_the_package():
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert [it.revision for it in reversed(list(scripts.walk_revisions()))] == list(REVISIONS)
    package = Path(sys.modules["synthesizeme.profiles"].__file__).parent
    assert FOLDER.is_relative_to(package)


@pytest.mark.parametrize("folder", ["plain", "100%s", "a b;c:d"])
def test_a_file_is_migrated_when_it_is_opened(tmp_path, pair, folder):
    place = tmp_path / folder / "store.db"
    assert migrate_store(place) == (None, REVISIONS[-1])
    assert migrate_store(place) == (REVISIONS[-1], REVISIONS[-1])
    with open_store(place) as store:
        assert store.add_pairs("ada", [pair()]) == 1
    with pytest.raises(StoreError, match="holds no tables of a profile store"):
        open_store(tmp_path / "new.db", migrate=False)


def foreign_database(path):
    with closed(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE bookmarks (url text)")


@pytest.mark.parametrize(
    ("fill", "create", "said"),
    [
        (lambda path: path.write_bytes(b""), False, r"is empty; expected a profile store"),
        (lambda path: path.write_text("user_id,prompt\n"), False, r"is no profile store"),
        (lambda path: path.write_text("user_id,prompt\n" * 1000), True, r"is no profile store"),
        (foreign_database, False, r"holds no profile store, but tables of something else: bookmarks"),
        (foreign_database, True, r"holds no profile store, but tables of something else: bookmarks"),
    ],
)
def test_a_file_of_something_else_is_refused_and_left_as_it_was(tmp_path, fill, create, said):
    place = tmp_path / "file"
    fill(place)
    before = place.read_bytes()
    with pytest.raises(DataError, match=said + r".*Cure: "):
        open_store(place, create=create)
    assert place.read_bytes() == before
    assert [it.name for it in tmp_path.iterdir()] == ["file"]


def test_an_empty_file_becomes_a_store_where_one_is_to_be_made(tmp_path, pair):
    (tmp_path / "new.db").touch()
    with open_store(tmp_path / "new.db") as store:
        assert store.add_pairs("ada", [pair()]) == 1


def test_a_newer_database_is_refused_and_left_alone(sqlite_place, pair):
    sqlite_place.open().add_pairs("ada", [pair()])
    with closed(sqlite3.connect(sqlite_place.url)) as raw, raw:
        raw.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for act in (open_store, migrate_store):
        with pytest.raises(
            StoreError,
            match=r"made by a newer version .*\(revision 9999\); this one knows 0001, 0002, 0003, 0004. Cure: update",
        ):
            act(sqlite_place.url)
    with closed(sqlite3.connect(sqlite_place.url)) as raw:
        assert raw.execute("SELECT count(*) FROM profile_store_pairs").fetchone() == (1,)


def test_many_may_open_a_new_file_at_once(sqlite_place, pair):
    def work(number):
        return sqlite_place.open().add_pairs("ada", [pair(f"p{number}")])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [1] * 8
    assert len(sqlite_place.open().pairs("ada")) == 8


@pytest.mark.parametrize("missing", ["sqlalchemy", "alembic", "psycopg", "cryptography"])
def test_what_is_not_installed_is_named_with_the_pip_line(missing, tmp_path, new_key, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("synthesizeme.profiles._")]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.partition(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    url = "postgresql://postgres@/none?host=/nowhere" if missing == "psycopg" else tmp_path / "s.db"
    with pytest.raises(MissingExtraError, match=re.escape(install_line("store"))):
        open_store(url, key_file=new_key("k") if missing == "cryptography" else None)


def test_importing_the_package_loads_no_database_library():
    code = "import sys, synthesizeme.profiles; print({n.partition('.')[0] for n in sys.modules} & {'sqlalchemy', 'alembic', 'psycopg', 'cryptography'})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "set()"
