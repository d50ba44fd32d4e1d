"""A page laid out in inches with texts that fit, PNG bytes that repeat, and which systems are drawn."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from synthesizeme.errors import MissingExtraError
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.intervals import Interval
from synthesizeme.evaluation.measurement import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


TITLE, TEXT, SMALL = 11.5, 9.0, 8.0
"""Sizes of type, in points; titles are bold."""
FAMILY = "DejaVu Sans"
"""The typeface that comes with matplotlib, so that pictures are the same everywhere."""
_MANY = 400
"""More characters than a line has room for."""


def width_of(text: str, size: float = SMALL) -> float:
    """Width of a line of text, in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    weight = "bold" if size == TITLE else "normal"
    font = FontProperties(family=FAMILY, size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def fitted(text: str, width: float, size: float = SMALL) -> str:
    """`text` in one line that is at most `width` inches wide: what is too much is cut from its middle."""
    whole = printable(text)
    if len(whole) <= _MANY and width_of(whole, size) <= width:
        return whole
    kept = range(2, min(len(whole), _MANY))
    fitting = bisect_right(kept, width, key=lambda keep: width_of(_cut(whole, keep), size))
    return _cut(whole, kept[max(fitting - 1, 0)] if kept else 2)


def _cut(text: str, keep: int) -> str:
    """The first and last characters of a text, `keep` in all."""
    return f"{text[: (keep + 1) // 2]}…{text[len(text) - keep // 2 :]}"


def wrapped(text: str, width: float) -> list[str]:
    """`text` in lines that are at most `width` inches wide."""
    lines: list[str] = []
    for word in printable(text).split():
        grown = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(grown) <= width:
            lines[-1] = grown
        else:
            lines.append(fitted(word, width))
    return lines


def printable(text: str) -> str:
    """`text` on one line, with a replacement character for what the font cannot show."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties(family=FAMILY))).get_charmap()
    return "".join(c if ord(c) in known else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))


def moved_apart(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending `heights` moved as little as possible so that neighbours are at least `gap` apart.

    Least squares: the heights less i times the gap must ascend, so neighbours in conflict are pooled at
    their mean. The result starts at `low` or above and, where all fit, ends at `high` or below.
    """
    pools: list[tuple[float, int]] = []
    for i, height in enumerate(heights):
        mean, n = height - i * gap, 1
        while pools and pools[-1][0] > mean:
            before, m = pools.pop()
            mean, n = (before * m + mean * n) / (m + n), m + n
        pools.append((mean, n))
    flat = [mean for mean, n in pools for _ in range(n)]
    top = max(low, high - (len(flat) - 1) * gap)
    return [float(np.clip(mean, low, top)) + i * gap for i, mean in enumerate(flat)]


WIDTH = 7.5
"""Width of every page, in inches: 900 pixels at `DPI`."""
DPI = 120
MARGIN = 0.15
LEFT, BELOW, END_ROOM = 0.65, 0.5, 2.3
"""Room for the numbers of an axis, for its name below, and for names at the ends of lines, in inches."""
INK, FAINT, RULE = "#222222", "#6b6b6b", "#e3e3e3"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA3377")
"""Told apart by colour-blind readers: Okabe and Ito (2008), "Color universal design"; the last darkened."""
MARKERS = ("o", "s", "^", "D")
DASHES = ("-", "--", "-.", ":")
DASHED = (0, (4, 3))
"""Of the lines that mark chance, no gain, or perfect calibration."""
_LABEL_PITCH = 0.165
_STYLE = {
    "font.family": [FAMILY], "font.size": TEXT, "text.parse_math": False, "text.color": INK,
    "axes.labelsize": TEXT, "axes.labelcolor": INK, "axes.edgecolor": FAINT, "axes.spines.top": False,
    "axes.spines.right": False, "axes.axisbelow": True, "grid.color": RULE, "grid.linewidth": 0.8,
    "xtick.color": FAINT, "ytick.color": FAINT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL, "ytick.labelsize": SMALL, "legend.fontsize": SMALL, "legend.frameon": False,
}  # fmt: skip


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
    heights = moved_apart([label.y for label in ordered], (high - low) * _LABEL_PITCH / inches, low, high)
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


def ranked(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Those with an answered pair, the most accurate first; equals by name."""
    answered = [m for m in measurements if m.own.micro is not None]
    return sorted(answered, key=lambda m: (-percent(m.own.micro), m.name))


def is_oracle(system: Measurement) -> bool:
    """Whether it is the positive control that knows the labels."""
    return system.kind == "reference" and system.name == "oracle"


def percent(share: float | None) -> float:
    """A share in per cent; not a number where there is none."""
    return float("nan") if share is None else 100 * share


def ends(intervals: Iterable[Interval]) -> tuple[list[float], list[float]]:
    """Lower and upper ends of intervals of shares, in per cent."""
    found = list(intervals)
    return [percent(it.low) for it in found], [percent(it.high) for it in found]


def extent(outcomes: Iterable[Outcome]) -> str:
    """How many pairs and users: "656 pairs of 91 users", or from fewest to most."""
    found = list(outcomes)
    return f"{from_to([o.n_pairs for o in found], 'pair')} of {from_to([o.n_users for o in found], 'user')}"


def from_to(counts: Sequence[int], noun: str) -> str:
    """Numbers of things, from fewest to most: "656 pairs", "3 to 91 users"."""
    low, high = min(counts), max(counts)
    number = f"{high:,}" if low == high else f"{low:,} to {high:,}"
    return f"{number} {noun}{'' if high == 1 else 's'}"
