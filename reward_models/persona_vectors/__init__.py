"""Persona vectors: directions of traits in a language model's activations.

A `Trait` says what is contrasted; a `Decoder` answers and is read; `collect` makes scored rollouts of both
sides, `extract` takes the difference of their mean activations, `choose_layer` tries the layers by steering.
`Steering` adds a direction while the model runs, `project` and `shift` read it off, `screen` looks at data
before training, `DriftMonitor` watches a training loop. Importing this package loads no torch; each public
name is imported on first use.

References:
    Chen et al., "Persona Vectors: Monitoring and Controlling Character Traits in Language Models",
    arXiv 2507.21509.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from synthesizeme.errors import MissingExtraError

if TYPE_CHECKING:
    from reward_models.persona_vectors.decoder import Decoder, open_decoder
    from reward_models.persona_vectors.monitoring import DriftMonitor, Shift, project, screen, shift
    from reward_models.persona_vectors.rollouts import (
        PatternScorer,
        Rollout,
        RubricScorer,
        collect,
        keep,
        read_rollouts,
        write_rollouts,
    )
    from reward_models.persona_vectors.steering import (
        PreventativeSteering,
        Steering,
        SteeringStrength,
        choose_layer,
        operating_point,
        steering_strengths,
    )
    from reward_models.persona_vectors.traits import (
        Trait,
        ask_for_trait,
        load_trait,
        trait_names,
        trait_of_persona,
        write_trait,
    )
    from reward_models.persona_vectors.vectors import (
        PersonaVectors,
        difference_of_means,
        extract,
        random_like,
        shuffled,
    )

__all__ = [
    "Decoder",
    "DriftMonitor",
    "PatternScorer",
    "PersonaVectors",
    "PreventativeSteering",
    "Rollout",
    "RubricScorer",
    "Shift",
    "Steering",
    "SteeringStrength",
    "Trait",
    "ask_for_trait",
    "choose_layer",
    "collect",
    "difference_of_means",
    "extract",
    "keep",
    "load_trait",
    "open_decoder",
    "operating_point",
    "project",
    "random_like",
    "read_rollouts",
    "screen",
    "shift",
    "shuffled",
    "steering_strengths",
    "trait_names",
    "trait_of_persona",
    "write_rollouts",
    "write_trait",
]  # fmt: skip
_MODULES = {
    "decoder": "Decoder open_decoder",
    "monitoring": "DriftMonitor Shift project screen shift",
    "rollouts": "PatternScorer Rollout RubricScorer collect keep read_rollouts write_rollouts",
    "steering": "PreventativeSteering Steering SteeringStrength choose_layer operating_point"
    " steering_strengths",
    "traits": "Trait ask_for_trait load_trait trait_names trait_of_persona write_trait",
    "vectors": "PersonaVectors difference_of_means extract random_like shuffled",
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("torch", "transformers"):
            raise
        raise MissingExtraError("persona vectors", "hf") from error


def __dir__() -> list[str]:
    return __all__
