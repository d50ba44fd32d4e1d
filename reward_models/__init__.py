"""Personalized reward models: one contract, one file per method. Importing this loads no torch."""

from __future__ import annotations

from reward_models._base import RewardModel
from reward_models._checkpoint import check_place, is_checkpoint
from reward_models._default_encoder import encoders_here
from reward_models._engines import use_engine
from reward_models._methods import POPULATION, load, method, method_names, packed, unpacked
from reward_models._naming import method_parameters
from reward_models._standing import Standing
from reward_models._static import LICENCE as STATIC_LICENCE

__all__ = [
    "POPULATION", "STATIC_LICENCE", "RewardModel", "Standing", "check_place", "encoders_here",
    "is_checkpoint", "load", "method", "method_names", "method_parameters", "packed", "unpacked",
    "use_engine",
]  # fmt: skip
