"""``synthesizeme train``: one command from pairs to a checkpoint, and everything that may stand in its way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import reward_models
from synthesizeme.datasets import read_pairs

METHOD = "hierarchical-stylometric"


@pytest.fixture
def divided(command, sample) -> Path:
    """The sample with splits: 36 train, 12 validation, 12 test pairs."""
    assert command("data", "split", sample, "--out", "divided.jsonl").status == 0
    return Path("divided.jsonl")


def test_it_learns_from_train_and_validation_rows_and_never_from_test(command, divided):
    ran = command("train", "--method", METHOD, "--data", divided, "--out", "m", "--json")
    assert ran.status == 0, ran.err
    facts = ran.json
    assert facts["pairs"] == {"train": 36, "validation": 12}
    assert facts["left_out"] == {"test": 12, "bad_rows": 0}
    assert (facts["method"], facts["users"], facts["out"]) == (METHOD, 3, "m")
    model = reward_models.load("m")
    assert model.users == ("mara", "tobias", "ilse")
    assert facts["parameters"] == model.parameters

    pairs = [pair for pair in read_pairs(divided).pairs if pair.split != "test"]
    direct = reward_models.method(METHOD)().fit(pairs)
    asked = [pair.compare("chosen_first") for pair in pairs]
    assert model.compare(asked) == direct.compare(asked)


def test_rows_without_a_split_are_used(command, sample):
    ran = command("train", "--method", METHOD, "--data", sample, "--out", "m")
    assert ran.status == 0, ran.err
    assert "3 users, 60 without a split; 0 test pairs left out" in ran.out
    assert "Written to m." in ran.out
    assert "compare" not in ran.out


def test_arguments_come_from_the_words_the_file_and_the_flags(command, sample):
    Path("run.toml").write_text(
        f'[train]\nmethod = "{METHOD}"\nseed = 4\n[train.params]\nvariances = "fixed"\nunknown-user = "refuse"\n'
    )
    ran = command(
        "train",
        "params.unknown_user=population",
        "--data",
        sample,
        "--out",
        "m",
        "--config",
        "run.toml",
        "--json",
    )
    assert ran.status == 0, ran.err
    assert ran.json["params"] == {
        "knows": "choices+words", "variances": "fixed", "tastes": "learned",
        "unknown_user": "population", "seed": 4, "floor": "base",
    }  # fmt: skip
    assert reward_models.load("m").params() == ran.json["params"]


def test_the_argument_seed_wins_over_the_flag(command, sample):
    ran = command("train", "--method", METHOD, "--data", sample, "--out", "m", "params.seed=9", "--json")
    assert ran.json["params"]["seed"] == 9


def test_a_floor_is_trained_with_and_kept(command, sample):
    words = ["train", "--method", METHOD, "--data", sample, "--out", "m", "--force"]
    for flags, floor in (([], "base"), (["--no-floor"], "none"), (["params.floor=none"], "none")):
        assert command(*words, *flags).status == 0
        assert reward_models.load("m").floor == floor
    for flags in (["--no-floor", "params.floor=none"], ["--no-floor", "--floor", "base"]):
        assert command(*words, *flags).status == 2
    assert "unknown floor 'bass'. Did you mean 'base'?" in command(*words, "--floor", "bass").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["params.rnak=3"], "no such argument; it has knows, variances, tastes, unknown_user, seed"),
        (["params.seed=x"], "params.seed: found 'x'; expected whole number"),
        (["params.variances=all"], "expected left-out or fixed"),
        (["rank=3"], "expected params.NAME=VALUE"),
        (["--backbone", "bert"], "params.backbone: " + METHOD + " has no such argument"),
    ],
)
def test_wrong_arguments_are_wrong_usage(command, sample, words, said):
    ran = command("train", "--method", METHOD, "--data", sample, "--out", "m", *words)
    assert ran.status == 2
    assert said in ran.err
    assert not Path("m").exists()


def test_a_table_in_the_file_must_be_one(command, sample):
    Path("run.toml").write_text("[train]\nparams = 3\n")
    ran = command("train", "--method", METHOD, "--data", sample, "--out", "m", "--config", "run.toml")
    assert ran.status == 2
    assert "params" in ran.err
    assert "table of values" in ran.err


def test_an_unknown_method_and_missing_flags(command, sample):
    unknown = command("train", "--method", "hierarchical-stylometrics", "--data", sample, "--out", "m")
    assert unknown.status == 2
    assert f"Did you mean '{METHOD}'?" in unknown.err
    missing = command("train", "--method", METHOD)
    assert missing.status == 2
    assert "--data PAIRS is missing" in missing.err
    assert "--out DIR is missing" in missing.err


def test_the_arguments_of_a_method_can_be_listed(command):
    ran = command("train", "--method", METHOD, "--help-params")
    assert ran.status == 0, ran.err
    assert "params.NAME=VALUE" in ran.out
    assert "left-out" in ran.out
    listed = command("train", "--method", METHOD, "--help-params", "--json").json
    assert listed["seed"] == {"kind": "whole number", "default": "0", "help": "Seed of every random choice."}


def test_a_checkpoint_is_replaced_only_when_asked(command, divided):
    base = ["train", "--method", METHOD, "--data", divided, "--out", "m"]
    assert command(*base).status == 0
    before = Path("m/model.json").read_bytes()
    again = command(*base, "params.variances=fixed")
    assert again.status == 2
    assert "--force" in again.err
    assert Path("m/model.json").read_bytes() == before
    assert command(*base, "params.variances=fixed", "--force").status == 0
    assert reward_models.load("m").params()["variances"] == "fixed"
    assert sorted(path.name for path in Path().iterdir() if "partial" in path.name) == []


def test_places_that_cannot_be_written_are_refused_before_any_work(command, sample):
    Path("notes").mkdir()
    Path("notes/diary.txt").write_text("mine")
    Path("file").write_text("mine")
    for out, status, said in (
        ("notes", 1, "no checkpoint"),
        ("file", 2, "is a file"),
        ("file/m", 2, "is a file"),
        ("", 2, "is empty"),
    ):
        ran = command("train", "--method", METHOD, "--data", sample, "--out", out, "--force")
        assert ran.status == status
        assert said in ran.err
        assert "Training" not in ran.err
    assert Path("notes/diary.txt").read_text() == "mine"
    assert [path.name for path in Path("notes").iterdir()] == ["diary.txt"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="this system has no /proc to be refused by")
def test_a_folder_that_takes_nothing_is_refused_before_any_work(command, sample):
    ran = command("train", "--method", METHOD, "--data", sample, "--out", "/proc/self/m")
    assert ran.status == 2
    assert "cannot be written" in ran.err
    assert "Training" not in ran.err


def test_pairs_that_teach_nothing(command, row, write_rows):
    held_out = write_rows([row(number, split="test") for number in range(3)])
    ran = command("train", "--method", METHOD, "--data", held_out, "--out", "m")
    assert ran.status == 1
    assert "all 3 pairs are of the test split" in ran.err
    absent = command("train", "--method", METHOD, "--data", "absent.jsonl", "--out", "m")
    assert absent.status == 1
    assert "absent.jsonl: there is no such file" in absent.err
    assert not Path("m").exists()


def test_bad_rows_stop_it_or_are_counted(command, row, write_rows):
    path = write_rows([row(0), row(1, chosen=None), *(row(number) for number in range(2, 6))])
    stopped = command("train", "--method", METHOD, "--data", path, "--out", "m")
    assert stopped.status == 1
    assert f"{path}:2" in stopped.err
    assert not Path("m").exists()
    ran = command("train", "--method", METHOD, "--data", path, "--out", "m", "--skip-bad-rows", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["left_out"] == {"test": 0, "bad_rows": 1}
    assert f"{path}:2" in ran.json["skipped_rows"][0]


def test_one_pair_one_user_and_pairs_that_contradict_each_other(command, row, write_rows):
    one = write_rows([row(0)], "one.jsonl")
    texts = row(0)
    turned = row(1, prompt=texts["prompt"], chosen=texts["rejected"], rejected=texts["chosen"])
    contrary = write_rows([texts, turned], "contrary.jsonl")
    for path in (one, contrary):
        ran = command("train", "--method", METHOD, "--data", path, "--out", path.stem, "--json")
        assert ran.status == 0, ran.err
        model = reward_models.load(path.stem)
        (verdict,) = model.compare([read_pairs(one).pairs[0].compare("chosen_first")])
        assert np.isfinite(verdict.margin)
    assert verdict.probability == pytest.approx(0.5, abs=0.01)


def test_the_checkpoint_is_plain_files(command, divided):
    assert command("train", "--method", METHOD, "--data", divided, "--out", "m").status == 0
    names = {path.name for path in Path("m").iterdir()}
    assert names == {"model.json", "shared.safetensors", "users.safetensors", "users.json", "pairs.json"}
    document = json.loads(Path("m/model.json").read_text())
    assert set(document["files"]) == names - {"model.json"}


def test_a_file_without_splits_warns_and_test_pairs_can_be_held_out(command, sample):
    whole = command("train", "--method", METHOD, "--data", sample, "--out", "whole")
    assert whole.status == 0, whole.err
    assert f"{sample} has no splits" in whole.err
    assert "--holdout 0.2 keeps test pairs back" in whole.err
    ran = command("train", "--method", METHOD, "--data", sample, "--out", "m", "--holdout", "0.2", "--json")
    assert ran.status == 0, ran.err
    assert "has no splits" not in ran.err
    assert ran.json["held_out"] == "m.test.jsonl"
    assert ran.json["pairs"] == {"none": 48}
    kept = read_pairs("m.test.jsonl").pairs
    assert [pair.split for pair in kept] == ["test"] * 12
    assert {pair.user_id: 4 for pair in kept} == {"mara": 4, "tobias": 4, "ilse": 4}
    learned = reward_models.load("m").learned_from
    assert learned is not None
    assert len(learned) == 48
    assert not learned & {pair.fingerprint for pair in kept}
    told = command("train", "--method", METHOD, "--data", sample, "--out", "again", "--holdout", "0.2")
    assert "synthesizeme evaluate --data again.test.jsonl --scorers again" in told.out
    assert read_pairs("again.test.jsonl").pairs == kept

    measured = command("evaluate", "--data", "m.test.jsonl", "--scorers", "m,longer", "--json")
    assert measured.status == 0, measured.err
    assert [row["name"] for row in measured.json["rows"]] == [f"m ({METHOD})", "longer"]
    leaked = command("evaluate", "--data", "m.test.jsonl", "--scorers", "whole")
    assert leaked.status == 1
    assert f"{METHOD} learned from 12 of the 12 test pairs" in leaked.err
    assert "--holdout" in leaked.err


def test_holding_out_what_cannot_be_held_out(command, sample, divided):
    base = ["train", "--method", METHOD, "--out", "m", "--data"]
    for source, share, said in (
        (divided, "0.2", "60 of 60 rows of divided.jsonl name a split"),
        (sample, "0", "of 60 pairs none is held out"),
        (sample, "1", "expected three shares"),
    ):
        ran = command(*base, source, "--holdout", share)
        assert ran.status == 2
        assert said in ran.err
        assert not Path("m").exists()


def test_feedback_beside_pairs_is_learned_from_by_a_method_that_reads_it_and_said_of_others(
    command, tmp_path, row, write_rows
):
    rows = [row(number) for number in range(4)]
    asked = {"user_id": "ann", "prompt": [{"role": "user", "content": "Q?"}]}
    thumb = {**asked, "kind": "rating", "response": "Short.", "value": 1,
             "scale": {"lowest": 0, "highest": 1, "levels": 2}}  # fmt: skip
    again = {**thumb, "response": "Long.", "instead_of": ["p0"]}
    path = write_rows([*rows, thumb, again, {**thumb, "response": "Held.", "split": "test"}])
    ran = command("train", "--method", "hierarchical-stylometric", "--data", path, "--out", "m", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["fit"]["feedback read: rating"] == 2
    assert "3 thumbs" in ran.err
    assert "not read here" not in ran.err
    deaf = command("train", "--method", "lore", "--data", path, "--out", "deaf", "--json")
    assert "3 thumbs, not read here" in deaf.err
