"""A few bytes that stand for a response to its prompt, where no text is to be kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from synthesizeme.types import Message

BYTES = 16


def text_digest(prompt: Sequence[Message], response: str) -> bytes:
    """16 bytes that stand for a response to its prompt."""
    found = hashlib.blake2b(response.encode("utf-8", "surrogatepass"), digest_size=BYTES)
    for message in prompt:
        # Where a text ends, no text says.
        found.update(
            f"\0{message.role} {len(message.content)}\0{message.content}".encode("utf-8", "surrogatepass")
        )
    return found.digest()
