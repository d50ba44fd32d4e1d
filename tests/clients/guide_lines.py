"""What the guide for RLHF engineers tells the users of a training loop."""

from __future__ import annotations

import re
from pathlib import Path

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "rlhf-engineer.md").read_text(
    encoding="utf-8"
)


def spans(loop: str) -> list[str]:
    """The code in the guide's row about a training loop."""
    (row,) = re.findall(rf"^\| {loop} \|.*$", GUIDE, re.MULTILINE)
    return re.findall(r"`([^`]+)`", row)
