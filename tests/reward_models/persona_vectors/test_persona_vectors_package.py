"""The public names, what they cost, and what is said where torch is missing."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

import reward_models
from reward_models import persona_vectors

SCRIPT = """
import json, sys
from reward_models import persona_vectors
loaded = "torch" in sys.modules

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from synthesizeme.errors import MissingExtraError
found = {}
for name in persona_vectors.__all__:
    try:
        found[name] = getattr(persona_vectors, name).__name__
    except MissingExtraError as error:
        found[name] = str(error)
print(json.dumps([loaded, found]))
"""


@pytest.mark.parametrize("name", persona_vectors.__all__)
def test_every_public_name_is_there_and_documented(name):
    pytest.importorskip("torch")
    value = getattr(persona_vectors, name)
    assert value.__name__ == name
    assert len(inspect.getdoc(value)) > 20


def test_importing_loads_no_torch_and_what_needs_it_names_the_extra():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    loaded, found = json.loads(done.stdout)
    assert not loaded
    for name in ("Trait", "load_trait", "ask_for_trait", "collect", "keep", "RubricScorer", "extract"):
        assert found[name] == name
    for name in ("Decoder", "Steering", "DriftMonitor"):
        assert "persona vectors needs an extra" in found[name]
        assert "[hf]" in found[name]


def test_it_is_no_reward_model():
    assert "persona-vectors" not in reward_models.method_names()
    assert dir(persona_vectors) == persona_vectors.__all__
    with pytest.raises(AttributeError, match="no attribute 'Stering'"):
        persona_vectors.Stering  # noqa: B018
