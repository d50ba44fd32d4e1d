"""Profiles in a folder, ready to be asked: one folder per user, whatever the user's id, written whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synthesizeme.backends import Model, Session, using
from synthesizeme.datasets.rows import asked_comparison, asked_user
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.files import write_whole, writing
from synthesizeme.judges.llm_judge import OneComparison, judge_both_orders
from synthesizeme.personas.documents import profile_documents
from synthesizeme.plain_text import id_list
from synthesizeme.profile import UserProfile
from synthesizeme.progress import ShowProgress, watched
from synthesizeme.prompts import load_prompt

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

INDEX = "index.json"
PROFILE = "profile.json"
_READABLE = 40


def directory_name(user_id: str) -> str:
    """Name of a user's folder: up to 40 readable characters, then ten digits of the id's SHA-256.

    >>> directory_name("../ann/the 1st")
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
    name = directory_name(profile.user_id)
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
    folder = root / directory_name(user_id)
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
    known = _read_profile(folder / PROFILE)
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


def _pairs_of(profile: UserProfile) -> set[str]:
    return set(profile.provenance.splits) if profile.provenance else set()


class JudgingProfile(UserProfile):
    """A `UserProfile` that can be asked and saved; it holds nothing else, and equals the profile without."""

    def judge(
        self,
        prompt: Any,
        first: Any,
        second: Any,
        *,
        model: str | Model | Session = "builtin",
        judge_prompt: str = "judge/default",
        progress: ShowProgress = None,
    ) -> OneComparison:
        """Which of two responses the user prefers, asked in both orders.

        Args:
            prompt: What the user asked: text, or messages of which the last is the user's.
            first: A response: text, or one message.
            second: Another one.
            model: Name of the model that is asked (`open_model`), an opened model, or a session.
            judge_prompt: Name or path of the judge prompt.
            progress: True shows a wait beyond two seconds; a function is told of every call.

        Raises:
            DataError: the prompt or a response is missing, blank or not made of text.
            JudgeError: the model gave no verdict.
            BackendError: it cannot be reached.
        """
        asked = asked_comparison(self.user_id, prompt, first, second)
        with watched(progress, self.user_id) as told, using(model) as session:
            template = load_prompt(judge_prompt)
            return judge_both_orders(session.account(told), self, asked, prompt=template)

    def save(self, folder: str | Path, *, judge_prompt: str = "judge/default") -> dict[str, Path]:
        """Write what `induce-persona` writes of a user, into the user's own folder under `folder`.

        Args:
            folder: Folder of all users; made if it does not exist.
            judge_prompt: Name or path of the judge prompt.

        Returns:
            Path of each file, by file name.

        Raises:
            DataError: the place cannot be written, or holds something else; see `refuse_replacing`.
        """
        return save_profile(Path(folder), self, profile_documents(self, judge_prompt))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UserProfile):
            return NotImplemented
        return self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]


def load_profile(path: str | Path, user: str | None = None) -> JudgingProfile:
    """Read a profile, which can then be asked (`JudgingProfile.judge`).

    Args:
        path: A ``profile.json``, the folder of one user, or a folder of users that `save_profile` wrote.
        user: Whose profile; may be left out where there is one.

    Raises:
        DataError: it cannot be read or is no profile.
        ConfigError: the user has no profile there, or there are several and none is named.
    """
    path, user = Path(path), None if user is None else asked_user(user)
    if path.is_dir() and not (path / INDEX).exists() and (path / PROFILE).exists():
        path = path / PROFILE
    if not path.is_dir():
        profile = _read_profile(path)
        if user not in (None, profile.user_id):
            raise ConfigError(f"{path} is the profile of {profile.user_id[:60]!r}, not of {str(user)[:60]!r}")
        return profile
    profiles = ProfileDirectory(path)
    if user is None and len(profiles) != 1:
        raise ConfigError(
            f"{path} has profiles of {len(profiles)} users; name one with --user ID (user=ID). "
            f"Its users: {id_list(profiles)}"
        )
    user = next(iter(profiles)) if user is None else user
    if user not in profiles:
        raise ConfigError(f"{path} has no profile of {user[:60]!r}. Its users: {id_list(profiles)}")
    return profiles[user]


def _read_profile(path: Path) -> JudgingProfile:
    """One profile document.

    Raises:
        DataError: it cannot be read or is no profile.
    """
    try:
        return JudgingProfile.from_json(path.read_bytes())
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


class ProfileDirectory(Mapping[str, JudgingProfile]):
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

    def __getitem__(self, user_id: str) -> JudgingProfile:
        return _read_profile(self.root / self._folders[user_id] / PROFILE)

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
