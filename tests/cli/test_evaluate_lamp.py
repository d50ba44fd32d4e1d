"""``evaluate --benchmark lamp/N``: the shipped sample at once, a folder of data, and what is wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthesizeme.datasets.lamp import load_lamp, write_planted
from synthesizeme.lamp import LampReport, rank_profiles, write_ranking
from synthesizeme.retrieval import open_retriever


def test_the_sample_runs_at_once_and_says_what_it_is(command):
    ran = command("evaluate", "--benchmark", "lamp/1", "--out", "r")
    assert ran.status == 0, ran.err
    assert "Shipped sample of invented authors" in ran.out
    assert "| retrieval-bm25" in ran.out
    report = LampReport.model_validate_json(Path("r/results.json").read_text())
    assert [row.name for row in report.rows] == ["default", "retrieval-bm25"]


def test_a_folder_of_other_data_leaves_the_sample(command, tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHESIZEME_DATA_DIR", str(tmp_path))
    ran = command("evaluate", "--benchmark", "lamp/2", "--scorers", "random")
    assert ran.status == 0, ran.err
    assert "lamp/2 is in no folder of data; a small sample of invented authors is taken" in ran.err
    assert "Shipped sample of invented authors" in ran.out
    named = command("evaluate", "--benchmark", "lamp/2", "--scorers", "random", "--data-dir", tmp_path)
    assert named.status == 1
    assert f"LaMP_2 (user-based) was not found in {tmp_path}" in named.err
    write_planted(tmp_path, 2, users=3, items=4)
    ran = command("evaluate", "--benchmark", "lamp/2", "--scorers", "random")
    assert ran.status == 0, ran.err
    assert "invented" not in ran.out + ran.err


def test_a_family_is_all_its_tasks(command):
    ran = command("evaluate", "--benchmark", "lamp-time", "--scorers", "random", "--json")
    assert ran.status == 0, ran.err
    names = [report["benchmark"] for report in json.loads(ran.out)["reports"]]
    assert names == [f"lamp-time/{number}" for number in range(1, 8)]


def test_a_folder_a_reward_model_and_a_ranking(command, tmp_path):
    write_planted(tmp_path, 2, users=10, items=8)
    data = load_lamp("lamp/2", data_dir=tmp_path)
    write_ranking(tmp_path / "ranking.json", rank_profiles(data, open_retriever("bm25")))
    ran = command(
        "evaluate", "--benchmark", "lamp/2", "--data-dir", tmp_path, "--ranking", tmp_path / "ranking.json",
        "--scorers", "vote-bm25,vote-recency,hierarchical-stylometric", "--controls", "--max-users", 8, "--json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    bm25, recency, model = LampReport.model_validate_json(ran.out).rows
    assert bm25.questions == 8
    assert bm25.metrics == recency.metrics  # the ranking is the file's in both
    assert set(model.controls) == {"no_user", "wrong_user", "swapped_labels"}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--benchmark", "lamp/9"], 2, "lamp/7"),
        (["--benchmark", "lamp/1", "--scorers", "retrieval-bm52"], 2, "retrieval-bm25"),
        (["--benchmark", "lamp/1", "--scorers", "vote-bm25"], 2, "tasks 2 and 3 alone"),
        (["--benchmark", "lamp/4", "--scorers", "direct-bm25"], 2, "needs a language model"),
        (["--benchmark", "lamp/1", "--store", "x"], 2, "induced from the past items"),
        (["--benchmark", "lamp/1", "--data-dir", "nowhere"], 1, "was not found in nowhere"),
        (["--benchmark", "lamp/1", "--split", "test"], 1, "was not found"),
        (["--benchmark", "lamp/1", "--retrieved", "0"], 2, "--retrieved"),
    ],
)
def test_wrong_input_is_named(command, arguments, status, said):
    ran = command("evaluate", *arguments)
    assert ran.status == status, ran.err
    assert said in " ".join(ran.err.split())


def test_compare_knows_lamp_and_the_retrieving_judges(command):
    ran = command(
        "compare", "--benchmark", "lamp/1", "--scorers", "hierarchical-stylometric,retrieval-bm25,longer",
        "--out", "c", "--no-cold-start", "--retrieved", 3, "--json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    rows = {row["name"]: row for row in json.loads(ran.out)["rows"]}
    assert set(rows["retrieval-bm25"]["controls"]) == {"no_user", "wrong_user", "swapped_labels"}
    task = json.loads(next(Path("c/measurements/tasks/retrieval-bm25").glob("*.json")).read_text())
    assert task["facts"]["retrieval"] == {"k": 3, "max_tokens": 8192, "encoder": ""}
