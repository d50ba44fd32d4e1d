"""Polis: of two civic statements, the one a participant agreed with is chosen over one they disagreed with.

The pairs come from the Polis open data (github.com/compdemocracy/openData; case studies at
compdemocracy.org/case-studies), CC BY 4.0: data was gathered using the Polis software
(compdemocracy.org/polis) and is sub-licensed under CC BY 4.0 with attribution to The Computational Democracy
Project. They are constructed: each statement stands in at most one pair of a participant, and the prompt
sentence is not part of the source. A user's rows are in time order and `split` follows it::

    {"pair_id": "polis-00000", "user_id": "bg2050-volunteers:0", "split": "train",
     "prompt": [{"role": "user", "content": "Give me one short statement about this question: ..."}],
     "chosen": [{"role": "assistant", "content": "We need better out of home advertising options on I-65"}],
     "rejected": [...], "metadata": {"topic": "bg2050-volunteers", "chosen_statement": "54", ...}}
"""

from __future__ import annotations

from synthesizeme.datasets import jsonl
from synthesizeme.datasets._base import Format
from synthesizeme.datasets.rows.plain import Row


def recognises(row: Row) -> bool:
    """Never: the file is in our own format, which `jsonl` recognises."""
    return False


FORMAT = Format(
    "agreed against disagreed civic statements of Polis participants, in time order",
    recognises,
    jsonl.FORMAT.read,
    files=("polis.jsonl.gz", "polis.jsonl"),
)
