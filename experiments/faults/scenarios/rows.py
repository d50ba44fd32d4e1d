"""One row a fault: what was done, what it cost, what was lost, and which promises were broken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

HEADINGS = (
    "fault", "what was done", "calls at the endpoint", "calls repeated", "users finished", "lost",
    "failures shown", "verdict",
)  # fmt: skip


@dataclass
class Row:
    """One fault."""

    fault: str
    done: str
    calls: int | None = None
    """Requests at the endpoint."""
    repeated: int | None = None
    """Requests beyond the first of each body."""
    finished: str = ""
    """Users finished, of all."""
    lost: int = 0
    """Finished things that were not there afterwards."""
    shown: str = ""
    """What a person was told of the failures."""
    problems: list[str] = field(default_factory=list)
    """Promises that were broken."""

    def promise(self, kept: object, what: str) -> None:
        """Note a promise that was not kept."""
        if not kept:
            self.problems.append(what)

    @property
    def verdict(self) -> str:
        """Whether all promises were kept."""
        return "; ".join(self.problems) or "kept"

    def cells(self) -> Sequence[str]:
        """The row as text."""
        numbers = ("–" if number is None else f"{number:,}" for number in (self.calls, self.repeated))
        return (self.fault, self.done, *numbers, self.finished or "–", str(self.lost), self.shown or "–",
                self.verdict)  # fmt: skip


def table(rows: Iterable[Row]) -> str:
    """The rows as a table in Markdown."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |" for cells in lines) + "\n"


def counted(counts: dict[str, int]) -> str:
    """Counts in words.

    >>> counted({"retries": 3, "parse": 0})
    '3 retries'
    """
    return ", ".join(f"{number:,} {name}" for name, number in counts.items() if number) or "none"
