from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthesizeme.datasets._base import DATA_DIR_VARIABLE
from synthesizeme.datasets.jsonl import write_pairs
from synthesizeme.errors import DataError, UnknownNameError
from synthesizeme.evaluation.benchmarks import (
    benchmark_names,
    load_benchmark,
    resolve_benchmarks,
    resplits,
    run_benchmark,
)
from synthesizeme.evaluation.controls import LongerResponse, OracleScorer, RecordedVerdicts
from synthesizeme.evaluation.folds import PROMPT_FOLDS
from synthesizeme.evaluation.harness import pool

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


@pytest.fixture
def human_data() -> Path:
    if not DATA.exists():
        pytest.skip("the folder of human data is not beside this checkout")
    return DATA


def test_the_names_and_their_families():
    assert resolve_benchmarks("personal-reward-bench") == benchmark_names("personal-reward-bench")
    assert resolve_benchmarks("sample") == ["sample"]
    assert resolve_benchmarks("nothing") == ["nothing"]
    assert benchmark_names("llmfao") == ["llmfao/seen-prompts", "llmfao/unseen-prompts"]
    assert benchmark_names("personal-reward-bench") == [
        "personal-reward-bench/chatbot-arena",
        "personal-reward-bench/prism",
    ]
    assert set(benchmark_names()) >= {"sample", "polis/later-pairs", *benchmark_names("llmfao")}


def test_the_sample_needs_no_data_folder_and_is_the_same_every_time():
    sample = load_benchmark("sample")
    assert sample == load_benchmark("sample")
    (fold,) = sample.folds
    assert {pair.user_id for pair in fold.test} == {"mara", "tobias", "ilse"}
    assert {pair.split for pair in fold.test} == {"test"}
    assert {pair.split for pair in fold.history} == {"train", "validation"}
    assert len(sample.pairs) == len({pair.pair_id for pair in sample.pairs}) == 60
    assert "12 test pairs of 3 simulated users" in sample.protocol
    assert sample.departures == []


def test_seen_prompts_is_the_given_split(human_data):
    benchmark = load_benchmark("llmfao/seen-prompts", human_data)
    assert (len(benchmark.pairs), len(benchmark.test)) == (3298, 656)
    assert benchmark.seen_items_by_design
    assert benchmark.departures == []
    outcome = run_benchmark(benchmark, lambda fold: RecordedVerdicts(fold.test, "gpt4"))
    assert outcome.micro == pytest.approx(0.651, abs=5e-4)


def test_unseen_prompts_leaves_whole_prompts_out(human_data):
    benchmark = load_benchmark("llmfao/unseen-prompts", human_data)
    assert len(benchmark.folds) == len(PROMPT_FOLDS)
    assert len(benchmark.test) == len({pair.pair_id for pair in benchmark.test}) == 3298
    assert benchmark.departures == []
    for fold in benchmark.folds:
        assert not {pair.prompt for pair in fold.test} & {pair.prompt for pair in fold.history}
        assert len(fold.test) + len(fold.history) == 3298
        assert {pair.split for pair in fold.history} == {"train", "validation"}
        assert {pair.split for pair in fold.test} == {"test"}
    outcome = run_benchmark(benchmark, lambda fold: RecordedVerdicts(fold.test, "gpt4"))
    assert outcome.micro == pytest.approx(0.658, abs=5e-4)
    with pytest.raises(ValueError, match="4 folds"):
        resplits(benchmark)


def test_polis_is_found_through_the_environment(human_data, monkeypatch):
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(human_data))
    benchmark = load_benchmark("polis/later-pairs")
    assert len(benchmark.pairs) == 13_093
    assert benchmark.departures == []
    assert run_benchmark(benchmark, lambda fold: OracleScorer(fold.test)).micro == 1.0


def test_the_papers_protocol_on_rows_in_its_format(tmp_path):
    folder = tmp_path / "prism_personalized_0125"
    folder.mkdir()
    rows = [
        {
            "user_id": "user1",
            "conversation_id": f"c{i}",
            "context": [{"role": "user", "content": f"Question {i}?"}],
            "chosen": {"role": "model", "content": chosen},
            "rejected": {"role": "model", "content": rejected},
            "split": split,
        }
        for i, (split, chosen, rejected) in enumerate(
            [
                ("train", "yes", "no"),
                ("validation", "aye", "nay, never"),
                ("test", "longer", "short"),
                ("test", "equal", "seven"),
            ]
        )
    ]
    text = "\n".join(json.dumps(row) for row in rows)
    (folder / "rows.jsonl").write_text(text, encoding="utf-8")
    benchmark = load_benchmark("personal-reward-bench/prism", tmp_path)
    assert len(benchmark.folds[0].history) == 2
    assert benchmark.departures == [("users", 1, 723)]
    outcome = run_benchmark(benchmark, lambda fold: LongerResponse())
    assert outcome.n_questions == 4  # both orders, though this scorer does not need them
    assert outcome.micro == 0.5  # one right, one tie, and a tie counts as wrong
    assert "a tie counts as wrong" in benchmark.protocol


