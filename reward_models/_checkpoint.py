"""What was learned, on disk: a folder of plain files, JSON and safetensors, no pickle, each with its SHA-256.

A `Layout` writes and reads arrays and the document that names them. A reward model's checkpoint is

model.json            format version, method, arguments, learned facts, digests of the other files and its own
shared.safetensors    the shared weights
users.safetensors     every user state: rows of all users laid end to end, and where each begins
users.json            user ids, in the same order
pairs.json            fingerprints of the pairs that were learned from, so that it is not measured on them
...                   what a method adds, e.g. ``backbone/`` in the format of transformers
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from reward_models._types import UserState
from reward_models.floor import NOTHING, Meanings
from synthesizeme.errors import DataError
from synthesizeme.files import whole_file, writing
from synthesizeme.scoring import RewardScale
from synthesizeme.version import __version__

Arrays = Mapping[str, NDArray[Any]]


def _put_whole(path: Path, data: bytes) -> None:
    with whole_file(path) as stream:
        stream.write(data)


@dataclass(frozen=True)
class Layout:
    """How one kind of thing that was learned lies in a folder: a document, and files of arrays beside it."""

    document: str
    """File name of the document, by which such a folder is known."""
    version: int
    """Of the format."""
    what: str
    """What the folder holds, in a word or two."""
    written_by: str
    """What writes such folders."""
    again: str
    """How to get another one, where one cannot be read: "train again"."""

    def is_in(self, folder: Path) -> bool:
        """Whether a folder holds one, as far as its document's name tells."""
        return (folder / self.document).is_file()

    def write(
        self,
        folder: Path,
        arrays: Mapping[str, Arrays],
        facts: Mapping[str, Any],
        *,
        others: Iterable[str] = (),
        put: Callable[[Path, bytes], Any] = _put_whole,
    ) -> None:
        """Write files of arrays, by name, and then the document, each whole or not at all.

        Args:
            folder: The place; what else is there stays.
            arrays: Arrays by name, of each file by its name.
            facts: What goes into the document, as JSON values.
            others: Names of files that are there already and belong to it.
            put: Writes the bytes of a file.

        Raises:
            DataError: the place cannot be written.
        """
        for name, some in arrays.items():
            put(folder / name, save({key: np.ascontiguousarray(array) for key, array in some.items()}))
        files = {name: _digest(folder / name) for name in sorted([*arrays, *others])}
        document = {"format_version": self.version, "synthesizeme": __version__, "files": files, **facts}
        document["sha256"] = _own_digest(document)
        text = json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n"
        put(folder / self.document, text.encode("utf-8"))

    def read(self, folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, NDArray[Any]]]]:
        """The document, and the arrays of each file beside it.

        Raises:
            DataError: a file is missing, truncated or changed since, or the format is another version's.
        """
        document = self._document(folder)
        for name, digest in document["files"].items():
            path = folder / name
            if not path.is_file():
                raise DataError(f"is missing from the {self.what}", source=str(path), cure=self._copy_again)
            if _digest(path) != digest:
                problem = "is not the file that was saved: truncated or changed"
                raise DataError(problem, source=str(path), cure=self._copy_again)
        with self.fits(folder):
            own = [name for name in document["files"] if name.endswith(".safetensors") and "/" not in name]
            return document, {name: load_file(folder / name) for name in own}

    @contextmanager
    def fits(self, folder: Path, what: str = "") -> Iterator[None]:
        """Inside, what a folder lacks or holds otherwise is an error that names it.

        Raises:
            DataError: a part of it does not fit `what`, by default this kind, in this version.
        """
        try:
            yield
        except (KeyError, TypeError, ValueError, SafetensorError) as error:
            raise DataError(
                f"does not fit {what or self.what} of this version ({type(error).__name__}: {error})",
                source=str(folder),
                cure=f"{self.again}.",
            ) from error

    @property
    def _copy_again(self) -> str:
        return f"copy the whole folder again, or {self.again}."

    def _document(self, folder: Path) -> dict[str, Any]:
        path = folder / self.document
        cure = f"name a folder written by {self.written_by}, or {self.again}."
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            problem = f"no {self.what} can be read here: {error.strerror or error}"
            raise DataError(problem, source=str(path), cure=cure) from None
        except ValueError:
            raise DataError("is not JSON: truncated or changed", source=str(path), cure=cure) from None
        if not isinstance(document, dict) or "format_version" not in document:
            raise DataError(f"does not describe a {self.what}", source=str(path), cure=cure)
        found = document["format_version"]
        if found != self.version:
            newer = isinstance(found, int) and found > self.version
            raise DataError(
                f"has format version {found!r}; this version reads {self.version}",
                source=str(path),
                cure="update synthesizeme-rewards, which is older than it." if newer else f"{self.again}.",
            )
        if document.get("sha256") != _own_digest(document):
            problem = "is not the file that was saved: changed since"
            raise DataError(problem, source=str(path), cure=self._copy_again)
        return document


