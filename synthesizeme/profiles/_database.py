"""Transactions on one database, with patience for one that is busy or goes away."""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from synthesizeme.profiles import _sqlite
from synthesizeme.profiles._faults import fault

PATIENCE = 30.0
"""Seconds a busy or absent database is waited for."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two attempts to reach a server; the pause doubles from the first to the longest."""
_SILENCE = 1.0
"""Seconds after which a wait is logged."""
_CONNECT_SECONDS = (2, 10)
"""Shortest and longest wait for one connection; in between it is the patience."""
_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Database:
    """One database. Work is a function of a connection inside a transaction, and may be run again.

    Args:
        url: Where it is.
        patience: Seconds a busy or absent database is waited for.
    """

    def __init__(self, url: URL, patience: float = PATIENCE) -> None:
        named = url.set(drivername=url.get_backend_name())
        self.place = url.database or "" if _is_sqlite(url) else named.render_as_string(hide_password=True)
        self.patience = patience
        self.embedded = _is_sqlite(url)
        self.engine = _engine(url, patience)

    def prepare_file(self) -> None:
        """Set the file of an embedded database up.

        Raises:
            DataError: it cannot be used.
        """
        self._patiently(lambda: _sqlite.use_write_ahead_log(self.engine))

    def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """Run `work` in a transaction that writes nothing.

        Raises:
            SynthesizeMeError: as `ProfileStore` says.
        """
        return self._run(work, writes=False)

    def write(self, work: Callable[[Connection], _Result]) -> _Result:
        """Run `work` in a transaction that writes; it is durable when this returns.

        When the connection is lost at the commit, nobody knows whether it happened: `work` is run again and
        has to find out.

        Raises:
            SynthesizeMeError: as `ProfileStore` says.
        """
        return self._run(work, writes=True)

    def scrub(self) -> None:
        """Leave no byte of deleted rows in the files of an embedded database. Reads and writes it whole.

        Raises:
            StoreUnavailableError: other processes did not let go of the file in time.
            DataError: there is no room to do it.
        """
        if self.embedded:
            self._patiently(lambda: _sqlite.scrub(self.engine, self.place, self.patience))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _run(self, work: Callable[[Connection], _Result], *, writes: bool) -> _Result:
        def attempt() -> _Result:
            with self.engine.connect() as connection:
                connection = connection.execution_options(**{_sqlite.WRITES: writes})
                with connection.begin():
                    return work(connection)

        return self._patiently(attempt)

    def _patiently(self, attempt: Callable[[], _Result]) -> _Result:
        first, longest = _sqlite.PAUSES if self.embedded else (_FIRST_PAUSE, _LONGEST_PAUSE)
        began, pause, logged = time.monotonic(), first, False
        while True:
            try:
                return attempt()
            except (SQLAlchemyError, sqlite3.Error) as error:
                found = fault(error, self.place)
                waited = time.monotonic() - began
                if not found.passing or waited + pause > self.patience:
                    raise found.error from None
                if waited > _SILENCE and not logged:
                    logged = True
                    _logger.warning("%s (trying again for %.0f seconds)", found.error, self.patience - waited)
            time.sleep(pause)
            pause = min(2 * pause, longest)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _engine(url: URL, patience: float) -> Engine:
    if _is_sqlite(url):
        engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _sqlite.BUSY_SECONDS})
        event.listen(engine, "connect", _sqlite.prepare)
        event.listen(engine, "begin", _sqlite.begin)
        return engine
    seconds = max(_CONNECT_SECONDS[0], min(math.ceil(patience), _CONNECT_SECONDS[1]))
    given = {} if "connect_timeout" in url.query else {"connect_timeout": seconds}
    return create_engine(url, hide_parameters=True, connect_args=given)
