"""The embedded model: a rule-based reader, not a language model. No download, no key.

It answers the same prompts as any language model would and sees nothing else: it measures the two responses
on the named features of `synthesizeme.perceived` and by their static embeddings, reads what a persona says
about them, learns weights from the demonstrations in the conversation, weighs all of it, and answers in
words. Asked for a persona it does the reverse; asked on which side a statement is, it says so. Facts,
reasoning, code and other languages than English are beyond it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synthesizeme.backends._base import ModelSettings

if TYPE_CHECKING:
    import dspy

PREFIXES = ("builtin",)
KIND = "rule-based reader, not a language model"
ASYNCHRONOUS = False
SAMPLES = False
WAYS: tuple[str, ...] = ()
TAKES: tuple[str, ...] = ()
MODEL_ID = "builtin/rule-reader-6"
"""Changes whenever the rules do, so that cached replies of older rules are not used."""


def open_lm(name: str, settings: ModelSettings) -> dspy.LM:
    """The reader behind DSPy's engine interface."""
    import dspy

    from synthesizeme.backends.builtin._engine import ReaderEngine

    return dspy.LM(MODEL_ID, engine=ReaderEngine(), cache=False, num_retries=0)
