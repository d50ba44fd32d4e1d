"""The application of a server: what is served, to whom, and the store that keeps its users."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthesizeme.errors import ConfigError, DataError, MissingExtraError
from synthesizeme.profile import UserProfile
from synthesizeme.serving._breaker import PATIENCE_S, Breaker
from synthesizeme.serving._changes import Changes
from synthesizeme.serving.access import Access, is_loopback, read_tokens
from synthesizeme.serving.protocol import ScalarRewards
from synthesizeme.serving.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from synthesizeme.serving.users import UserStore


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerOptions:
    """What is served, to whom, and how."""

    model: str
    """Checkpoint folder, or a judge as in `synthesizeme.serving.models`."""
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
    """Folder that several processes share, and a key (hex); `synthesizeme.serving.server` sets them."""
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
        problems = []
        if self.token_file is None and not is_loopback(self.host):
            problems.append(
                f"--host {self.host} can be reached from other machines; give --token-file FILE, or keep "
                "127.0.0.1"
            )
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
        from synthesizeme.serving._pages import SharedPages
        from synthesizeme.serving._requests import Limits
        from synthesizeme.serving.http import ServerSettings, build_app
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the server (found no module {error.name})", "serve") from None
    from synthesizeme.serving.models import open_rewards

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
    key = None if options.key_file is None else Path(options.key_file)
    return StoredProfiles(open_store(options.profiles, key_file=key, create=True))


def opened_store(options: ServerOptions) -> UserStore:
    """Where pairs and words are kept, with those of the files in it.

    Raises:
        DataError: a file cannot be read, or that of pairs has none that may be learned from.
        StoreError: the store cannot be opened.
    """
    from synthesizeme.datasets import by_user, read_pairs, read_words
    from synthesizeme.profiles import StoredUsers, open_store
    from synthesizeme.serving.users import MemoryUsers

    store: UserStore = MemoryUsers()
    if options.profiles is not None:
        key = None if options.key_file is None else Path(options.key_file)
        patience = min(PATIENCE_S, 0.5 * options.queue.get("deadline", 10))
        opened = open_store(options.profiles, key_file=key, create=True, patience=patience)
        store = Breaker(StoredUsers(opened))
    if options.pairs is not None:
        for user, rows in by_user(read_pairs(Path(options.pairs)).pairs).items():
            if usable := [pair for pair in rows if pair.split != "test"]:
                store.append(user, usable)
        if not tuple(store.users()):
            problem = "has no train or validation pair"
            raise DataError(problem, source=options.pairs, cure="check its `split`.")
    if options.about is not None:
        for user, said in read_words(options.about).words.items():
            store.append(user, (), said)
    return store
