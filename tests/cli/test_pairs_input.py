"""Every verb that takes pairs takes them in every format, and says as what it reads them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from synthesizeme.datasets import read_pairs

NAMES = {"prompt": "question", "chosen": "better", "rejected": "worse", "user_id": "rater", "split": "part"}
COLUMNS = ",".join(f"{field}={column}" for field, column in NAMES.items())


@pytest.fixture
def table(sample: Path, tmp_path: Path) -> Path:
    """The pairs of one user of the sample as a table with semicolons, names of its own and integer ids."""
    mine = [pair for pair in read_pairs(sample).pairs if pair.user_id == "mara"]
    parts = ["train", "validation", "test"]
    path = tmp_path / "my.data.csv"
    with path.open("w", newline="", encoding="utf-16") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow([*NAMES.values(), "created_at"])
        for number, pair in enumerate(mine):
            turns = [message.model_dump() for message in pair.prompt]
            day = f"2024-05-{number + 1:02d}T10:00:00" + "Z" * (number % 2)
            writer.writerow([turns, pair.chosen_text, pair.rejected_text, 12, parts[number % 3], day])
    return path


def recognised(path: Path) -> str:
    return f"reading {path} as trl-rows: 20 pairs of 1 user\n"


def test_induce_persona_and_score(command, table):
    ran = command("induce-persona", table, "--columns", COLUMNS, "--user", "12", "--json")
    assert ran.status == 0, ran.err
    assert recognised(table) in ran.err
    assert "note: times without a zone: 10, read as UTC" in ran.err
    assert ran.json["users"][0]["user_id"] == "12"
    stored = command("induce-persona", table, "--columns", COLUMNS, "--all-users", "--store", "users.db")
    assert stored.status == 0, stored.err
    assert f"reading {table} as trl-rows" in stored.err
    assert "14 pairs stored" in stored.out
    weights = command("score", "--history", table, "--columns", COLUMNS, "--user", "12", "--weights")
    assert weights.status == 0, weights.err
    assert recognised(table) in weights.err


def test_train_compare_and_evaluate(command, table):
    pairs = ("--data", table, "--columns", COLUMNS)
    trained = command("train", "--method", "hierarchical-stylometric", *pairs, "--out", "model", "--json")
    assert trained.status == 0, trained.err
    assert (trained.json["users"], trained.json["left_out"]["test"]) == (1, 6)
    for verb, flags in (("evaluate", ()), ("compare", ("--out", "compared"))):
        ran = command(verb, *pairs, "--scorers", "longer", *flags, "--json")
        assert ran.status == 0, ran.err
        assert recognised(table) in ran.err
        assert "my.data.csv" in ran.out
    assert (
        command("evaluate", "--benchmark", "sample", "--columns", COLUMNS, "--scorers", "longer").status == 2
    )


def test_data_verbs(command, table):
    converted = command("data", "convert", table, "--out", "o.jsonl", "--columns", COLUMNS, "--json")
    assert converted.status == 0, converted.err
    assert converted.json["assumed"] == ["times without a zone: 10, read as UTC"]
    assert {pair.user_id for pair in read_pairs("o.jsonl").pairs} == {"12"}
    assert command("data", "inspect", table, "--columns", COLUMNS, "--json").json["users"] == 1
    assert command("data", "split", table, "--out", "s.jsonl", "--columns", COLUMNS).status == 0
    assert len(read_pairs("s.jsonl").pairs) == 20
    linted = command("data", "lint", table, "--columns", COLUMNS, "--json")
    assert linted.json["pairs"] == 20, linted.err
    wrong = command("data", "convert", table, "--out", "o.jsonl", "--columns", "question=prompt")
    assert wrong.status == 2
    assert "FIELD=COLUMN" in wrong.err


def test_rows_that_name_nobody_are_of_the_user_that_is_named(command, row, write_rows):
    path = write_rows([{**row(n, user_id=None), "score": 1} for n in range(10)])
    ran = command("induce-persona", path, "--user", "me", "--no-evaluate")
    assert ran.status == 0, ran.err
    assert "note: rows that name no user: 10, of 'me'" in ran.err
    refused = command("induce-persona", path)
    assert refused.status == 1
    assert "--columns user_id=NAME" in refused.err


def test_recency_over_times_with_and_without_a_zone(command, table):
    ran = command(
        "evaluate", "--data", table, "--columns", COLUMNS, "--scorers", "retrieval-recency", "--json"
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert ran.err.count("without a zone") == 1
