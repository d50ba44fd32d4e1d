"""PersonalRewardBench and PRISM in the column names of the SynthesizeMe paper.

A row (Ryan et al. 2025; `flip`, scores and judges' predictions may stand beside)::

    {"user_id": "user12", "conversation_id": "c7", "split": "val",
     "context": [{"role": "user", "content": "Is it ok to not want a relationship?"}],
     "chosen": {"role": "model", "content": "Absolutely."}, "rejected": {"role": "model", "content": "..."}}

`chosen` and `rejected` may also be a string or a list of one message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from synthesizeme.datasets._base import Format
from synthesizeme.datasets.rows.containers import rows_of
from synthesizeme.datasets.rows.pairs import mapped_pair, messages
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import Origin, ReadReport, SourceRow
from synthesizeme.datasets.rows.turns import with_system
from synthesizeme.feedback import Given
from synthesizeme.plain_text import short_repr
from synthesizeme.types import PreferencePair

_KEPT = ("conversation_id", "dataset", "flip", "chosen_score", "rejected_score", "agreement", "user_profile")


def recognises(row: Row) -> bool:
    """Whether a row is in this format."""
    return {"user_id", "context", "chosen", "rejected"} <= set(row)


def _read(source: Origin, report: ReadReport) -> Iterator[Given]:
    """The pairs of a file or folder; ids are ``conversation:turn:count``."""
    count: Counter[tuple[str, int]] = Counter()
    return report.given(rows_of(source, report), lambda place: [_pair(place, report, count)])


def _pair(place: SourceRow, report: ReadReport, count: Counter[tuple[str, int]]) -> PreferencePair | None:
    """The pair of a row; `count` has how many rows of a turn of a conversation came before it."""
    row = place.row
    if missing := [field for field in ("context", "chosen", "rejected") if row.get(field) is None]:
        problem = f"the field is missing; found {short_repr(list(row))}"
        raise place.error(problem, field=missing[0], cure="add it or remove the row")
    context = messages(place, "context", row["context"], role="user")
    pair_id = row.get("pair_id")
    if pair_id is None and row.get("conversation_id") is not None:
        key = str(row["conversation_id"]), (len(context) - 1) // 2
        pair_id = f"{key[0]}:{key[1]}:{count[key]}"
        count[key] += 1
    return mapped_pair(
        place,
        report,
        pair_id=pair_id,
        user_id=row.get("user_id"),
        prompt=with_system(row, context),
        chosen=row["chosen"],
        rejected=row["rejected"],
        split=row.get("split"),
        created_at=row.get("created_at"),
        metadata={name: row[name] for name in _KEPT if row.get(name) is not None},
    )


FORMAT = Format(
    "context/chosen/rejected rows of the SynthesizeMe paper (PersonalRewardBench, PRISM)",
    recognises,
    _read,
    sources=("MichaelR207/chatbot_arena_personalized_0125", "MichaelR207/prism_personalized_0125"),
    files=("chatbot_arena_personalized_0125", "chatbot_arena_personalized_0125.jsonl"),
)
