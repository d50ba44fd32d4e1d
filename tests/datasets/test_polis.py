import pytest

from synthesizeme.datasets import inspect, load_dataset, read_pairs
from synthesizeme.errors import DataError


def test_participants_agree_with_what_is_chosen(shared_data):
    pairs = read_pairs(shared_data, format="polis").pairs
    summary = inspect(pairs)
    assert (summary.pairs, summary.users) == (13093, 738)
    assert {pair.metadata["topic"] for pair in pairs} >= {"bg2050-volunteers"}
    assert list(pairs) == load_dataset("polis", data_dir=shared_data)


def test_reads_a_file_or_the_folder_it_lies_in(pair_row, write_lines):
    path = write_lines(pair_row(), name="polis.jsonl.gz")
    assert read_pairs(path, format="polis").pairs == read_pairs(path.parent, format="polis").pairs


def test_where_it_is_not_is_said(tmp_path):
    with pytest.raises(DataError, match=r"'polis' was not found.*polis.jsonl.gz.*--data-dir"):
        load_dataset("polis", data_dir=tmp_path, env={})
