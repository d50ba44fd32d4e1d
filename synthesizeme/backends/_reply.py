"""A question to a language model, the form that is wanted of the reply, and what comes back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from synthesizeme.types import Message

if TYPE_CHECKING:
    from dspy.lm15 import Request, Response


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


def response(
    request: Request, text: str, usage: tuple[int, int], *, ends: str = "stop", logprobs: Any = None
) -> Response:
    """What an engine of this process answers, in DSPy's terms.

    Args:
        request: What was asked.
        text: The reply.
        usage: Tokens of the prompt and of the reply.
        ends: Why the reply ended.
        logprobs: Token probabilities, if any.
    """
    from dspy import lm15

    finish: Any = ends
    return lm15.Response(
        id=None, model=request.model, message=lm15.Message.assistant(text), finish_reason=finish,
        usage=lm15.Usage(input_tokens=usage[0], output_tokens=usage[1]), logprobs=logprobs,
    )  # fmt: skip


Structure = Literal["auto", "json", "words", "continue"]
"""How replies are held to their form: ``words`` by the prompt alone, ``json`` by a JSON schema that the
endpoint enforces, ``continue`` by beginning the model's own turn, ``auto`` by the prompt and by more where
that fails."""
STRUCTURES: tuple[Structure, ...] = get_args(Structure)
Way = Literal["words", "json", "continue"]
"""How one question is sent."""
_MARKS = r"[\s\"'*_`()\[\]]*"
_WORD_ENDS = r"(?:\Z|[.!;:\n]|(?:response|answer|one|option)\b|,?\s*(?:because|since|as)\b|(?<=\n))"
_QUOTED = 4000
"""Most characters of a reply that are quoted when it is asked about; the last ones count."""


def _any(answer: Answer) -> bool:
    return bool(answer.text.strip())


def _never(text: str) -> bool:
    return False


def _whole(text: str) -> str:
    return text


@dataclass(frozen=True)
class Form:
    """The form of a reply, and how to tell whether a reply has it. Forms of one name and schema are equal."""

    name: str
    """What is sought, in a word; also the schema's name."""
    schema: str = ""
    """JSON schema of the reply, as text; empty where there is none. What is thought first stands first."""
    opening: str = ""
    """How the model's own turn begins where it is continued, e.g. ``Preference:``; empty where it is not."""
    words: tuple[str, ...] = ()
    """The words of which one follows `opening`; empty for a number."""
    mending: str = ""
    """What is asked about a reply that cannot be read; empty where nothing is."""
    least_readable: float = field(default=0.0, compare=False)
    """Share of a session's replies that has to be readable for it to go on; 0 insists on none."""
    readable: Callable[[Answer], bool] = field(default=_any, compare=False, repr=False)
    """Whether an answer can be read. Only such answers are final."""
    refuses: Callable[[str], bool] = field(default=_never, compare=False, repr=False)
    """Whether a reply that cannot be read refuses to answer: it is not asked about."""
    said: Callable[[str], str] = field(default=_whole, compare=False, repr=False)
    """A reply without the thoughts before it."""

    @property
    def has_ways(self) -> bool:
        """Whether there is another way to such a reply than to ask for it in words."""
        return bool(self.schema or self.opening)

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes it another question."""
        return self.name, self.schema, self.opening, self.words, self.mending

    def quoted(self, reply: str) -> str:
        """The end of a reply, without thoughts, to be quoted or gone on from; never blank."""
        return self.said(reply).strip()[-_QUOTED:] or "..."

    def continued(self, text: str) -> str:
        """What follows `opening` in the continuation of a turn: the word, or the number with its scale.

        Empty where it begins with neither: the turn was not continued, or not as it should be. A word counts
        where the sentence ends after it, or gives its reason: "First or Second" and "First of all" choose
        nothing.
        """
        if self.words:
            choice = "|".join(map(re.escape, self.words))
            found = re.match(
                rf"{_MARKS}(?:the\s+)?(?:{choice})\b(?={_MARKS}{_WORD_ENDS})", text, re.IGNORECASE
            )
        else:
            found = re.match(r"[\s\"'*_`(\[]*\d(?:[^\n,;]|[,;](?=\d))*", text)
        return found[0] if found else ""


@dataclass(frozen=True)
class Question:
    """Messages for a model. Equal questions have equal answers: they are asked once."""

    messages: tuple[Message, ...]
    """System message first, if any; the last one is a user turn."""
    sample_index: int = 0
    """Which independent sample of the answer is wanted; 0 for the only one."""
    form: Form | None = None
    """What kind of reply is wanted; None for any text."""

    @cached_property
    def _hash(self) -> int:
        return hash(
            (self.sample_index, self.form, *((message.role, message.content) for message in self.messages))
        )

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True)
class Sending:
    """One request."""

    messages: tuple[Message, ...]
    """What is sent; ends with a turn of the assistant where it is to be continued."""
    sample_index: int = 0
    way: Way = "words"
    form: Form | None = None
    max_tokens: int | None = None
    """Most tokens of the reply, where fewer than usual do."""
