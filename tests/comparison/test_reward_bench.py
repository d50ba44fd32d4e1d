"""RewardBench 2: rows of the hub's shape, whose texts are invented."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from synthesizeme.comparison.personalization_tax import load_reward_bench, read_reward_bench
from synthesizeme.errors import DataError

RECORDED = Path(__file__).with_name("reward_bench_2.jsonl")
ROWS = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]


def test_a_row_is_a_question_with_right_and_wrong_responses():
    found = read_reward_bench(RECORDED)
    assert len(found) == 10
    assert (found[0].question_id, found[0].subset) == ("0", "Factuality")
    assert [turn.content for turn in found[0].prompt] == ["Name the capital of Norway."]
    assert found[0].right == ("Oslo.",)
    assert found[0].wrong == ("Bergen.", "Stockholm is the capital of Norway.", "I would rather not say.")
    assert found[7].right == ("Red.", "Green.", "Violet.")
    assert [it.subset for it in found[-4:]] == ["Ties"] * 4


def test_parquet_in_the_layout_of_the_hub_is_the_same(tmp_path):
    folder = tmp_path / "reward-bench-2" / "data"
    folder.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), folder / "test-00000-of-00001.parquet")
    assert load_reward_bench(tmp_path) == read_reward_bench(RECORDED)


def test_one_file_of_that_name_is_found(tmp_path):
    (tmp_path / "reward-bench-2.jsonl").write_bytes(RECORDED.read_bytes())
    assert len(load_reward_bench(tmp_path)) == 10


def test_out_of_reach_it_says_where_it_looked_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("SYNTHESIZEME_DATA_DIR", raising=False)
    with pytest.raises(DataError, match=r"reward-bench-2.*not in it.*hub is out of reach.*Cure: put"):
        load_reward_bench(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chosen": []}, r"field 'chosen': found \[\]; expected a list of at least one text"),
        ({"rejected": "Bergen."}, "field 'rejected': found 'Bergen.'"),
        ({"rejected": [1]}, "field 'rejected'"),
        ({"num_correct": 2}, "field 'num_correct': found 2, and 1 texts in 'chosen'"),
        ({"prompt": None}, "field 'prompt': found None; expected text"),
        ({"subset": "Ties"}, "expected ref:NUMBER or tied:NUMBER in the subset Ties"),
        ({"id": "1"}, "found '1' more than once in Factuality"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, changes, said):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ({**ROWS[0], **changes}, ROWS[1])))
    with pytest.raises(DataError, match=rf"rows.jsonl:\d: {'' if said.startswith('field') else '.*'}{said}"):
        read_reward_bench(path)
