"""A fitted model as bytes, to travel to another process or machine: its checkpoint as one tar archive."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from reward_models._base import RewardModel
from reward_models._methods import load


def packed(model: RewardModel) -> bytes:
    """The checkpoint of a model.

    Raises:
        NotFittedError: the model is not fitted.
    """
    with TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(Path(folder) / "model", arcname="model")
    return archive.getvalue()


def unpacked(archive: bytes) -> RewardModel:
    """The model of a checkpoint that was packed."""
    with TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        return load(Path(folder) / "model")
