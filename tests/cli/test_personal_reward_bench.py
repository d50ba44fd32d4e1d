"""``evaluate --benchmark personal-reward-bench``: the paper's protocol on the data sets of the paper, by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthesizeme.evaluation.report import Report

PARTS = {
    "chatbot-arena": "chatbot_arena_personalized_0125",
    "prism": "prism_personalized_0125",
}


def rows(part: str) -> list[dict[str, Any]]:
    """Three users, six pairs each: three train, one val, two test; the longer test response wins, then ties."""
    lengths = [(9, 4), (4, 9), (9, 4), (9, 4), (9, 4), (5, 5)]
    return [
        {
            "conversation_id": f"{part}-{user}-{turn}",
            "user_id": f"user{user}",
            "dataset": part,
            "context": [{"role": "user", "content": f"Question {turn} of {user}?"}],
            "chosen": {"role": "model", "content": "x" * chosen},
            "rejected": {"role": "model", "content": "y" * rejected},
            "split": "train" if turn < 3 else "val" if turn == 3 else "test",
            "flip": bool(turn % 2),
        }
        for user in range(3)
        for turn, (chosen, rejected) in enumerate(lengths)
    ]


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Both data sets as a snapshot of the hub lays them out: Parquet shards in a folder."""
    place = tmp_path / "hub-data"
    for part, folder in PARTS.items():
        (place / folder / "data").mkdir(parents=True)
        table = pa.Table.from_pylist(rows(part))
        pq.write_table(table, place / folder / "data" / "train-00000-of-00001.parquet")
    return place


def test_both_parts_run_by_the_name_of_the_family(command, copies):
    ran = command(
        "evaluate", "--benchmark", "personal-reward-bench", "--scorers", "longer,oracle,default", "--data-dir",
        copies, "--json", "--out", "r",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    reports = [Report.model_validate(item) for item in ran.json["reports"]]
    assert [report.benchmark for report in reports] == [f"personal-reward-bench/{part}" for part in PARTS]
    for report, part in zip(reports, PARTS, strict=True):
        longer, oracle, default = report.rows
        # Six test pairs: three won by the longer response, three ties, each in both orders, a tie being wrong.
        assert (longer.micro, longer.n_pairs, longer.ties) == (0.5, 6, 6)
        assert oracle.micro == 1.0
        assert default.n_pairs == 6
        assert Path("r", part, "results.json").exists()
        assert Path("r", part, "results.md").exists()
    assert "personal-reward-bench/prism has 3 users, its makers count 723." in ran.err


@pytest.mark.parametrize("part", PARTS)
def test_one_part_by_its_name(command, copies, part):
    ran = command(
        "evaluate",
        "--benchmark",
        f"personal-reward-bench/{part}",
        "--scorers",
        "longer",
        "--data-dir",
        copies,
    )
    assert ran.status == 0, ran.err
    assert "6 test pairs of 3 users" in ran.out
    assert "Both orders; a tie counts as wrong." in ran.out


def test_profiles_are_induced_on_train_and_validation_rows(command, copies):
    ran = command(
        "evaluate",
        "--benchmark",
        "personal-reward-bench/prism",
        "--scorers",
        "both",
        "--data-dir",
        copies,
        "--json",
    )
    assert ran.status == 0, ran.err
    (row,) = Report.from_json(ran.out).rows
    assert (row.n_pairs, row.n_users) == (6, 3)
    assert "Profiles induced with" in ran.err


def test_a_file_in_place_of_a_folder(command, tmp_path):
    text = "".join(json.dumps(row) + "\n" for row in rows("prism"))
    (tmp_path / "prism_personalized_0125.jsonl").write_text(text)
    ran = command(
        "evaluate",
        "--benchmark",
        "personal-reward-bench/prism",
        "--scorers",
        "longer",
        "--data-dir",
        tmp_path,
        "--json",
    )
    assert ran.status == 0, ran.err
    assert Report.from_json(ran.out).rows[0].micro == 0.5


def test_without_data_and_network_it_says_what_to_do(command, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    ran = command(
        "evaluate", "--benchmark", "personal-reward-bench", "--scorers", "longer", "--data-dir", tmp_path
    )
    assert ran.status == 1
    assert ran.out == ""
    assert "MichaelR207/chatbot_arena_personalized_0125" in ran.err
    assert "HF_HUB_OFFLINE is set" in ran.err
    assert "Cure: put " in ran.err
    assert "chatbot_arena_personalized_0125 " in ran.err
    assert "--data-dir" in ran.err


def test_the_lint_counts_the_users_that_are_missing(command, copies):
    ran = command("data", "lint", "--benchmark", "personal-reward-bench", "--data-dir", copies, "--json")
    assert ran.status == 1
    for report, declared in zip(ran.json["reports"], (131, 723), strict=True):
        assert report["passes"] is False
        (lost,) = [finding for finding in report["findings"] if finding["name"] == "denominator"]
        assert (lost["count"], lost["out_of"]) == (3, declared)
