"""The public names, and that they cost nothing until they are used."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

import synthesizeme

PUBLIC = {
    "CallCache", "Comparison", "Demonstration", "Evidence", "Failure", "LLMJudge", "Message", "ModelSettings", "Persona",
    "PersonaSentence", "PreferencePair", "Reward", "Session", "SynthesizeMe", "Usage", "UserProfile", "Verdict", "__version__",
    "LoadedRewardModel", "assign_splits", "best_of", "evaluate", "load_profile", "load_reward_model", "open_model", "read_pairs",
    "reward_function", "write_pairs",
}  # fmt: skip
HEAVY = {
    "torch",
    "transformers",
    "trl",
    "dspy",
    "litellm",
    "datasets",
    "pandas",
    "pyarrow",
    "sklearn",
    "scipy",
}


def test_the_public_names_are_these():
    assert set(synthesizeme.__all__) == PUBLIC
    assert synthesizeme.__all__ == sorted(synthesizeme.__all__)
    assert set(dir(synthesizeme)) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_every_public_name_is_there_documented_and_the_one_of_its_module(name):
    value = getattr(synthesizeme, name)
    assert value.__name__ == name
    assert value.__module__.startswith("synthesizeme.")
    assert len(inspect.getdoc(value)) > 20


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'synthesizeme' has no attribute 'Sesion'"):
        synthesizeme.Sesion  # noqa: B018


IMPORTS = (
    "import synthesizeme",
    "import synthesizeme.types, synthesizeme.prompts, synthesizeme.stylometry, synthesizeme.discovery",
    "from synthesizeme import PreferencePair, UserProfile, Comparison, Verdict, Failure",
    "import synthesizeme.datasets; from synthesizeme import read_pairs",
    "import synthesizeme.evaluation; from synthesizeme import evaluate",
    "from synthesizeme import ModelSettings, Session, CallCache, LLMJudge, SynthesizeMe, load_profile",
    "from synthesizeme import LoadedRewardModel, best_of, load_reward_model, reward_function",
    "import synthesizeme.cli",
)
VERBS = ([], ["induce-persona"], ["judge"], ["evaluate"], ["data"], ["doctor"], ["prompts"])
CONTROL = "from synthesizeme import open_model; open_model('builtin')"


def help_of(verb):
    return (
        f"from synthesizeme.cli import main\nstatus = main({[*verb, '--help']!r})\nassert status == 0, status"
    )


@pytest.fixture(scope="module")
def fresh():
    """What is left of each statement, run in this order by one fresh interpreter: what it shows, what is loaded."""
    script = """
import contextlib, io, json, sys
for code in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        exec(code, {})
    loaded = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps([code, {"shown": shown.getvalue(), "loaded": loaded}]))
"""
    statements = [*IMPORTS, *map(help_of, VERBS), CONTROL]
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(statements)],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.mark.parametrize("code", IMPORTS)
def test_importing_loads_neither_torch_nor_dspy_nor_the_hub_library(fresh, code):
    assert HEAVY.isdisjoint(fresh[code]["loaded"])
    assert "synthesizeme" in fresh[code]["loaded"]


def test_the_control_sees_dspy_when_it_is_loaded(fresh):
    assert "dspy" in fresh[CONTROL]["loaded"]


@pytest.mark.parametrize("verb", VERBS)
def test_help_loads_neither_torch_nor_dspy(fresh, verb):
    found = fresh[help_of(verb)]
    assert HEAVY.isdisjoint(found["loaded"])
    assert "usage" in found["shown"].lower()


def test_help_calls_the_builtin_model_what_it_is(fresh):
    assert "rule-based" in " ".join(fresh[help_of(["induce-persona"])]["shown"].split())
