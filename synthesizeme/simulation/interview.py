"""Asking one user the questions that tell most about them, refitted after every answer.

How much an answer is expected to tell about a user's taste is mutual information under a Gaussian posterior.
A user's margin on comparison i, f_i, is believed to be N(mean_i, covariance_ii); the answer is "first" with
probability sigma(f_i). The covariance goes on, after the n margins, with that of K numbers which make up the
user's taste. An answer counts as a measurement of its margin with variance 1 / E[sigma (1 - sigma)].
Everything is in bits.

References:
    MacKay, "Information-Based Objective Functions for Active Data Selection" (1992), section 3: the expected
    gain of the determinant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from synthesizeme.errors import ConfigError, DataError
from synthesizeme.scoring import PersonalRewards
from synthesizeme.simulation.pool import answer_id, answered_pair, asked_of
from synthesizeme.types import Comparison, PreferencePair, Side, Verdict


class MarginBeliefs(PersonalRewards, Protocol):
    """A fitted reward model that knows how its margins for one user hang together."""

    def margin_posterior(self, user_id: str, comparisons: Sequence[Comparison]) -> tuple[Floats, Floats]:
        """Means of the user's margins, shape (n,); covariance of them and of the taste, (n + K, n + K)."""


class InterviewQuestion(NamedTuple):
    """A comparison to show to the user."""

    comparison: Comparison
    """In the order in which it is to be shown."""
    bits: float
    """What the answer is expected to tell, in bits."""
    probability: float
    """P(the user prefers the first), as the model sees it now, in [0, 1]."""


class Interview:
    """Questions to one user about a pool of comparisons, and the answers so far.

    Args:
        model: A fitted model; the user is refitted in it.
        user_id: Whom to ask, known to the model or new.
        pool: What can be asked about; comparisons that `history` answers already are left out.
        history: The user's earlier pairs, none of the test split; with any, the user is fitted to them first.

    Raises:
        ConfigError: the model has no joint posterior of its margins.
        DataError: the history cannot be learned from.
    """

    def __init__(
        self,
        model: MarginBeliefs,
        user_id: str,
        pool: Sequence[Comparison],
        history: Sequence[PreferencePair] = (),
    ) -> None:
        if not callable(getattr(model, "margin_posterior", None)):
            raise ConfigError(
                f"{model.name} does not know how sure it is of a user's margins together, so no question can "
                "be chosen; expected hierarchical or hierarchical-stylometric"
            )
        self.model, self.user_id = model, user_id
        self.history = list(history)
        if self.history:
            model.fit_user(user_id, self.history)
        known = {pair.pair_id for pair in history}
        texts = {_texts(pair.compare("chosen_first")) for pair in history}
        shown = [asked_of(user_id, comparison) for comparison in pool]
        self._open = {
            item.pair_id: item
            for item in shown
            if _texts(item) not in texts and answer_id(item) not in known and item.pair_id not in known
        }

    @property
    def left(self) -> int:
        """Comparisons that were neither answered nor skipped."""
        return len(self._open)

    @property
    def would_forget(self) -> bool:
        """Whether the model knows the user from pairs that are not here: an answer would replace them."""
        return not self.history and self.user_id in self.model.users_

    def next(self, n: int = 1) -> list[InterviewQuestion]:
        """The `n` questions that tell most together, best first; fewer where no more are left.

        Raises:
            ConfigError: `n` is less than 1.
        """
        pool = list(self._open.values())
        if not pool:
            return []
        mean, covariance = self.model.margin_posterior(self.user_id, pool)
        chosen = choose(mean, covariance, n)
        verdicts = self.model.compare([pool[it.place] for it in chosen])
        return [
            InterviewQuestion(
                pool[it.place], it.bits, verdict.probability if isinstance(verdict, Verdict) else 0.5
            )
            for it, verdict in zip(chosen, verdicts, strict=True)
        ]

    def answer(self, question: InterviewQuestion, side: Side) -> PreferencePair:
        """Record an answer as a pair and refit the user at once.

        Raises:
            DataError: the model knows the user from pairs that are not here.
        """
        if self.would_forget:
            raise DataError(
                f"the model knows user {self.user_id[:80]!r} from pairs that are not here; this answer alone "
                "would replace them",
                field="user_id",
                cure="give the user's history, or forget the user first.",
            )
        pair = answered_pair(question.comparison, side, {"information_bits": round(question.bits, 6)})
        self.model.fit_user(self.user_id, [*self.history, pair])
        self.history.append(pair)
        self.skip(question)
        return pair

    def skip(self, question: InterviewQuestion) -> None:
        """Do not ask this one (again)."""
        self._open.pop(question.comparison.pair_id, None)


