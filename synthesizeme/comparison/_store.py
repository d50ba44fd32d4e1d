"""Finished units on disk: each whole or not at all, with what it depends on, and read only if that holds."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from synthesizeme.comparison._entrant import Entrant
from synthesizeme.comparison.units import Unit
from synthesizeme.errors import DataError
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.measurement import Measurement, Part
from synthesizeme.files import write_whole
from synthesizeme.types import Frozen, Verdict
from synthesizeme.version import __version__

FOLDER = "measurements"
FORMAT = 2
_REWARDING = ("reward model", "checkpoint")
"""Kinds of entrants that are shown texts that are no answers."""


class KeptUnit(Frozen):
    """One finished unit of one entrant."""

    format_version: Literal[2]
    """Version of this document's format."""
    facts: dict[str, Any]
    """What its outcomes depend on."""
    fingerprint: str
    """SHA-256 (hex) of `facts`."""
    checksum: str
    """SHA-256 (hex) of `part` as JSON."""
    part: Part
    """What was found."""


def unit_facts(entrant: Entrant, unit: Unit) -> dict[str, Any]:
    """What the outcomes of an entrant on a unit depend on."""
    return {
        "entrant": entrant.name,
        "kind": entrant.kind,
        **entrant.facts(),
        "unit": unit.name,
        "pairs": unit.digest,
        **({"no_answers": unit.no_answers} if unit.no_answers and entrant.kind in _REWARDING else {}),
        "format": FORMAT,
        "synthesizeme": __version__,
    }


def unit_path(folder: Path, entrant: str, unit: str) -> Path:
    """Where a unit is kept."""
    return folder / FOLDER / "units" / entrant / f"{re.sub('[^a-z0-9]+', '-', unit.lower()).strip('-')}.json"


def measurement_path(folder: Path, entrant: str) -> Path:
    """Where the measurement of an entrant is kept."""
    return folder / FOLDER / f"{entrant}.json"


def read_unit(path: Path, facts: dict[str, Any]) -> Part | None:
    """The unit that is kept under these facts; None where there is none.

    Raises:
        DataError: the file is there and cannot be read, or is not what was written.
    """
    try:
        kept = KeptUnit.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", source=str(path)) from None
    except ValidationError:
        raise DataError("is damaged, or of another format", source=str(path)) from None
    if kept.checksum != _sha256(kept.part.model_dump_json()):
        raise DataError("is not what was written", source=str(path))
    return kept.part if kept.fingerprint == _sha256(_canonical(facts)) else None


def write_unit(path: Path, facts: dict[str, Any], part: Part) -> None:
    """Keep a finished unit, whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    document = KeptUnit(
        format_version=FORMAT,
        facts=json.loads(_canonical(facts)),
        fingerprint=_sha256(_canonical(facts)),
        checksum=_sha256(part.model_dump_json()),
        part=part,
    )
    write_whole(path, document.model_dump_json() + "\n")


def read_measurement(path: Path) -> Measurement | None:
    """The measurement that is kept in a file; None where there is none that can be read."""
    try:
        return Measurement.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def lean(part: Part) -> Part:
    """The part without the reasons in words, which no figure needs and which may quote the user."""
    return part.model_copy(update={"outcomes": {name: _lean(it) for name, it in part.outcomes.items()}})


def _lean(outcome: Outcome) -> Outcome:
    pairs = tuple(
        pair.model_copy(
            update={
                "results": tuple(
                    result.model_copy(update={"result": result.result.model_copy(update={"reasoning": ""})})
                    if isinstance(result.result, Verdict)
                    else result
                    for result in pair.results
                )
            }
        )
        for pair in outcome.pairs
    )
    return outcome.model_copy(update={"pairs": pairs})


def _canonical(facts: dict[str, Any]) -> str:
    return json.dumps(facts, sort_keys=True, default=str)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
