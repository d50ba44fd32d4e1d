"""The requests that put a question to a model, how a response becomes its answer, and what is kept."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator, Set
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from synthesizeme.backends._base import Model
from synthesizeme.backends._endpoint import TOP_LOGPROBS, Endpoint, Feature
from synthesizeme.backends._reply import Answer, Form, Question, Sending, Token
from synthesizeme.errors import CacheError, ConfigError
from synthesizeme.key_value import KeyValueFile
from synthesizeme.types import Message

if TYPE_CHECKING:
    from dspy import lm15
    from dspy.lm15 import Request, Response, TokenLogprob


_TURNS_KEPT = 512
_ROUNDED = 1e-3
"""How far above 0 a log-probability may be rounded."""
_MOST_IN_ALL = 1.05
"""What the alternatives to a token may have together, with what rounding adds."""


def question_key(model: Model, question: Question) -> str:
    """SHA-256 over model, address, parameters, messages, form and sample index: the identity of a call."""
    settings = model.settings
    parts: list[Any] = [
        model.lm.model, settings.api_base, settings.temperature_of(question.sample_index),
        settings.max_tokens, settings.logprobs, settings.structure, sorted(settings.extra_body.items()),
        question.sample_index,
        question.form.identity if question.form else None,
        [(message.role, message.content) for message in question.messages],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()


def features(model: Model, sending: Sending, endpoint: Endpoint) -> set[Feature]:
    """What a request for `sending` holds that the endpoint might refuse, and is not known to."""
    held: dict[Feature, bool] = {
        "max_tokens": True,
        "max_completion_tokens": not endpoint.takes("max_tokens"),
        "logprobs": model.settings.logprobs,
        "response_format": sending.way == "json",
        "continue_final_message": sending.way == "continue",
        "continuation": sending.way == "continue",
        "system": any(message.role == "system" for message in sending.messages),
        "seed": sending.sample_index > 0,
        "temperature": True,
    }
    return {feature for feature, there in held.items() if there and endpoint.takes(feature)}


def build_request(
    model: Model, sending: Sending, sent: Set[Feature], *, top_logprobs: int = TOP_LOGPROBS
) -> Request:
    """The canonical DSPy request. Samples beyond the first carry their index as seed.

    `sent` are its `features`. What the endpoint refuses is left out: a system message stands at the head of
    the first user turn then. The extensions hold what goes into the body as it is, and for a model in this
    process the words to choose from.
    """
    from dspy import lm15

    settings = model.settings
    system = "\n\n".join(message.content for message in sending.messages if message.role == "system")
    turns = [message for message in sending.messages if message.role != "system"]
    if system and "system" not in sent:
        place = next((n for n, message in enumerate(turns) if message.role == "user"), 0)
        folded = Message(role="user", content=f"{system}\n\n{turns[place].content}")
        turns, system = [*turns[:place], folded, *turns[place + 1 :]], ""
    extensions = dict(settings.extra_body)
    most: int | None = sending.max_tokens or settings.max_tokens
    if "max_completion_tokens" in sent:
        extensions = {"max_completion_tokens": most, **extensions}
    if sending.way == "continue":
        extensions |= _continuing(model, sending, sent)
    config = lm15.Config(
        temperature=settings.temperature_of(sending.sample_index) if "temperature" in sent else None,
        max_tokens=most if "max_tokens" in sent else None,
        seed=sending.sample_index if "seed" in sent else None,
        logprobs=top_logprobs if "logprobs" in sent else None,
        response_format=_response_format(sending.form) if sending.way == "json" else None,
        extensions=extensions or None,
    )
    messages = tuple(_turn(message.role, message.content) for message in turns)
    return lm15.Request(model=model.lm.model, system=system or None, messages=messages, config=config)


def _continuing(model: Model, sending: Sending, sent: Set[Feature]) -> dict[str, Any]:
    """What tells an engine to go on with the last turn, which is the model's own."""
    if "choose" in model.ways:
        return {"choices": list(sending.form.words)} if sending.form and sending.form.words else {}
    if "continue_final_message" not in sent:
        return {}
    return {"continue_final_message": True, "add_generation_prompt": False}


def _response_format(form: Form | None) -> dict[str, Any]:
    assert form is not None
    return {"type": "json_schema", "name": form.name, "schema": json.loads(form.schema), "strict": True}


@lru_cache(maxsize=_TURNS_KEPT)
def _turn(role: str, text: str) -> lm15.Message:
    """A turn in DSPy's terms; those of demonstrations come again and again."""
    from dspy import lm15

    return lm15.Message.user(text) if role == "user" else lm15.Message.assistant(text)


def read_response(model: Model, response: Response) -> Answer:
    """The answer in a canonical DSPy response; unreported token counts are 0, broken Unicode is "?"."""
    usage = response.usage
    steps = () if why_no_log_probabilities(response) else response.logprobs or ()
    return Answer(
        text=_whole(response.text or ""),
        tokens=tuple(Token(step.token, _alternatives(step)) for step in steps),
        prompt_tokens=usage.input_tokens or 0,
        completion_tokens=usage.output_tokens or 0,
        cost_usd=_price(model, response),
        cut_off=response.finish_reason == "length",
    )