def test_a_file_with_splits_is_a_benchmark(tmp_path, make_pair):
    pairs = [make_pair(f"p{i}", split=split) for i, split in enumerate(["train", "validation", "test"])]
    path = tmp_path / "mine.jsonl.gz"
    write_pairs(path, pairs)
    benchmark = load_benchmark(str(path))
    assert benchmark.name == "mine.jsonl.gz"
    assert benchmark.folds[0].history == tuple(pairs[:2])
    assert benchmark.test == (pairs[2],)


def test_files_that_cannot_be_a_benchmark(tmp_path, make_pair):
    unsplit, untested = tmp_path / "unsplit.jsonl", tmp_path / "untested.jsonl"
    write_pairs(unsplit, [make_pair("a", split="test"), make_pair("b")])
    write_pairs(untested, [make_pair("a", split="train")])
    with pytest.raises(DataError, match=r"1 of 2 pairs have no split.*data split"):
        load_benchmark(str(unsplit))
    with pytest.raises(DataError, match="no test pair"):
        load_benchmark(str(untested))
    with pytest.raises(DataError, match="no such file"):
        load_benchmark(str(tmp_path / "absent.jsonl"))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'llmfao/seen-prompts'.*polis/later-pairs"):
        load_benchmark("llmfao/seen-prompt")


def test_resplits_redraw_the_test_pairs_within_users():
    sample = load_benchmark("sample")
    drawn = resplits(sample, n=3)
    assert drawn == resplits(sample, n=3)
    tests = [frozenset(pair.pair_id for pair in benchmark.test) for benchmark in drawn]
    assert len(set(tests)) == 3
    for benchmark in drawn:
        assert {p.pair_id for p in benchmark.pairs} == {p.pair_id for p in sample.pairs}
        per_user = [sum(p.user_id == user for p in benchmark.test) for user in ("mara", "tobias", "ilse")]
        assert per_user == [4, 4, 4]
    with pytest.raises(DataError, match="more than once"):
        pool(run_benchmark(benchmark, lambda fold: LongerResponse()) for benchmark in drawn)


@pytest.mark.parametrize(("name", "asked"), [("polis/new-statements", 1356), ("remesh/new-answers", 1354)])
def test_both_sides_of_a_new_item_are_in_nobodys_history(human_data, name, asked):
    benchmark = load_benchmark(name, human_data)
    assert benchmark.departures == []
    assert len(benchmark.pairs) == benchmark.declared.pairs
    (fold,) = benchmark.folds
    assert len(fold.test) == asked
    assert {pair.split for pair in fold.history} == {"train", "validation"}
    assert {pair.split for pair in fold.test} == {"test"}
    drawn = resplits(benchmark, n=2)
    assert drawn[0].folds[0].test == fold.test
    assert len({tuple(pair.pair_id for pair in it.test) for it in drawn}) == 2
    for it in drawn:
        (one,) = it.folds
        known = {text for pair in one.history for text in (pair.chosen_text, pair.rejected_text)}
        assert not known & {text for pair in one.test for text in (pair.chosen_text, pair.rejected_text)}
    with pytest.raises(DataError, match="more than once"):
        pool(run_benchmark(it, lambda fold: LongerResponse()) for it in drawn)


def test_remesh_in_time_order_and_at_random(human_data):
    later, shuffled = (load_benchmark(f"remesh/{it}", human_data) for it in ("later-pairs", "random-split"))
    assert later.departures == shuffled.departures == []
    last = {pair.user_id: pair.created_at for pair in later.folds[0].history}
    assert all(pair.created_at >= last[pair.user_id] for pair in later.test if pair.user_id in last)
    assert {pair.pair_id for pair in shuffled.test} != {pair.pair_id for pair in later.test}
    assert 0.15 < len(shuffled.test) / len(shuffled.pairs) < 0.25
