"""What splits are called elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

SPLIT_NAMES = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "val": "validation",
    "dev": "validation", "valid": "validation", "validation": "validation", "eval": "validation",
}  # fmt: skip
"""Splits by the names that files and columns have for them."""


def split_of(names: Sequence[str]) -> str | None:
    """Our name of the split that a file or folder is named after, e.g. ``train_prefs``."""
    words = (re.split(r"[\W_]", name.lower(), maxsplit=1)[0] for name in names)
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)
