"""Server processes: what they are told to serve, and one or several that do so until told to stop."""

from __future__ import annotations

import gc
import json
import logging
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from synthesizeme.errors import ConfigError, DataError, MissingExtraError
from synthesizeme.profile import UserProfile
from synthesizeme.profiles.store import UserStore
from synthesizeme.serving.access import Access, read_tokens, refuse_strangers
from synthesizeme.serving.rewards import ScalarRewards
from synthesizeme.serving.settings import Settings
from synthesizeme.serving.stores import PATIENCE_S, Breaker, Changes, MemoryUsers

if TYPE_CHECKING:
    from fastapi import FastAPI


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerOptions:
    """What is served, to whom, and how."""

    model: str
    """Checkpoint folder, or a judge as in `synthesizeme.serving.opening`."""
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes any free port."""
    token_file: str | None = None
    pairs: str | None = None
    """File with the pairs of users; rows of the test split are left out."""
    about: str | None = None
    """File with what users said beside choices, see `synthesizeme.datasets.read_words`."""
    profiles: str | None = None
    """Path or URL of a store of profiles, where users' pairs and words are kept; without it, in memory."""
    key_file: str | None = None
    """Key of an encrypted store."""
    workers: int = 1
    """Processes; those of one server share users through the store."""
    shared: tuple[str, str] | None = None
    """Folder that several processes share, and a key (hex); `synthesizeme.serving.workers` sets them."""
    unknown_user: str = "refuse"
    on_error: str = "population"
    shape: dict[str, Any] = field(default_factory=dict)
    """Further fields of `Settings`: pessimism, normalize, clip, floor."""
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
        problems = refuse_strangers(self.host, self.token_file)
        for flag, given in {"--data": self.pairs, "--about": self.about}.items():
            if self.workers > 1 and given is not None and self.profiles is None:
                problems.append(f"{flag} with several --workers needs --store, where they share users")
        if self.key_file is not None and self.profiles is None:
            problems.append("--key-file is the key of the store of --store; give that too")
        try:
            self.settings()
        except ConfigError as error:
            problems += error.problems
        if problems:
            raise ConfigError(problems)

    def settings(self) -> Settings:
        """What the scalar path is told.

        Raises:
            ConfigError: a setting is wrong.
        """
        return Settings(self.unknown_user, self.on_error, **self.shape)  # type: ignore[arg-type]


def application(options: ServerOptions) -> FastAPI:
    """The application of a checkpoint or judge.

    Raises:
        ConfigError: an option is wrong, or the model lacks what one needs.
        DataError: the checkpoint or a file of users cannot be read.
        StoreError: the store cannot be opened.
        MissingExtraError: what a server needs is not installed.
    """
    options.check()
    try:
        from synthesizeme.serving.app import ServerSettings, build_app
        from synthesizeme.serving.metrics import SharedPages
        from synthesizeme.serving.requests import Limits
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the server (found no module {error.name})", "serve") from None
    from synthesizeme.serving.opening import open_rewards

    access: Access | None = read_tokens(Path(options.token_file)) if options.token_file else None
    rewards = ScalarRewards(open_rewards(options.model, lambda: _profiles(options)), options.settings())
    if options.about is not None and not rewards.model.reads_words:
        _log.warning("%s reads no words of users; --about changes nothing", rewards.model.name)
    server = ServerSettings(
        limits=Limits(**options.sizes, seconds=options.queue.get("deadline", 10.0)),
        local_names_only=access is None,
        read_only=options.workers > 1 and options.profiles is None,
        **options.queue,
    )
    changes = pages = None
    if options.shared is not None:
        folder, key = Path(options.shared[0]), bytes.fromhex(options.shared[1])
        changes, pages = Changes(folder / "changes", key), SharedPages(folder)
    return build_app(
        rewards, store=opened_store(options), access=access, settings=server, changes=changes, pages=pages
    )


def _profiles(options: ServerOptions) -> Mapping[str, UserProfile] | None:
    """What the store knows of users in words, for a judge."""
    from synthesizeme.profiles import StoredProfiles, open_store

    if options.profiles is None:
        return None
    return StoredProfiles(open_store(options.profiles, key_file=options.key_file, create=True))


