"""Measurements as pictures: accuracy, history length, calibration, abstention, and every user's own figure.

`figures` makes them, `draw` writes them. A picture whose numbers were not measured is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthesizeme.evaluation.figures._curves import coverage, history, reliability_diagram
from synthesizeme.evaluation.figures._page import png, style
from synthesizeme.evaluation.figures._scorers import accuracy, gain_by_user, users
from synthesizeme.evaluation.measurement import Measurement
from synthesizeme.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw", "figures", "gain_by_user"]


def draw(measurements: Sequence[Measurement], folder: Path, *, benchmark: str) -> list[Path]:
    """Write the figures there are numbers for, as PNG files 900 pixels wide, each whole or not at all.

    ``accuracy.png``, ``history.png``, ``reliability.png``, ``coverage.png``, ``users.png``. Equal
    measurements give equal bytes. A file of an earlier call that has no numbers now is left as it is.

    Args:
        measurements: One per system, in any order.
        folder: Where to; made if it is not there.
        benchmark: Name of the test set, for the titles.

    Returns:
        The files written.

    Raises:
        MissingExtraError: matplotlib is not installed.
        DataError: a file cannot be written.
    """
    written = []
    with style():
        for name, figure in figures(measurements, benchmark=benchmark).items():
            path = folder / f"{name}.png"
            picture = png(figure)
            with whole_file(path) as stream:
                stream.write(picture)
            written.append(path)
    return written


def figures(measurements: Sequence[Measurement], *, benchmark: str) -> dict[str, Figure]:
    """The figures there are numbers for, by name.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with style():
        made = {
            "accuracy": accuracy(measurements, benchmark),
            "history": history(measurements, benchmark),
            "reliability": reliability_diagram(measurements, benchmark),
            "coverage": coverage(measurements, benchmark),
            "users": users(measurements, benchmark),
        }
    return {name: figure for name, figure in made.items() if figure is not None}
