"""Places that a verb will write to, tried before the work begins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from synthesizeme.errors import ConfigError

if TYPE_CHECKING:
    from synthesizeme.profile import UserProfile


def check_writable(out: Path) -> None:
    """Refuse a folder that cannot be made or written before any work is done.

    Raises:
        ConfigError: it is a file, or below one, or nothing can be written there.
    """
    place = out.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ConfigError(f"--out {out}: {place} is a file; expected a folder")
    try:
        with TemporaryDirectory(prefix=".writable.", dir=place):
            pass
    except OSError as error:
        raise ConfigError(
            f"--out {out}: {place} cannot be written ({error.strerror or error}); name another folder, or "
            "change its permissions"
        ) from None


def check_apart(flag: str, out: Path, **read: Path | None) -> None:
    """Refuse to write over what is read.

    Args:
        flag: Option that names `out`.
        out: What is written.
        **read: What is read, by the names of the options.

    Raises:
        ConfigError: two of them are the same file.
    """
    for name, place in read.items():
        if place is not None and out.exists() and place.exists() and out.samefile(place):
            raise ConfigError(f"{flag} {out} is what --{name} reads; name another file, which is written to")


def check_replaceable(out: Path, *, force: bool, own: bool = False) -> None:
    """Refuse to replace what is at a place, unless it is this command's own earlier result, or forced to.

    Args:
        out: File or folder to write.
        force: Whether `--force` is given.
        own: Whether what is there is an earlier result of the same command for the same user, model or data.

    Raises:
        ConfigError: something else is there.
    """
    there = out.exists() and not (out.is_dir() and not any(out.iterdir()))
    if there and not force and not own:
        raise ConfigError(
            f"--out {out}: something else is there; name another place, or replace it with --force"
        )


def tells(path: Path, **facts: object) -> bool:
    """Whether a file holds a JSON object with these values: how a command knows its own earlier result."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and all(document.get(name) == value for name, value in facts.items())


def write_profile(
    out: Path, profile: UserProfile, judge_prompt: str, extra: Mapping[str, str], *, force: bool = False
) -> dict[str, Path]:
    """Write the files of one user; keys are the names under ``files`` in the JSON output.

    Args:
        out: Folder of all users.
        profile: The profile.
        judge_prompt: Name or path of the judge prompt.
        extra: Text of further files by name.
        force: Whether something else that is there is replaced.
    """
    from synthesizeme.personas.documents import profile_documents
    from synthesizeme.personas.store import save_profile

    paths = save_profile(out, profile, {**profile_documents(profile, judge_prompt), **extra}, force=force)
    return {Path(name).stem: path for name, path in paths.items()}
