"""Hierarchical Bradley-Terry without embeddings: named features and wording, numpy alone."""

from __future__ import annotations

from reward_models._hierarchical import HierarchicalModel


class HierarchicalStylometric(HierarchicalModel):
    """`Hierarchical` with named features and wording alone.

    Shapes: shared features x (n, at most 286): 28 named, 256 components of wording, 2 of agreement with what
    the user wrote; user features z (n, at most 292): the same without agreement, and up to 8 tastes.
    Objective, arguments and the back-off of unknown users are those of
    `reward_models.hierarchical.Hierarchical`; needs no encoder and no extra.

    References:
        See `reward_models.hierarchical.Hierarchical`.
    """
