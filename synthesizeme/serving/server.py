"""Server processes: one or several that run the application of a model until they are told to stop."""

from __future__ import annotations

import gc
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from synthesizeme.errors import ConfigError, MissingExtraError
from synthesizeme.serving.app import ServerOptions, application, opened_store

if TYPE_CHECKING:
    from fastapi import FastAPI

VARIABLE = "SYNTHESIZEME_SERVER"
"""Environment variable that hands the options to worker processes."""
_HUNG = 30
"""Seconds of silence after which a worker is replaced; on a busy machine loading takes a while."""
_BACKLOG = 2048
"""Connections that may wait to be taken, as many as uvicorn's own."""


def run(options: ServerOptions, ready: Callable[[str], None] = lambda line: None) -> None:
    """Serve until the process is told to stop, then answer what was accepted.

    Args:
        options: What is served.
        ready: Called with a line for people once requests are taken (by the first process, if several).

    Raises:
        ConfigError: an option is wrong, or the address cannot be bound.
        DataError: the checkpoint or a file of users cannot be read.
        MissingExtraError: what a server needs is not installed.
    """
    options.check()
    try:
        import uvicorn

        from synthesizeme.serving._protocol import BoundedHead
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the server (found no module {error.name})", "serve") from None
    settings: dict[str, Any] = {
        "host": options.host,
        "port": options.port,
        "access_log": False,  # paths hold user ids
        "log_level": "warning",
        "timeout_graceful_shutdown": int(options.queue.get("deadline", 10)) + 5,
        "http": BoundedHead,
        "server_header": False,
        "proxy_headers": False,
    }
    if options.workers > 1:
        _run_workers(options, settings, ready)
        return
    app = _kept(application(options))
    with _bound(options) as (listening, place):

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready(f"Serving {options.model} on {place}; its API is at /docs.")

        Server(uvicorn.Config(app, **settings)).run(sockets=[listening])


def worker_application() -> FastAPI:
    """The application of a worker process, with the options of the environment variable."""
    return _kept(application(ServerOptions(**json.loads(os.environ[VARIABLE]))))


def _run_workers(options: ServerOptions, settings: dict[str, Any], ready: Callable[[str], None]) -> None:
    """Serve with `options.workers` processes until told to stop; one that dies is replaced.

    Args:
        options: What is served.
        settings: Those of uvicorn.
        ready: Called with a line for people.

    Raises:
        SynthesizeMeError: as `run`.
    """
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    # What is wrong is said once, and here, before a store is made.
    application(replace(options, profiles=None, key_file=None, pairs=None, about=None))
    if options.profiles is not None:
        # Once, and here: a worker that replaces another must not bring back a user deleted since.
        opened_store(options).close()
        options = replace(options, pairs=None, about=None)
    with _bound(options) as (listening, place), tempfile.TemporaryDirectory(prefix="synthesizeme-") as folder:
        options = replace(options, shared=(folder, secrets.token_hex(32)))
        os.environ[VARIABLE] = json.dumps(asdict(options))
        config = uvicorn.Config(
            f"{__name__}:worker_application",
            factory=True,
            workers=options.workers,
            timeout_worker_healthcheck=_HUNG,
            **settings,
        )
        listening.listen(_BACKLOG)  # who comes early waits
        ready(f"Serving {options.model} on {place} with {options.workers} processes; its API is at /docs.")
        Multiprocess(config, sockets=[listening]).run()


def _kept(app: FastAPI) -> FastAPI:
    """The same application, nothing of which the garbage collector walks through while others wait."""
    gc.collect()
    gc.freeze()
    return app


@contextmanager
def _bound(options: ServerOptions) -> Iterator[tuple[socket.socket, str]]:
    """A socket bound to the address, and that address for people.

    Raises:
        ConfigError: it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((options.host, options.port))
        except OSError as error:
            problem = f"{options.host}:{options.port} cannot be bound: {error}; give another --host or --port"
            raise ConfigError(problem) from None
        host, port = listening.getsockname()[:2]
        yield listening, f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
