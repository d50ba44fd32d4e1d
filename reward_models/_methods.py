"""Methods by their names, the models of checkpoints, and fitted models as bytes."""

from __future__ import annotations

import inspect
import io
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from reward_models._base import RewardModel
from reward_models._checkpoint import MODEL, read
from synthesizeme import discovery
from synthesizeme.errors import MissingExtraError
from synthesizeme.hub import download, hub_name

PACKAGE = "reward_models"
POPULATION = Path(__file__).parent / "population" / "checkpoint"
"""The checkpoint that is shipped: it knows nobody, and what people have in common; see `load`."""

_EXTRAS = {
    "torch": "hf",
    "transformers": "hf",
    "trl": "train",
    "peft": "train",
    "accelerate": "train",
    "sklearn": "baselines",
    "scipy": "baselines",
}
"""The extra that brings a library in which a method's module may be found wanting."""


def method_names() -> list[str]:
    """Names of all methods, as on the command line."""
    return discovery.names(PACKAGE, folders=False)


def method(name: str) -> type[RewardModel]:
    """The class of a method.

    Raises:
        UnknownNameError: there is no such method; lists those there are.
        MissingExtraError: what it needs is not installed.
    """
    try:
        module = discovery.load(PACKAGE, name, kind="reward model", folders=False)
    except ImportError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise MissingExtraError(f"the reward model {name!r}", extra) from error
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, RewardModel) and value.__module__ == module.__name__
    ]
    return next(
        value for value in own if not inspect.isabstract(value) and not value.__name__.startswith("_")
    )


def load(folder: Path | str = POPULATION) -> RewardModel:
    """Read a checkpoint folder written by `RewardModel.save`, whatever its method.

    ``hub:owner/name``, or ``owner/name`` where there is no such folder, is one that `push_to_hub` brought to
    the Hugging Face hub; it is fetched once.

    Without a folder it is the population that this package ships: fitted to a user's pairs, it scores for
    that user without any training.

    Raises:
        DataError: a file is missing, truncated or not the one that was written, or of another version.
        UnknownNameError: this version has no such method.
    """
    named = None if Path(folder).exists() else hub_name(str(folder))
    folder = Path(folder) if named is None else download(named.name, ["*"], kind="model")
    stored = read(folder)
    kind = method(stored.method)
    with MODEL.fits(folder, repr(stored.method)):
        model = kind(**stored.params)
        model._load_files(folder)
        model._take(stored)
    return model


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
