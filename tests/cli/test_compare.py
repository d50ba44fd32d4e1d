"""``synthesizeme compare``: one command from pairs to a table with controls, and everything that may go wrong."""

from __future__ import annotations

import json
import math
import os
import pty
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import opposites
import pytest

import reward_models
from synthesizeme import discovery
from synthesizeme.cli import main
from synthesizeme.datasets import write_pairs
from synthesizeme.errors import install_line
from synthesizeme.evaluation import figures
from synthesizeme.evaluation.benchmarks import load_benchmark
from synthesizeme.evaluation.intervals import paired_difference
from synthesizeme.evaluation.measurement import Measurement
from synthesizeme.evaluation.report import Report

MODEL = "hierarchical-stylometric"
LORE = ["params.lore.features=stylometric", "params.lore.epochs=5", "params.lore.rank=2"]
FEW = ("--no-answers", 2)
"""Texts that are no answers, of two pairs: to read them all takes longer than everything else."""


@pytest.fixture(autouse=True)
def _figures_only_where_they_are_looked_at(request, monkeypatch):
    if "figures" not in request.node.name:
        monkeypatch.setattr(figures, "draw", lambda measurements, folder, *, benchmark: [])


@pytest.fixture
def planted(command) -> Path:
    """A file of five users who like calm answers and three who like loud ones, with splits."""
    path = Path("planted.jsonl")
    write_pairs(path, opposites.population())
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A checkpoint that learned from the planted users."""
    folder = tmp_path_factory.mktemp("trained")
    write_pairs(folder / "pairs.jsonl", opposites.population())
    words = ["--method", MODEL, "--data", folder / "pairs.jsonl", "--out", folder / "mine"]
    assert main(["train", *map(str, words)]) == 0
    return folder / "mine"


def measurement(name, folder="out"):
    return Measurement.model_validate_json(Path(f"{folder}/measurements/{name}.json").read_text())


def test_one_table_of_models_judges_and_references(command, planted):
    ran = command(
        "compare", "--data", planted, "--out", "out", "--json", *FEW, *LORE,
        "--scorers", f"{MODEL},lore,persona", "--scorers", "references",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    document = ran.json
    assert document == json.loads(Path("out/results.json").read_text())
    assert document["benchmark"] == "planted.jsonl"
    rows = {row["name"]: row for row in document["rows"]}
    assert list(rows) == [MODEL, "lore", "persona", "longer", "random", "oracle", "majority"]
    for row in rows.values():
        assert row["low"] <= row["micro"] <= row["high"]
        assert (row["n_pairs"], row["n_users"], row["failures"]) == (32, 8, {})
        assert {"macro", "ties", "agrees_with_majority", "fit_seconds", "score_seconds", "parameters"} <= set(
            row
        )
    for name in (MODEL, "lore", "persona"):
        assert set(rows[name]["controls"]) == {"no_user", "wrong_user", "swapped_labels"}
        kept = measurement(name)
        gain = paired_difference(kept.own, kept.controls["no_user"])
        assert rows[name]["gain"]["value"] == pytest.approx(gain.value)
        assert (rows[name]["gain"]["low"], rows[name]["gain"]["high"]) == (gain.low, gain.high)
    model = rows[MODEL]
    assert model["controls"]["swapped_labels"] < model["controls"]["no_user"] < model["micro"] == 1.0
    assert model["controls"]["wrong_user"] < model["micro"]
    assert model["agrees_with_majority"] == pytest.approx(5 / 8)
    assert model["fit_seconds"] > 0
    assert model["parameters"] > 0
    assert [(point["order"], point["length"]) for point in model["curve"]] == [
        (order, length) for order in ("random", "file order") for length in (0, 1, 2, 4, 8, 16)
    ]
    assert all(point["low"] <= point["micro"] <= point["high"] for point in model["curve"])
    assert 0 < model["nll"] < model["nll_controls"]["no_user"] < model["nll_controls"]["swapped_labels"]
    assert rows["longer"]["nll"] is None
    assert model["nll_low"] <= model["nll"] <= model["nll_high"]
    assert rows["random"]["nll"] == pytest.approx(math.log(2))
    assert set(model["nll_controls"]) == set(model["controls"])
    assert model["for_these_users"][0] <= model["micro"] <= model["for_these_users"][1]
    assert rows["oracle"]["controls"] == {}
    assert rows["oracle"]["gain"] is None
    assert "gpt4 is left out: no pair records a verdict of gpt4" in ran.err
    table = Path("out/results.md").read_text()
    assert "gpt4 is left out: no pair records a verdict of gpt4" in table
    assert "Judge: builtin (rule-based reader" in table


def test_the_figures_are_drawn(command, planted):
    pytest.importorskip("matplotlib")
    assert command("compare", "--data", planted, "--scorers", MODEL, "--out", "out", *FEW).status == 0
    assert {path.name for path in Path("out/figures").iterdir()} >= {"accuracy.png", "history.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in Path("out/figures").iterdir())


def test_without_the_library_for_figures_the_table_is_there(command, planted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [
        name for name in sys.modules if name.startswith("synthesizeme.evaluation.") and "figure" in name
    ]:
        monkeypatch.delitem(sys.modules, name)
    ran = command("compare", "--data", planted, "--scorers", "longer", "--out", "out")
    assert ran.status == 0, ran.err
    assert "every figure is left out: " in ran.err
    assert "[figures]" in ran.err
    assert not Path("out/figures").exists()
    assert Report.from_json(Path("out/results.json").read_text()).rows[0].name == "longer"


def test_the_model_learns_from_train_and_validation_rows_alone(command, planted, monkeypatch):
    learned = []
    fit = reward_models.RewardModel.fit
    monkeypatch.setattr(
        reward_models.RewardModel,
        "fit",
        lambda self, pairs, *words: (learned.append(pairs), fit(self, pairs, *words))[1],
    )
    words = ["compare", "--data", planted, "--scorers", MODEL, "--out", "out", "--no-cold-start", *FEW]
    assert command(*words).status == 0
    [pairs] = learned
    assert [pair.pair_id for pair in pairs] == [
        p.pair_id for p in opposites.population() if p.split != "test"
    ]


def test_a_second_run_reads_what_is_finished(command, planted):
    words = ["compare", "--data", planted, "--scorers", f"{MODEL},longer", "--out", "out", *FEW]
    first = command(*words)
    assert f"[1/4] {MODEL}, given split: 100.0 %" in first.err
    assert f"[3/4] {MODEL}, new users, half 2: 100.0 % after 16 pairs" in first.err
    second = command(*words)
    assert "4 finished tasks found in out and not measured again" in second.err
    assert "given split" not in second.err
    assert second.out == first.out
    changed = command(*words, f"params.{MODEL}.variances=fixed")
    assert "1 finished task found" in changed.err
    assert f"{MODEL}, given split" in changed.err
    assert "finished task" not in command(*words, "--force").err


def test_a_damaged_unit_is_said(command, planted):
    words = ["compare", "--data", planted, "--scorers", "longer", "--out", "out"]
    assert command(*words).status == 0
    path = Path("out/measurements/tasks/longer/given-split.json")
    path.write_text(path.read_text()[:99])
    again = command(*words)
    assert again.status == 0
    assert f"longer, given split: measured again, since {path}: is damaged" in again.err


def test_an_interruption_says_how_to_go_on(command, planted, monkeypatch):
    def stop(self, *told):
        raise KeyboardInterrupt

    words = ["compare", "--data", planted, "--scorers", f"longer,{MODEL}", "--out", "out", *FEW]
    with monkeypatch.context() as patch:
        patch.setattr(reward_models.RewardModel, "fit", stop)
        ran = command(*words)
    assert ran.status == 130
    assert "Finished work is kept in out: the same command goes on there." in ran.err
    assert not Path("out/results.json").exists()
    again = command(*words, "--no-cold-start")
    assert again.status == 0
    assert "1 finished task found" in again.err


def test_one_that_fails_has_no_row_and_the_status_says_so(command, planted, monkeypatch):
    def fail(self, histories, words):
        raise reward_models._base.DataError("the cupboard is bare", cure="go to market")

    monkeypatch.setattr(reward_models.method(MODEL), "_fit", fail)
    ran = command("compare", "--data", planted, "--scorers", f"{MODEL},oracle", "--out", "out")
    assert ran.status == 1
    assert f"{MODEL} failed: the cupboard is bare" in ran.err
    report = Report.from_json(Path("out/results.json").read_text())
    assert [row.name for row in report.rows] == ["oracle"]
    assert report.failed == {MODEL: "the cupboard is bare. Cure: go to market"}
    assert f"- **{MODEL}** failed and has no row: the cupboard is bare" in ran.out


@pytest.mark.parametrize(("asked", "status"), [("lore,oracle", 1), ("models,oracle", 0)])
def test_a_missing_extra_is_said_with_its_cure(command, planted, monkeypatch, asked, status):
    load = discovery.load

    def only_one(package, name, **more):
        if package == "reward_models" and name != MODEL:
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return load(package, name, **more)

    monkeypatch.setattr(discovery, "load", only_one)
    ran = command("compare", "--data", planted, "--scorers", asked, "--out", "out", "--no-cold-start", *FEW)
    assert ran.status == status, ran.err
    assert "lore failed" in ran.err if status else "lore is left out" in ran.err
    assert install_line("").removesuffix("]'") in ran.err
    names = [row.name for row in Report.from_json(Path("out/results.json").read_text()).rows]
    assert names == (["oracle"] if status else [MODEL, "oracle"])


def test_resplits_are_a_table_of_their_own(command):
    ran = command(
        "compare", "--benchmark", "sample", "--scorers", "oracle,longer", "--resplits", 2, "--out", "out"
    )
    assert ran.status == 0, ran.err
    oracle, longer = Report.from_json(Path("out/results.json").read_text()).rows
    assert (oracle.resplits.n, oracle.resplits.micro, oracle.resplits.gain) == (2, 1.0, None)
    kept = measurement("longer").resplits
    assert longer.resplits.micro == pytest.approx(sum(it["own"].micro for it in kept) / 2)
    assert "over 2 re-splits" in ran.out


def test_arguments_come_from_the_words_and_the_file(command, planted):
    Path("run.toml").write_text(
        f'[compare]\nscorers = "{MODEL}"\ncold-start = false\n'
        f'[compare.params.{MODEL}]\nvariances = "evidence"\nunknown-user = "refuse"\n'
        "[compare.params.lore]\nrank = 2\n"  # takes no part
    )
    ran = command(
        "compare",
        f"params.{MODEL}.variances=fixed", "--data", planted, "--out", "out", "--config", "run.toml", *FEW
    )  # fmt: skip
    assert ran.status == 0, ran.err
    kept = json.loads(Path(f"out/measurements/tasks/{MODEL}/given-split.json").read_text())
    assert kept["facts"]["arguments"] == {
        "knows": "choices+words", "variances": "fixed", "tastes": "learned",
        "unknown_user": "refuse", "seed": 0, "floor": "base",
    }  # fmt: skip
    assert not Path(f"out/measurements/tasks/{MODEL}/new-users-half-1.json").exists()
    (row,) = Report.from_json(Path("out/results.json").read_text()).rows
    assert row.gain.value is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scorers", "hierarchical-stylometrics"], f"Did you mean '{MODEL}'?"),
        (["--scorers", ","], "--scorers names nobody"),
        (["--scorers", "oracle", "params.lore.rank=2"], "params.lore.rank: expected params.SCORER.NAME=VALUE"),
        (["--scorers", MODEL, f"params.{MODEL}.rnak=2"], "no such argument; it has knows, variances"),
        (["--scorers", MODEL, f"params.{MODEL}.variances=all"], "expected left-out or fixed"),
        (["--scorers", MODEL, "rank=2"], "expected params.NAME=VALUE"),
        (["--scorers", MODEL, "--backbone", "bert"], "none of --scorers fine-tunes a backbone"),
        (["--scorers", MODEL, "--benchmark", "sample"], "found both"),
        (["--scorers", MODEL, "--workers", "2"], "workers is 2 with the engine 'local'"),
        (["--scorers", "default", "--model", "gpt-x"], "gpt-x"),
    ],
)  # fmt: skip
def test_wrong_words_are_wrong_usage_before_any_work(command, planted, words, said):
    ran = command("compare", "--data", planted, "--out", "out", *words)
    assert ran.status == 2, ran.err
    assert said in ran.err
    assert not Path("out").exists()


def test_missing_flags_and_places(command, planted):
    nothing = command("compare", "--scorers", "oracle")
    assert nothing.status == 2
    assert "expected --benchmark NAME or --data PAIRS; found neither" in nothing.err
    assert "--out DIR is missing" in nothing.err
    assert command("compare", "--data", planted, "--out", planted, "--scorers", "oracle").status == 2
    absent = command("compare", "--data", "absent.jsonl", "--out", "out", "--scorers", "oracle")
    assert absent.status == 1
    assert "absent.jsonl: there is no such file or folder. Cure: check the path of --data" in absent.err
    assert not Path("out").exists()


def test_a_file_without_splits_says_how_to_get_them(command, sample):
    ran = command("compare", "--data", sample, "--out", "out", "--scorers", "oracle")
    assert ran.status == 1
    assert "synthesizeme data split" in ran.err


def test_a_file_called_like_a_benchmark_is_the_file(command, planted):
    planted.rename("sample")
    ran = command("compare", "--data", "sample", "--out", "out", "--scorers", "oracle", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["rows"][0]["n_pairs"] == 32


def test_one_user_has_no_wrong_user_control(command):
    write_pairs(Path("one.jsonl"), opposites.population(1, 0))
    ran = command("compare", "--data", "one.jsonl", "--out", "out", "--scorers", f"{MODEL},persona", *FEW)
    assert ran.status == 0, ran.err
    assert f"- {MODEL}: no wrong-user control: only one user has a history" in ran.out
    assert "- persona: no wrong-user control: only one user has a history" in ran.out
    assert "- no history-length curve: fewer than 2 users have a history" in ran.out


def test_users_can_be_limited_while_all_of_them_vote(command, planted):
    ran = command(
        "compare", "--data", planted, "--out", "out", "--scorers", "oracle", "--max-users", 2, "--json"
    )
    (row,) = ran.json["rows"]
    assert (row["n_users"], row["agrees_with_majority"]) == (2, 1.0)


def test_two_results_side_by_side(command, planted):
    for out, methods in (("a", f"{MODEL},longer"), ("b", f"{MODEL},oracle")):
        words = ["compare", "--data", planted, "--scorers", methods, "--out", out, "--no-cold-start", *FEW]
        assert command(*words).status == 0
    ran = command("compare", "--diff", "a", "b/results.json", "--json")
    assert ran.status == 0, ran.err
    assert [row["name"] for row in ran.json["rows"]] == [MODEL, "longer", "oracle"]
    assert ran.json["rows"][0]["paired"]["value"] == 0.0
    assert ran.json["warnings"] == []
    shown = command("compare", "--diff", "a", "b")
    assert "A: a/results.json (planted.jsonl)" in shown.out
    assert command("compare", "--benchmark", "sample", "--scorers", "longer", "--out", "c").status == 0
    assert "Beware**: the test pairs differ" in command("compare", "--diff", "a", "c").out
    absent = command("compare", "--diff", "a", "nowhere")
    assert absent.status == 1
    assert "name a results.json" in absent.err
    assert command("compare", "--diff", "a", "b", "--out", "x").status == 2


def test_on_a_terminal_the_work_is_shown_and_then_the_table(planted, tmp_path):
    leader, follower = pty.openpty()
    start = "import sys; from synthesizeme.cli import main; sys.exit(main())"
    words = ["compare", "--data", planted, "--scorers", f"{MODEL},gpt4", "--out", "out", *FEW]
    running = subprocess.Popen(
        [sys.executable, "-c", start, *map(str, words)], cwd=tmp_path, stdout=follower, stderr=follower,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(follower)
    shown = b""
    with suppress(OSError):  # the other end is closed
        while part := os.read(leader, 65536):
            shown += part
    os.close(leader)
    text = shown.decode()
    assert running.wait(60) == 0, text
    assert f"[1/4] {MODEL}, given split: 100.0 %" in text
    assert "wrong user" in text
    assert "gpt4 is left out" in text


def test_the_sample_needs_no_flag_but_its_name(command):
    ran = command(
        "compare",
        "--benchmark",
        "sample",
        "--scorers",
        f"{MODEL},default,both",
        "--out",
        "out",
        "--json",
        *FEW,
    )
    assert ran.status == 0, ran.err
    report = Report.from_json(ran.out)
    model, default, both = report.rows
    assert model.n_pairs == default.n_pairs == both.n_pairs == len(load_benchmark("sample").test)
    assert both.controls["no_user"] == default.micro
    assert both.gain.value == pytest.approx(both.micro - default.micro)
    assert default.gain is None


def test_a_checkpoint_is_measured_as_it_is_and_its_controls_change_its_users(
    command, planted, trained, monkeypatch
):
    shutil.copytree(trained, "mine")
    monkeypatch.setattr(reward_models.RewardModel, "fit", None)
    ran = command(
        "compare",
        "--data",
        planted,
        "--scorers",
        "mine,oracle",
        "--resplits",
        2,
        "--out",
        "out",
        "--json",
        *FEW,
    )
    assert ran.status == 0, ran.err
    mine, oracle = ran.json["rows"]
    assert mine["name"] == f"mine ({MODEL})"
    assert mine["micro"] == 1.0
    assert mine["controls"]["no_user"] == pytest.approx(5 / 8)
    assert mine["controls"]["wrong_user"] < 1.0
    assert mine["controls"]["swapped_labels"] == 0.0
    assert mine["gain"]["value"] == pytest.approx(3 / 8)
    assert (mine["curve"], mine["resplits"], oracle["resplits"]["n"]) == ([], None, 2)
    assert any(
        "labels swapped in the history that this data has of 8 of the 8 users" in it
        for it in ran.json["notes"]
    )
    same = command("evaluate", "--data", planted, "--scorers", "mine", "--controls", "--json")
    assert same.status == 0, same.err
    assert same.json["rows"][0]["controls"] == mine["controls"]


def test_a_checkpoint_is_measured_again_only_when_it_has_changed(command, planted, trained):
    words = ["compare", "--data", planted, "--scorers", "mine", "--out", "out", *FEW]
    train = ["train", "--method", MODEL, "--data", planted, "--out", "mine", "--force"]
    shutil.copytree(trained, "mine")
    assert command(*words).status == 0
    assert "1 finished task found" in command(*words).err
    assert command(*train, "params.variances=fixed").status == 0
    assert "finished task" not in command(*words).err


def test_texts_that_are_no_answers_are_counted_by_kind_for_reward_models_alone(command, planted):
    assert command("train", "--method", MODEL, "--data", planted, "--out", "mine", "--no-floor").status == 0
    words = ["compare", "--data", planted, "--no-cold-start", "--out", "out"]
    scorers = ["--scorers", f"{MODEL},mine,default,longer"]
    ran = command(*words, *scorers, "--no-answers", 6, "--json")
    assert ran.status == 0, ran.err
    floored, bare, *others = (row["no_answers"] for row in ran.json["rows"])
    assert others == [None, None]
    for found in (floored, bare):
        assert found["pairs"] == 6
        assert all(0 <= it["above"] <= it["asked"] <= 6 for it in found["kinds"].values())
    assert floored["kinds"]["doubled"]["above"] == 0 < bare["kinds"]["doubled"]["above"]
    assert " no answer beats chosen |" in Path("out/results.md").read_text()
    same = command("evaluate", "--data", planted, "--scorers", "mine", "--no-answers", 6, "--json")
    assert same.json["rows"][0]["no_answers"] == bare
    stands = command(*words, *scorers, "--no-answers", 6, "--floor", "base", "--json")
    assert "3 finished tasks found" in stands.err, "the checkpoint alone has another floor now"
    assert stands.json["rows"][1]["no_answers"] == floored
    without = command(*words, *scorers, "--no-answers", 0)
    assert "2 finished tasks found" in without.err, "judges and references are not shown any"
    assert "no answer beats chosen" not in without.out


@pytest.mark.parametrize("verb", ["compare", "evaluate"])
def test_a_floor_is_named_or_left_out(command, planted, trained, verb):
    shutil.copytree(trained, "mine")
    words = [verb, "--data", planted, "--scorers", "mine", "--out", "out", "--json", "--no-answers", 6]
    bare, again = command(*words, "--no-floor"), command(*words, "--floor", "none")
    assert bare.status == again.status == 0, bare.err
    assert bare.json["rows"][0]["no_answers"] == again.json["rows"][0]["no_answers"]
    assert bare.json["rows"][0]["no_answers"] != command(*words).json["rows"][0]["no_answers"]
    wrong = command(*words, "--floor", "bass")
    assert wrong.status == 2
    assert "unknown floor 'bass'" in wrong.err


def test_a_folder_that_is_no_checkpoint_and_two_of_one_name(command, planted, trained):
    missing = command("compare", "--data", planted, "--scorers", "out/nowhere", "--out", "r")
    assert missing.status == 1
    assert "no checkpoint can be read here" in missing.err
    for place in ("a/mine", "b/mine"):
        shutil.copytree(trained, place)
    twice = command("compare", "--data", planted, "--scorers", "a/mine,b/mine", "--out", "r")
    assert twice.status == 2
    assert f"two checkpoints are called 'mine ({MODEL})'" in twice.err


def test_one_method_takes_part_several_times_under_its_own_names(command, planted):
    Path("run.toml").write_text(
        f'[compare]\nscorers = ["{MODEL}", "no-search", "no-tastes"]\ncold-start = false\n'
        f'[compare.variants]\nno-search = "{MODEL}"\nno-tastes = "{MODEL}"\n'
        '[compare.params.no-search]\nvariances = "fixed"\n'
    )
    ran = command(
        "compare", "params.no-tastes.tastes=none", "--data", planted, "--config", "run.toml", "--out",
        "out", "--json", *FEW,
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert [row["name"] for row in ran.json["rows"]] == [MODEL, "no-search", "no-tastes"]
    for name, chosen in (
        (MODEL, ("left-out", "learned")),
        ("no-search", ("fixed", "learned")),
        ("no-tastes", ("left-out", "none")),
    ):
        kept = json.loads(Path(f"out/measurements/tasks/{name}/given-split.json").read_text())
        assert (kept["facts"]["arguments"]["variances"], kept["facts"]["arguments"]["tastes"]) == chosen


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("small", "expected NAME=METHOD"),
        ("a/b=lore", "expected NAME=METHOD"),
        ("default=lore", "something else is called so"),
        ("small=lora", "Did you mean 'lore'"),
    ],
)
def test_variants_that_are_none(command, planted, variant, said):
    ran = command("compare", "--data", planted, "--variants", variant, "--scorers", "oracle", "--out", "out")
    assert ran.status == 2
    assert said in ran.err
