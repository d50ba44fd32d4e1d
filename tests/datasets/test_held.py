"""Rows in memory are read as files are: the same pairs, and errors that name the row."""

from __future__ import annotations

import json
import logging

import datasets
import numpy as np
import pyarrow
import pytest

from synthesizeme.datasets import pairs_of, read_pairs
from synthesizeme.discovery import resource
from synthesizeme.errors import DataError

pandas = pytest.importorskip("pandas")
SAMPLE = resource("data/sample/pairs.jsonl")
ROWS = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
PLAIN = {"user_id": "u", "prompt": "Is it late?", "chosen": "Yes.", "rejected": "It depends."}

HELD = {
    "list": lambda: ROWS,
    "generator": lambda: (row for row in ROWS),
    "pairs": lambda: list(read_pairs(SAMPLE).pairs),
    "mixed": lambda: [*ROWS[:3], *read_pairs(SAMPLE).pairs[3:]],
    "text": lambda: SAMPLE.read_text(encoding="utf-8"),
    "bytes": SAMPLE.read_bytes,
    "open file": lambda: SAMPLE.open(encoding="utf-8"),
    "JSON list": lambda: json.dumps(ROWS),
    "CSV": lambda: pandas.DataFrame(ROWS).to_csv(),
    "frame": lambda: pandas.DataFrame(ROWS),
    "frame with the users as its index": lambda: pandas.DataFrame(ROWS).set_index("user_id"),
    "Dataset": lambda: datasets.Dataset.from_list(ROWS),
    "formatted Dataset": lambda: datasets.Dataset.from_list(ROWS).with_format("numpy"),
    "IterableDataset": lambda: datasets.Dataset.from_list(ROWS).to_iterable_dataset(),
    "Arrow": lambda: pyarrow.Table.from_pylist(ROWS),
    "array": lambda: np.array(ROWS, dtype=object),
}


@pytest.mark.parametrize("kind", HELD)
def test_the_same_pairs_come_out_of_memory_as_out_of_the_file(kind):
    source = HELD[kind]()
    found = read_pairs(source)
    if hasattr(source, "close"):
        source.close()
    assert found.pairs == read_pairs(SAMPLE).pairs
    assert found.format == "jsonl"
    assert found.rows_read == 60


def test_splits_of_a_dataset_dict_are_those_of_its_rows():
    parts = {"train_prefs": ROWS[:2], "test": ROWS[2:3], "extra": ROWS[3:4]}
    found = read_pairs(datasets.DatasetDict({n: datasets.Dataset.from_list(it) for n, it in parts.items()}))
    assert [pair.split for pair in found.pairs] == ["train", "train", "test", None]


def test_classes_and_messages_by_column_of_a_data_set_are_read_as_what_they_mean():
    messages = {
        "role": datasets.List(datasets.Value("string")),
        "content": datasets.List(datasets.Value("string")),
    }
    features = datasets.Features({
        "user_id": datasets.ClassLabel(names=["ann", "bob"]),
        "prompt": messages,
        "chosen": datasets.Value("string"),
        "rejected": datasets.Value("string"),
    })  # fmt: skip
    prompt = {"role": ["system", "user"], "content": ["Be brief.", "Is it late?"]}
    [pair] = read_pairs(
        datasets.Dataset.from_list([{**PLAIN, "user_id": 1, "prompt": prompt}], features)
    ).pairs
    assert pair.user_id == "bob"
    assert [message.role for message in pair.prompt] == ["system", "user"]
    assert pair.chosen_text == "Yes."


def test_what_pandas_and_numpy_make_of_values_is_undone():
    frame = pandas.DataFrame([{**PLAIN, "user_id": 3, "split": "train", "note": np.float64(1.5)}, PLAIN])
    frame.loc[1, ["user_id", "split"]] = [4, np.nan]
    one, two = read_pairs(frame).pairs
    assert (one.user_id, one.split, one.metadata["note"]) == ("3", "train", 1.5)
    assert (two.user_id, two.split) == ("4", None)
    [pair] = read_pairs([{**PLAIN, "user_id": np.str_("u"), "prompt": (np.str_("Is it late?"),)}]).pairs
    assert type(pair.user_id) is str
    assert pair.prompt[0].content == "Is it late?"


def test_columns_are_named_and_owners_given_in_memory_as_for_files():
    rows = [{"question": "Is it late?", "better": "Yes.", "worse": "No."}]
    columns = {"prompt": "question", "chosen": "better", "rejected": "worse"}
    [pair] = read_pairs(rows, columns=columns, user_id="ann").pairs
    assert (pair.user_id, pair.chosen_text) == ("ann", "Yes.")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, r"found None, a NoneType; expected a list of dicts or PreferencePairs, a pandas DataFrame"),
        (3, r"found 3, a int; expected a list"),
        (dict, r"found <class 'dict'>, a class; expected a list"),
        (PLAIN, r"found a dict with the keys .*Cure: give one row as \[row\]"),
        ([], r"found no list row; expected at least one"),
        (pandas.DataFrame(), r"found no DataFrame row; expected at least one"),
        ("", r"content: the file is empty; expected rows"),
        ([PLAIN, 3], r"list row 2: found 3, a int; expected a dict"),
        (["a"], r"list row 1: found 'a', a str; expected a dict"),
        ([PLAIN, {**PLAIN, "chosen": None}], r"list row 2: field 'chosen': is missing"),
        (pandas.DataFrame([PLAIN, {**PLAIN, "chosen": np.nan}]), r"DataFrame row 2: field 'chosen': is missing"),
        ([{**PLAIN, "user_id": 1.5}], r"list row 1: field 'user_id': found 1.5; expected text or an integer"),
        ([{**PLAIN, "user_id": None}], r"list row 1: field 'user_id': no user is named.*user_id= of read_pairs"),
        ([PLAIN, PLAIN], r"list row 2: repeats the pair of list row 1"),
        ([{**PLAIN, "rejected": "Yes."}], r"none of the 1 rows makes a pair \(1 x both responses are the same"),
        ("a,b\n1,2", r"content: the format is not known; the first row has the fields \['a', 'b'\]"),
        (b"{", r"content:1: not JSON"),
    ],
)  # fmt: skip
def test_what_is_no_row_is_named_with_what_was_expected_and_the_cure(source, said):
    with pytest.raises(DataError, match=said) as caught:
        read_pairs(source)
    assert "Cure: " in str(caught.value)


def test_rows_of_data_sets_of_several_files_are_refused_by_name():
    with pytest.raises(DataError, match=r"list row: is not called …_questions\.json"):
        read_pairs([{"id": 1, "input": "x", "profile": []}])
    with pytest.raises(DataError, match="list row 1"):
        read_pairs([{"id": 1, "worker": "w", "winner": "left", "left": "a", "right": "b"}])


def test_pairs_stay_as_they_are_and_rows_left_out_are_warned_of(caplog):
    pairs = list(read_pairs(SAMPLE).pairs)
    assert pairs_of(pairs) is pairs
    with caplog.at_level(logging.WARNING):
        assert len(pairs_of([PLAIN, {**PLAIN, "rejected": "Yes."}], user_id="ann")) == 1
    assert "1 of 2 rows left out: both responses are the same text" in caplog.text
