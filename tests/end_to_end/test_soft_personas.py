"""The study of soft tokens in its quick size: the table's shape, and that swapped labels turn answers round."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
STUDY = Path(__file__).parents[2] / "experiments" / "soft_personas"
CONDITIONS = ("own", "nobody", "another user", "labels swapped")
LEARNED = ("text history", "uem", "pplug", "persona-prompted", "hierarchical-stylometric")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    pytest.importorskip("trl")
    out = tmp_path_factory.mktemp("soft_personas")
    done = subprocess.run(
        [sys.executable, str(STUDY / "run.py"), "--quick", "--out", str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def rows(out):
    rows = json.loads((out / "results.json").read_text())["rows"]
    return {(row["reader"], row["condition"], row["history"]): row for row in rows}


def test_every_reader_has_a_row_for_each_condition_and_length(rows):
    expected = {(reader, condition, 12) for reader in LEARNED for condition in CONDITIONS}
    expected |= {(reader, "own", 4) for reader in LEARNED if reader != "pplug"}
    for reader in ("logistic on the true attributes", "counting"):
        expected |= {(reader, "own", 4), (reader, "own", 12), (reader, "labels swapped", 12)}
    assert set(rows) == expected | {("oracle", "own", 12)}
    for row in rows.values():
        assert 0 <= row["value"] <= 1
        assert row["n"] == 60
        assert row["standard_error"] is None, "one seed"
        assert row["standard_error_over_users"] >= 0


@pytest.mark.parametrize(
    "reader", ["uem", "pplug", "persona-prompted", "hierarchical-stylometric", "counting"]
)
def test_swapped_labels_turn_the_answers_round(rows, reader):
    own, swapped = (rows[reader, condition, 12]["value"] for condition in ("own", "labels swapped"))
    assert own >= 0.75
    assert swapped <= 0.35


def test_nothing_beats_the_oracle_by_more_than_chance_allows(rows):
    oracle = rows["oracle", "own", 12]["value"]
    assert oracle >= 0.9
    assert all(row["value"] <= oracle + 0.1 for row in rows.values())


def test_what_a_new_user_costs_is_told_for_every_method(out):
    costs = json.loads((out / "run.json").read_text())["costs"]
    assert set(costs) == {"hierarchical-stylometric", "persona-prompted", "uem", "pplug"}
    assert all(0 < of["q1"] <= of["median"] <= of["q3"] for of in costs.values())


def test_the_figure_is_a_picture_and_can_be_drawn_again(out):
    pytest.importorskip("matplotlib")
    first = (out / "figure.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    done = subprocess.run(
        [sys.executable, str(STUDY / "run.py"), "--draw", str(out)], capture_output=True, timeout=120
    )
    assert done.returncode == 0
    assert (out / "figure.png").read_bytes() == first


def test_seeds_of_different_settings_are_not_merged(out, tmp_path):
    for name, change in (("seed-0", {}), ("seed-1", {"history": 13})):
        seed = json.loads((out / "seed-0.json").read_text())
        seed["config"] |= change
        (tmp_path / f"{name}.json").write_text(json.dumps(seed))
    done = subprocess.run(
        [sys.executable, str(STUDY / "run.py"), "--draw", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "one configuration" in done.stderr
