from __future__ import annotations

import itertools
import re
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.text import Text

from synthesizeme.errors import DataError, MissingExtraError, install_line
from synthesizeme.evaluation.calibration import (
    accuracy_at_coverage,
    brier,
    expected_calibration_error,
    probabilities,
    reliability,
)
from synthesizeme.evaluation.figures import draw, figures
from synthesizeme.evaluation.figures._page import (
    COLOURS,
    FAINT,
    TITLE,
    WIDTH,
    fitted,
    moved_apart,
    printable,
    style,
    width_of,
    wrapped,
)
from synthesizeme.evaluation.figures._scorers import gain_by_user
from synthesizeme.evaluation.harness import OrderResult, Outcome, PairOutcome
from synthesizeme.evaluation.intervals import accuracy_interval
from synthesizeme.evaluation.measurement import Measurement
from synthesizeme.types import Failure, Verdict

ALL = ["accuracy", "history", "reliability", "coverage", "users"]
Scores = Mapping[str, Sequence[float | None]]


def outcome(scores: Scores, *, confidence: float = 0.8, source: str = "model", name: str = "planted"):
    """Planted scores by user: 1 right, 0 wrong, .5 a tie, None a failure."""

    def result(score):
        if score is None:
            return Failure(kind="parse", detail="unreadable")
        p = {1: confidence, 0: 1 - confidence, 0.5: 0.5}[score]
        side = "tie" if score == 0.5 else "first" if score else "second"
        return Verdict(preference=side, probability=p, probability_source=source)

    return Outcome(
        scorer=name,
        pairs=tuple(
            PairOutcome(
                pair_id=f"{user}/{i}",
                user_id=user,
                results=(OrderResult(order="chosen_first", result=result(score)),),
            )
            for user, row in scores.items()
            for i, score in enumerate(row)
        ),
    )


def drawn(share: float, seed: int, *, users: int = 12, pairs: int = 8, spread_out: bool = True):
    """Right with probability `share`, with confidences all over [.5, 1]."""
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(users * pairs):
        p = generator.uniform(0.5, 1) if spread_out else 0.8
        p_chosen = p if generator.random() < share else 1 - p
        verdict = Verdict(
            preference="first" if p_chosen > 0.5 else "second",
            probability=p_chosen,
            probability_source="model",
        )
        answer = OrderResult(order="chosen_first", result=verdict)
        rows.append(PairOutcome(pair_id=str(i), user_id=f"user {i % users}", results=(answer,)))
    return Outcome(scorer="drawn", pairs=tuple(rows))


def system(name: str, share: float = 0.7, seed: int = 0, **fields) -> Measurement:
    """A reward model with every control and a history curve."""
    controls = {
        control: drawn(share - loss, seed + 1 + i)
        for i, (control, loss) in enumerate(
            {"no_user": 0.05, "wrong_user": 0.08, "swapped_labels": 0.3}.items()
        )
    }
    cold = {n: drawn(share - 0.1 + 0.01 * n, seed + 10 + n) for n in (0, 1, 2, 4, 8, 16)}
    given = {"kind": "reward model", "own": drawn(share, seed), "controls": controls, "cold_start": cold}
    return Measurement(name=name, **(given | fields))


def reference(name: str, share: float, seed: int = 0, kind: str = "reference") -> Measurement:
    return Measurement(name=name, kind=kind, own=drawn(share, seed))


def bare(name: str, scores: Scores, **fields) -> Measurement:
    return Measurement(name=name, kind="reference", own=outcome(scores, source="verdict"), **fields)


def line(axes, label):
    return next(found for found in axes.lines if found.get_label() == label)


def bars(axes, label):
    return next(c for c in axes.containers if isinstance(c, BarContainer) and c.get_label() == label)


def labelled(figure, label):
    return [axes for axes in figure.axes if axes.get_label() == label]


def said(figure) -> str:
    """Title, subtitle and footnotes, their lines joined."""
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def words_of(figure) -> list[Text]:
    """Every text that is drawn, tick labels within the limits included."""
    FigureCanvasAgg(figure).draw()
    hidden = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                hidden |= {id(tick.label1), id(tick.label2)}
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    return [text for text in found if text.get_text().strip() and id(text) not in hidden]


