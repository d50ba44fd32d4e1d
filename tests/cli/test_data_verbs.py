from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthesizeme.datasets import read_pairs

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


def test_convert_inspect_and_induce_the_papers_own_format(command):
    source = SHARED / "prism_fragment.jsonl"
    if not source.exists():
        pytest.skip("the shared PRISM fragment is not beside this checkout")
    ran = command("data", "convert", source, "--out", "prism.jsonl.gz", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["format"] == "paper-format"
    assert ran.json["pairs_written"] == len(read_pairs("prism.jsonl.gz").pairs) == 84
    user = read_pairs("prism.jsonl.gz").pairs[0].user_id
    induced = command("induce-persona", "prism.jsonl.gz", "--user", user)
    assert induced.status == 0, induced.err
    assert command("data", "inspect", source, "--json").json["users"] == 18


def test_inspect_sample(command, sample):
    ran = command("data", "inspect", sample, "--json")
    assert ran.status == 0, ran.err
    assert (ran.json["pairs"], ran.json["users"], ran.json["format"]) == (60, 3, "jsonl")
    human = command("data", "inspect", sample)
    assert "60" in human.out
    assert "user_profile" in human.out


def test_split_is_seeded_and_whole(command, sample):
    assert command("data", "split", sample, "--out", "a.jsonl").status == 0
    assert command("data", "split", sample, "--out", "b.jsonl").status == 0
    assert Path("a.jsonl").read_bytes() == Path("b.jsonl").read_bytes()
    ran = command("data", "split", sample, "--out", "c.jsonl", "--seed", 8, "--json")
    assert ran.json["splits"] == {"train": 36, "validation": 12, "test": 12}
    assert Path("c.jsonl").read_bytes() != Path("a.jsonl").read_bytes()


def test_convert_leaves_out_what_is_bad_only_when_asked(command, row, write_rows, tmp_path):
    path = write_rows([row(0), row(1, chosen=None), row(2)])
    refused = command("data", "convert", path, "--out", "o.jsonl", "--format", "jsonl")
    assert refused.status == 1
    assert ":2" in refused.err
    assert not (tmp_path / "o.jsonl").exists()
    skipped = command("data", "convert", path, "--out", "o.jsonl", "--format", "jsonl", "--skip-bad-rows")
    assert skipped.status == 0
    assert ":2" in skipped.err
    assert "2 pairs" in skipped.out
    split = command("data", "split", path, "--out", "s.jsonl", "--skip-bad-rows", "--json")
    assert len(split.json["skipped_rows"]) == 1


def test_trl_rows_without_users_get_the_one_named(command, tmp_path):
    row = {
        "prompt": [{"role": "user", "content": "q"}],
        "chosen": [{"role": "assistant", "content": "a"}],
        "rejected": [{"role": "assistant", "content": "b"}],
    }
    (tmp_path / "trl.jsonl").write_text(json.dumps(row) + "\n")
    assert "--user" in command("data", "convert", "trl.jsonl", "--out", "o.jsonl").err
    assert command("data", "convert", "trl.jsonl", "--out", "o.jsonl", "--user", "me").status == 0
    assert read_pairs("o.jsonl").pairs[0].user_id == "me"


def test_unknown_format_and_unknown_data(command, sample, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert command("data", "convert", sample, "--out", "o.jsonl", "--format", "cvs").status == 2
    assert command("data", "inspect", "no/such-data").status == 1
    nowhere = command("data", "inspect", "polis")
    assert nowhere.status == 1
    assert "SYNTHESIZEME_DATA_DIR" in nowhere.err


def test_the_formats_named_in_the_help_are_those_there_are(command):
    from synthesizeme.datasets import formats

    shown = " ".join(command("data", "convert", "--help-all").out.replace("│", " ").split()).replace(
        "- ", "-"
    )
    for name in formats():
        assert name in shown


def test_agreement_of_several_people_on_the_same_pairs(command, row, write_rows):
    swapped = {"chosen": row(0)["rejected"], "rejected": row(0)["chosen"]}
    rows = [
        row(0),
        row(0, pair_id="b0", user_id="bob"),
        row(0, pair_id="c0", user_id="cy", **swapped),
        row(1),
        row(1, pair_id="b1", user_id="bob"),
        row(2),
    ]
    path = write_rows(rows)
    ran = command("data", "agreement", path)
    assert ran.status == 0, ran.err
    assert (
        "2 comparisons judged by two or more of 3 people; 1 further one judged by one person alone."
        in ran.out
    )
    assert "cy: 0.0 % of 1 comparison" in ran.out
    assert "b0" in ran.out
    found = command("data", "agreement", path, "--json").json
    assert [it["name"] for it in found["annotators"]] == ["cy", "ann", "bob"]
    assert found["compared"][0]["disagreement"] == pytest.approx(2 / 3)
    assert found["nominal"]["low"] <= found["nominal"]["value"] <= found["nominal"]["high"]
    alone = command("data", "agreement", write_rows([row(0)], "one.jsonl"))
    assert alone.status == 0
    assert "No comparison was judged by two people; 1 further one" in alone.out