def remarks(response: Response) -> Iterator[tuple[str, str]]:
    """What is odd about a response, by kind, for people: each kind is to be said once."""
    if why := why_no_log_probabilities(response):
        yield "probabilities", f"sends token probabilities that are none ({why}): they are not used"
    elif any(math.isnan(value) for step in response.logprobs or () for _, value in _told(step)):
        yield "probabilities", "sends token probabilities that are no numbers: those are not used"
    if isinstance(reason := (response.provider_data or {}).get("finish_reason"), str):
        yield "finish_reason", f"ends replies for a reason unknown here ({reason!r}): they count as cut off"


def why_no_log_probabilities(response: Response) -> str:
    """Why what came as log-probabilities cannot be any; empty where it can, or where none came.

    One that is no number at all is left out by itself, unless all are.
    """
    steps = response.logprobs or ()
    told = [pair for step in steps for pair in _told(step)]
    numbers = [(token, value) for token, value in told if not math.isnan(value)]
    if told and not numbers:
        return "none is a number"
    for token, value in numbers:
        if value > _ROUNDED:
            return f"{value:g} for {token!r} is above 0"
    for step in steps:
        total = sum(math.exp(value) for _, value in _alternatives(step))
        if total > _MOST_IN_ALL:
            return f"the alternatives to {step.token!r} have {total:.2f} together"
    if len(told) > 1 and not any(value for _, value in numbers):
        return "all are 0"
    return ""


def called_in(response: Response) -> list[tuple[str, str]]:
    """Name and arguments, as JSON, of each tool that was called in place of an answer."""
    from dspy import lm15

    parts = [part for part in response.message.parts if isinstance(part, lm15.ToolCallPart)]
    return [(part.name, _whole(json.dumps(part.input, ensure_ascii=False))) for part in parts]


def thoughts_of(response: Response) -> str:
    """What the model thought before its reply, where the endpoint tells it apart."""
    from dspy import lm15

    parts = response.message.parts
    return _whole("\n".join(part.text for part in parts if isinstance(part, lm15.ThinkingPart))).strip()


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _told(step: TokenLogprob) -> list[tuple[str, float]]:
    """The generated token and its alternatives, as they were told."""
    return [(step.token, step.logprob), *((top.token, top.logprob) for top in step.top)]


def _alternatives(step: TokenLogprob) -> tuple[tuple[str, float], ...]:
    """The generated token and its rivals, each once, the likeliest first: the same order in every process."""
    own, *ranked = _told(step)
    listed = ranked if any(text == step.token for text, _ in ranked) else [own, *ranked]
    found = [(text, value) for text, value in dict.fromkeys(listed) if not math.isnan(value)]
    return tuple(sorted(found, key=lambda item: (-item[1], item[0])))


def _price(model: Model, response: Response) -> float:
    """Cost in US dollars from DSPy's price list; 0 for models that run here or are not listed."""
    if not isinstance(model.lm.engine, str):
        return 0.0
    from dspy.clients.costs import estimate_cost

    provider, _, wire_name = model.lm.model.partition("/")
    cost, _ = estimate_cost(response, provider=provider, requested_model=wire_name)
    return float(cost or 0.0)


async def ask(model: Model, request: Request) -> Response:
    """The response of a model; one that answers at once is not waited for.

    Raises:
        Exception: what DSPy raises for it.
    """
    import dspy

    engine = model.lm._async_engine_spec if model.asynchronous else model.lm.engine
    if engine is None or isinstance(model.lm.engine, str):
        with dspy.context(disable_history=True):
            return cast("Response", await model.lm.acall(request))
    with _dspy_errors(model):
        found = engine.complete(request)
        return cast("Response", await found if model.asynchronous else found)


@contextmanager
def _dspy_errors(model: Model) -> Iterator[None]:
    """Canonical errors as those that DSPy shows, which say how to go on."""
    try:
        yield
    except Exception as error:
        from dspy.clients.errors import wrap_error

        shown = wrap_error(error, model=model.lm.model)
        if shown is error:
            raise
        raise shown from error


_OTHER = "name another folder with --cache-dir"


class CallCache:
    """Replies by key in one SQLite file, each committed as it arrives; several processes may share it.

    Keys are hashes: the file holds replies, never prompts. Failed calls are never stored.

    Args:
        directory: Folder of the file; made if it does not exist.

    Raises:
        ConfigError: the folder cannot be written, or the file in it is not such a cache.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "calls.sqlite"
        with self._named("used", f"{_OTHER}, delete the file, or run with --no-cache", ConfigError):
            self._file = KeyValueFile(self.path, "replies")

    def get(self, key: str) -> str | None:
        """The stored reply, or None.

        Raises:
            CacheError: the file is damaged.
        """
        with self._named("read", f"delete the file, {_OTHER}, or run with --no-cache"):
            found = self._file.get([key])
        return found[key].decode("utf-8", "replace") if found else None

    def put(self, key: str, reply: str) -> None:
        """Store a reply; it is on disk when this returns.

        Raises:
            CacheError: the disk is full or the file went away.
        """
        with self._named("written", f"free disk space or {_OTHER}; finished calls are kept"):
            self._file.put({key: reply.encode()})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> CallCache:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    @contextmanager
    def _named(self, done: str, cure: str, kind: type[ConfigError] = CacheError) -> Iterator[None]:
        """What goes wrong inside as an error that names the file and the cure."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise kind(f"the call cache {self.path} cannot be {done}: {error}. Cure: {cure}") from error