def assert_fits(figure) -> None:
    """No text leaves the page and no two texts overlap."""
    with style():
        texts = words_of(figure)
        page = figure.bbox
        boxes = [(text.get_text(), Text.get_window_extent(text)) for text in texts]
    for words, box in boxes:
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page.x1 and box.y1 <= page.y1
        assert inside, f"{words!r} leaves the page: {box.extents} of {page.extents}"
    for (a, box_a), (b, box_b) in itertools.combinations(boxes, 2):
        x = min(box_a.x1, box_b.x1) - max(box_a.x0, box_b.x0)
        y = min(box_a.y1, box_b.y1) - max(box_a.y0, box_b.y0)
        assert x <= 1 or y <= 1, f"{a!r} and {b!r} overlap by {x:.0f} x {y:.0f} pixels"


@pytest.fixture
def three():
    """A reward model with controls, a judge, a reference, planted by hand."""
    own = outcome({"ann": [1, 1, 1, 0], "bob": [1, 1, 0.5, 1]})
    without = outcome({"ann": [1, 0, 1, 0], "bob": [1, 1, 1, 0]})
    lent = outcome({"ann": [0, 0, 1, 0], "bob": [1, 0, 1, 0]})
    return [
        bare("longer response", {"ann": [1, 0, 0, 0], "bob": [0, 1, 0, 0]}),
        Measurement(
            name="hierarchical",
            kind="reward model",
            own=own,
            controls={"no_user": without, "wrong_user": lent},
            cold_start={4: own, 0: without},
        ),
        Measurement(name="a judge", kind="judge", own=outcome({"ann": [1, 1, 0, 0], "bob": [1, 1, 1, None]})),
    ]


class TestAccuracy:
    def test_draws_the_numbers_of_the_outcomes_best_first(self, three):
        (axes,) = figures(three, benchmark="made up")["accuracy"].axes
        with style():
            names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == ["hierarchical", "a judge", "longer response"]
        for name, micro in [("hierarchical", 81.25), ("a judge", 500 / 7), ("longer response", 25.0)]:
            assert line(axes, name).get_xdata() == pytest.approx([micro])
        heights = [line(axes, name).get_ydata()[0] for name in names]
        assert heights == sorted(heights)
        assert axes.yaxis_inverted(), "the best is on top"
        assert [text.get_text() for text in axes.texts] == ["81.2", "71.4", "25.0"]

    def test_bars_are_the_intervals_over_users(self, three):
        (axes,) = figures(three, benchmark="made up")["accuracy"].axes
        ends = [found.get_xdata() for found in axes.lines if found.get_label() == "interval"]
        for found, measured in zip(ends, [three[1], three[2], three[0]], strict=True):
            expected = accuracy_interval(measured.own)
            assert found == pytest.approx([100 * expected.low, 100 * expected.high])

    def test_controls_stand_below_their_own_system(self, three):
        (axes,) = figures(three, benchmark="made up")["accuracy"].axes
        assert line(axes, "no_user").get_xdata() == pytest.approx([62.5])
        assert line(axes, "wrong_user").get_xdata() == pytest.approx([37.5])
        assert line(axes, "no_user").get_ydata()[0] < 0.5, "in the first row"
        assert line(axes, "no_user").get_markersize() < line(axes, "hierarchical").get_markersize()

    def test_kinds_differ_in_colour_and_mark_and_chance_is_marked(self, three):
        figure = figures(three, benchmark="made up")["accuracy"]
        (axes,) = figure.axes
        looks = {
            name: (to_hex(line(axes, name).get_color()).upper(), line(axes, name).get_marker())
            for name in ("hierarchical", "a judge", "longer response")
        }
        assert looks["hierarchical"] == (COLOURS[0], "o")
        assert looks["a judge"] == (COLOURS[1], "s")
        assert looks["longer response"] == (FAINT.upper(), "D")
        assert list(line(axes, "chance").get_xdata()) == [50, 50]
        keys = [text.get_text() for text in figure.legends[0].get_texts()]
        assert keys == [
            "reward model",
            "judge",
            "reference",
            "without the user",
            "with another user's history",
            "chance",
        ]

    def test_footnotes_say_how_many_and_what_is_missing(self, three):
        oracle = bare("oracle", {"ann": [1, 1, 1, 1], "bob": [1, 1, 1, 1]})
        mute = bare("mute", {"ann": [None] * 4, "bob": [None] * 4})
        figure = figures([*three, oracle, mute], benchmark="made up")["accuracy"]
        assert "8 pairs of 2 users." in said(figure)
        assert "answered: a judge (87.5 %)." in said(figure)
        assert "Not drawn, knows the labels: oracle (100.0 %)." in said(figure)
        assert "Not drawn, no pair answered: mute." in said(figure)
        assert {"oracle", "mute"}.isdisjoint(found.get_label() for found in figure.axes[0].lines)

    def test_a_control_nobody_named_is_drawn_too(self, three):
        changed = three[1].model_copy(update={"controls": {"halved": three[1].own}})
        figure = figures([changed], benchmark="made up")["accuracy"]
        assert line(figure.axes[0], "halved").get_xdata() == pytest.approx([81.25])
        assert "another control" in [text.get_text() for text in figure.legends[0].get_texts()]

    def test_a_single_user_is_said(self):
        figure = figures([bare("longer response", {"ann": [1, 0, 1]})], benchmark="made up")["accuracy"]
        assert "3 pairs of 1 user." in said(figure)
        assert "says nothing about other users" in said(figure)

    def test_the_oracle_alone_is_drawn(self):
        figure = figures([bare("oracle", {"ann": [1, 1]})], benchmark="made up")["accuracy"]
        assert line(figure.axes[0], "oracle").get_xdata() == pytest.approx([100])
        assert "Not drawn" not in said(figure)