def _texts(comparison: Comparison) -> tuple[object, ...]:
    return (comparison.prompt, *sorted((comparison.first, comparison.second)))


Floats = NDArray[np.float64]
_NODES = 64
_LEAST_CURVATURE = 1e-10


class Chosen(NamedTuple):
    """A comparison that is worth asking about."""

    place: int
    """Where it stands in the pool, from 0."""
    bits: float
    """Expected information, given the answers to those chosen before it."""


def taste_information(mean: Floats, covariance: Floats) -> Floats:
    """What each answer is expected to tell about the taste, in bits, shape (n,).

    Half the gain of the log-determinant of its precision. What a margin owes to anything but the taste is
    noise here, like that of the answer.

    Args:
        mean: Means of the margins, shape (n,).
        covariance: Of margins and taste, shape (n + K, n + K) with K at least 1.
    """
    n = len(mean)
    taste = covariance[n:, n:]
    ridge = 1e-9 * max(float(np.trace(taste)) / len(taste), 1e-12) * np.eye(len(taste))
    cross = covariance[:n, n:]
    explained = (cross * np.linalg.solve(taste + ridge, cross.T).T).sum(axis=1)
    share = np.clip(explained / _measured(mean, covariance), 0, 1 - 1e-12)
    return np.asarray(-np.log2(1 - share) / 2, dtype=np.float64)


def choose(mean: Floats, covariance: Floats, n: int = 1) -> list[Chosen]:
    """The comparisons to ask about, best first, each chosen as if those before it had been answered.

    The answers are not known yet, so the means stay; an answer shrinks the covariance by a matrix of rank
    one, whatever it is. Comparisons that would tell the same are therefore not chosen together.

    Args:
        mean: Means of the margins of the pool, shape (m,).
        covariance: Of these margins and of the taste, shape (m + K, m + K).
        n: How many; the whole pool if it is smaller.

    Raises:
        ConfigError: `n` is less than 1, or nothing is said of the taste.
    """
    problems = [f"n is {n}; expected 1 or more"] if n < 1 else []
    if len(covariance) == len(mean):
        problems.append("the covariance ends with the margins; expected that of the taste behind them")
    if problems:
        raise ConfigError(problems)
    found: list[Chosen] = []
    left = np.arange(len(mean))
    while len(found) < n and len(left):
        kept = np.concatenate([left, np.arange(len(mean), len(covariance))])
        bits = taste_information(mean[left], covariance[np.ix_(kept, kept)])
        best = int(bits.argmax())
        found.append(Chosen(int(left[best]), float(bits[best])))
        covariance = answered(mean, covariance, int(left[best]))
        left = np.delete(left, best)
    return found


def answered(mean: Floats, covariance: Floats, place: int) -> Floats:
    """The covariance that is expected once the comparison at `place` is answered, same shape."""
    column = covariance[:, place]
    measured = float(_measured(mean, covariance)[place])
    return np.asarray(covariance - np.outer(column, column) / measured, dtype=np.float64)


def _quadrature(mean: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Points of every margin, shape (n, nodes), and their weights, shape (nodes,): Gauss and Hermite."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    spread = np.sqrt(np.maximum(np.diag(covariance)[: len(mean)], 0.0))
    return mean[:, None] + spread[:, None] * nodes, weights / weights.sum()


def _measured(mean: Floats, covariance: Floats) -> Floats:
    """Variance of every margin as an answer measures it, shape (n,): its own and 1 / E[sigma (1 - sigma)]."""
    points, weights = _quadrature(mean, covariance)
    chance = _sigmoid(points)
    curvature = np.maximum((chance * (1 - chance)) @ weights, _LEAST_CURVATURE)
    return np.maximum(np.diag(covariance)[: len(mean)], 0.0) + 1 / curvature


def _sigmoid(x: Floats) -> Floats:
    return np.asarray((1 + np.tanh(x / 2)) / 2, dtype=np.float64)
