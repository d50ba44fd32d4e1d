"""A question to a language model, its answer, and how one attempt becomes the other."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from synthesizeme.backends._base import Model
from synthesizeme.types import Message

if TYPE_CHECKING:
    from dspy import lm15
    from dspy.lm15 import Request, Response

_TURNS_KEPT = 512
TOP_LOGPROBS = 5
"""Alternatives asked for at each token."""


@dataclass(frozen=True)
class Question:
    """Messages for a model. Equal questions have equal answers: they are asked once."""

    messages: tuple[Message, ...]
    """System message first, if any; the last one is a user turn."""
    sample_index: int = 0
    """Which independent sample of the answer is wanted; 0 for the only one."""

    @cached_property
    def _hash(self) -> int:
        return hash((self.sample_index, *((message.role, message.content) for message in self.messages)))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True)
class Token:
    """One generated token with the log-probabilities of its alternatives."""

    text: str
    alternatives: tuple[tuple[str, float], ...]
    """(token, natural log-probability), the generated one among them."""


@dataclass(frozen=True)
class Answer:
    """What came back for one question."""

    text: str
    tokens: tuple[Token, ...] = ()
    """Empty where the model gives no probabilities."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    cut_off: bool = False
    """Whether the reply stopped at ``max_tokens``."""

    def to_json(self) -> str:
        """One line of JSON, as the cache keeps it."""
        return json.dumps(self.__dict__ | {"tokens": [[t.text, t.alternatives] for t in self.tokens]})

    @classmethod
    def from_json(cls, text: str) -> Answer:
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        tokens = tuple(
            Token(token, tuple((alternative, float(logprob)) for alternative, logprob in alternatives))
            for token, alternatives in fields.pop("tokens")
        )
        return cls(tokens=tokens, **fields)


def question_key(model: Model, question: Question) -> str:
    """SHA-256 over model, address, parameters, messages and sample index: the identity of a call."""
    settings = model.settings
    parts: list[Any] = [
        model.lm.model, settings.api_base, settings.temperature, settings.max_tokens, settings.logprobs,
        question.sample_index, [(message.role, message.content) for message in question.messages],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()


def build_request(model: Model, question: Question, *, logprobs: bool) -> Request:
    """The canonical DSPy request for a question. Samples beyond the first carry their index as seed."""
    from dspy import lm15

    system = [message.content for message in question.messages if message.role == "system"]
    turns = tuple(
        _turn(message.role, message.content) for message in question.messages if message.role != "system"
    )
    config = lm15.Config(
        temperature=model.settings.temperature,
        max_tokens=model.settings.max_tokens,
        seed=question.sample_index or None,
        logprobs=TOP_LOGPROBS if logprobs else None,
    )
    return lm15.Request(
        model=model.lm.model, system="\n\n".join(system) or None, messages=turns, config=config
    )


@lru_cache(maxsize=_TURNS_KEPT)
def _turn(role: str, text: str) -> lm15.Message:
    """A turn in DSPy's terms; those of demonstrations come again and again."""
    from dspy import lm15

    return lm15.Message.user(text) if role == "user" else lm15.Message.assistant(text)


def read_response(model: Model, response: Response) -> Answer:
    """The answer in a canonical DSPy response; unreported token counts are 0, broken Unicode is "?"."""
    usage = response.usage
    tokens = tuple(
        Token(
            item.token, _alternatives([(item.token, item.logprob), *((t.token, t.logprob) for t in item.top)])
        )
        for item in response.logprobs or ()
    )
    return Answer(
        text=(response.text or "").encode("utf-8", "replace").decode("utf-8"),
        tokens=tokens,
        prompt_tokens=usage.input_tokens or 0,
        completion_tokens=usage.output_tokens or 0,
        cost_usd=_price(model, response),
        cut_off=response.finish_reason == "length",
    )


def _alternatives(found: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Each token once, the likeliest first: the same order in every process."""
    return tuple(sorted(dict.fromkeys(found), key=lambda item: (-item[1], item[0])))


def _price(model: Model, response: Response) -> float:
    """Cost in US dollars from DSPy's price list; 0 for models that run here or are not listed."""
    if not isinstance(model.lm.engine, str):
        return 0.0
    from dspy.clients.costs import estimate_cost

    provider, _, wire_name = model.lm.model.partition("/")
    cost, _ = estimate_cost(response, provider=provider, requested_model=wire_name)
    return float(cost or 0.0)
