"""How the reader takes part in prompt optimisation: it proposes other limits for the number of statements.

That is the one thing in a persona-writing instruction the reader obeys, so it is the one thing it varies.
It lets a search be run and tested without a language model; proposals worth the name need one.
"""

from __future__ import annotations

import json
import re

LIMITS = ("three", "twelve", "five", "ten", "four", "six", "seven", "two")
_ASKED = re.compile(
    r"^\[\[ ## (basic|current)_instruction ## \]\]\n(.*?)\n\n(?:\[\[ ## |Respond with )",
    re.DOTALL | re.MULTILINE,
)
_LIMIT = re.compile(r"at most \w+")


def propose(text: str, request_number: int) -> str | None:
    """The reply to a request for a new instruction by MIPROv2 (DSPy's chat format) or GEPA (its JSON format).

    Args:
        text: The last message.
        request_number: How often this reader was asked before, so that proposals differ.

    Returns:
        The reply, or None when `text` is no such request.
    """
    asked = _ASKED.search(text) if text.startswith("[[ ## ") else None
    if asked is None:
        return None
    field, instruction = asked.groups()
    limit = LIMITS[request_number % len(LIMITS)]
    varied, changes = _LIMIT.subn(f"at most {limit}", instruction, count=1)
    varied = varied if changes else f"{instruction}\nWrite at most {limit} statements."
    if field == "current":
        return json.dumps({"new_instruction": varied})
    return f"[[ ## proposed_instruction ## ]]\n{varied}\n\n[[ ## completed ## ]]"
