"""What verl's reward managers take for the reward of one response."""

from __future__ import annotations

from typing import Any


class Result(dict[str, Any]):
    """A dict with ``score``, which most managers read; ``prime`` takes the first of what it gets instead."""

    def __missing__(self, key: object) -> Any:
        if key == 0:
            return self["score"]
        raise KeyError(key)
