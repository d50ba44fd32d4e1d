"""From an answer to a pair: who answered, person or simulation, is never lost."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from synthesizeme.types import Comparison, Message, PreferencePair, Side


def answered_pair(
    comparison: Comparison, side: Side, metadata: Mapping[str, Any] | None = None
) -> PreferencePair:
    """The choice of one side as a pair of the comparison's user; its id is that of the comparison and user.

    Args:
        comparison: What was asked, of whom.
        side: The response that was preferred.
        metadata: Anything else that is known of the answer.
    """
    texts = (comparison.first, comparison.second)
    chosen, rejected = texts if side == "first" else texts[::-1]
    return PreferencePair(
        pair_id=answer_id(comparison),
        user_id=comparison.user_id,
        prompt=comparison.prompt,
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        metadata={"asked": comparison.pair_id, **(metadata or {})},
    )


def answer_id(comparison: Comparison) -> str:
    """Id of the pair that an answer to `comparison` makes: one question to one user has one."""
    return f"{comparison.pair_id}@{comparison.user_id}"


def in_drawn_order(comparison: Comparison, seed: int = 0) -> Comparison:
    """The comparison, its two sides exchanged or not by a coin of the seed, the user and the two texts.

    Which response a pool calls the first, or chose, then says nothing.
    """
    texts = sorted((comparison.first, comparison.second))
    key = f"{seed}\0{comparison.user_id}\0{texts[0]}\0{texts[1]}"
    coin = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[0] & 1
    first, second = texts if coin else texts[::-1]
    return comparison.model_copy(update={"first": first, "second": second})