MODEL = Layout("model.json", 3, "checkpoint", "`synthesizeme train`", "train again")
RETRIEVER = Layout("retriever.json", 2, "distilled encoder", "`DistilledEncoder.save`", "distil again")
KNOWN = "floor.prompts"
"""Among the shared arrays: what prompts mean that the floor knows."""
SHARED, USERS, USER_IDS, PAIRS = "shared.safetensors", "users.safetensors", "users.json", "pairs.json"
_SHAPES, _ENDS = "shapes:", "ends:"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds of a fitted model, beside the files that its method adds."""

    method: str
    """Name of the method."""
    params: Mapping[str, Any]
    """Arguments that it was made with, plain values."""
    facts: Mapping[str, Any]
    """Learned plain values."""
    arrays: Mapping[str, NDArray[Any]]
    """The shared weights by name."""
    users: dict[str, UserState]
    """State of every user by id."""
    reward_scale: RewardScale | None
    """What the rewards of training answers were like."""
    limits: Mapping[str, float]
    """Limits of the floor that were found in training."""
    known: Meanings
    """What prompts mean that the floor knows."""
    learned_from: frozenset[str] | None
    """Fingerprints of the pairs that were learned from."""


def write(stored: Checkpoint, folder: Path, add_files: Callable[[Path], None] = lambda folder: None) -> None:
    """Write a checkpoint folder, whole or not at all: it is written beside it and takes its place.

    Args:
        stored: What goes into it.
        folder: The place.
        add_files: Writes the further files of a method into the folder it is given.

    Raises:
        DataError: the place cannot be written, or holds something that is no checkpoint.
    """
    check_place(folder)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = folder.with_name(f".{folder.name[:100]}.{secrets.token_hex(4)}.partial")
        partial.mkdir()
    try:
        with writing(folder):
            add_files(partial)
            (partial / USER_IDS).write_text(json.dumps(list(stored.users)), encoding="utf-8")
            if stored.learned_from is not None:
                (partial / PAIRS).write_text(json.dumps(sorted(stored.learned_from)), encoding="utf-8")
            others = [path for path in partial.rglob("*") if path.is_file()]
            shared = {**stored.arrays, KNOWN: stored.known} if stored.known.size else stored.arrays
            scale = stored.reward_scale
            facts = {
                "method": stored.method,
                "params": stored.params,
                "facts": stored.facts,
                "reward_scale": None if scale is None else scale.model_dump(),
                "floor": stored.limits,
            }
            MODEL.write(
                partial,
                {SHARED: shared, USERS: _laid_out(list(stored.users.values()))},
                facts,
                others=[path.relative_to(partial).as_posix() for path in others],
                put=Path.write_bytes,
            )
            _take_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_place(folder: Path) -> None:
    """Refuse a place that a checkpoint must not take.

    Raises:
        DataError: it holds something that is no checkpoint.
    """
    if folder.exists() and not MODEL.is_in(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            "holds something that is no checkpoint",
            source=str(folder),
            cure="name a new folder, or one with a checkpoint to replace.",
        )


def read(folder: Path) -> Checkpoint:
    """Read what `write` wrote.

    Raises:
        DataError: a file is missing, truncated or changed since, or the format is another version's.
    """
    document, arrays = MODEL.read(folder)
    with MODEL.fits(folder):
        user_ids = json.loads((folder / USER_IDS).read_text(encoding="utf-8"))
        states = _taken_apart(arrays[USERS], len(user_ids))
        scale, learned_from = document["reward_scale"], None
        if PAIRS in document["files"]:
            learned_from = frozenset(json.loads((folder / PAIRS).read_text(encoding="utf-8")))
        return Checkpoint(
            method=document["method"],
            params=document["params"],
            facts=document["facts"],
            known=arrays[SHARED].pop(KNOWN, NOTHING),
            arrays=arrays[SHARED],
            users=dict(zip(user_ids, states, strict=True)),
            reward_scale=None if scale is None else RewardScale(**scale),
            limits=document.get("floor", {}),
            learned_from=learned_from,
        )


def _own_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of a document without its own digest."""
    rest = {name: value for name, value in document.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _laid_out(states: list[UserState]) -> dict[str, NDArray[Any]]:
    """Per name: all values flat, the shape of every user's array, and where each user's values end."""
    names = sorted({name for state in states for name in state})
    found: dict[str, NDArray[Any]] = {}
    for name in names:
        arrays = [state[name] for state in states]
        found[name] = np.concatenate([array.ravel() for array in arrays])
        found[_SHAPES + name] = np.asarray([array.shape for array in arrays], dtype=np.int64)
        found[_ENDS + name] = np.cumsum([array.size for array in arrays], dtype=np.int64)
    return found


def _taken_apart(arrays: Mapping[str, NDArray[Any]], n_users: int) -> list[UserState]:
    states: list[UserState] = [{} for _ in range(n_users)]
    for name, values in arrays.items():
        if name.startswith((_SHAPES, _ENDS)):
            continue
        parts = np.split(values, arrays[_ENDS + name][:-1])
        for state, part, shape in zip(states, parts, arrays[_SHAPES + name], strict=True):
            state[name] = part.reshape(tuple(int(n) for n in shape))
    return states


def _take_place(partial: Path, folder: Path) -> None:
    """Exchange the finished folder for the old one; an interruption leaves one of the two whole."""
    if not folder.exists():
        partial.rename(folder)
        return
    old = partial.with_name(f"{partial.name}.old")
    os.rename(folder, old)
    try:
        os.rename(partial, folder)
    except OSError:
        os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
