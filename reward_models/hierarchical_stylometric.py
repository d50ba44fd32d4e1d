"""Hierarchical Bradley-Terry without embeddings: named features and wording, numpy alone."""

from __future__ import annotations

from reward_models._hierarchical import HierarchicalModel


class HierarchicalStylometric(HierarchicalModel):
    """`Hierarchical` with named features and wording alone.

    Shapes: shared features x and user features z, both (n, at most 284): 28 named, 256 components of wording.
    Objective, arguments and the back-off of unknown users are those of
    `reward_models.hierarchical.Hierarchical`; needs no encoder and no extra.

    References:
        See `reward_models.hierarchical.Hierarchical`.
    """
