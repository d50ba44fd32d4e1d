"""``hf:PATH_OR_NAME``: a transformers causal language model in this process.

Calls that wait at the same time are read as one batch, padded on the left. What a call gets does not depend
on its batch (but for float noise): each row has its own temperature and its own random stream, seeded by its
prompt and sample index. Cuts of the distribution (top-k, top-p) are not applied. A turn that is begun for the
model is gone on with; where the words are given that may follow, it is told how likely each of them is.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

from synthesizeme.backends._base import ModelSettings
from synthesizeme.errors import BackendError, MissingExtraError
from synthesizeme.hub import SECONDS_TO_ANSWER

if TYPE_CHECKING:
    import dspy
    from dspy.lm15 import Request, Response

    from synthesizeme.backends._threads import Batcher

PREFIXES = ("hf:",)
KIND = "transformers language model in this process"
ASYNCHRONOUS = True
SAMPLES = True
WAYS = ("continue", "choose")
TAKES: tuple[str, ...] = ()

_ON_THE_HUB = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)?")
"""Name of a model on the hub, with or without its owner."""


class InProcessEngine:
    """Awaits an answer of a model in this process; a batch takes as long as it takes."""

    timed = False

    def __init__(self, batcher: Batcher[Request, Response]) -> None:
        self._batcher = batcher

    async def complete(self, request: Request) -> Response:
        """Wait for the batch that `request` ends up in.

        Raises:
            lm15.ContextLengthError: prompt and reply do not fit the model.
        """
        return await asyncio.wrap_future(self._batcher.submit(request))

    async def aclose(self) -> None:
        """Nothing is held between calls but the model."""


class BlockingEngine:
    """The same for code that calls without awaiting."""

    def __init__(self, batcher: Batcher[Request, Response], room: int | None) -> None:
        self._batcher = batcher
        self._room = room

    def context(self, name: str) -> int | None:
        """Tokens of the model's context, where it has a limit."""
        return self._room

    def complete(self, request: Request) -> Response:
        """Wait for the batch that `request` ends up in; raises as `InProcessEngine.complete`."""
        return self._batcher.submit(request).result()


def open_lm(name: str, settings: ModelSettings) -> dspy.LM:
    """Load the model in folder PATH or of the hub's NAME.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        BackendError: there is no such model, or it cannot be loaded.
    """
    if any(importlib.util.find_spec(module) is None for module in ("torch", "transformers")):
        raise MissingExtraError(f"model {name!r}", "hf")
    import dspy

    from synthesizeme.backends._generation import LocalModel
    from synthesizeme.backends._threads import Batcher

    place = name.removeprefix("hf:")
    if not Path(place).is_dir() and not _ON_THE_HUB.fullmatch(place):
        raise BackendError(
            f"{name}: there is no folder {place!r}, and no name on the hub is written so. Cure: give a "
            "folder with a causal language model and its tokenizer, or a name on the hub such as owner/model"
        )
    offline = not Path(place).is_dir() and not hub_in_reach()
    try:
        model = LocalModel.load(place, device=settings.device, offline=offline)
    except Exception as error:
        reason = " ".join(str(error).split())
        cure = "give a folder with a causal language model and its tokenizer, or a name on the hub"
        if offline:
            reason = (
                "there is no such folder, the hub is out of reach, and it was not fetched before "
                f"({reason[:200]})"
            )
            cure = "connect to the network, or give a folder"
        raise BackendError(
            f"{name}: cannot be loaded: {type(error).__name__}: {reason} Cure: {cure}"
        ) from error
    batcher = Batcher(model.answer, size=settings.batch_size)
    return dspy.LM(
        f"{name}{_fingerprint(Path(place))}",
        engine=BlockingEngine(batcher, model.room),
        async_engine=InProcessEngine(batcher),
        cache=False,
        num_retries=0,
    )


def hub_in_reach() -> bool:
    """Whether the hub answers at all: asked once and briefly, where loading a model would ask many times."""
    import httpx
    from huggingface_hub import constants, get_session

    if constants.is_offline_mode():
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS_TO_ANSWER)
    except (httpx.HTTPError, OSError):
        return False
    return True


def _fingerprint(folder: Path) -> str:
    """Tells apart what a local folder held at different times, so that a retrained model is asked anew."""
    if not folder.is_dir():
        return ""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors", ".bin"))
    state = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return f"#{hashlib.sha256(repr(state).encode()).hexdigest()[:12]}"
