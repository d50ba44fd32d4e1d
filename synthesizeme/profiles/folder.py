"""Profiles in a folder: one folder per user, whatever the user's id, written whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from synthesizeme.errors import DataError
from synthesizeme.files import write_whole, writing
from synthesizeme.profile import UserProfile

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

INDEX = "index.json"
PROFILE = "profile.json"
_READABLE = 40


def folder_name(user_id: str) -> str:
    """Name of a user's folder: up to 40 readable characters, then ten digits of the id's SHA-256.

    >>> folder_name("../ann/the 1st")
    'ann-the-1st-4bfde660a6'
    """
    digest = hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    readable = re.sub(r"[^A-Za-z0-9]+", "-", user_id[: 4 * _READABLE]).strip("-")[:_READABLE].strip("-")
    return f"{readable or 'user'}-{digest}"


def save_profile(
    root: Path, profile: UserProfile, documents: Mapping[str, str], *, force: bool = False
) -> dict[str, Path]:
    """Write a profile and its documents into the user's folder under `root`, and enter it in the index.

    A new folder appears whole. In one of the same user each file is replaced whole, and documents of an
    earlier run that this one does not have are removed.

    Args:
        root: Folder of all users; made if it does not exist.
        profile: The profile.
        documents: Text of further files by file name.
        force: Whether something else that is there is replaced.

    Returns:
        Path of each file, by file name.

    Raises:
        DataError: the place cannot be written, or holds something else; see `refuse_replacing`.
    """
    texts = {PROFILE: profile.to_json(), **documents}
    name = folder_name(profile.user_id)
    if not force:
        refuse_replacing(root, profile.user_id, _pairs_of(profile))
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        partial = root / f".{name}.{secrets.token_hex(4)}.partial"
        try:
            partial.mkdir()
            for file, text in texts.items():
                write_whole(partial / file, text)
            _put(partial, root / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        _enter(root, profile.user_id, name)
    return {file: root / name / file for file in texts}


def refuse_replacing(root: Path, user_id: str, pair_ids: Collection[str] = ()) -> None:
    """Refuse to write a user's profile over anything but an earlier profile of the same user.

    Two users of different data may have the same id: a profile that was made of pairs none of which is among
    those of the new one is another user's.

    Args:
        root: Folder of all users.
        user_id: The user.
        pair_ids: Pairs that the new profile is made of, where they are known.

    Raises:
        DataError: `root` is itself the folder of a user, its index cannot be read, or the user's folder in
            it holds something else.
    """
    folder = root / folder_name(user_id)
    cure = "name another folder, or replace it with --force (force=True)"
    if (root / PROFILE).is_file():
        raise DataError(
            f"is the folder of one user, since it holds a {PROFILE}; expected a folder of all users",
            source=str(root),
            cure="name the folder above it, or a new one",
        )
    if (root / INDEX).exists():
        _read_index(root)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / PROFILE).is_file():
        problem = f"holds files and no {PROFILE}; expected the folder of user {user_id[:60]!r}"
        raise DataError(problem, source=str(folder), cure=cure)
    known = read_profile(folder / PROFILE)
    if known.user_id != user_id:
        problem = f"holds the profile of user {known.user_id[:60]!r}; expected that of {user_id[:60]!r}"
        raise DataError(problem, source=str(folder), cure=cure)
    before = _pairs_of(known)
    if before and pair_ids and before.isdisjoint(pair_ids):
        raise DataError(
            f"holds the profile of a user {user_id[:60]!r} that was made of {len(before)} other pairs, none "
            f"of which is among the {len(pair_ids)} pairs here: another user with the same id",
            source=str(folder),
            cure=cure,
        )


def earlier_profile(root: Path, user_id: str, pair_ids: Collection[str]) -> UserProfile | None:
    """The profile of a user that was written under `root` before; None where none was, or one of another.

    Args:
        root: Folder of all users.
        user_id: The user.
        pair_ids: Pairs that a new profile is made of; see `refuse_replacing`.
    """
    path = root / folder_name(user_id) / PROFILE
    if not path.is_file():
        return None
    try:
        refuse_replacing(root, user_id, pair_ids)
    except DataError:
        return None
    return read_profile(path)


def rewrite_file(
    path: Path,
    change: Callable[[UserProfile], UserProfile],
    documents: Callable[[UserProfile], Mapping[str, str]],
) -> UserProfile:
    """Change a profile in its file, and those of its documents that stand beside it.

    Args:
        path: The file.
        change: Makes the new profile of the old one; what it raises leaves all as it was.
        documents: Text of further files by file name.

    Returns:
        The profile as it is now.

    Raises:
        DataError: the file cannot be read or written.
    """
    with writing(path), _alone(path.parent):
        before = read_profile(path)
        after = change(before)
        if after != before:
            texts = documents(after) if path.name == PROFILE else {}
            write_whole(path, after.to_json())
            for name, text in texts.items():
                if path.with_name(name).exists():
                    write_whole(path.with_name(name), text)
        return after


def _pairs_of(profile: UserProfile) -> set[str]:
    return set(profile.provenance.splits) if profile.provenance else set()


def read_profile(path: Path) -> UserProfile:
    """One profile document.

    Raises:
        DataError: it cannot be read or is no profile.
    """
    try:
        return UserProfile.from_json(path.read_bytes())
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise DataError(
            problem, source=str(path), cure="name a profile.json that induce-persona wrote"
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or None
        cure = "name a profile.json that this version of induce-persona wrote"
        raise DataError(f"is no profile: {first['msg']}", source=str(path), field=field, cure=cure) from None


class ProfileFolder(Mapping[str, UserProfile]):
    """The profiles that `save_profile` wrote under a folder, by user id; each is read when asked for.

    Raises:
        DataError: the folder has no usable index.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not (self.root / INDEX).is_file():
            raise DataError(
                f"there is no {INDEX} in it",
                source=str(self.root),
                cure="name a folder that induce-persona wrote",
            )
        self._folders = _read_index(self.root)

    def file(self, user_id: str) -> Path:
        """The file of a user's profile."""
        return self.root / self._folders[user_id] / PROFILE

    def __getitem__(self, user_id: str) -> UserProfile:
        return read_profile(self.file(user_id))

    def __iter__(self) -> Iterator[str]:
        return iter(self._folders)

    def __len__(self) -> int:
        return len(self._folders)

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._folders


def _put(partial: Path, folder: Path) -> None:
    """Move a finished folder to its place; into it file by file when it exists already."""
    if not folder.exists():
        partial.rename(folder)
        return
    fresh = {path.name for path in partial.iterdir()}
    for name in fresh:
        (partial / name).replace(folder / name)
    for old in folder.iterdir():
        if old.name not in fresh and old.suffix in (".json", ".md"):
            old.unlink()


def _enter(root: Path, user_id: str, name: str) -> None:
    with _alone(root):
        folders = _read_index(root) if (root / INDEX).exists() else {}
        if folders.get(user_id) != name:
            entries = dict(sorted({**folders, user_id: name}.items()))
            write_whole(root / INDEX, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep other processes from changing the index meanwhile, where the system can lock a folder."""
    if fcntl is None:
        yield
        return
    folder = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _read_index(root: Path) -> dict[str, str]:
    path = root / INDEX
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot be read: {error}", source=str(path), cure="delete it or name another folder"
        ) from None
    if not isinstance(entries, dict) or not all(_is_folder_name(name) for name in entries.values()):
        problem = "is not an index of profiles; expected an object of folder names by user id"
        raise DataError(problem, source=str(path), cure="name a folder that induce-persona wrote")
    return entries


def _is_folder_name(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9-]+", name) is not None
