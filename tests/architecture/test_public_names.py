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
    "assign_splits", "evaluate", "open_model", "read_pairs", "write_pairs",
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


def loaded_by(code):
    """Top-level modules that a fresh interpreter has loaded after `code`."""
    script = f"{code}\nimport sys, json\nprint('\\n' + json.dumps(sorted({{n.partition('.')[0] for n in sys.modules}})))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1])), done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import synthesizeme",
        "import synthesizeme.types, synthesizeme.prompts, synthesizeme.stylometry, synthesizeme.discovery",
        "from synthesizeme import PreferencePair, UserProfile, Comparison, Verdict, Failure",
        "import synthesizeme.datasets; from synthesizeme import read_pairs",
        "import synthesizeme.evaluation; from synthesizeme import evaluate",
        "from synthesizeme import ModelSettings, Session, CallCache, LLMJudge, SynthesizeMe",
        "import synthesizeme.cli",
    ],
)
def test_importing_loads_neither_torch_nor_dspy_nor_the_hub_library(code):
    modules, _ = loaded_by(code)
    assert modules & HEAVY == set()
    assert "synthesizeme" in modules


def test_the_control_sees_dspy_when_it_is_loaded():
    modules, _ = loaded_by("from synthesizeme import open_model; open_model('builtin')")
    assert "dspy" in modules


@pytest.mark.parametrize(
    "verb", [[], ["induce-persona"], ["judge"], ["evaluate"], ["data"], ["doctor"], ["prompts"]]
)
def test_help_loads_neither_torch_nor_dspy(verb):
    code = (
        f"from synthesizeme.cli import main\nstatus = main({[*verb, '--help']!r})\nassert status == 0, status"
    )
    modules, shown = loaded_by(code)
    assert modules & HEAVY == set()
    assert "Usage" in shown or "usage" in shown


def test_help_calls_the_builtin_model_what_it_is():
    _, shown = loaded_by("from synthesizeme.cli import main; main(['induce-persona', '--help'])")
    assert "rule-based" in " ".join(shown.split())
