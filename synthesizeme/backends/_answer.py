"""What came back for a question: text, token probabilities, and what it took."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


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
    constrained: bool = False
    """Whether the reply was held to a JSON schema, or continues a turn that was begun for the model."""
    mended: bool = False
    """Whether it could be read only after one more question about it."""
    readable: bool = True
    """Whether it has the form that was wanted. What has not is kept, and asked again by the next run."""

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
