"""A model with fixed replies, for tests and for playing back a recorded run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from synthesizeme.backends._base import Model, ModelSettings
from synthesizeme.backends._reply import response
from synthesizeme.errors import ConfigError

if TYPE_CHECKING:
    import dspy
    from dspy.lm15 import Request, Response

PREFIXES = ("scripted:",)
KIND = "fixed replies, not a language model"
ASYNCHRONOUS = False
SAMPLES = True
WAYS: tuple[str, ...] = ()
TAKES: tuple[str, ...] = ()

Script = Callable[["Request"], "str | Exception"]


class ScriptedEngine:
    """Answers every request with what `script` returns for it; an exception it returns is raised."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Request] = []

    def complete(self, request: Request) -> Response:
        """One canonical response; token counts are words."""
        self.requests.append(request)
        reply = self.script(request)
        if isinstance(reply, Exception):
            raise reply
        read = sum(len((message.text or "").split()) for message in request.messages)
        return response(request, reply, (read, len(reply.split())))


def scripted_model(script: Script | Iterable[str], settings: ModelSettings | None = None) -> Model:
    """A model that answers from a function of the request, or with the given replies in turn."""
    engine = ScriptedEngine(script if callable(script) else _in_turn(iter(script)))
    return Model(_lm(engine), "scripted", KIND, ASYNCHRONOUS, settings or ModelSettings())


def open_lm(name: str, settings: ModelSettings) -> dspy.LM:
    """``scripted:FILE``: the replies in a JSON list of strings, in turn, from the start again at the end.

    Raises:
        ConfigError: the file is not such a list.
    """
    path = Path(name.removeprefix("scripted:"))
    try:
        replies = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"scripted replies {path}: {error}; expected a JSON list of strings") from error
    if not (isinstance(replies, list) and replies and all(isinstance(reply, str) for reply in replies)):
        raise ConfigError(f"scripted replies {path}: expected a JSON list of strings, at least one")
    return _lm(ScriptedEngine(_in_turn(reply for _ in iter(int, 1) for reply in replies)))


def _lm(engine: ScriptedEngine) -> dspy.LM:
    import dspy

    return dspy.LM("scripted/replies", engine=engine, cache=False, num_retries=0)


def _in_turn(replies: Iterator[str]) -> Script:
    def script(request: Request) -> str | Exception:
        return next(replies, RuntimeError("the script has no reply left"))

    return script
