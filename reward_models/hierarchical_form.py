"""Hierarchical Bradley-Terry whose population has a taste in form and relevance alone: no opinion is shared.

Fitted on many users' choices, it knows of everybody how answers should be laid out and whether they should
keep to the question, and nothing of what they should say; what a user likes said is the user's own. So it
serves as a start for people of whom nothing is known, on topics that nobody was asked about. The population
that this package ships (`reward_models.population`) is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from reward_models._basis import Group
from reward_models._effects import JudgedTexts
from reward_models._hierarchy import Fit
from reward_models._left_out import Case, Factors
from reward_models._standing import Standing
from reward_models._tastes import no_tastes
from reward_models.hierarchical import Hierarchical
from synthesizeme import stylometry

FORM = (
    "length", "sentence_length", "vocabulary", "paragraphs", "bullets", "numbered", "headings", "code",
    "questions", "exclamations", "emoji", "preamble", "closing_offer", "repetition", "leaked_markup",
)  # fmt: skip
"""Named features that say how a text is laid out, whatever it says. Those that go by which words stand in it
(hedging, warmth, formality, ...) are a user's own: two opposed opinions differ in them. So is ``truncated``:
a statement without its full stop breaks off by that measure from nine words on."""
_HELD = 1e-9
"""Prior variance of a shared weight that is to stay 0."""


class HierarchicalForm(Hierarchical):
    """`reward_models.hierarchical.Hierarchical` with shared weights on form and relevance alone.

    Shared features x: the `FORM` among the 28 named features, and relevance, the cosine of the embeddings of
    prompt and response. It counts up to somewhat more than that of an average answer: who repeats an opinion
    that the prompt states is not more to the point than who opposes it. The weights of the other named
    features are held at 0. User features z: all named features, relevance and every dimension of the
    embedding as it is, no principal component learned from texts. Wording has no part: it does not help to
    predict new users from few pairs. Objective and posterior are those of `Hierarchical`.

    Args:
        encoder: What `reward_models._features.open_features` takes.
        knows: As in `Hierarchical`.
        variances: As in `Hierarchical`.
        tastes: As in `Hierarchical`; they are tastes in content too, though no user has one from the start.
        unknown_user: ``population`` or ``refuse``.
        seed: Chooses users and pairs as in `Hierarchical`.
        floor: As in `Hierarchical`.

    References:
        See `reward_models.hierarchical.Hierarchical`.
    """

    groups: ClassVar[Mapping[str, Group]] = {
        "style": Group(
            "style", shared=tuple(0.01 if it.name in FORM else _HELD for it in stylometry.FEATURES), own=0.02
        ),
        "relevance": Group("relevance", shared=0.003, own=0.1, most=0.7),
        "meaning": Group("meaning", shared=0.0, own=0.6, whole=True),
    }

    encoder: str = "static"

    def settled(self, fit: Fit, own: Mapping[str, float], sharpness: Mapping[Case, float]) -> Self:
        """Keep what holds for people elsewhere: no user, no effect of a response, no taste of these users.

        The scale of rewards is another one then, and is to be measured anew.

        Args:
            fit: Whose shared weights are taken; the effects of responses beside which they were fitted, if
                any, are dropped.
            own: Prior variance of the deviations by group of features, how strongly people differ.
            sharpness: Of probabilities, by case.

        Raises:
            NotFittedError: before `fit`.
        """
        for user in self.users:
            self.forget_user(user)
        d = len(fit.weights)
        held = self.variances_.shared <= _HELD
        weights, covariance = fit.weights.copy(), fit.covariance[:d, :d].copy()
        weights[held] = covariance[held] = covariance[:, held] = 0
        self.fit_ = Fit(weights, np.zeros(0), covariance)
        self.judged_ = JudgedTexts()
        widths = [np.full(self.basis_.width(name), own[name]) for name in self.basis_.names]
        self.variances_ = replace(self.variances_, own=np.concatenate(widths), items=0.0)
        self.tastes_ = no_tastes(len(self.variances_.own), 0)
        self.factors_ = Factors(self.factors_.shared)
        self.sharpness_ = dict(sharpness)
        self.population, self.reward_scale = True, None
        self.standing = Standing(self.floor)
        return self

    def _facts(self) -> dict[str, Any]:
        return {**super()._facts(), "population": self.population}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        super()._restore(arrays, facts)
        self.population = bool(facts["population"])