def opened_store(options: ServerOptions) -> UserStore:
    """Where pairs and words are kept, with those of the files in it.

    Raises:
        DataError: a file cannot be read, or that of pairs has none that may be learned from.
        StoreError: the store cannot be opened.
    """
    from synthesizeme.datasets import by_user, read_pairs, read_words
    from synthesizeme.profiles import open_store

    store: UserStore = MemoryUsers()
    if options.profiles is not None:
        patience = min(PATIENCE_S, 0.5 * options.queue.get("deadline", 10))
        opened = open_store(options.profiles, key_file=options.key_file, create=True, patience=patience)
        store = cast(UserStore, Breaker(opened))
    if options.pairs is not None:
        for user, rows in by_user(read_pairs(Path(options.pairs)).pairs).items():
            if usable := [pair for pair in rows if pair.split != "test"]:
                store.add_pairs(user, usable)
        if not store.users(limit=1):
            problem = "has no train or validation pair"
            raise DataError(problem, source=options.pairs, cure="check its `split`.")
    if options.about is not None:
        for user, said in read_words(options.about).words.items():
            store.add_pairs(user, (), words=said)
    return store


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
    if options.workers > 1:
        _run_workers(options, ready)
        return
    app = _kept(application(options))
    with bound(options.host, options.port) as (listening, place):
        said = f"Serving {options.model} on {place}; its API is at /docs."
        serve_here(app, listening, options.queue.get("deadline", 10), lambda: ready(said))


def uvicorn_settings(deadline: float) -> dict[str, Any]:
    """How uvicorn is told to serve: nothing of a person in its log, requests with a head of bounded size.

    Args:
        deadline: Seconds that a request may take, which an end waits for.
    """
    from synthesizeme.serving.app import BoundedHead

    return {
        "access_log": False,  # paths hold user ids
        "log_level": "warning",
        "timeout_graceful_shutdown": int(deadline) + 5,
        "http": BoundedHead,
        "server_header": False,
        "proxy_headers": False,
    }


def serve_here(app: FastAPI, listening: socket.socket, deadline: float, ready: Callable[[], None]) -> None:
    """Serve an application in this process until it is told to stop.

    Args:
        app: The application.
        listening: A bound socket; see `bound`.
        deadline: As for `uvicorn_settings`.
        ready: Called once requests are taken.
    """
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    Server(uvicorn.Config(app, **uvicorn_settings(deadline))).run(sockets=[listening])


def worker_application() -> FastAPI:
    """The application of a worker process, with the options of the environment variable."""
    return _kept(application(ServerOptions(**json.loads(os.environ[VARIABLE]))))


def _run_workers(options: ServerOptions, ready: Callable[[str], None]) -> None:
    """Serve with `options.workers` processes until told to stop; one that dies is replaced.

    Args:
        options: What is served.
        ready: Called with a line for people.

    Raises:
        SynthesizeMeError: as `run`.
    """
    # What is wrong is said once, and here, before a store is made.
    application(replace(options, profiles=None, key_file=None, pairs=None, about=None))
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    if options.profiles is not None:
        # Once, and here: a worker that replaces another must not bring back a user deleted since.
        opened_store(options).close()
        options = replace(options, pairs=None, about=None)
    with (
        bound(options.host, options.port) as (listening, place),
        tempfile.TemporaryDirectory(prefix="synthesizeme-") as folder,
    ):
        options = replace(options, shared=(folder, secrets.token_hex(32)))
        os.environ[VARIABLE] = json.dumps(asdict(options))
        config = uvicorn.Config(
            f"{__name__}:worker_application",
            factory=True,
            host=options.host,
            port=options.port,
            workers=options.workers,
            timeout_worker_healthcheck=_HUNG,
            **uvicorn_settings(options.queue.get("deadline", 10)),
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
def bound(host: str, port: int) -> Iterator[tuple[socket.socket, str]]:
    """A socket bound to an address, and that address for people.

    Raises:
        ConfigError: it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            problem = f"{host}:{port} cannot be bound: {error}; give another --host or --port"
            raise ConfigError(problem) from None
        name, number = listening.getsockname()[:2]
        yield listening, f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}"