class TestHistory:
    def test_draws_accuracy_at_every_length(self, three):
        (axes,) = figures(three, benchmark="made up")["history"].axes
        assert list(line(axes, "hierarchical").get_xdata()) == [0, 1]
        assert line(axes, "hierarchical").get_ydata() == pytest.approx([62.5, 81.25])
        with style():
            assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "4"]
        assert [text.get_text() for text in axes.texts] == ["81.2 hierarchical"]

    def test_curves_of_different_lengths_share_the_axis(self):
        short = system("short", cold_start={0: drawn(0.6, 1), 2: drawn(0.7, 2)})
        (axes,) = figures([system("long"), short], benchmark="made up")["history"].axes
        assert list(line(axes, "short").get_xdata()) == [0, 2]
        assert list(line(axes, "long").get_xdata()) == [0, 1, 2, 3, 4, 5]

    def test_the_best_have_colours_and_intervals(self):
        systems = [system(f"model {i}", 0.95 - 0.12 * i, seed=40 * i) for i in range(5)]
        figure = figures(systems, benchmark="made up")["history"]
        (axes,) = figure.axes
        colours = [to_hex(line(axes, f"model {i}").get_color()) for i in range(5)]
        assert [c.upper() for c in colours[:3]] == list(COLOURS[:3])
        assert set(colours[3:]) == {FAINT}
        intervals = [c for c in axes.collections if c.get_label() == "interval"]
        assert len(intervals) == 3
        expected = accuracy_interval(systems[0].cold_start[16])
        ends = intervals[0].get_segments()[-1][:, 1]
        assert ends == pytest.approx([100 * expected.low, 100 * expected.high])
        assert "of the best 3" in said(figure)
        low, high = axes.get_ylim()
        values = [value for i in range(5) for value in line(axes, f"model {i}").get_ydata()]
        assert low < min(values)
        assert max(values) < high

    def test_random_pairs_are_the_line_and_first_ones_a_broken_line_beside_it(self):
        drawn_ones = {n: drawn(0.7 + 0.02 * n, 90 + n) for n in (1, 2, 4, 8)}
        both, alone = system("both", random_start=drawn_ones), system("alone", 0.6, seed=60)
        figure = figures([both, alone], benchmark="made up")["history"]
        (axes,) = figure.axes
        assert line(axes, "both").get_ydata()[1:] == pytest.approx(
            [100 * outcome.micro for outcome in drawn_ones.values()]
        )
        beside = line(axes, "both, first pairs")
        assert beside.get_linestyle() == "--"
        assert beside.get_ydata() == pytest.approx([100 * o.micro for o in both.cold_start.values()])
        assert "alone, first pairs" not in [found.get_label() for found in axes.lines]
        assert [c.get_label() for c in axes.collections].count("interval of first pairs") == 1
        assert "broken lines: the user's first pairs" in said(figure)

    def test_two_systems_of_one_name_are_two_lines(self):
        (axes,) = figures([system("twin"), system("twin", seed=5)], benchmark="made up")["history"].axes
        assert sum(found.get_label() == "twin" for found in axes.lines) == 2


