"""``synthesizeme data lint``: what it says, and the status that a script can rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


@pytest.fixture
def rows(row) -> list[dict[str, Any]]:
    """30 rows of three users, split, of equal form and length on both sides."""

    def text(words: str) -> list[dict[str, str]]:
        return [{"role": "assistant", "content": words}]

    return [
        row(
            i,
            user_id=f"user{i % 3}",
            chosen=text(f"Answer {i:02d} of one kind."),
            rejected=text(f"Answer {i:02d} of any sort."),
            split="test" if i >= 24 else "validation" if i >= 18 else "train",
        )
        for i in range(30)
    ]


def named(ran: Any) -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in ran.json["findings"]}


def test_clean_pairs_pass(command, rows, write_rows):
    path = write_rows(rows)
    ran = command("data", "lint", path)
    assert ran.status == 0, ran.err
    assert "30 pairs of 3 users: train 18, validation 6, test 6" in ran.out
    assert "Passes: nothing found." in ran.out
    assert command("data", "lint", path, "--json").json["passes"] is True


def test_an_undeclared_overlap_fails_and_a_declared_one_is_said(command, rows, write_rows):
    rows[25]["prompt"] = rows[0]["prompt"]
    path = write_rows(rows)
    ran = command("data", "lint", path)
    assert ran.status == 1
    assert "prompt-in-history" in ran.out
    assert "p25" in ran.out
    assert "Cure: " in ran.out
    assert "Fails: 1 error." in ran.out
    declared = command("data", "lint", path, "--seen-items", "--strict", "--json")
    assert declared.status == 0
    assert declared.json["seen_items_by_design"] is True
    assert named(declared)["prompt-in-history"]["level"] == "note"


def test_one_person_judging_a_pair_twice_across_a_split_fails_even_when_declared(command, rows, write_rows):
    path = write_rows([*rows, {**rows[0], "pair_id": "again", "split": "test"}])
    ran = command("data", "lint", path, "--seen-items", "--json")
    assert ran.status == 1
    assert set(named(ran)["judged-twice"]["pair_ids"]) == {"p0", "again"}


def test_splits_drawn_here_have_no_such_pair(command, rows, write_rows):
    """Nine out of ten pairs twice, the second time the other way round: a split keeps the two together."""
    again = [
        {
            **pair,
            "pair_id": f"{pair['pair_id']}-again",
            "chosen": pair["rejected"],
            "rejected": pair["chosen"],
        }
        for pair in rows[:27]
    ]
    path = write_rows([*rows, *again])
    assert "judged-twice" in named(command("data", "lint", write_rows([*rows, *[
        {**pair, "split": "test" if pair["split"] == "train" else "train"} for pair in again
    ]], "bad.jsonl"), "--json"))  # fmt: skip
    for seed in range(3):
        assert command("data", "split", path, "--out", "drawn.jsonl", "--seed", seed, "--force").status == 0
        found = named(command("data", "lint", "drawn.jsonl", "--json"))
        assert "judged-twice" not in found
        assert found["contradictions"]["count"] == 54


def test_a_warning_fails_only_when_strict(command, rows, write_rows):
    for pair in rows:
        pair["chosen"][0]["content"] = f"**So**: {pair['chosen'][0]['content']}"
    path = write_rows(rows)
    ran = command("data", "lint", path, "--json")
    assert ran.status == 0
    assert {name: it["level"] for name, it in named(ran).items()} == {
        "one-sided-format": "warning",
        "label-by-length": "warning",
    }
    assert command("data", "lint", path, "--strict").status == 1


def test_the_repr_of_a_list_fails(command, rows, write_rows):
    rows[4]["rejected"][0]["content"] = str([rows[4]["rejected"][0]["content"]])
    ran = command("data", "lint", write_rows(rows), "--json")
    assert ran.status == 1
    assert named(ran)["list-repr"]["pair_ids"] == ["p4"]


def test_rows_that_are_lost_fail(command, rows, write_rows, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")  # the path in one line
    rows[3]["chosen"] = None
    path = write_rows(rows)
    ran = command("data", "lint", path)
    assert ran.status == 1
    assert "unreadable-rows" in ran.out
    assert f"{path}:4" in ran.out
    del rows[3]
    path = write_rows(rows)
    short = command("data", "lint", path, "--expect-pairs", 30, "--expect-users", 3, "--json")
    assert short.status == 1
    assert (named(short)["denominator"]["count"], named(short)["denominator"]["out_of"]) == (29, 30)
    assert command("data", "lint", path, "--expect-pairs", 29, "--expect-users", 3).status == 0


def test_rows_that_a_format_leaves_out_are_counted(command):
    arena = [
        {
            "question_id": f"q{i}",
            "model_a": "a",
            "model_b": "b",
            "winner": winner,
            "judge": f"arena_user_{i % 2}",
            "conversation_a": [
                {"role": "user", "content": f"Q{i}?"},
                {"role": "assistant", "content": f"Yes {i}."},
            ],
            "conversation_b": [
                {"role": "user", "content": f"Q{i}?"},
                {"role": "assistant", "content": f"Yes {i}." if i % 2 else f"No, {i}"},
            ],
        }
        for i, winner in enumerate(["model_a", "model_b", "model_b", "model_a"])
    ]
    Path("arena.jsonl").write_text("".join(json.dumps(item) + "\n" for item in arena))
    ran = command("data", "lint", "arena.jsonl", "--json")
    assert ran.status == 0, ran.err
    lost = [finding for finding in ran.json["findings"] if finding["name"] == "left-out"]
    assert sum(finding["count"] for finding in lost) == 2
    assert "no differing responses" in lost[0]["problem"]


def test_what_cannot_be_linted(command, rows, write_rows, tmp_path):
    nothing = command("data", "lint")
    assert nothing.status == 2
    assert "--benchmark NAME" in nothing.err
    both = command("data", "lint", write_rows(rows), "--benchmark", "sample")
    assert both.status == 2
    absent = command("data", "lint", "absent.jsonl")
    assert absent.status == 1
    assert "absent.jsonl" in absent.err
    unknown = command("data", "lint", "--benchmark", "samples")
    assert unknown.status == 2
    assert "Did you mean 'sample'?" in unknown.err
    (tmp_path / "empty.jsonl").write_text("")
    assert command("data", "lint", "empty.jsonl").status == 1
    all_bad = command("data", "lint", write_rows([{**rows[0], "chosen": None}], "bad.jsonl"))
    assert all_bad.status == 1
    assert "Traceback" not in all_bad.err
    assert "fault of the program" not in all_bad.err


def test_a_benchmark_is_looked_at_as_it_declares_itself(command):
    ran = command("data", "lint", "--benchmark", "sample", "--strict", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["findings"] == []
    more = command("data", "lint", "--benchmark", "sample", "--expect-pairs", 61)
    assert more.status == 1
    assert "60 of 61 declared pairs are there" in more.out


def test_flags_come_from_a_file_too(command, rows, write_rows):
    write_rows([*rows, {**rows[0], "pair_id": "again", "user_id": "user1"}])
    Path("c.toml").write_text("[data.lint]\nexpect-pairs = 31\njson = true\n")
    ran = command("data", "lint", "pairs.jsonl", "--config", "c.toml")
    assert ran.status == 0, ran.err
    assert ran.json["pairs"] == 31


def test_human_data(command):
    if not (SHARED / "llmfao.jsonl.gz").exists():
        pytest.skip("the folder of human data is not beside this checkout")
    seen = command("data", "lint", "--benchmark", "llmfao/seen-prompts", "--data-dir", SHARED)
    assert seen.status == 0, seen.err
    assert "Declared: test items are seen by design." in seen.out
    assert "Passes: " in seen.out
    undeclared = command("data", "lint", SHARED / "llmfao.jsonl.gz", "--json")
    assert undeclared.status == 1
    found = named(undeclared)
    assert (found["prompt-in-history"]["level"], found["prompt-in-history"]["count"]) == ("error", 656)
    assert "judged-twice" not in found
    fragment = command("data", "lint", SHARED / "prism_fragment.jsonl", "--json")
    assert fragment.status == 0
    assert fragment.json["pairs"] == 84
