"""Several processes that serve one model on one address, and share its users through a store."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from synthesizeme.serving.server import ServerOptions, application, bound, kept, opened_store

if TYPE_CHECKING:
    from fastapi import FastAPI

VARIABLE = "SYNTHESIZEME_SERVER"
"""Environment variable that hands the options to worker processes."""
_HUNG = 30
"""Seconds of silence after which a worker is replaced; on a busy machine loading takes a while."""
_BACKLOG = 2048
"""Connections that may wait to be taken, as many as uvicorn's own."""


def worker_application() -> FastAPI:
    """The application of a worker process, with the options of the environment variable."""
    return kept(application(ServerOptions(**json.loads(os.environ[VARIABLE]))))


def run_workers(options: ServerOptions, settings: dict[str, Any], ready: Callable[[str], None]) -> None:
    """Serve with `options.workers` processes until told to stop; one that dies is replaced.

    Args:
        options: What is served.
        settings: Those of uvicorn.
        ready: Called with a line for people.

    Raises:
        SynthesizeMeError: as `synthesizeme.serving.server.run`.
    """
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    # What is wrong is said once, and here, before a store is made.
    application(replace(options, profiles=None, key_file=None, pairs=None, about=None))
    if options.profiles is not None:
        # Once, and here: a worker that replaces another must not bring back a user deleted since.
        opened_store(options).close()
        options = replace(options, pairs=None, about=None)
    with bound(options) as (listening, place), tempfile.TemporaryDirectory(prefix="synthesizeme-") as folder:
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
