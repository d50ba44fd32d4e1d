"""Hierarchical Bradley-Terry on named features and frozen sentence embeddings: the default model.

What is ours here: groups of features with one prior variance each; the population also reads the product of
both embeddings, in which users do not deviate, and wording counts more for a user than for all; responses
that were judged often have effects of their own; users agree with what they wrote as far as users do; the
scales of prior variances and the sharpness of probabilities come from pairs, texts and users left out.
"""

from __future__ import annotations

from reward_models._features import default_encoder
from reward_models._hierarchical import HierarchicalModel


class Hierarchical(HierarchicalModel):
    """Hierarchical Bradley-Terry, exact by Newton, with standard errors and calibrated probabilities.

    A response y to a prompt c has shared features x(c, y) of shape (D,) (28 named features, relevance, up to
    96 components of its embedding, 32 of embedding times the prompt's embedding, 256 of its wording, and how
    far it agrees with what the user wrote, `reward_models._own_words`) and user features z(c, y) of shape
    (G,) (the same without the product and the agreement, and up to 8 tastes). One that was judged twice or
    more in training has an effect b(c, y) of its own, up to 1024 of them. The reward of user u is
    r_u(c, y) = x.w + b + z.v_u; centred features make it the margin against a typical response.

    Objective: maximise over w, b and all v_u
        sum log sigma(r_u(c, chosen) - r_u(c, rejected))
        - w.P^-1.w / 2 - b.b / (2 tau) - sum_u v_u.V^-1.v_u / 2,
    which is MAP under w ~ N(0, P), b ~ N(0, tau), v_u ~ N(0, V) with P and V diagonal. Tastes are what users
    who differ in one thing also differ in (`reward_models._tastes`), and are there only where they help to
    predict users they were not learned from. The Laplace posterior gives every standard error, and what the
    features do not represent of a text adds its prior variance (`reward_models._sketches`), so that standard
    errors grow away from the training responses; a probability is sigma(s m / sqrt(1 + pi var(m) / 8)) with
    s fitted on training pairs that were left out, together with all pairs of either text where a text is new,
    and with all pairs of the user where the user is unknown. An unknown user has v = 0 and the prior variance
    of it: the population.

    Ties, strengths, rankings, ratings, edits and traits are further terms of the objective, each by its own
    likelihood with thresholds of the user's own (`reward_models._feedback`); it stays concave. P, V, tau,
    tastes and s are chosen by pairs alone.

    Args:
        encoder: Sentence encoder: ``auto`` (all-MiniLM-L6-v2 from the hub or the packaged copy of it, else
            ``static``, else none), or what `reward_models._features.open_features` takes; of several, joined
            by ``+``, each counts the same.
        knows: What of a user is read: one or more of ``choices``, ``words`` (what they wrote) and
            ``demographics`` (values they named), joined by ``+``.
        variances: How the scales of P and of V (two factors of the built-in variances of the groups) and tau
            are chosen: ``left-out`` maximises the calibrated likelihood of pairs left out, alone and with all
            pairs of either text; ``fixed`` keeps the built-in ones, and has neither effects nor tastes.
        tastes: ``learned``, or ``none``.
        unknown_user: ``population`` or ``refuse``.
        seed: Chooses the responses (at most 1024) that principal components are learned from, the users (with
            about 512 pairs) that the variances are, and those (with about 8192) that the sharpness is.
        floor: ``base``, ``none`` or ``lm:NAME`` (`reward_models.floor`).

    References:
        Bradley and Terry, "Rank Analysis of Incomplete Block Designs", 1952.
        MacKay, "The Evidence Framework Applied to Classification Networks", 1992 (the moderated probability).
        Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, sections 3.4 and 5.4.
    """

    encoder: str = "auto"

    def _encoder_spec(self) -> str | None:
        return default_encoder() if self.encoder == "auto" else self.encoder
