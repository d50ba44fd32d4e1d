"""The Hugging Face hub: repositories fetched once, then read from its cache, and folders brought there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from synthesizeme.errors import DataError

Kind = Literal["dataset", "model"]
SECONDS_TO_ANSWER = 5.0
"""How long the hub may take to answer the first question before it counts as out of reach."""
CARD_FRONT = """---
library_name: synthesizeme-rewards
pipeline_tag: text-classification
tags:
- reward-model
- personalization
- rlhf
---
"""
"""What the hub reads of the card of a reward model; a licence is its owner's to add."""
_SAID = {"dataset": "data set", "model": "model"}
_PAGES = {"dataset": "datasets/", "model": ""}
_NAME = re.compile(r"(?P<scheme>hub:)?(?P<name>[\w.-]+/[\w.-]+)(?::(?P<split>[\w.-]+))?")


class HubName(NamedTuple):
    """Name of a repository on the hub, and the split asked for."""

    name: str
    split: str | None


def hub_name(source: str, is_file: Callable[[str], bool] = lambda name: False) -> HubName | None:
    """Read ``hub:owner/name[:split]`` or ``owner/name[:split]``; None for what can only be a local path.

    Args:
        source: The name.
        is_file: Whether a name without a scheme is that of a file; one in a folder that exists is local too.
    """
    match = _NAME.fullmatch(source)
    if match is None:
        return None
    looks_local = is_file(match["name"]) or Path(match["name"]).parent.exists()
    return None if looks_local and not match["scheme"] else HubName(match["name"], match["split"])


def download(
    name: str, files: Sequence[str], *, kind: Kind = "dataset", env: Mapping[str, str] = os.environ
) -> Path:
    """Folder with the files of a repository.

    Args:
        name: ``owner/name``.
        files: Patterns of the files wanted.
        kind: Of the repository.
        env: Environment; `HF_HUB_OFFLINE` keeps to what was fetched before, `HF_ENDPOINT` names another hub.

    Raises:
        DataError: there is no such repository, it wants a login, or the hub is out of reach.
    """
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    offline = env.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    what = _SAID[kind]
    try:
        folder = snapshot_download(
            name,
            repo_type=kind,
            allow_patterns=list(files),
            etag_timeout=SECONDS_TO_ANSWER,
            local_files_only=offline,
            endpoint=env.get("HF_ENDPOINT"),
        )
    except GatedRepoError:
        cure = f"accept its terms at huggingface.co/{_PAGES[kind]}{name} and run `hf auth login`"
        problem = f"the hub gives this {what} only to users who are logged in"
        raise DataError(problem, source=name, cure=cure) from None
    except RepositoryNotFoundError:
        cure = f"check the name; for a private {what} run `hf auth login`"
        raise DataError(f"the hub has no {what} of this name", source=name, cure=cure) from None
    except (OSError, ValueError, httpx.HTTPError) as error:
        why = "HF_HUB_OFFLINE is set and it was not fetched before" if offline else reason(error)
        cure = "connect to the network, or name a local file or folder; there is none at this path"
        raise DataError(f"the hub is out of reach: {why}", source=name, cure=cure) from None
    return Path(folder)


def upload(folder: Path, name: str, *, private: bool = True, env: Mapping[str, str] = os.environ) -> str:
    """Bring a folder to a model repository of the hub, which is made if there is none.

    Args:
        folder: What is brought, all of it, in one commit.
        name: ``owner/name``.
        private: Whether a repository that is made here is seen by its owner alone.
        env: Environment; `HF_TOKEN` or `hf auth login` says who it is, `HF_ENDPOINT` names another hub.

    Returns:
        The address of the repository.

    Raises:
        DataError: the name is none, there is no login that may write, or the hub is out of reach.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = HfApi(endpoint=env.get("HF_ENDPOINT"), token=env.get("HF_TOKEN"))
    try:
        place = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="A personalized reward model")
    except HFValidationError:
        raise DataError("is no name of a repository", source=name, cure="write it as owner/name") from None
    except LocalTokenNotFoundError:
        raise DataError("the hub was given no token", source=name, cure="run `hf auth login`") from None
    except HfHubHTTPError as error:
        cure = "run `hf auth login` with a token that may write there, and check the owner's name"
        raise DataError(f"the hub refused it: {reason(error)}", source=name, cure=cure) from None
    except (OSError, ValueError, httpx.HTTPError) as error:
        problem = f"the hub is out of reach: {reason(error)}"
        raise DataError(problem, source=name, cure="connect to the network and try again") from None
    return str(place)


def reason(error: Exception) -> str:
    """First line of what an error says, or its name."""
    return (str(error).splitlines() or [type(error).__name__])[0]
