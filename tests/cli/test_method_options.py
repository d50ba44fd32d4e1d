"""Arguments of a method as texts: read off a class, checked, and turned into values."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

import reward_models
from reward_models import RewardModel
from synthesizeme.cli._method_options import assignments, by_method, method_arguments, method_settings
from synthesizeme.config import Setting, load_config
from synthesizeme.errors import ConfigError


class Base(RewardModel):
    """A base.

    Args:
        depth: How deep.
        unknown_user: See `RewardModel`.
    """

    depth: int = 2


class Method(Base):
    """A method with an argument of every kind.

    Args:
        rank: Rank of the basis; 0 means
            none.
        rate (float): Step size, of `AdamW`.
        shape, kernel: Two at once.

    Raises:
        ConfigError: never.
    """

    unsaved = ("hook",)

    rank: int = 8
    rate: float = 1e-3
    centred: bool = True
    kernel: Literal["linear", "rbf"] = "linear"
    shape: tuple[int, ...] = (4, 4)
    cache: Path | None = None
    width: int | Literal["auto"] = "auto"
    features: str = "auto"
    profiles: dict[str, str] | None = None
    hook: int = 0


GIVEN = {
    "rank": ("10", 10),
    "rate": ("1e-2", 0.01),
    "centred": ("no", False),
    "kernel": ("rbf", "rbf"),
    "shape": ("8, 2", (8, 2)),
    "cache": ("some/where", Path("some/where")),
    "width": ("12", 12),
    "features": ("12", "12"),
    "depth": ("3", 3),
    "unknown_user": ("refuse", "refuse"),
    "seed": ("-1", -1),
    "floor": ("none", "none"),
}


def test_settings_are_those_a_text_can_say_and_a_checkpoint_keeps():
    settings = method_settings(Method)
    assert set(settings) == set(GIVEN)
    assert settings["rank"].help == "Rank of the basis; 0 means none."
    assert settings["rate"].help == "Step size, of AdamW."
    assert settings["depth"].help == "How deep."
    assert settings["unknown_user"].help.startswith("What a user without a state gets")
    assert settings["centred"].help == ""
    assert [settings[name].shown_default for name in ("shape", "cache", "centred")] == ["4,4", "none", "true"]
    assert settings["cache"].kind == "path or none"
    assert settings["width"].kind == "whole number or auto"


@pytest.mark.parametrize("name", GIVEN)
def test_a_text_becomes_a_value_of_the_annotated_type(name):
    text, value = GIVEN[name]
    found = method_arguments("m", Method, {name: text})[name]
    assert found == value
    assert type(found) is type(value) or isinstance(value, Path)


def test_none_and_words_that_stand_beside_numbers():
    found = method_arguments("m", Method, {"cache": "none", "width": "auto"})
    assert found == {"cache": None, "width": "auto"}


def test_dashes_are_underscores():
    assert method_arguments("m", Method, {"unknown-user": "refuse"}) == {"unknown_user": "refuse"}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("rank", "2.5", "whole number"),
        ("rate", "nan", "number"),
        ("rate", "inf", "number"),
        ("centred", "maybe", "true or false"),
        ("kernel", "cubic", "linear or rbf"),
        ("shape", "1,x", "whole numbers with commas between"),
        ("width", "wide", "whole number or auto"),
    ],
)
def test_a_wrong_value_says_what_was_found_and_expected(name, text, expected):
    with pytest.raises(ConfigError, match=f"params.{name}: found '{text}'; expected {expected}"):
        method_arguments("m", Method, {name: text})


def test_all_problems_are_said_at_once():
    with pytest.raises(ConfigError) as caught:
        method_arguments("m", Method, {"rank": "x", "rnak": "3", "hook": "1"})
    assert len(caught.value.problems) == 3
    assert "m has no such argument; it has rank, rate" in caught.value.problems[1]


def test_words_go_over_the_table_of_a_file():
    given = assignments(["params.rank=3", "params.features=a=b"], ["rank=2", "rate=.1"])
    assert given == {"rank": "3", "rate": ".1", "features": "a=b"}


@pytest.mark.parametrize("words", [["rank=3"], ["params.rank"], ["params.=3"], ["params.a=1", "params.a=2"]])
def test_a_word_of_another_form_is_refused(words):
    with pytest.raises(ConfigError, match=r"expected params\.NAME=VALUE|given twice"):
        assignments(words)


def test_a_table_of_a_file_becomes_assignments(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[compare.params]\nseed = 3\nlore.rank = 2\nlore.centred = true\npal.kernel = "rbf"\n')
    settings = {"compare": {"params": Setting("table of values")}}
    given = load_config(path, "compare", settings)["params"]
    assert given == ["seed=3", "lore.rank=2", "lore.centred=true", "pal.kernel=rbf"]
    path.write_text("[compare.params]\nrank = [1, 2]\n")
    with pytest.raises(ConfigError, match="table of values"):
        load_config(path, "compare", settings)


def test_names_with_a_method_in_front():
    given = {"lore.rank": "3", "pal.rank": "4"}
    assert by_method(given, ["lore", "pal", "vpl"]) == {
        "lore": {"rank": "3"},
        "pal": {"rank": "4"},
        "vpl": {},
    }
    with pytest.raises(ConfigError, match=r"params\.gpo\.rank: expected params\.SCORER\.NAME=VALUE"):
        by_method({"gpo.rank": "3"}, ["lore"])


@pytest.mark.parametrize("name", reward_models.method_names())
def test_every_default_of_every_method_survives_being_typed(name):
    settings = method_settings(reward_models.method(name))
    assert {"seed", "unknown_user"} <= set(settings)
    for setting in settings.values():
        value = setting.read(setting.shown_default)
        assert value == setting.default or list(value) == list(setting.default), setting.name