class TestReliability:
    def test_draws_the_curve_and_the_histogram(self):
        model = system("hierarchical")
        p_chosen = probabilities(model.own)
        figure = figures([model], benchmark="made up")["reliability"]
        (curve,), (histogram,) = labelled(figure, "reliability"), labelled(figure, "histogram")
        points = reliability(p_chosen)
        expected = np.array([[100 * p.confidence, 100 * p.accuracy] for p in points])
        (cloud,) = curve.collections
        assert np.asarray(cloud.get_offsets()) == pytest.approx(expected)
        assert [b.get_height() for b in histogram.patches] == pytest.approx([100 * p.n / 96 for p in points])
        assert [b.get_x() for b in histogram.patches] == pytest.approx([100 * p.low for p in points])
        ece, score = expected_calibration_error(p_chosen), brier(p_chosen)
        assert curve.get_title(loc="left") == f"hierarchical\nECE {ece:.3f}, Brier {score:.3f}"
        assert "96 pairs with a probability" in said(figure)

    def test_takes_the_best_three_models_and_the_best_judge(self):
        models = [system(f"model {i}", 0.95 - 0.14 * i, seed=40 * i) for i in range(4)]
        judges = [reference(f"judge {i}", 0.8 - 0.2 * i, 300 + i, kind="judge") for i in range(2)]
        figure = figures([*reversed(models), *judges, reference("random", 0.5)], benchmark="made up")[
            "reliability"
        ]
        titles = [axes.get_title(loc="left").partition("\n")[0] for axes in labelled(figure, "reliability")]
        assert titles == ["model 0", "model 1", "model 2", "judge 0"]


class TestCoverage:
    def test_draws_the_curve_from_twenty_pairs_on(self):
        model = system("hierarchical")
        figure = figures([model], benchmark="made up")["coverage"]
        (axes,) = figure.axes
        points = [p for p in accuracy_at_coverage(probabilities(model.own)) if round(p.coverage * 96) >= 20]
        assert line(axes, "hierarchical").get_xdata() == pytest.approx([100 * p.coverage for p in points])
        assert line(axes, "hierarchical").get_ydata() == pytest.approx([100 * p.accuracy for p in points])
        assert [t.get_text() for t in axes.texts] == [f"{100 * model.own.micro:.1f} hierarchical"]

    def test_few_pairs_or_one_confidence_are_no_curve(self, three):
        assert "coverage" not in figures(three, benchmark="made up")
        alike = system("alike", own=drawn(0.7, 0, spread_out=False))
        assert "coverage" not in figures([alike], benchmark="made up")


class TestUsers:
    def test_bars_count_users_by_gain(self):
        scores = {"few": [1, 1], "many": [1] * 10, "same": [0] * 12, "loses": [0, 1, 1, 1]}
        before = {
            "few": [1, 0],
            "many": [1, 1, 0, 1, 1, 1, 1, 1, 1, 1],
            "same": [0] * 12,
            "loses": [1, 1, 1, 1],
        }
        model = Measurement(
            name="m", kind="reward model", own=outcome(scores), controls={"no_user": outcome(before)}
        )
        gains = gain_by_user(model.own, model.controls["no_user"])
        assert gains.values == pytest.approx([50, 10, 0, -25])
        assert list(gains.pairs) == [2, 10, 12, 4]
        figure = figures([model], benchmark="made up")["users"]
        (axes,) = figure.axes
        centres = [round(b.get_x() + b.get_width() / 2) for b in bars(axes, "many pairs")]
        many = dict(zip(centres, (b.get_height() for b in bars(axes, "many pairs")), strict=True))
        few = dict(zip(centres, (b.get_height() for b in bars(axes, "few pairs")), strict=True))
        assert {c: n for c, n in many.items() if n} == {0: 1, 10: 1}
        assert {c: n for c, n in few.items() if n} == {-20: 1, 50: 1}
        assert list(line(axes, "mean").get_xdata()) == pytest.approx([8.75, 8.75])
        assert axes.get_title(loc="left") == "m: mean +8.8 points; 50 % of users gain, 25 % lose"

    def test_gain_is_over_pairs_that_both_answered(self):
        gains = gain_by_user(
            outcome({"ann": [1, 1, None], "bob": [1]}), outcome({"ann": [0, None, 0], "bob": [None]})
        )
        assert list(gains.values) == [100]
        assert list(gains.pairs) == [1]

    def test_without_personalization_it_is_accuracy(self):
        figure = figures(
            [bare("oracle", {"ann": [1]}), bare("longer response", {"ann": [1, 0], "bob": [1]})],
            benchmark="made up",
        )["users"]
        (axes,) = figure.axes
        counts = [b.get_height() for b in bars(axes, "few pairs")]
        assert counts == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
        assert "Accuracy user by user" in said(figure)
        assert axes.get_title(loc="left").startswith("longer response: mean 75.0 %")

    def test_at_most_three_and_the_best_on_top(self):
        models = [system(f"model {i}", 0.95 - 0.14 * i, seed=40 * i) for i in range(5)]
        figure = figures(models, benchmark="made up")["users"]
        tops = {axes.get_title(loc="left").partition(":")[0]: axes.get_position().y0 for axes in figure.axes}
        assert sorted(tops, key=tops.__getitem__, reverse=True) == ["model 0", "model 1", "model 2"]


