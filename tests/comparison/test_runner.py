"""Tasks are measured once, kept whole, and measured again only when something they depend on has changed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import opposites
import pytest

import reward_models
from synthesizeme.comparison.report import report
from synthesizeme.comparison.runner import KeptTask, Watcher, read_measurement
from synthesizeme.comparison.systems import ModelSystem
from synthesizeme.comparison.tasks import divided
from synthesizeme.errors import DataError, MissingExtraError

MODEL = "hierarchical-stylometric"


def task_file(tmp_path, name=MODEL, task="given-split"):
    return tmp_path / "out" / "measurements" / "tasks" / name / f"{task}.json"


def test_models_judges_and_references_on_the_same_pairs(run, opposite_tastes):
    compared, notes = run(MODEL, "persona", "memory", "default", "longer", "oracle", "majority", "gpt4")
    assert [it.name for it in compared.measurements] == [
        MODEL, "persona", "memory", "default", "longer", "oracle", "majority",
    ]  # fmt: skip
    assert compared.left_out == notes.missing == {"gpt4": "no pair records a verdict of gpt4"}
    found = {it.name: it for it in compared.measurements}
    asked = [pair.pair_id for pair in opposite_tastes.test]
    for it in compared.measurements:
        for outcome in (it.own, *it.controls.values()):
            assert [pair.pair_id for pair in outcome.pairs] == asked
    assert set(found[MODEL].controls) == {"no_user", "wrong_user", "swapped_labels"}
    for judge in ("persona", "memory"):
        controls = found[judge].controls
        assert controls["no_user"] == found["default"].own
        assert controls["wrong_user"].micro < found[judge].own.micro
        assert controls["swapped_labels"].micro < controls["no_user"].micro < found[judge].own.micro
    for name in ("default", "longer", "oracle", "majority"):
        assert found[name].controls == {}
    assert found["persona"].usage.calls > 0
    assert [found[name].kind for name in (MODEL, "persona", "longer")] == [
        "reward model",
        "judge",
        "reference",
    ]
    rows = {row.name: row for row in report(compared, opposite_tastes, divided(opposite_tastes)).rows}
    assert rows["oracle"].agrees_with_majority == 5 / 8
    assert rows["majority"].agrees_with_majority == 1.0
    assert rows[MODEL].gain.value == pytest.approx(1 - 5 / 8)
    assert rows["longer"].gain is None


def test_what_is_finished_is_read_and_not_fitted_again(run, counted):
    first, told = run(MODEL, "longer", resplit=2, cold_start=True)
    assert len(counted) == 5
    assert ("longer", "re-split 1") in told.steps
    second, again = run(MODEL, "longer", resplit=2, cold_start=True)
    assert len(counted) == 5
    assert again.steps == []
    assert again.kept == told.steps
    assert second.measurements == first.measurements


def test_changed_arguments_data_seed_or_a_wish_make_it_anew(run, counted, opposite_tastes):
    run(MODEL)
    run(MODEL, arguments={"variances": "fixed"})
    assert len(counted) == 2
    pairs = opposites.population()
    turned = [pairs[0].swapped_labels(), *pairs[1:]]
    run(MODEL, arguments={"variances": "fixed"}, benchmark=opposites.benchmark(turned))
    assert len(counted) == 3
    run(MODEL, arguments={"variances": "fixed"}, benchmark=opposites.benchmark(turned), seed=1)
    assert len(counted) == 4
    run(MODEL, arguments={"variances": "fixed"}, benchmark=opposites.benchmark(turned), seed=1)
    assert len(counted) == 4
    run(MODEL, arguments={"variances": "fixed"}, benchmark=opposites.benchmark(turned), seed=1, fresh=True)
    assert len(counted) == 5


def test_resplits_differ_from_each_other_and_from_the_given_split(run):
    compared, _ = run("oracle", MODEL, resplit=2)
    for it in compared.measurements:
        asked = [
            [pair.pair_id for pair in outcome.pairs]
            for outcome in (it.own, *(outcomes["own"] for outcomes in it.resplits))
        ]
        assert asked[0] != asked[1] != asked[2] != asked[0]
    assert set(compared.measurements[1].resplits[0]) == {"own", "no_user", "wrong_user", "swapped_labels"}


@pytest.mark.parametrize("damage", ["cut", "nonsense", "tampered", "older"])
def test_a_damaged_task_is_measured_again_and_named(run, counted, tmp_path, damage):
    first, _ = run(MODEL)
    path = task_file(tmp_path)
    whole = path.read_text()
    document = json.loads(whole)
    assert KeptTask.model_validate(document).result.outcomes["own"] == first.measurements[0].own
    if damage == "tampered":
        document["result"]["outcomes"]["own"]["pairs"].pop()
    elif damage == "older":
        document["format_version"] = 0
    path.write_text({"cut": whole[: len(whole) // 2], "nonsense": "]"}.get(damage) or json.dumps(document))
    second, notes = run(MODEL)
    assert len(counted) == 2
    [(name, task, problem)] = notes.damaged
    assert (name, task) == (MODEL, "given split")
    assert str(path) in problem
    assert second.measurements[0].own == first.measurements[0].own
    run(MODEL)
    assert len(counted) == 2


def test_an_interruption_loses_only_the_task_in_work(run, counted, tmp_path):
    class Interrupts(Watcher):
        def started(self, step):
            if step.task == "re-split 1":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(MODEL, resplit=2, watcher=Interrupts())
    kept = sorted(path.name for path in task_file(tmp_path).parent.iterdir())
    assert kept == ["given-split.json", "re-split-0.json"]
    assert len(counted) == 2
    _, notes = run(MODEL, resplit=2)
    assert len(counted) == 3
    assert notes.steps == [(MODEL, "re-split 1")]


def test_an_interruption_while_fitting_leaves_no_file(run, monkeypatch, tmp_path):
    def stop(self, *told):
        raise KeyboardInterrupt

    monkeypatch.setattr(reward_models.RewardModel, "fit", stop)
    with pytest.raises(KeyboardInterrupt):
        run(MODEL)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_one_that_fails_does_not_stop_the_others(run, opposite_tastes):
    compared, notes = run(MODEL, "oracle", arguments={"variances": "all"})
    assert [it.name for it in compared.measurements] == ["oracle"]
    assert "variances is 'all'" in compared.failed[MODEL]
    assert notes.broken == compared.failed
    text = report(compared, opposite_tastes, divided(opposite_tastes)).to_markdown()
    assert f"- **{MODEL}** failed and has no row: " in text
    assert "variances is 'all'" in text


@pytest.mark.parametrize("named", [True, False])
def test_an_extra_that_is_missed_while_fitting(run, monkeypatch, named):
    def needs(self, *told):
        raise MissingExtraError("fitting", "train")

    monkeypatch.setattr(reward_models.RewardModel, "fit", needs)
    compared, _ = run(MODEL, "oracle", named=named)
    without, other = (compared.failed, compared.left_out) if named else (compared.left_out, compared.failed)
    assert "pip install" in without[MODEL]
    assert other == {}
    assert [it.name for it in compared.measurements] == ["oracle"]


def test_a_place_that_takes_nothing_ends_the_comparison(run, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DataError, match="cannot be written"):
        run(MODEL, "oracle")


def test_tasks_and_measurements_read_back_without_reasons_in_words(run, tmp_path):
    compared, _ = run("persona")
    path = tmp_path / "out" / "measurements" / "persona.json"
    assert read_measurement(path) == compared.measurements[0]
    reasons = {
        result["result"]["reasoning"] for pair in json.loads(path.read_text())["own"]["pairs"] for result in pair["results"]
    }  # fmt: skip
    assert reasons == {""}
    assert read_measurement(Path("absent.json")) is None


def test_the_facts_of_a_model_hold_every_argument():
    system = ModelSystem(MODEL, reward_models.method(MODEL), {"seed": 3})
    assert system.facts() == {
        "arguments": {
            "knows": "choices+words", "variances": "left-out", "tastes": "learned",
            "unknown_user": "population", "seed": 3, "floor": "base",
        }
    }  # fmt: skip


def test_one_user_is_measured_and_what_could_not_be_is_said(run):
    alone = opposites.benchmark(opposites.population(1, 0))
    compared, _ = run(MODEL, "persona", benchmark=alone, cold_start=True)
    for it in compared.measurements:
        assert set(it.controls) == {"no_user", "swapped_labels"}
        assert it.cold_start == {}
    found = report(compared, alone, divided(alone))
    no_curve, no_lender, told, persona = found.notes
    assert no_curve == "no history-length curve: fewer than 2 users have a history"
    assert no_lender == f"{MODEL}: no wrong-user control: only one user has a history"
    assert told.startswith(f"{MODEL}: given split: factor of shared variances ")
    assert persona == "persona: no wrong-user control: only one user has a history"
    assert all(np.isfinite([row.low, row.high]).all() for row in found.rows)
