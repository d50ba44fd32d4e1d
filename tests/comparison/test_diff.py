from __future__ import annotations

import shutil

import opposites
import pytest

from synthesizeme.comparison.report import diff, report
from synthesizeme.comparison.tasks import divided
from synthesizeme.errors import DataError
from synthesizeme.evaluation.intervals import paired_difference

MODEL = "hierarchical-stylometric"


@pytest.fixture
def results(run, tmp_path):
    """Runs a comparison into a folder of its own."""

    def make(name, *systems, **how):
        compared, _ = run(*systems, **how)
        whole = how.get("benchmark") or opposites.benchmark()
        report(compared, whole, divided(whole)).save(tmp_path / "out")
        return shutil.move(tmp_path / "out", tmp_path / name), compared

    return make


def test_rows_are_aligned_by_name_and_compared_pair_by_pair(results, tmp_path):
    _, first = results("a", "longer", MODEL, "oracle")
    _, second = results("b", MODEL, "random", "longer", arguments={"unknown_user": "refuse"})
    found = diff(tmp_path / "a", tmp_path / "b" / "results.json")
    assert found.same_pairs
    assert found.warnings == ()
    assert [row.name for row in found.rows] == ["longer", MODEL, "oracle", "random"]
    longer, model, oracle, random = found.rows
    assert (longer.a, longer.b, longer.difference) == (longer.a, longer.a, 0.0)
    assert longer.paired == paired_difference(second.measurements[2].own, first.measurements[0].own)
    assert model.gain_a.value == pytest.approx(3 / 8)
    assert model.gain_b.value is None
    assert (oracle.a, oracle.b, oracle.difference, oracle.paired) == (1.0, None, None, None)
    assert (random.a, random.difference) == (None, None)
    text = found.to_markdown()
    assert "| oracle " in text
    assert "Beware" not in text


def test_a_difference_is_b_minus_a(results, tmp_path):
    results("a", "longer")
    results("b", "oracle")
    for name, other in (("a", "longer"), ("b", "oracle")):
        for path in (tmp_path / name / "results.json", tmp_path / name / "measurements" / f"{other}.json"):
            path.write_text(path.read_text().replace(f'"name": "{other}"', '"name": "x"'))
        (tmp_path / name / "measurements" / f"{other}.json").rename(
            tmp_path / name / "measurements" / "x.json"
        )
    (row,) = diff(tmp_path / "a", tmp_path / "b").rows
    assert row.difference == row.b - row.a > 0
    assert row.paired.value == pytest.approx(row.difference)
    assert row.paired.low <= row.paired.value <= row.paired.high


def test_other_pairs_are_named_and_not_compared_pair_by_pair(results, tmp_path):
    results("a", MODEL)
    results("b", MODEL, benchmark=opposites.benchmark(opposites.population(4, 4)))
    found = diff(tmp_path / "a", tmp_path / "b")
    assert not found.same_pairs
    assert "the test pairs differ" in found.warnings[0]
    assert found.rows[0].paired is None
    assert found.rows[0].difference is not None
    assert "**Beware**: the test pairs differ" in found.to_markdown()


def test_without_measurements_the_accuracies_alone_are_compared(results, tmp_path):
    results("a", "longer")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    shutil.rmtree(tmp_path / "b" / "measurements")
    (row,) = diff(tmp_path / "a", tmp_path / "b").rows
    assert (row.difference, row.paired) == (0.0, None)


def test_what_is_no_results_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"results\.json.*Cure: name a results\.json"):
        diff(tmp_path, tmp_path)
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(DataError, match="not a report"):
        diff(tmp_path, tmp_path)
