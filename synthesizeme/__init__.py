"""Personas, personalized judges and reward models from one user's preference pairs.

Importing this package loads neither torch nor dspy; each public name is imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from synthesizeme.version import __version__ as __version__

if TYPE_CHECKING:
    from synthesizeme.backends import CallCache as CallCache
    from synthesizeme.backends import ModelSettings as ModelSettings
    from synthesizeme.backends import Session as Session
    from synthesizeme.backends import open_model as open_model
    from synthesizeme.datasets import assign_splits as assign_splits
    from synthesizeme.datasets import read_pairs as read_pairs
    from synthesizeme.datasets import write_pairs as write_pairs
    from synthesizeme.evaluation import evaluate as evaluate
    from synthesizeme.judges import LLMJudge as LLMJudge
    from synthesizeme.personas import SynthesizeMe as SynthesizeMe
    from synthesizeme.personas.judging_profile import load_profile as load_profile
    from synthesizeme.profile import Persona as Persona
    from synthesizeme.profile import PersonaSentence as PersonaSentence
    from synthesizeme.profile import UserProfile as UserProfile
    from synthesizeme.serving.loaded import LoadedRewardModel as LoadedRewardModel
    from synthesizeme.serving.loaded import best_of as best_of
    from synthesizeme.serving.loaded import load_reward_model as load_reward_model
    from synthesizeme.serving.trl import reward_function as reward_function
    from synthesizeme.types import Comparison as Comparison
    from synthesizeme.types import Demonstration as Demonstration
    from synthesizeme.types import Evidence as Evidence
    from synthesizeme.types import Failure as Failure
    from synthesizeme.types import Message as Message
    from synthesizeme.types import PreferencePair as PreferencePair
    from synthesizeme.types import Reward as Reward
    from synthesizeme.types import Usage as Usage
    from synthesizeme.types import Verdict as Verdict

_WHERE = {
    "CallCache": "synthesizeme.backends",
    "Comparison": "synthesizeme.types",
    "Demonstration": "synthesizeme.types",
    "Evidence": "synthesizeme.types",
    "Failure": "synthesizeme.types",
    "LLMJudge": "synthesizeme.judges",
    "LoadedRewardModel": "synthesizeme.serving.loaded",
    "Message": "synthesizeme.types",
    "ModelSettings": "synthesizeme.backends",
    "Persona": "synthesizeme.profile",
    "PersonaSentence": "synthesizeme.profile",
    "PreferencePair": "synthesizeme.types",
    "Reward": "synthesizeme.types",
    "Session": "synthesizeme.backends",
    "SynthesizeMe": "synthesizeme.personas",
    "Usage": "synthesizeme.types",
    "UserProfile": "synthesizeme.profile",
    "Verdict": "synthesizeme.types",
    "assign_splits": "synthesizeme.datasets",
    "best_of": "synthesizeme.serving.loaded",
    "evaluate": "synthesizeme.evaluation",
    "load_profile": "synthesizeme.personas.judging_profile",
    "load_reward_model": "synthesizeme.serving.loaded",
    "open_model": "synthesizeme.backends",
    "read_pairs": "synthesizeme.datasets",
    "reward_function": "synthesizeme.serving.trl",
    "write_pairs": "synthesizeme.datasets",
}
__all__ = sorted([*_WHERE, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
