"""A checkpoint is a folder of plain files: JSON and safetensors, no pickle, each with its SHA-256.

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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from reward_models._types import UserState
from reward_models.floor import NOTHING, Meanings
from synthesizeme.errors import DataError
from synthesizeme.files import writing
from synthesizeme.scoring import RewardScale
from synthesizeme.version import __version__

FORMAT_VERSION = 3
KNOWN = "floor.prompts"
"""Among the shared arrays: what prompts mean that the floor knows."""
MODEL, SHARED, USERS, USER_IDS = "model.json", "shared.safetensors", "users.safetensors", "users.json"
PAIRS = "pairs.json"
_SHAPES, _ENDS = "shapes:", "ends:"
_COPY_AGAIN = "copy the whole folder again, or train again."


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
            arrays = {**stored.arrays, KNOWN: stored.known} if stored.known.size else stored.arrays
            save_file(_plain(arrays), partial / SHARED)
            save_file(_laid_out(list(stored.users.values())), partial / USERS)
            (partial / USER_IDS).write_text(json.dumps(list(stored.users)), encoding="utf-8")
            if stored.learned_from is not None:
                (partial / PAIRS).write_text(json.dumps(sorted(stored.learned_from)), encoding="utf-8")
            scale = stored.reward_scale
            document = {
                "format_version": FORMAT_VERSION,
                "method": stored.method,
                "params": stored.params,
                "facts": stored.facts,
                "reward_scale": None if scale is None else scale.model_dump(),
                "floor": stored.limits,
                "synthesizeme": __version__,
                "files": _digests(partial),
            }
            document["sha256"] = _own_digest(document)
            text = json.dumps(document, indent=2, sort_keys=True, allow_nan=False)
            (partial / MODEL).write_text(text + "\n", encoding="utf-8")
            _take_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_place(folder: Path) -> None:
    """Refuse a place that a checkpoint must not take.

    Raises:
        DataError: it holds something that is no checkpoint.
    """
    if folder.exists() and not (folder / MODEL).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            "holds something that is no checkpoint",
            source=str(folder),
            cure="name a new folder, or one with a checkpoint to replace.",
        )


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a checkpoint, as far as its document's name tells."""
    return (folder / MODEL).exists()


def read(folder: Path) -> Checkpoint:
    """Read what `write` wrote.

    Raises:
        DataError: a file is missing, truncated or changed since, or the format is another version's.
    """
    document = _document(folder)
    _check_files(folder, document["files"])
    with of_this_version(document["method"], folder):
        arrays = load_file(folder / SHARED)
        known = arrays.pop(KNOWN, NOTHING)
        user_ids = json.loads((folder / USER_IDS).read_text(encoding="utf-8"))
        states = _taken_apart(load_file(folder / USERS), len(user_ids))
        scale, learned_from = document["reward_scale"], None
        if PAIRS in document["files"]:
            learned_from = frozenset(json.loads((folder / PAIRS).read_text(encoding="utf-8")))
        return Checkpoint(
            method=document["method"],
            params=document["params"],
            facts=document["facts"],
            arrays=arrays,
            users=dict(zip(user_ids, states, strict=True)),
            reward_scale=None if scale is None else RewardScale(**scale),
            limits=document.get("floor", {}),
            known=known,
            learned_from=learned_from,
        )


@contextmanager
def of_this_version(method: str, folder: Path) -> Iterator[None]:
    """Inside, what a checkpoint lacks or holds otherwise is an error that names it.

    Raises:
        DataError: a part of it does not fit the method of this version.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise DataError(
            f"does not fit {method!r} of this version ({type(error).__name__}: {error})",
            source=str(folder),
            cure="train it again.",
        ) from error


def _document(folder: Path) -> dict[str, Any]:
    path = folder / MODEL
    cure = "name a folder written by `synthesizeme train`, or train again."
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = f"no checkpoint can be read here: {error.strerror or error}"
        raise DataError(problem, source=str(path), cure=cure) from None
    except ValueError:
        raise DataError("is not JSON: truncated or changed", source=str(path), cure=cure) from None
    keys = {"format_version", "method", "params", "facts", "files"}
    if not isinstance(document, dict) or not keys <= set(document):
        raise DataError("is not a checkpoint's model.json", source=str(path), cure=cure)
    if document["format_version"] != FORMAT_VERSION:
        raise DataError(
            f"has format version {document['format_version']!r}; this version reads {FORMAT_VERSION}",
            source=str(path),
            cure=_another_version(document),
        )
    if document.get("sha256") != _own_digest(document):
        problem = "is not the file that was saved: changed since"
        raise DataError(problem, source=str(path), cure=_COPY_AGAIN)
    return document


def _another_version(document: Mapping[str, Any]) -> str:
    version = document.get("format_version")
    newer = isinstance(version, int) and version > FORMAT_VERSION
    return "update synthesizeme-rewards, which is older than it." if newer else "train it again."


def _own_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of model.json without its own digest."""
    rest = {name: value for name, value in document.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _digest(path) for path in files}


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_files(folder: Path, digests: Mapping[str, str]) -> None:
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            raise DataError("is missing from the checkpoint", source=str(path), cure=_COPY_AGAIN)
        if _digest(path) != digest:
            problem = "is not the file that was saved: truncated or changed"
            raise DataError(problem, source=str(path), cure=_COPY_AGAIN)


def _plain(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _laid_out(states: list[UserState]) -> dict[str, NDArray[Any]]:
    """Per name: all values flat, the shape of every user's array, and where each user's values end."""
    names = sorted({name for state in states for name in state})
    found: dict[str, NDArray[Any]] = {}
    for name in names:
        arrays = [state[name] for state in states]
        found[name] = np.concatenate([array.ravel() for array in arrays])
        found[_SHAPES + name] = np.asarray([array.shape for array in arrays], dtype=np.int64)
        found[_ENDS + name] = np.cumsum([array.size for array in arrays], dtype=np.int64)
    return _plain(found)


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
