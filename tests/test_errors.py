"""One tree of exceptions; each message says where, what, and the cure."""

from __future__ import annotations

import inspect
import pickle

import pytest

from synthesizeme import errors
from synthesizeme.errors import (
    ConfigError,
    DataError,
    JudgeError,
    MissingExtraError,
    SynthesizeMeError,
    UnknownNameError,
    UnknownUserError,
)

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


def test_every_exception_is_in_the_tree_and_drawn_in_the_docstring():
    assert len(CLASSES) >= 10
    for kind in CLASSES:
        assert issubclass(kind, SynthesizeMeError)
        assert kind.__name__ in errors.__doc__
        assert kind.__doc__


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"source": "p.jsonl", "line": 3, "field": "chosen", "cure": "write text."},
         "p.jsonl:3: field 'chosen': is blank. Cure: write text."),
        ({"source": "p.jsonl"}, "p.jsonl: is blank"),
        ({"field": "chosen"}, "field 'chosen': is blank"),
        ({"line": 3}, "3: is blank"),
        ({}, "is blank"),
    ],
)  # fmt: skip
def test_data_errors_say_where_what_and_the_cure(where, expected):
    error = DataError("is blank", **where)
    assert str(error) == expected
    assert error.problem == "is blank"
    assert {name: getattr(error, name) for name in where} == where


def test_all_problems_of_a_configuration_come_together():
    error = ConfigError(["effort is 'x'", "seed is -1"])
    assert error.problems == ["effort is 'x'", "seed is -1"]
    assert str(error) == "effort is 'x'; seed is -1"
    assert ConfigError("one").problems == ["one"]


def test_an_unknown_name_lists_the_names_there_are_and_the_nearest():
    error = UnknownNameError("dataset", "prizm", ["prism", "jsonl"])
    assert str(error) == "unknown dataset 'prizm'. Did you mean 'prism'? Known: jsonl, prism."
    assert "Did you mean" not in str(UnknownNameError("dataset", "zzz", ["prism"]))
    assert str(UnknownNameError("dataset", "x", [])).endswith("Known: none.")


def test_a_judge_error_carries_the_raw_reply_and_a_missing_extra_the_pip_line():
    assert JudgeError("no preference", reply="Hm.").reply == "Hm."
    assert "pip install -c constraints.txt -e '.[hf]'" in str(MissingExtraError("hf: models", "hf"))


@pytest.mark.parametrize(
    "error",
    [
        DataError("is blank", source="p.jsonl", line=3, field="chosen", cure="write text."),
        ConfigError(["one", "two"]),
        JudgeError("not a verdict", reply="Perhaps."),
        UnknownUserError("ada"),
        UnknownNameError("method", "lorr", ["lore", "pal"]),
        MissingExtraError("training", "train"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_whole_from_another_process(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
