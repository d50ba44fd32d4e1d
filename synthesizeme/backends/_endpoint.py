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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from synthesizeme.backends._base import Model
    from synthesizeme.backends._form import Way

Feature = Literal[
    "max_tokens", "logprobs", "response_format", "continue_final_message", "continuation", "system", "seed",
    "temperature",
]  # fmt: skip
"""What a request may hold that some endpoints refuse."""
NEEDS: Mapping[Way, Feature] = {"json": "response_format", "continue": "continuation"}
"""Ways of asking that an endpoint has to take a feature for."""

_logger = logging.getLogger("synthesizeme")
_CONSEQUENCES: dict[Feature, str] = {
    "max_tokens": "the limit of a reply is sent as max_completion_tokens",
    "logprobs": "no token probabilities are asked for",
    "response_format": "no JSON schema is sent",
    "continue_final_message": "the model's turn is begun without that parameter",
    "continuation": "the model's turn is not begun for it",
    "system": "the system message stands at the head of the first user turn",
    "seed": "no seed is sent",
    "temperature": "no temperature is sent, and the endpoint's own holds",
}
_OBJECTIONS: tuple[tuple[Feature, str], ...] = (
    ("max_tokens", r"max_tokens\b.*max_completion_tokens"),
    ("logprobs", r"log_?probs?|out of range float values"),
    ("response_format", r"response_?format|json_?schema|structured.?outputs?|guided|grammar"),
    ("continue_final_message", r"continue_final_message|add_generation_prompt"),
    (
        "continuation",
        r"prefill|(?:last|final)\b[^.]*\bassistant\b|assistant\b[^.]*\b(?:last|final|end)\b|"
        r"(?:last|final) (?:message|turn|role)|end(?:s|ing)? with (?:a |the )?(?:user|assistant)",
    ),
    (
        "system",
        r"system[ _\"'`-]*(?:role|message|prompt|instruction|turn)|roles? [\"'`]?system|\"system\"|'system'|"
        r"developer instruction|roles must alternate",
    ),
    ("seed", r"\bseed\b"),
    ("temperature", r"\btemperature\b"),
)
_OF_SERVER_ERRORS = frozenset(
    {"logprobs", "response_format", "continuation", "continue_final_message", "system"}
)
"""Features about which also an error of the server (5xx) is believed: templates and grammars fail there."""


def objection(words: str, sent: Iterable[Feature], *, server_error: bool = False) -> Feature | None:
    """The feature of a request that an endpoint's words object to; None where they name none that was sent.

    Args:
        words: The endpoint's own words.
        sent: What the request held.
        server_error: Whether the endpoint counts the fault as its own.
    """
    held = set(sent) & _OF_SERVER_ERRORS if server_error else set(sent)
    for feature, pattern in _OBJECTIONS:
        if feature in held and re.search(pattern, words, re.IGNORECASE | re.DOTALL):
            return feature
    return None


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

    def refuse(self, feature: Feature, words: str) -> None:
        """Take note that it refuses a feature, and say so once."""
        if feature not in self.refused:
            self.refused.add(feature)
            _logger.warning("Note: %s objects (%s): from now on %s", self.name, words, _CONSEQUENCES[feature])

    def takes(self, feature: Feature) -> bool:
        """Whether nothing is known against a feature."""
        return feature not in self.refused

    def promises(self, way: Way) -> bool:
        """Whether a way of asking is worth trying."""
        return way not in self.tried and (way not in NEEDS or self.takes(NEEDS[way]))

    def to_json(self) -> str:
        """What is known, as the cache keeps it."""
        way = None if self.way == "words" else self.way  # the usual case is found out again at no cost
        return json.dumps({"refused": sorted(self.refused), "tried": sorted(self.tried), "way": way})

    def recall(self, text: str | None) -> None:
        """Take up what `to_json` wrote; what cannot be read is as good as nothing."""
        try:
            known = json.loads(text or "{}")
            self.refused |= {name for name in known.get("refused", ()) if name in _CONSEQUENCES}
            self.tried |= {way for way in known.get("tried", ()) if way in ("json", "continue")}
            self.way = self.way or (known.get("way") if known.get("way") in ("json", "continue") else None)
        except (AttributeError, TypeError, ValueError):
            return


def endpoint_key(model: Model) -> str:
    """Under what the cache keeps an endpoint: a hash over model and address."""
    text = json.dumps([model.lm.model, model.settings.api_base])
    return f"endpoint:{hashlib.sha256(text.encode()).hexdigest()}"
