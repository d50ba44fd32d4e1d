"""The package without its extras: what needs none of them is there, the others say what to install."""

from __future__ import annotations

import json
import subprocess
import sys

WITHOUT = """
import json, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "trl", "sentence_transformers", "sklearn"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import reward_models
from synthesizeme.errors import MissingExtraError

found = {}
for name in reward_models.method_names():
    try:
        found[name] = reward_models.method(name).__name__
    except MissingExtraError as error:
        found[name] = str(error)
print(json.dumps(found))
"""


def test_methods_without_torch_are_there_and_the_others_name_their_extra():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found.pop("hierarchical") == "Hierarchical"
    assert found.pop("hierarchical-form") == "HierarchicalForm"
    assert found.pop("hierarchical-stylometric") == "HierarchicalStylometric"
    assert len(found) >= 9
    for name, said in found.items():
        assert f"{name!r} needs an extra" in said
        assert "pip install" in said