class TestWhatIsLeftOut:
    def test_nothing_measured_nothing_drawn(self, tmp_path):
        assert figures([], benchmark="made up") == {}
        assert draw([], tmp_path / "out", benchmark="made up") == []
        assert not (tmp_path / "out").exists()

    def test_no_answer_no_figure(self):
        assert figures([bare("mute", {"ann": [None, None]})], benchmark="made up") == {}

    def test_no_probability_no_calibration(self):
        assert list(figures([bare("longer response", {"ann": [1, 0]})], benchmark="made up")) == [
            "accuracy",
            "users",
        ]

    def test_references_alone_are_not_judged_on_calibration(self):
        assert list(figures([reference("random", 0.5)], benchmark="made up")) == ["accuracy", "users"]

    def test_no_cold_start_no_history(self):
        found = figures([system("m", cold_start={})], benchmark="made up")
        assert list(found) == ["accuracy", "reliability", "coverage", "users"]

    def test_an_unanswered_length_is_no_point(self):
        cold = {0: drawn(0.6, 1), 4: outcome({"ann": [None]})}
        (axes,) = figures([system("m", cold_start=cold)], benchmark="made up")["history"].axes
        assert list(line(axes, "m").get_xdata()) == [0]


LONG = "reward-model features=stylometric+minilm backbone=some/very-large-model-name rank=10 seed=3"
ODD = [
    "a$b$c",
    "$\\frac{1}{",
    "under_score^hat{brace",
    "näme Ωλ ☃",
    "日本語の名前",
    "line\nbreak\ttab",
    "🙂",
    "W" * 200,
    "\ud800",
    " ",
]


@pytest.fixture(scope="module")
def crowded():
    models = [system(f"{LONG} {i}", 0.6 + 0.01 * i, seed=100 * i) for i in range(15)]
    judges = [reference(f"judge {LONG} {i}", 0.6 + 0.02 * i, i, kind="judge") for i in range(5)]
    references = [reference(f"recorded {LONG} {i}", 0.5 + 0.02 * i, 50 + i) for i in range(5)]
    oracle = bare("oracle", {"ann": [1]})
    return figures([*models, *judges, *references, oracle], benchmark=f"folder/{LONG}.jsonl")


@pytest.fixture(scope="module")
def alone():
    return figures([system("hierarchical")], benchmark="llmfao/seen-prompts")


class TestThePage:
    @pytest.mark.parametrize("name", ALL)
    def test_twenty_five_systems_with_long_names_fit(self, name, crowded):
        assert_fits(crowded[name])
        assert crowded[name].get_figwidth() == WIDTH

    @pytest.mark.parametrize("name", ALL)
    def test_one_system_alone_fits(self, name, alone):
        assert_fits(alone[name])

    def test_many_failing_systems_do_not_flood_the_footnote(self):
        systems = [bare(f"judge {i}", {"ann": [1, None], "bob": [0, 1]}) for i in range(25)]
        figure = figures(systems, benchmark="made up")["accuracy"]
        assert "and 19 more" in said(figure)
        assert_fits(figure)

    @pytest.mark.parametrize("name", ODD, ids=ascii)
    def test_odd_names_break_nothing(self, name):
        found = figures([system(name)], benchmark=name)
        assert list(found) == ALL
        for figure in found.values():
            assert_fits(figure)

    def test_dollars_and_underscores_are_no_formula(self):
        (axes,) = figures([system("a$b_c$d")], benchmark="made up")["accuracy"].axes
        (label,) = axes.get_yticklabels()
        assert label.get_text() == "a$b_c$d"
        assert not label.get_parse_math()


