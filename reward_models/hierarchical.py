"""Hierarchical Bradley-Terry on named features and frozen sentence embeddings: the default model.

What is ours here: groups of features with one prior variance each; the population also reads the product of
both embeddings, in which users do not deviate, and wording counts more for a user than for all; the scale
of all shared and of all own variances comes from the data; probabilities are calibrated on left-out pairs.
"""

from __future__ import annotations

from reward_models._base import UnknownUser
from reward_models._features import Features, open_features
from reward_models._hierarchical import HierarchicalModel, Variances


class Hierarchical(HierarchicalModel):
    """Hierarchical Bradley-Terry, exact by Newton, with standard errors and calibrated probabilities.

    A response y to a prompt c has shared features x(c, y) of shape (D,) (28 named features, relevance, up to
    96 components of its embedding, 32 of embedding times the prompt's embedding, 256 of its wording) and user
    features z(c, y) of shape (G,) (the same without the product). The reward of user u is
    r_u(c, y) = x.w + z.v_u; centred features make it the margin against a typical response.

    Objective: maximise over w and all v_u
        sum log sigma(r_u(c, chosen) - r_u(c, rejected)) - w.P^-1.w / 2 - sum_u v_u.S^-1.v_u / 2,
    which is MAP under w ~ N(0, P), v_u ~ N(0, S), S = V + C C^T with P and V diagonal. The columns of C are
    up to 8 directions in which users differ more than in others, and are there only where they help to
    predict users they were not learned from (`reward_models._common_directions`). The Laplace posterior gives
    every standard error; a probability is sigma(s m / sqrt(1 + pi var(m) / 8)) with s fitted on leave-one-out
    margins of the training pairs. An unknown user has v = 0 and the prior variance of it: the population.

    Args:
        encoder: Sentence encoder: ``auto`` (all-MiniLM-L6-v2 from the hub, or the packaged copy of it), a
            name on the hub, or a folder.
        variances: How the scale of P and that of V (two factors of the built-in variances of the groups) are
            chosen: ``leave-one-out`` maximises the calibrated leave-one-out likelihood, ``evidence`` the
            marginal likelihood (empirical Bayes, type II), ``fixed`` keeps the built-in ones and no C.
        unknown_user: ``population`` or ``refuse``.
        seed: Chooses the responses (at most 1024) that principal components are learned from, and the users
            (with about 2048 pairs) that the two factors are.

    References:
        Bradley and Terry, "Rank Analysis of Incomplete Block Designs", 1952.
        MacKay, "The Evidence Framework Applied to Classification Networks", 1992.
        Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, sections 3.4 and 5.4.
    """

    def __init__(
        self,
        *,
        encoder: str = "auto",
        variances: Variances = "leave-one-out",
        unknown_user: UnknownUser = "population",
        seed: int = 0,
    ) -> None:
        super().__init__(variances=variances, unknown_user=unknown_user, seed=seed)
        self.encoder = encoder

    def _open_encoder(self) -> Features:
        return open_features("minilm" if self.encoder == "auto" else self.encoder)
