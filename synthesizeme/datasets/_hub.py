"""Data sets of the Hugging Face hub as local folders: fetched once, then read from its cache."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from synthesizeme.datasets.rows.folders import SUFFIXES, is_data_file
from synthesizeme.errors import DataError

SECONDS_TO_ANSWER = 5.0
"""How long the hub may take to answer the first question before it counts as out of reach."""

_NAME = re.compile(r"(?P<scheme>hub:)?(?P<name>[\w.-]+/[\w.-]+)(?::(?P<split>[\w.-]+))?")


class HubName(NamedTuple):
    """Name of a data set on the hub, and the split asked for."""

    name: str
    split: str | None


def hub_name(source: str) -> HubName | None:
    """Read ``hub:owner/name[:split]`` or ``owner/name[:split]``; None for what can only be a local path."""
    match = _NAME.fullmatch(source)
    if match is None:
        return None
    looks_local = is_data_file(match["name"]) or Path(match["name"]).parent.exists()
    return None if looks_local and not match["scheme"] else HubName(match["name"], match["split"])


def download(name: str, files: Sequence[str] = (), *, env: Mapping[str, str] = os.environ) -> Path:
    """Folder with the data files of a hub data set.

    Args:
        name: ``owner/name``.
        files: Patterns of the files wanted; by default every data file.
        env: Environment; `HF_HUB_OFFLINE` keeps to what was fetched before, `HF_ENDPOINT` names another hub.

    Raises:
        DataError: there is no such data set, it wants a login, or the hub is out of reach.
    """
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    offline = env.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    try:
        folder = snapshot_download(
            name,
            repo_type="dataset",
            allow_patterns=list(files) or ["README.md", *(f"*{suffix}" for suffix in SUFFIXES)],
            etag_timeout=SECONDS_TO_ANSWER,
            local_files_only=offline,
            endpoint=env.get("HF_ENDPOINT"),
        )
    except GatedRepoError:
        cure = f"accept its terms at huggingface.co/datasets/{name} and run `hf auth login`"
        raise DataError(
            "the hub gives this data set only to users who are logged in", source=name, cure=cure
        ) from None
    except RepositoryNotFoundError:
        cure = "check the name; for a private data set run `hf auth login`"
        raise DataError("the hub has no data set of this name", source=name, cure=cure) from None
    except (OSError, ValueError, httpx.HTTPError) as error:
        why = "HF_HUB_OFFLINE is set and it was not fetched before" if offline else _first_line(error)
        cure = "connect to the network, or name a local file or folder; there is none at this path"
        raise DataError(f"the hub is out of reach: {why}", source=name, cure=cure) from None
    return Path(folder)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
