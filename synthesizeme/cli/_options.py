"""Flags that verbs share: each has one name and one meaning, whatever the verb."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from synthesizeme.cli._command import apply_config_file, option, show_everything
from synthesizeme.cli._output import reserve

if TYPE_CHECKING:
    from synthesizeme.profiles import ProfileStore

FURTHER = "Further options"
"""Heading of what is not in `--help`."""


def _remember_debug(context: typer.Context, value: bool) -> bool:
    if value:
        context.find_root().meta["synthesizeme.debug"] = True
        if isinstance(context.obj, dict):
            context.obj["debug"] = True
    return value


def _reserve_output(value: bool) -> bool:
    if value:
        reserve()
    return value


def folder(text: str | Path) -> Path:
    """A folder's name, which is not blank."""
    if not str(text).strip():
        raise typer.BadParameter("is empty; expected the name of a folder")
    return Path(text)


def new_file(text: str | Path) -> Path:
    """The name of a file to write, which is not blank and no folder."""
    if not str(text).strip():
        raise typer.BadParameter("is empty; expected the name of a file")
    if Path(text).is_dir():
        raise typer.BadParameter(f"{text} is a folder; expected the name of a file")
    return Path(text)


@dataclass(frozen=True)
class CommonOptions:
    """Flags of every verb."""

    json: bool = option(
        False, "Print one JSON object on standard output and nothing else there.", callback=_reserve_output
    )
    config: Path | None = option(
        None, "TOML file whose keys are the flags; flags given here win.", "FILE.toml",
        is_eager=True, callback=apply_config_file,
    )  # fmt: skip
    debug: bool = option(
        False, "Show the traceback of an error.", panel=FURTHER, is_eager=True, callback=_remember_debug
    )
    help_all: bool = option(False, "Show every option.", is_eager=True, callback=show_everything)


SEED = partial(option, 0, "Seed of every random choice.", "N", panel=FURTHER)
FORCE = partial(option, False, "Replace what is there, even if it is no earlier result of this command.")
SKIP_BAD_ROWS = partial(
    option, False, "Leave malformed rows out; they are counted and listed.", panel=FURTHER
)
ENGINE = partial(
    option,
    "local",
    "Where texts are encoded and users are fitted: in this process, or on the Ray cluster of "
    "$RAY_ADDRESS or one started here (extra `ray`), with the same result.",
    panel=FURTHER,
)
WORKERS = partial(
    option,
    None,
    "Processes of --engine ray; by default one for each core of the cluster.",
    "N",
    panel=FURTHER,
)
JUDGE_PROMPT = partial(
    option,
    "judge/default",
    "Judge prompt: a name of `synthesizeme prompts list`, or a file.",
    "NAME|FILE",
    panel=FURTHER,
)
THETA = partial(
    option,
    "persona/default",
    "Prompt that writes the persona (Theta): a name, or a file.",
    "NAME|FILE",
    panel=FURTHER,
)
DATA_DIR = partial(
    option,
    None,
    "Folder to look for data sets in, before $SYNTHESIZEME_DATA_DIR and the hub.",
    "DIR",
    panel=FURTHER,
)

STORE = partial(
    option,
    ...,
    "A path or sqlite:///PATH (SQLite in a file), or postgresql://USER@HOST:PORT/DATABASE.",
    "URL|PATH",
)
USER = partial(option, ..., "The user.", "ID")
KEY_FILE = partial(
    option,
    None,
    "Key of an encrypted store, 32 random bytes in base64; a new store gets encrypted with it.",
    "FILE",
    panel=FURTHER,
)
PROFILES = partial(
    option,
    None,
    "Where profiles are: a folder that induce-persona wrote, one profile.json, or a store.",
    "DIR|FILE|URL",
    name="--store",
)


@dataclass(frozen=True)
class StoreOptions:
    """Where the store is and how to open it."""

    store: str = STORE()
    key_file: Path | None = KEY_FILE()
    migrate: bool = option(
        False,
        "Bring the tables of PostgreSQL up to date first; in SQLite, and in an empty database, this "
        "is done anyway.",
        panel=FURTHER,
    )

    def open(self, *, create: bool = False) -> ProfileStore:
        """The store, made if it does not exist and `create` is set; close it when done."""
        from synthesizeme.profiles import open_store

        return open_store(self.store, key_file=self.key_file, create=create, migrate=self.migrate or None)
