"""A throw-away PostgreSQL server from the binaries of the system's packages, on a socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
SUPERUSER = "postgres"
DATABASE = "profiles"
TABLES = ", ".join(
    f"profile_store_{name}"
    for name in ("profiles", "pairs", "feedback", "words", "inductions", "users", "facts")
)


def why_not() -> str | None:
    """Why there can be no server here, or None."""
    if not BINARIES:
        return "no PostgreSQL server is installed (Debian: apt-get install postgresql)"
    if os.geteuid() == 0 and _account() is None:
        return "PostgreSQL does not run as root, and there is no account `postgres` or `nobody`"
    return None


class PostgresServer:
    """Starts on construction; `stop` and `start` at will; `remove` at the end."""

    def __init__(self) -> None:
        self._bin = BINARIES[-1].parent
        self.folder = Path(tempfile.mkdtemp(prefix="pg."))
        if account := _account():
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        data = self.folder / "data"
        self._run(
            "initdb",
            "-D",
            data,
            "-U",
            SUPERUSER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "--wal-segsize=1",
        )
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=60"
        self._pg_ctl = ("pg_ctl", "-D", data, "-l", self.folder / "log", "-o", options, "-w")
        self.start()

    def url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={self.folder}"

    def empty(self, schema: str) -> str:
        """The URL of a place without tables: a new schema of the database `profiles`."""
        self.sql(f"CREATE SCHEMA {schema}", DATABASE)
        return f"{self.url(DATABASE)}&options=-csearch_path%3D{schema}"

    def start(self) -> None:
        self._run(*self._pg_ctl, "start")

    def stop(self, mode: str = "fast") -> None:
        self._run(*self._pg_ctl, "-m", mode, "stop")

    def running(self) -> bool:
        return self._run(*self._pg_ctl, "status", check=False).returncode == 0

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement by itself; its rows."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def remove(self) -> None:
        if self.running():
            self._run(*self._pg_ctl, "-m", "fast", "stop")
        shutil.rmtree(self.folder)

    def _run(
        self, program: str, *arguments: object, check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        account = _account()
        as_user: dict[str, Any] = (
            {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        )
        with (self.folder / "output").open("ab") as output:
            done = subprocess.run(
                [self._bin / program, *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                timeout=60, check=False, cwd=self.folder, **as_user,
            )  # fmt: skip
        said = (self.folder / "output").read_text(errors="replace")[-2000:]
        assert done.returncode == 0 or not check, said
        return done


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as: nobody in particular, but not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None
