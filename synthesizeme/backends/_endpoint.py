"""What was found out about an endpoint: what it refuses, and how its replies come out readable.

An endpoint that objects to one thing in a request says so in words. That thing is named once in the log and
not sent to it again; where no words tell, nothing is guessed. What is known is kept beside the finished
calls, so that the next run begins with it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from synthesizeme.backends._base import Model
    from synthesizeme.backends._reply import Way

Feature = Literal[
    "max_tokens", "max_completion_tokens", "logprobs", "response_format", "continue_final_message",
    "continuation", "system", "seed", "temperature",
]  # fmt: skip
"""What a request may hold that some endpoints refuse."""
NEEDS: Mapping[Way, Feature] = {"json": "response_format", "continue": "continuation"}
"""Ways of asking that an endpoint has to take a feature for."""

_logger = logging.getLogger("synthesizeme")
_CONSEQUENCES: dict[Feature, str] = {
    "max_tokens": "the limit of a reply is sent as max_completion_tokens",
    "max_completion_tokens": "no limit of a reply is sent",
    "logprobs": "no token probabilities are asked for",
    "response_format": "no JSON schema is sent",
    "continue_final_message": "the model's turn is begun without that parameter",
    "continuation": "the model's turn is not begun for it",
    "system": "the system message stands at the head of the first user turn",
    "seed": "no seed is sent",
    "temperature": "no temperature is sent, and the endpoint's own holds",
}
_NOT_KNOWN = (
    r"extra.?(?:inputs?|fields?|forbidden)|deprecated|un(?:supported|recogni[sz]ed|known|expected)|"
    r"not (?:permitted|allowed|supported|accepted|recogni[sz]ed|available)|"
    r"does(?: not|n't) (?:support|accept|take|allow)"
)
"""That a parameter is not to be there at all."""
_OBJECTIONS: tuple[tuple[Feature, str], ...] = (
    ("max_tokens", r"max_tokens\b.*max_completion_tokens"),
    (
        "logprobs",
        r"log[_ -]?probs?|log[ -]?probabilit|token[ -]probabilit|out of range float values",
    ),
    ("response_format", r"response_?format|json_?schema|structured.?outputs?|guided|grammar"),
    ("continue_final_message", r"continue_final_message|add_generation_prompt"),
    (
        "continuation",
        r"prefill|(?:last|final)\b[^.]*\bassistant\b|assistant\b[^.]*\b(?:last|final|end)\b|"
        r"(?:last|final) (?:message|turn|role)|end(?:s|ing)? with (?:a |the )?(?:user|assistant)",
    ),
    (
        "system",
        r"system[ _\"'`-]*(?:role|message|prompt|instruction|turn)|\"system\"|'system'|`system`|"
        r"\broles?\b.{0,80}\bsystem\b|\bsystem\b.{0,80}\broles?\b|"
        r"developer (?:instruction|message|role)|roles must alternate|"
        r"\broles?\b.{0,80}\buser\b\W+(?:\w+\W+){0,2}assistant|"
        r"\buser\W+(?:\w+\W+){0,2}assistant\W+(?:roles?|messages?|turns?)\b",
    ),
    ("seed", r"\bseed\b"),
    ("temperature", r"\btemperature\b"),
    ("max_tokens", rf"\bmax_tokens\b.{{0,80}}(?:{_NOT_KNOWN})|(?:{_NOT_KNOWN}).{{0,80}}\bmax_tokens\b"),
    (
        "max_completion_tokens",
        rf"max_completion_tokens.{{0,80}}(?:{_NOT_KNOWN})|(?:{_NOT_KNOWN}).{{0,80}}max_completion_tokens",
    ),
)
_OF_TEMPLATES = frozenset({"logprobs", "response_format", "continuation", "continue_final_message", "system"})
"""Features about which an error of the server (5xx) is believed: templates and grammars fail there."""
_MUST = re.compile(
    rf"{_NOT_KNOWN}|\bmust\b|has to|have to|should be|invalid|expected|positive|greater|less|out of range",
    re.IGNORECASE,
)
"""What such an error says beside the name of any other feature, to be believed."""
_AT_MOST = re.compile(
    r"(?:at most|up to|more than|maximum(?: of| is|:)?|max(?: is|:)?|<=?|less than or equal to|"
    r"no greater than|between \d+ and|range \[?\d+,|in \[\d+,)\D{0,3}(\d+)",
    re.IGNORECASE,
)
TOP_LOGPROBS = 5
"""Alternatives asked for at each token."""


def objection(words: str, sent: Iterable[Feature], *, server_error: bool = False) -> Feature | None:
    """The feature of a request that an endpoint's words object to; None where they name none that was sent.

    Args:
        words: The endpoint's own words.
        sent: What the request held.
        server_error: Whether the endpoint counts the fault as its own.
    """
    held = set(sent)
    if server_error and not _MUST.search(words):
        held &= _OF_TEMPLATES
    for feature, pattern in _OBJECTIONS:
        if feature in held and re.search(pattern, words, re.IGNORECASE | re.DOTALL):
            return feature
    return None


_OPTIONAL: tuple[Feature, ...] = (
    "logprobs", "seed", "temperature", "system", "max_tokens", "max_completion_tokens",
)  # fmt: skip
"""What a request can do without, the least missed first."""


def to_leave_out(sent: Set[Feature]) -> Iterator[tuple[Feature, ...]]:
    """What to try without, where no words tell what is refused: each thing alone, then more and more.

    First nothing is left out: what is answered then was no refusal of anything.
    """
    yield ()
    alone = [it for it in _OPTIONAL if it in sent]
    yield from ((it,) for it in alone)
    more = [*alone, _OPTIONAL[-1]] if "max_tokens" in sent else alone  # that limit takes its place
    yield from (tuple(more[:number]) for number in range(2, len(more) + 1))


@dataclass
class Endpoint:
    """One model at one address. Changed by whoever asks it; all of a session share it."""

    name: str
    """For what is said about it."""
    refused: set[Feature] = field(default_factory=set)
    """What it objected to."""
    tried: set[Way] = field(default_factory=set)
    """Ways of asking that were tried in vain."""
    way: Way | None = None
    """How questions with a form are sent first; None until the first one was answered."""
    top_logprobs: int = TOP_LOGPROBS
    """Alternatives asked for at each token."""
    noted: set[str] = field(default_factory=set)
    """What was said of it, by kind."""

    def refuse(self, feature: Feature, words: str, *, asked: int = 0) -> None:
        """Take note that it refuses a feature, and say so once.

        Args:
            feature: What it refuses.
            words: Its own words.
            asked: Alternatives at each token that it was asked for: where the words give a smaller number,
                that many are asked for from then on.
        """
        limits = [int(found) for found in _AT_MOST.findall(words)] if feature == "logprobs" else []
        if limits and 0 < min(limits) < asked:
            self.top_logprobs = min(self.top_logprobs, *limits)
            then = f"{self.top_logprobs} alternatives are asked for at each token"
            self.note("alternatives", f"objects ({words}): from now on {then}")
        elif feature not in self.refused:
            self.refused.add(feature)
            self.note(feature, f"objects ({words}): from now on {_CONSEQUENCES[feature]}")

    def note(self, kind: str, words: str) -> None:
        """Say something of it, once for each kind of thing."""
        if kind not in self.noted:
            self.noted.add(kind)
            _logger.warning("Note: %s %s", self.name, words)

    def takes(self, feature: Feature) -> bool:
        """Whether nothing is known against a feature."""
        return feature not in self.refused

    def promises(self, way: Way) -> bool:
        """Whether a way of asking is worth trying."""
        return way not in self.tried and (way not in NEEDS or self.takes(NEEDS[way]))

    def to_json(self) -> str:
        """What is known, as the cache keeps it."""
        way = None if self.way == "words" else self.way  # the usual case is found out again at no cost
        known = {"refused": sorted(self.refused), "tried": sorted(self.tried), "way": way}
        return json.dumps(known | {"top_logprobs": self.top_logprobs})

    def recall(self, text: str | None) -> None:
        """Take up what `to_json` wrote; what cannot be read is as good as nothing."""
        try:
            known = json.loads(text or "{}")
            self.refused |= {name for name in known.get("refused", ()) if name in _CONSEQUENCES}
            self.tried |= {way for way in known.get("tried", ()) if way in ("json", "continue")}
            self.top_logprobs = min(self.top_logprobs, max(int(known.get("top_logprobs", TOP_LOGPROBS)), 1))
            self.way = self.way or (known.get("way") if known.get("way") in ("json", "continue") else None)
        except (AttributeError, TypeError, ValueError):
            return


def endpoint_key(model: Model) -> str:
    """Under what the cache keeps an endpoint: a hash over model and address."""
    text = json.dumps([model.lm.model, model.settings.api_base])
    return f"endpoint:{hashlib.sha256(text.encode()).hexdigest()}"
