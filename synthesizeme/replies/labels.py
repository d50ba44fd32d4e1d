"""Which of a fixed set of answers a reply gives."""

from __future__ import annotations

import re
from collections.abc import Sequence

from synthesizeme.replies._page import without_thoughts
from synthesizeme.replies._words import Gloss, folded

_OUT_OF = re.compile(r"(\d)\s*(?:/|out of)\s*\d+|(\d)\s*(?:stars?|points?)\b")


def label_in(reply: str, labels: Sequence[str]) -> str:
    """The one of `labels` that a reply names; all that it says where it names none or several.

    A label that is denied ("not positive") is not named. The last line decides where the reply explains
    itself first. Case and marks around a label make no difference, and ``4/5`` or ``4 stars`` is the
    label ``4``.

    Args:
        reply: All of the reply.
        labels: Every answer there is.
    """
    said = without_thoughts(reply)
    lines = [line for line in said.splitlines() if re.search(r"\w", line)]
    for part in (said, *lines[-1:]):
        text = _OUT_OF.sub(lambda match: match[1] or match[2], folded(part))
        named = {label for label in labels if re.search(_bounded(folded(label)), text)}
        whole = {label for label in named if not any(label != other and label in other for other in named)}
        if len(whole) == 1:
            label = whole.pop()
            denied = Gloss(text).any(0, text.find(folded(label)), "not")
            return said if denied else label
    return said


def _bounded(label: str) -> str:
    edge = r"(?<![\w.,-])" if label[:1].isalnum() else ""
    return rf"{edge}{re.escape(label)}" + (r"(?![\w-]|[.,]\d)" if label[-1:].isalnum() else "")