class TestFiles:
    def test_are_png_of_readme_width(self, tmp_path):
        written = draw([system("hierarchical")], tmp_path / "new" / "folder", benchmark="made up")
        assert [path.name for path in written] == [f"{name}.png" for name in ALL]
        assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == sorted(
            p.name for p in written
        )
        for path in written:
            header = path.read_bytes()[:24]
            assert header[:8] == b"\x89PNG\r\n\x1a\n"
            assert struct.unpack(">I", header[16:20]) == (900,)

    def test_the_same_numbers_give_the_same_bytes(self, tmp_path):
        systems = [system(f"model {i}", seed=i) for i in range(3)]
        first = [p.read_bytes() for p in draw(systems, tmp_path / "a", benchmark="made up")]
        again = [p.read_bytes() for p in draw(systems[::-1], tmp_path / "b", benchmark="made up")]
        assert first == again, "in any order"
        assert not any(re.search(rb"Software|Matplotlib|tIME|Creation", content) for content in first)

    def test_the_readers_own_settings_neither_matter_nor_change(self, tmp_path):
        (plain,) = draw([bare("longer", {"ann": [1, 0]})], tmp_path / "a", benchmark="made up")[:1]
        with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "text.parse_math": True}):
            before = dict(matplotlib.rcParams)
            (other,) = draw([bare("longer", {"ann": [1, 0]})], tmp_path / "b", benchmark="made up")[:1]
            assert dict(matplotlib.rcParams) == before
        assert plain.read_bytes() == other.read_bytes()

    def test_a_place_that_cannot_be_written_is_a_data_error(self, tmp_path):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(DataError, match="cannot be written"):
            draw([system("hierarchical")], tmp_path / "file" / "out", benchmark="made up")
        assert [p.name for p in tmp_path.iterdir()] == ["file"]

    def test_without_matplotlib_the_extra_is_named(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(MissingExtraError, match=re.escape(install_line("figures"))):
            draw([system("hierarchical")], tmp_path / "out", benchmark="made up")
        assert not (tmp_path / "out").exists()

    def test_importing_loads_no_matplotlib_and_drawing_no_pyplot(self):
        code = (
            "import sys, synthesizeme.evaluation.figures as f; "
            "assert not any(m.partition('.')[0] in ('matplotlib', 'torch', 'dspy') for m in sys.modules); "
            "import synthesizeme.evaluation.figures._page as c\n"
            "with c.style(): c.Page(1, 'title', 'subtitle', ['note'])\n"
            "assert 'matplotlib.pyplot' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class TestLettering:
    def test_labels_move_as_little_as_possible(self):
        assert moved_apart([0, 10], 2, 0, 20) == [0, 10]
        assert moved_apart([5, 5], 2, 0, 20) == [4, 6]
        assert moved_apart([5, 6, 15], 2, 0, 20) == [4.5, 6.5, 15]
        assert moved_apart([0, 0, 0], 2, 0, 20) == [0, 2, 4], "not below the frame"
        assert moved_apart([20, 20], 2, 0, 20) == [18, 20], "not above it"
        assert moved_apart([], 2, 0, 20) == []

    @settings(deadline=None)
    @given(st.lists(st.floats(0, 100), max_size=20).map(sorted))
    def test_labels_keep_apart_and_inside(self, heights):
        found = moved_apart(heights, 5, 0, 100)
        assert all(b - a >= 5 - 1e-9 for a, b in itertools.pairwise(found))
        assert all(-1e-9 <= y <= 100 + 1e-9 for y in found)

    def test_a_name_is_cut_in_its_middle(self):
        assert fitted("short", 2) == "short"
        cut = fitted("x" * 50 + "y" * 50, 1.5)
        assert re.fullmatch("x+…y+", cut)
        assert 1.3 < width_of(cut) <= 1.5

    def test_even_an_endless_name_is_cut(self):
        assert width_of(fitted("W" * 100_000, 2.0, TITLE), TITLE) <= 2.0

    def test_lines_are_broken_at_spaces(self):
        lines = wrapped("many words " * 20, 2)
        assert " ".join(lines).split() == ("many words " * 20).split()
        assert max(map(width_of, lines)) <= 2
        assert wrapped("", 2) == []

    def test_what_the_font_lacks_is_marked(self):
        assert printable(" a\nb 日\ud800 é") == "a b �� é"
