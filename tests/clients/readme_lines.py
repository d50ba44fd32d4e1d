"""What README tells the users of a training loop."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def spans(loop: str) -> list[str]:
    """The code in README's row about a training loop."""
    (row,) = re.findall(rf"^\| {loop} \|.*$", README, re.MULTILINE)
    return re.findall(r"`([^`]+)`", row)
