from __future__ import annotations

from pathlib import Path

import pytest

from synthesizeme.config import Setting, load_config
from synthesizeme.errors import ConfigError

VERBS = {
    "induce-persona": {
        "seed": Setting("whole number"),
        "temperature": Setting("number"),
        "json": Setting("true or false"),
        "effort": Setting("text", ("low", "high")),
        "budget-calls": Setting("whole number"),
    },
    "data split": {"seed": Setting("whole number")},
    "data convert": {"format": Setting("text")},
    "evaluate": {"scorer": Setting("list of texts"), "seed": Setting("whole number")},
}


@pytest.fixture
def config(tmp_path: Path):
    def load(text: str, verb: str = "induce-persona"):
        path = tmp_path / "settings.toml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, verb, VERBS)

    return load


def test_the_top_applies_to_every_verb_that_has_the_flag(config):
    text = 'seed = 4\neffort = "low"\n'
    assert config(text) == {"seed": 4, "effort": "low"}
    assert config(text, "data split") == {"seed": 4}
    assert config(text, "data convert") == {}


def test_the_nearest_table_wins(config):
    text = "[data.split]\nseed = 3\n[data]\nseed = 2\n[evaluate]\nseed = 5\n"
    assert config("seed = 1\n" + text, "data split") == {"seed": 3}
    assert config("seed = 1\n" + text, "evaluate") == {"seed": 5}
    assert config("seed = 1\n" + text) == {"seed": 1}
    assert config("seed = 1\n[data]\nseed = 2", "data split") == {"seed": 2}


def test_dashes_and_underscores_are_the_same(config):
    assert config("[induce_persona]\nbudget_calls = 9") == {"budget-calls": 9}
    assert config("[induce-persona]\nbudget-calls = 9") == {"budget-calls": 9}


def test_a_whole_number_is_a_number_and_lists_pass(config):
    assert config("temperature = 1") == {"temperature": 1}
    assert config('scorer = ["both", "random"]', "evaluate") == {"scorer": ["both", "random"]}
    assert config('scorer = "both,random"', "evaluate") == {"scorer": ["both,random"]}


def test_all_problems_come_together_with_file_key_and_suggestion(config):
    text = 'sed = 1\ntemperature = "warm"\nseed = 1.5\njson = 1\n'
    text += (
        '[induce-persona]\neffort = "lo"\nbugdet-calls = 3\n[data.split]\nformat = "x"\n[nowhere]\na = 1\n'
    )
    with pytest.raises(ConfigError) as caught:
        config(text, "data convert")
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 8
    assert problems.count("settings.toml: ") == 8
    assert "sed: no verb has such a flag or name; did you mean 'seed'?" in problems
    assert "temperature is 'warm'; expected number" in problems
    assert "seed is 1.5; expected whole number" in problems
    assert "json is 1; expected true or false" in problems
    assert "effort is 'lo'; expected one of low, high" in problems
    assert "did you mean 'budget-calls'?" in problems
    assert "[data.split] format: 'data split' has no such flag" in problems
    assert "nowhere: no verb" in problems


@pytest.mark.parametrize(
    ("raw", "found"), [(b"seed =", "not TOML"), (b"seed = 1 # \xff", "not UTF-8"), (None, "cannot be read")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, raw, found):
    path = tmp_path / "settings.toml"
    if raw is not None:
        path.write_bytes(raw)
    with pytest.raises(ConfigError, match=f"settings.toml: .*{found}"):
        load_config(path, "evaluate", VERBS)
