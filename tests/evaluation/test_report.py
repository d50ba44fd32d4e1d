from __future__ import annotations

import json
import os
import platform
import re

import pytest

from synthesizeme.errors import DataError
from synthesizeme.evaluation.report import Report, environment, fingerprint, row
from synthesizeme.types import Usage


@pytest.fixture
def outcomes(outcome_of):
    judge = outcome_of({"ann": [1, 1, 1, 0], "bob": [1, 0.5, None, 1]})
    population = outcome_of({"ann": [1, 0, 1, 0], "bob": [1, 0, 1, 0.5]})
    return judge, population


@pytest.fixture
def report(outcomes):
    judge, population = outcomes
    rows = (
        row("judge", judge, against=population, controls={"no_user": population}, usage=Usage(calls=8)),
        row("no | user", population),
    )
    return Report(benchmark="toy", protocol="One order; a tie counts half.", rows=rows, data_fingerprint="0f")


def test_a_row_holds_what_the_outcome_says(outcomes):
    judge, population = outcomes
    made = row("judge", judge, against=population, controls={"no_user": population})
    assert made.micro == pytest.approx(5.5 / 7)
    assert made.macro == pytest.approx((3 / 4 + 2.5 / 3) / 2)
    assert made.low <= made.micro <= made.high
    assert (made.n_pairs, made.n_users, made.n_questions, made.ties) == (8, 2, 8, 1)
    assert made.failures == {"parse": 1}
    assert made.coverage == 7 / 8
    assert made.controls == {"no_user": pytest.approx(4.5 / 8)}
    assert made.gain.value == pytest.approx((0 + 1 + 0 + 0 + 0 + 0.5 + 0.5) / 7)
    assert made.gain.n_pairs == 7
    assert row("alone", judge).gain is None


def test_the_document_round_trips_and_has_the_agreed_keys(report):
    text = report.to_json()
    assert Report.from_json(text) == report
    keys = set(json.loads(text)["rows"][0])
    assert keys >= {"name", "micro", "low", "high", "macro", "n_pairs", "n_users", "ties", "failures"}
    assert keys >= {"controls", "gain", "agrees_with_majority", "fit_seconds", "score_seconds", "parameters"}
    assert {"value", "low", "high"} <= set(json.loads(text)["rows"][0]["gain"])


def test_a_row_without_any_answer_round_trips(outcome_of):
    empty = Report(benchmark="b", protocol="p", rows=(row("x", outcome_of({"ann": [None]})),))
    assert empty.rows[0].micro is None
    assert Report.from_json(empty.to_json()) == empty
    assert "parse 1" in empty.to_markdown()


def test_the_table_is_aligned_and_complete(report):
    text = report.to_markdown()
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in table}) == 1
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]
    assert len({len(line) for line in cells}) == 1
    judge = dict(zip(cells[0], cells[2], strict=True))
    assert judge["accuracy"] == "78.6"
    assert judge["ties"] == "1/8"
    assert judge["failures"] == "parse 1"
    assert judge["answered"] == "87.5"
    assert judge["no_user"] == "56.2"
    assert re.fullmatch(
        r"\+28\.6 \[[+-]\d+\.\d, [+-]\d+\.\d\]; for these users \[[+-]\d+\.\d, [+-]\d+\.\d\]", judge["gain"]
    )
    assert "detectable" not in judge, "of two users nobody can tell"
    assert cells[3][0] == r"no \| user"
    assert "toy" in text
    assert "a tie counts half" in text


def test_every_column_shown_is_explained_and_empty_ones_are_not_shown(report):
    text = report.to_markdown()
    header = next(line for line in text.splitlines() if line.startswith("|"))
    headings = [cell.strip() for cell in header.split("|")[2:-1]]
    for heading in headings:
        assert f"- **{heading}**: " in text
    assert "position bias" not in text
    assert "parameters" not in text


def test_a_single_user_is_marked(outcome_of):
    report = Report(benchmark="b", protocol="p", rows=(row("x", outcome_of({"ann": [1, 0, 1]})),))
    assert report.rows[0].unit == "pair"
    assert re.search(r"\[\d+\.\d, \d+\.\d\]\*", report.to_markdown())


def test_saving_writes_both_files_whole(report, tmp_path):
    folder = tmp_path / "new" / "folder"
    written = report.save(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["results.json", "results.md"]
    assert Report.from_json(written[0].read_bytes()) == report
    assert written[1].read_text(encoding="utf-8") == report.to_markdown()


def test_an_interrupted_save_leaves_the_old_file(report, tmp_path, monkeypatch):
    report.save(tmp_path)
    before = (tmp_path / "results.json").read_text(encoding="utf-8")

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DataError, match="disk full"):
        report.model_copy(update={"benchmark": "other"}).save(tmp_path)
    assert (tmp_path / "results.json").read_text(encoding="utf-8") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results.json", "results.md"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{", None),
        ("{}", "benchmark"),
        ('{"benchmark": "b", "protocol": "p", "rows": [], "format_version": 2}', "format_version"),
    ],
)
def test_what_is_no_report_is_refused(text, field):
    with pytest.raises(DataError, match="not a report of format version 1") as caught:
        Report.from_json(text, source="old.json")
    assert caught.value.field == field
    assert "old.json" in str(caught.value)


def test_the_environment_names_no_machine():
    known = " ".join(environment().values())
    assert platform.node() not in known
    assert "/" not in known


def test_the_fingerprint_sees_content_not_order(make_pair):
    pairs = [make_pair("a"), make_pair("b", chosen="é\u2028")]
    assert fingerprint(pairs) == fingerprint(pairs[::-1])
    assert fingerprint(pairs) != fingerprint([pairs[0], pairs[1].swapped_labels()])
    assert fingerprint(pairs) != fingerprint(pairs[:1])
    assert re.fullmatch("[0-9a-f]{64}", fingerprint([]))
