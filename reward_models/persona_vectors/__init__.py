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
    from reward_models.persona_vectors.authoring import ask_for_trait as ask_for_trait
    from reward_models.persona_vectors.authoring import trait_of_persona as trait_of_persona
    from reward_models.persona_vectors.decoder import Decoder as Decoder
    from reward_models.persona_vectors.decoder import open_decoder as open_decoder
    from reward_models.persona_vectors.dose import Dose as Dose
    from reward_models.persona_vectors.dose import choose_layer as choose_layer
    from reward_models.persona_vectors.dose import dose_response as dose_response
    from reward_models.persona_vectors.dose import operating_point as operating_point
    from reward_models.persona_vectors.drift import DriftMonitor as DriftMonitor
    from reward_models.persona_vectors.extraction import difference_of_means as difference_of_means
    from reward_models.persona_vectors.extraction import extract as extract
    from reward_models.persona_vectors.extraction import random_like as random_like
    from reward_models.persona_vectors.extraction import shuffled as shuffled
    from reward_models.persona_vectors.monitoring import Shift as Shift
    from reward_models.persona_vectors.monitoring import project as project
    from reward_models.persona_vectors.monitoring import shift as shift
    from reward_models.persona_vectors.preventative import PreventativeSteering as PreventativeSteering
    from reward_models.persona_vectors.rollouts import Rollout as Rollout
    from reward_models.persona_vectors.rollouts import collect as collect
    from reward_models.persona_vectors.rollouts import keep as keep
    from reward_models.persona_vectors.rollouts import read_rollouts as read_rollouts
    from reward_models.persona_vectors.rollouts import write_rollouts as write_rollouts
    from reward_models.persona_vectors.scoring import PatternScorer as PatternScorer
    from reward_models.persona_vectors.scoring import RubricScorer as RubricScorer
    from reward_models.persona_vectors.screening import screen as screen
    from reward_models.persona_vectors.steering import Steering as Steering
    from reward_models.persona_vectors.traits import Trait as Trait
    from reward_models.persona_vectors.traits import load_trait as load_trait
    from reward_models.persona_vectors.traits import trait_names as trait_names
    from reward_models.persona_vectors.traits import write_trait as write_trait
    from reward_models.persona_vectors.vectors import PersonaVectors as PersonaVectors

_MODULES = {
    "authoring": ("ask_for_trait", "trait_of_persona"),
    "decoder": ("Decoder", "open_decoder"),
    "dose": ("Dose", "choose_layer", "dose_response", "operating_point"),
    "drift": ("DriftMonitor",),
    "extraction": ("difference_of_means", "extract", "random_like", "shuffled"),
    "monitoring": ("Shift", "project", "shift"),
    "preventative": ("PreventativeSteering",),
    "rollouts": ("Rollout", "collect", "keep", "read_rollouts", "write_rollouts"),
    "scoring": ("PatternScorer", "RubricScorer"),
    "screening": ("screen",),
    "steering": ("Steering",),
    "traits": ("Trait", "load_trait", "trait_names", "write_trait"),
    "vectors": ("PersonaVectors",),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_WHERE)


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
