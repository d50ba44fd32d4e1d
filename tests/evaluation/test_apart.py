"""Choices of people and of simulations: never in one figure, and every report says whose they are."""

from __future__ import annotations

import pytest
from opposites import benchmark, population

from synthesizeme.comparison.report import diff
from synthesizeme.datasets import inspect, write_pairs
from synthesizeme.errors import DataError
from synthesizeme.evaluation.benchmarks import load_benchmark
from synthesizeme.evaluation.controls import LongerResponse
from synthesizeme.evaluation.report import Report, row
from synthesizeme.pairs import check_single_source
from synthesizeme.types import SIMULATED, respondents

PEOPLE = population(2, 1)
MADE = [pair.model_copy(update={"metadata": {SIMULATED: {"by": "builtin"}}}) for pair in PEOPLE]
HALF = [made if made.user_id == "c0" else pair for made, pair in zip(MADE, PEOPLE, strict=True)]


def report(pairs):
    asked = benchmark(pairs)
    outcome = asked.ask(LongerResponse(), asked.test)
    rows = (row("longer", outcome),)
    return Report(benchmark="b", protocol=asked.protocol, rows=rows, respondents=asked.respondents)


def test_pairs_are_human_simulated_or_mixed():
    assert [respondents(pairs) for pairs in (PEOPLE, MADE, HALF)] == ["human", "simulated", "mixed"]
    assert respondents([]) == "human"
    assert (check_single_source(PEOPLE), check_single_source(MADE)) == ("human", "simulated")


def test_a_mixture_is_not_measured(tmp_path):
    path = tmp_path / "pairs.jsonl"
    write_pairs(path, HALF)
    with pytest.raises(DataError, match=r"choices of people and 4 of simulations.*--respondents human"):
        load_benchmark(str(path))
    write_pairs(path, MADE)
    assert load_benchmark(str(path)).respondents == "simulated"


def test_every_report_says_who_chose_and_reads_it_back():
    for pairs, kind in ((PEOPLE, "human"), (MADE, "simulated")):
        found = report(pairs)
        assert Report.from_json(found.to_json()).respondents == kind
        assert f"Respondents: {kind}." in found.to_markdown()
        assert ("simulated users" in found.protocol) == (kind == "simulated")


def test_what_was_learned_from_simulations_is_said_where_people_are_asked():
    kept = [made if made.split != "test" else pair for made, pair in zip(MADE, PEOPLE, strict=True)]
    assert "The choices learned from are simulated." in benchmark(kept).protocol
    assert "learned from" not in benchmark(PEOPLE).protocol
    assert "learned from" not in benchmark(MADE).protocol


def test_a_report_of_before_is_one_of_people():
    text = report(PEOPLE).to_json().replace('  "respondents": "human",\n', "")
    assert "respondents" not in text
    assert Report.from_json(text).respondents == "human"


def test_setting_people_beside_simulations_warns(tmp_path):
    for name, pairs in (("a", PEOPLE), ("b", MADE)):
        report(pairs).save(tmp_path / name)
    warnings = diff(tmp_path / "a", tmp_path / "b").warnings
    assert "A is about human respondents, B about simulated ones" in warnings


def test_a_summary_counts_both():
    assert inspect(HALF).respondents == {"simulated": 22, "human": 44}
