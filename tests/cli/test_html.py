"""``--html`` on the verbs that measure and induce: what is written, what is refused, what is not shown."""

from __future__ import annotations

import json
from pathlib import Path

import opposites
import pytest

from synthesizeme.datasets import write_pairs
from synthesizeme.evaluation.report import Report
from synthesizeme.report_pages.document import made_for


def test_evaluate_writes_a_page_of_its_table_and_its_pairs(command, sample):
    ran = command(
        "evaluate",
        "--benchmark",
        "sample",
        "--scorers",
        "default,longer,oracle",
        "--html",
        "r.html",
        "--json",
    )
    assert ran.status == 0, ran.err
    text = Path("r.html").read_text(encoding="utf-8")
    assert "Written: r.html" in ran.err
    for row in Report.from_json(ran.out).rows:
        assert f">{100 * row.micro:.1f}" in text
    pairs = [json.loads(line) for line in sample.read_text().splitlines()]
    assert sum(f">{pair['pair_id']}</th>" in text for pair in pairs) == 12
    assert not any(pair["chosen"][0]["content"][:40] in text for pair in pairs)
    assert len(text) < 100_000


def test_an_earlier_page_of_the_same_is_replaced_and_nothing_else(command):
    words = ("evaluate", "--benchmark", "sample", "--scorers", "oracle", "--html", "r.html")
    assert command(*words).status == 0
    before = Path("r.html").read_bytes()
    assert command(*words).status == 0
    assert Path("r.html").read_bytes() == before
    other = command("evaluate", "--benchmark", "reward-bench-2", "--scorers", "nowhere", "--html", "r.html")
    assert other.status == 2
    Path("r.html").write_text("mine", encoding="utf-8")
    refused = command(*words)
    assert refused.status == 2
    assert "--html r.html is there already" in refused.err
    assert Path("r.html").read_text() == "mine"
    assert command(*words, "--force").status == 0
    assert made_for(Path("r.html")).startswith("evaluate ")


def test_a_place_that_cannot_be_is_refused_before_any_work(command, sample):
    Path("file").write_text("x")
    below = command("induce-persona", sample, "--user", "mara", "--html", "file/p.html")
    assert below.status == 2
    assert "--html" in below.err
    itself = command("induce-persona", sample, "--user", "mara", "--html", sample)
    assert itself.status == 2
    assert "is what --pairs reads" in itself.err
    alone = command("induce-persona", sample, "--user", "mara", "--html-texts")
    assert alone.status == 2
    assert "name its file" in alone.err
    stored = command("induce-persona", sample, "--all-users", "--store", "s.db", "--html", "p.html")
    assert stored.status == 2
    assert "profiles show" in stored.err
    assert not Path("out").exists()


def test_compare_shows_controls_and_texts_where_they_are_asked_for(command):
    write_pairs(Path("planted.jsonl"), opposites.population(3, 2, test=2))
    ran = command(
        "compare", "--data", "planted.jsonl", "--out", "out", "--scorers", "hierarchical-stylometric,longer",
        "--no-answers", 0, "--no-cold-start", "--html", "r.html", "--html-texts",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    text = Path("r.html").read_text(encoding="utf-8")
    assert "hierarchical-stylometric, swapped_labels" in text
    assert "as far as I know" in text
    refused = command("compare", "--diff", "out", "out", "--html", "r.html")
    assert refused.status == 2
    assert "--html" in refused.err


@pytest.mark.parametrize("whom", [("--user", "mara"), ("--all-users",)])
def test_induce_persona_shows_the_persona_and_how_well_it_predicts(command, sample, whom):
    ran = command("induce-persona", sample, *whom, "--html", "p.html", "--json")
    assert ran.status == 0, ran.err
    text = Path("p.html").read_text(encoding="utf-8")
    for user in ran.json["users"]:
        assert all(line in text for line in user["persona"].splitlines())
        assert f">{100 * user['accuracy']['both']['micro']:.1f}" in text
    assert "choices where it applied" in text
    assert len(text) < 150_000
    assert command("induce-persona", sample, *whom, "--html", "p.html").status == 0


def test_lamp_has_a_page_of_its_table(command):
    ran = command(
        "evaluate", "--benchmark", "lamp/2", "--scorers", "vote-bm25", "--max-users", 3, "--html", "l.html"
    )
    assert ran.status == 0, ran.err
    text = Path("l.html").read_text(encoding="utf-8")
    assert "vote-bm25" in text
    assert "macro-F1" in text
