"""A server process: the application of a checkpoint, run by uvicorn until it is told to stop."""

from __future__ import annotations

import gc
import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthesizeme.errors import ConfigError, DataError, MissingExtraError
from synthesizeme.serving.access import Access, is_loopback, read_tokens
from synthesizeme.serving.protocol import ScalarRewards, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from synthesizeme.serving.users import PairStore

VARIABLE = "SYNTHESIZEME_SERVER"
"""Environment variable that hands the settings to worker processes."""


@dataclass(frozen=True)
class ServerOptions:
    """What is served, to whom, and how."""

    model: str
    """Checkpoint folder."""
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes any free port."""
    token_file: str | None = None
    pairs: str | None = None
    """File with the pairs of users; rows of the test split are left out."""
    profiles: str | None = None
    """Path or URL of a store of profiles, where the users' pairs are kept; without it, in memory."""
    key_file: str | None = None
    """Key of an encrypted store."""
    workers: int = 1
    unknown_user: str = "refuse"
    on_error: str = "population"
    sizes: dict[str, int] = field(default_factory=dict)
    """Fields of `Limits`."""
    queue: dict[str, Any] = field(default_factory=dict)
    """Further fields of `ServerSettings`."""

    def check(self) -> None:
        """Find what is wrong before anything is loaded.

        Raises:
            ConfigError: others than this machine can reach the host and there are no tokens, or a setting
                is wrong.
        """
        problems = []
        if self.token_file is None and not is_loopback(self.host):
            problems.append(
                f"--host {self.host} can be reached from other machines; give --token-file FILE, or keep "
                "127.0.0.1"
            )
        for flag, value in (("--pairs", self.pairs), ("--profiles", self.profiles)):
            if self.workers > 1 and value is not None:
                problems.append(f"{flag} needs --workers 1: several processes share no users")
        if self.key_file is not None and self.profiles is None:
            problems.append("--key-file is the key of the store of --profiles; give that too")
        if self.workers > 1 and self.port == 0:
            problems.append("--port 0 needs --workers 1")
        try:
            Settings(self.unknown_user, self.on_error)  # type: ignore[arg-type]
        except ConfigError as error:
            problems += error.problems
        if problems:
            raise ConfigError(problems)


def application(options: ServerOptions) -> FastAPI:
    """The application of a checkpoint.

    Raises:
        ConfigError: an option is wrong.
        DataError: the checkpoint or the file of pairs cannot be read.
        StoreError: the store cannot be opened.
        MissingExtraError: what a server needs is not installed.
    """
    options.check()
    try:
        from synthesizeme.serving._requests import Limits
        from synthesizeme.serving.http import ServerSettings, build_app
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the server (found no module {error.name})", "serve") from None
    from reward_models import load

    access: Access | None = read_tokens(Path(options.token_file)) if options.token_file else None
    settings = Settings(options.unknown_user, options.on_error)  # type: ignore[arg-type]
    rewards = ScalarRewards(load(options.model), settings)
    sizes = Limits(**options.sizes)
    server = ServerSettings(
        limits=sizes,
        local_names_only=access is None,
        read_only=options.workers > 1,
        **options.queue,
    )
    return build_app(rewards, store=_store(options), access=access, settings=server)


def worker_application() -> FastAPI:
    """`application` in a worker process, with the options of the environment variable."""
    app = application(ServerOptions(**json.loads(os.environ[VARIABLE])))
    _keep()
    return app


def run(options: ServerOptions, ready: Callable[[str], None] = lambda line: None) -> None:
    """Serve until the process is told to stop, then answer what was accepted.

    Args:
        options: What is served.
        ready: Called with a line for people once requests are taken (by the first process, if several).

    Raises:
        ConfigError: an option is wrong, or the address cannot be bound.
        DataError: the checkpoint or the file of pairs cannot be read.
        MissingExtraError: what a server needs is not installed.
    """
    options.check()
    try:
        import uvicorn
    except ModuleNotFoundError:
        raise MissingExtraError("the server", "serve") from None
    shared: dict[str, Any] = {
        "host": options.host,
        "port": options.port,
        "access_log": False,  # paths hold user ids
        "log_level": "warning",
        "timeout_graceful_shutdown": int(options.queue.get("deadline", 10)) + 5,
        "server_header": False,
        "proxy_headers": False,
    }
    if options.workers > 1:
        os.environ[VARIABLE] = json.dumps(asdict(options))
        ready(f"Serving {options.model} on {options.host}:{options.port} with {options.workers} processes.")
        uvicorn.run(f"{__name__}:worker_application", factory=True, workers=options.workers, **shared)
        return
    app = application(options)
    _keep()
    listening = _bound(options.host, options.port)
    with listening:
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready(f"Serving {options.model} on http://{shown}:{port}; its API is at /docs.")

        Server(uvicorn.Config(app, **shared)).run(sockets=[listening])


def _keep() -> None:
    """Spare the garbage collector what is loaded by now: walking through it is what late answers wait for."""
    gc.collect()
    gc.freeze()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigError(f"{host}:{port} cannot be bound: {error}; give another --host or --port") from None
    return listening


def _store(options: ServerOptions) -> PairStore:
    """Where pairs are kept, with those of the file in it."""
    from synthesizeme.datasets import by_user, read_pairs
    from synthesizeme.profiles import StoredPairs, open_store
    from synthesizeme.serving.users import MemoryPairs

    store: PairStore = MemoryPairs()
    if options.profiles is not None:
        key = None if options.key_file is None else Path(options.key_file)
        store = StoredPairs(open_store(options.profiles, key_file=key, create=True))
    if options.pairs is not None:
        for user, rows in by_user(read_pairs(Path(options.pairs)).pairs).items():
            if kept := [pair for pair in rows if pair.split != "test"]:
                store.append(user, kept)
        if not tuple(store.users()):
            problem = "has no train or validation pair"
            raise DataError(problem, source=options.pairs, cure="check its `split`.")
    return store
