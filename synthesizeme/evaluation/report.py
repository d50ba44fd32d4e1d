"""What an evaluation found: one JSON document and one Markdown leaderboard of the same rows."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError

from synthesizeme import display
from synthesizeme.errors import DataError
from synthesizeme.evaluation._rows import Resplits, Row, measured_row, row
from synthesizeme.evaluation.sycophancy import Sycophancy
from synthesizeme.evaluation.tables import Sheet, leaderboard, leaderboard_html, sheets
from synthesizeme.files import write_whole
from synthesizeme.types import Frozen, PreferencePair, Respondents
from synthesizeme.version import __version__

__all__ = ["Report", "Resplits", "Row", "SavedReport", "environment", "fingerprint", "measured_row", "row"]


def environment() -> dict[str, str]:
    """Versions that a number may depend on; nothing that names a machine, a path or a person."""
    return {
        "python": platform.python_version(),
        "synthesizeme": __version__,
        "numpy": np.__version__,
    }


def fingerprint(pairs: Iterable[PreferencePair]) -> str:
    """SHA-256 (hex) over the pairs, whatever order they come in."""
    rows = (json.dumps(pair.model_dump(), sort_keys=True, default=str) for pair in pairs)
    digest = hashlib.sha256()
    for line in sorted(rows):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


class SavedReport(Frozen):
    """What a measurement found: one JSON document, and one table of the same rows."""

    benchmark: str
    """Name of the benchmark."""
    protocol: str
    """What was asked of whom, in a sentence."""

    def to_json(self) -> str:
        """The report as an indented JSON document."""
        return self.model_dump_json(indent=2) + "\n"

    def to_markdown(self) -> str:
        """The report for people."""
        raise NotImplementedError

    def sheets(self) -> list[Sheet]:
        """Its tables."""
        raise NotImplementedError

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write ``results.json`` and ``results.md`` into `folder`, each whole or not at all.

        Raises:
            DataError: the folder cannot be made or written.
        """
        paths = folder / "results.json", folder / "results.md"
        for path, text in zip(paths, (self.to_json(), self.to_markdown()), strict=True):
            write_whole(path, text)
        return paths


class Report(SavedReport):
    """One benchmark, any number of scorers. Round-trips to one JSON document."""

    rows: tuple[Row, ...]
    """One per scorer, in the order to be shown."""
    respondents: Respondents = "human"
    """Who chose in the test pairs: people, or simulations."""
    data_fingerprint: str = ""
    """`fingerprint` of the test pairs."""
    notes: tuple[str, ...] = ()
    """What a reader of the table should know: what was left out, and which controls could not be run."""
    failed: dict[str, str] = Field(default_factory=dict)
    """Scorers that have no row because they failed, and why."""
    sycophancy: Sycophancy | None = Field(default=None, exclude_if=lambda found: found is None)
    """How often the judge prefers what agrees with the user, without and with the persona, if measured."""
    environment: dict[str, str] = Field(default_factory=environment)
    """Versions that the numbers may depend on."""
    format_version: Literal[1] = 1
    """Version of this document's format."""

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str | None = None) -> Report:
        """Read a document written by `to_json`.

        Raises:
            DataError: the text is not such a document, or of another format version.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise DataError(
                f"not a report of format version 1: {first['msg']}",
                source=source,
                field=".".join(str(part) for part in first["loc"]) or None,
                cure="make the report again with this version.",
            ) from error

    def __repr__(self) -> str:
        shares = [f"{it.name} {'–' if it.micro is None else f'{100 * it.micro:.1f} %'}" for it in self.rows]
        return f"Report({self.benchmark}: {', '.join(shares) or 'no rows'})"

    def _repr_html_(self) -> str:
        failed = ((f"{name} failed and has no row", reason) for name, reason in self.failed.items())
        return display.block(
            display.heading(self.benchmark, self.protocol),
            leaderboard_html(self.rows) if self.rows else "",
            display.bullets(failed),
            display.bullets((text, "") for text in self.notes),
        )

    def sheets(self) -> list[Sheet]:
        """See `tables.sheets`; then how the judge bends, if that was measured."""
        return [*sheets(self.rows), *([self.sycophancy.sheet()] if self.sycophancy else [])]

    def to_markdown(self) -> str:
        """Heading, protocol, aligned leaderboard, legend, what failed, notes."""
        versions = ", ".join(f"{name} {version}" for name, version in self.environment.items())
        pairs = self.data_fingerprint[:12] or "unknown"
        made = f"Respondents: {self.respondents}. Test pairs `{pairs}`; {versions}."
        said = [f"- **{name}** failed and has no row: {reason}" for name, reason in self.failed.items()]
        said += [f"- {note}" for note in self.notes]
        more = "\n".join([*said, ""]) + "\n" if said else ""
        agreeing = f"{self.sycophancy.to_markdown()}\n" if self.sycophancy else ""
        return f"## {self.benchmark}\n\n{self.protocol}\n\n{leaderboard(self.rows)}\n{agreeing}{more}{made}\n"
