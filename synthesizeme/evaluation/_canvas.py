"""A page laid out in inches, names at the ends of lines, and PNG bytes that repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from synthesizeme.errors import MissingExtraError
from synthesizeme.evaluation._lettering import FAMILY, SMALL, TEXT, TITLE, fitted, spread, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.5
"""Width of every page, in inches: 900 pixels at `DPI`."""
DPI = 120
MARGIN = 0.15
INK, FAINT, RULE = "#222222", "#6b6b6b", "#e3e3e3"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA3377")
"""Told apart by colour-blind readers: Okabe and Ito (2008), "Color universal design"; the last darkened."""
MARKERS = ("o", "s", "^", "D")
DASHES = ("-", "--", "-.", ":")
DASHED = (0, (4, 3))
"""Of the lines that mark chance, no gain, or perfect calibration."""
_LABEL_PITCH = 0.165
_STYLE = {
    "font.family": [FAMILY],
    "font.size": TEXT,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelsize": TEXT,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
}


class EndLabel(NamedTuple):
    """A name to stand at the end of a line."""

    x: float
    """Where the line ends, in units of the data."""
    y: float
    """Where the line ends, in units of the data."""
    text: str
    """What to write."""
    colour: str
    """Of the text and its leader."""


@contextmanager
def style() -> Iterator[None]:
    """One look whatever the reader's own settings are, which are as before afterwards.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtraError("drawing figures", "figures") from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


class Page:
    """Title and subtitle, a body of axes placed in inches, a footnote."""

    def __init__(self, body: float, title: str, subtitle: str, notes: Sequence[str]) -> None:
        """Lay out a page whose body is `body` inches high."""
        from matplotlib.figure import Figure

        foot = [line for note in notes for line in wrapped(note, WIDTH - 2 * MARGIN)]
        below = wrapped(subtitle, WIDTH - 2 * MARGIN)
        head = MARGIN + 0.25 + 0.16 * len(below)
        self._foot = MARGIN + 0.155 * len(foot)
        self._height = head + body + self._foot
        self.figure: Figure = Figure(figsize=(WIDTH, self._height), dpi=DPI)
        self._write(
            self._height - MARGIN, fitted(title, WIDTH - 2 * MARGIN, TITLE), fontsize=TITLE, weight="bold"
        )
        self._write(self._height - MARGIN - 0.25, "\n".join(below), fontsize=SMALL, color=FAINT)
        self._write(self._foot - 0.05, "\n".join(foot), fontsize=SMALL, color=FAINT)

    def _write(self, top: float, text: str, **options: Any) -> None:
        self.figure.text(MARGIN / WIDTH, top / self._height, text, va="top", linespacing=1.25, **options)

    def axes(self, left: float, bottom: float, width: float, height: float, **options: Any) -> Axes:
        """Axes at a place in the body, in inches from its lower left corner."""
        place = (
            left / WIDTH,
            (self._foot + bottom) / self._height,
            width / WIDTH,
            height / self._height,
        )
        return self.figure.add_axes(place, **options)

    def legend(self, handles: Sequence[Any], top: float, columns: int) -> None:
        """A legend whose upper left corner is `top` inches above the foot of the body."""
        self.figure.legend(
            handles=list(handles),
            loc="upper left",
            bbox_to_anchor=(MARGIN / WIDTH, (self._foot + top) / self._height),
            ncols=columns,
            borderaxespad=0,
            borderpad=0,
            handletextpad=0.5,
            columnspacing=1.6,
        )


def png(figure: Figure) -> bytes:
    """The figure as PNG: the same bytes for the same numbers, without date or program."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = BytesIO()
    FigureCanvasAgg(figure).print_png(stream, metadata={"Software": None})
    return stream.getvalue()


def height_for(labels: int, least: float) -> float:
    """Height, in inches, of axes beside which that many end labels find room."""
    return max(least, labels * _LABEL_PITCH)


def end_labels(axes: Axes, labels: Sequence[EndLabel], width: float) -> None:
    """Write names to the right of the axes, each as near to its line's end as the others let it.

    Args:
        axes: Axes whose limits are set.
        labels: What to write.
        width: Room beside the axes, in inches.
    """
    low, high = axes.get_ylim()
    inches = axes.get_window_extent().height / DPI
    ordered = sorted(labels, key=lambda label: label.y)
    heights = spread([label.y for label in ordered], (high - low) * _LABEL_PITCH / inches, low, high)
    for label, height in zip(ordered, heights, strict=True):
        axes.annotate(
            fitted(label.text, width - 0.3),
            xy=(label.x, label.y),
            xytext=(1.045, height),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=SMALL,
            color=label.colour,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "linewidth": 0.6,
                "color": label.colour,
                "relpos": (0, 0.5),
                "shrinkA": 2,
                "shrinkB": 3,
            },
        )
