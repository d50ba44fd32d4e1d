"""Personas, personalized judges and reward models from one user's preference pairs.

Importing this package loads neither torch nor dspy; each public name is imported on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "CallCache": "synthesizeme.backends",
    "Comparison": "synthesizeme.types",
    "Demonstration": "synthesizeme.types",
    "Failure": "synthesizeme.types",
    "LLMJudge": "synthesizeme.judges",
    "Message": "synthesizeme.types",
    "ModelSettings": "synthesizeme.backends",
    "Persona": "synthesizeme.profile",
    "PersonaSentence": "synthesizeme.profile",
    "PreferencePair": "synthesizeme.types",
    "Session": "synthesizeme.backends",
    "SynthesizeMe": "synthesizeme.personas",
    "Usage": "synthesizeme.types",
    "UserProfile": "synthesizeme.profile",
    "Verdict": "synthesizeme.types",
    "assign_splits": "synthesizeme.datasets",
    "evaluate": "synthesizeme.evaluation",
    "open_model": "synthesizeme.backends",
    "read_pairs": "synthesizeme.datasets",
    "write_pairs": "synthesizeme.datasets",
}
__all__ = sorted([*_WHERE, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
