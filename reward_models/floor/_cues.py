"""What a prompt asks for in so many words: signs that an odd-looking answer would be rightful."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

_YES_NO = re.compile(
    r"(?:^|[.?!\n,]\s*)(?:is|are|am|was|were|do|does|did|can|could|will|would|should|shall|may|might|has|have|"
    r"had|isn't|aren't|don't|doesn't|didn't|can't|won't|shouldn't|ok if|any)\b[^.?!]*(?:\?|$)",
    re.IGNORECASE,
)
_FINDERS = {
    name: re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)", re.IGNORECASE)
    for name, patterns in tomllib.loads(
        files("reward_models.floor").joinpath("cues.toml").read_text("utf-8")
    ).items()
}
CUES = (*_FINDERS, "yes_no")
"""Names of what is looked for; ``yes_no`` is a question that yes or no would answer."""


def cues(prompt: str) -> dict[str, float]:
    """1 or 0 for each of `CUES`."""
    found = {name: float(finder.search(prompt) is not None) for name, finder in _FINDERS.items()}
    return {**found, "yes_no": float(_YES_NO.search(prompt) is not None)}
