"""What the two hierarchical models share: fit, score, uncertainty, readable weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from reward_models._base import (
    Estimates,
    Floats,
    Histories,
    Prompt,
    RewardModel,
    UnknownUser,
    UserState,
    Words,
    sigmoid,
)
from reward_models._basis import STYLE, Basis, Item
from reward_models._common_directions import believed
from reward_models._features import Features
from reward_models._hierarchy import Fit, Problem, Rows, fit_own, some_users
from synthesizeme import stylometry
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.feedback import UserWords
from synthesizeme.temperature import fit_margin_temperature
from synthesizeme.types import Comparison, Evidence, PreferencePair

Variances = Literal["leave-one-out", "evidence", "fixed"]
_SHOWN_PAIRS = 4


class HierarchicalModel(RewardModel):
    """Hierarchical Bradley-Terry on frozen features; see `reward_models.hierarchical` for the method."""

    def __init__(
        self,
        *,
        variances: Variances = "leave-one-out",
        unknown_user: UnknownUser = "population",
        seed: int = 0,
    ) -> None:
        super().__init__(unknown_user=unknown_user, seed=seed)
        if variances not in ("leave-one-out", "evidence", "fixed"):
            raise ConfigError(
                f"{self.name}: variances is {variances!r}; expected leave-one-out, evidence or fixed; "
                "leave it out for the default"
            )
        self.variances = variances

    def _open_encoder(self) -> Features | None:
        """Sentence embeddings, or None."""
        return None

    def evidence(self, user_id: str, limit: int | None = 8) -> list[Evidence]:
        """The user's weights of the named features that are surest, with the pairs that show them.

        Args:
            user_id: A user with a state.
            limit: At most so many, those with the largest |weight| / standard error; None: all.

        Returns:
            Weights in log-odds of preferring a response by one standard deviation more of the feature,
            population and deviation together, everything else equal.

        Raises:
            NotFittedError: before `fit`.
            DataError: the user is unknown.
        """
        state = self._fitted().get(user_id)
        if state is None:
            raise DataError(
                f"{self.name} knows no user {user_id!r}",
                field="user_id",
                cure="call fit_user with their pairs.",
            )
        unit = np.eye(STYLE)
        shared = np.pad(unit, ((0, 0), (0, len(self.weights_) - STYLE)))
        own = np.pad(unit, ((0, 0), (0, len(self.own_variance_) - STYLE)))
        found = self._estimate(shared, own, [state] * STYLE)
        assert found.standard_error is not None
        order = np.argsort(-np.abs(found.value) / found.standard_error, kind="stable")
        varied = [j for j in order.tolist() if found.value[j] != 0]
        return [
            _evidence(j, float(found.value[j]), float(found.standard_error[j]), state) for j in varied[:limit]
        ]

    def margin_posterior(self, user_id: str, comparisons: Sequence[Comparison]) -> tuple[Floats, Floats]:
        """What is believed of a user's margins on these comparisons and of the user's taste, all together.

        The shared weights are held at their mode, as they are when the user is refitted: what is uncertain
        here is the user alone. A user without a state has the prior of all users. The taste is what carries
        over from one comparison to another: the deviations of the named features, and the common directions;
        the rest of a user's parameters, mostly wording, is specific to the texts.

        Args:
            user_id: The user; that of the comparisons is not read.
            comparisons: n comparisons.

        Returns:
            Means of the margins, first minus second, in log-odds, shape (n,); covariance of the margins and
            of K numbers that make up the taste, shape (n + K, n + K).

        Raises:
            NotFittedError: before `fit`.
        """
        state = self._fitted().get(user_id)
        rows = self._contrasts(
            [c.prompt for c in comparisons], [c.first for c in comparisons], [c.second for c in comparisons]
        )
        shared, own = rows.shared, rows.own
        lengths = np.maximum(np.linalg.norm(self.common_, axis=0), 1e-9)
        asked = np.concatenate([own, np.eye(STYLE, own.shape[1]), (self.common_ / lengths).T])
        along = asked @ self.common_
        covariance = (asked * self.own_variance_) @ asked.T + along @ along.T
        mean = shared @ self.weights_
        if state is not None:
            mean = mean + own @ state["mean"]
            seen = asked @ state["own_factor"].T.astype(np.float64)
            covariance -= seen @ seen.T
        return mean, covariance

    def forget_user(self, user_id: str) -> Self:
        """Drop what is known of a user, and the texts read lately, which may be the user's."""
        super().forget_user(user_id)
        self.basis_.forget()
        return self

    def _fit(self, histories: Histories, words: Words) -> dict[str, UserState]:
        basis = Basis(self._open_encoder())
        basis.learn((item for pairs in histories.values() for item in _items(pairs)), self.seed)
        self.basis_ = basis
        shared_variance, own_variance = self.basis_.variances()
        users = [self._differences(pairs) for pairs in histories.values()]
        shared_factor, own_factor = 1.0, 1.0
        if self.variances != "fixed":
            some = some_users(users, _SEARCHED, self.seed)
            shared_factor, own_factor = self._search(Problem(some, shared_variance, own_variance, rough=True))
        variances = shared_factor * shared_variance, own_factor * own_variance
        fit = Problem(users, *variances).fit()
        # Before the common directions: left-out pairs are too sure of what was found with their help.
        self.sharpness_ = _sharpness(fit)
        common = np.zeros((len(own_variance), 0))
        if self.variances != "fixed":
            common = believed(users, fit.weights, variances, _left_out_losses, self.seed)
            if common.shape[1]:
                fit = Problem(users, *variances, common, start=fit.weights).fit()
        self.weights_, self.covariance_ = fit.weights, fit.covariance
        self.own_variance_, self.common_ = variances[1], common
        self.factors_ = (shared_factor, own_factor)
        return self._user_states(histories, words)

    def _search(self, problem: Problem) -> tuple[float, float]:
        """Factors of all shared and of all own variances: the best point tried.

        A quadratic surface over the logarithms of both is laid through the losses near the best point; its
        lowest point within reach is tried next, and the reach is halved when that was no better.
        """
        tried: dict[tuple[float, float], float] = {}

        def attempt(point: Floats) -> None:
            key = (float(point[0]), float(point[1]))
            if key not in tried:
                fit = problem.fit(math.exp(key[0]), math.exp(key[1]))
                tried[key] = -fit.log_evidence if self.variances == "evidence" else _left_out_loss(fit)

        for start in _STARTS:
            attempt(start)
        reach = _FARTHEST
        for _ in range(_ATTEMPTS):
            best = min(tried, key=lambda it: tried[it])
            points = np.array(list(tried)) - best
            step = _downhill(points, np.array(list(tried.values())), reach)
            if np.linalg.norm(step) < _NEAR:
                break
            attempt(np.clip(best + step, -_WIDEST, _WIDEST))
            if min(tried, key=lambda it: tried[it]) == best:
                reach /= 2
        shared, own = min(tried, key=lambda it: tried[it])
        return math.exp(shared), math.exp(own)

    def _user_state(self, pairs: Sequence[PreferencePair], words: UserWords | None = None) -> UserState:
        rows = self._differences(pairs)
        own = fit_own(rows, self.weights_, self.own_variance_, self.common_)
        ids = json.dumps([pair.pair_id for pair in pairs]).encode()
        return {
            "mean": own.mean,
            "own_factor": own.own_factor.astype(np.float32),
            "shared_factor": own.shared_factor.astype(np.float32),
            "style": rows.shared[:, :STYLE].astype(np.float32),
            "pair_ids": np.frombuffer(ids, dtype=np.uint8),
        }

    def _rewards(
        self, prompts: Sequence[Prompt], responses: Sequence[str], states: Sequence[UserState | None]
    ) -> Estimates:
        shared, own = self.basis_.rows(_paired(prompts, responses))
        return self._estimate(shared, own, states)

    def _margins(
        self,
        prompts: Sequence[Prompt],
        firsts: Sequence[str],
        seconds: Sequence[str],
        states: Sequence[UserState | None],
    ) -> Estimates:
        rows = self._contrasts(prompts, firsts, seconds)
        return self._estimate(rows.shared, rows.own, states)

    def _estimate(self, shared: Floats, own: Floats, states: Sequence[UserState | None]) -> Estimates:
        """Mean and variance of shared.w + own.v_u for each row, and the calibrated probability."""
        # Sums along rows, not matrix products: a row's value must not depend on its batch.
        value = (shared * self.weights_).sum(axis=1)
        variance = (own**2 * self.own_variance_).sum(axis=1) + ((own @ self.common_) ** 2).sum(axis=1)
        reach = np.array(shared)
        for state, rows in _by_state(states):
            value[rows] += (own[rows] * state["mean"]).sum(axis=1)
            seen = own[rows] @ state["own_factor"].T
            variance[rows] -= (seen**2).sum(axis=1)
            reach[rows] -= seen @ state["shared_factor"]
        variance = np.maximum(variance, 0) + ((reach @ self.covariance_) * reach).sum(axis=1)
        probability = sigmoid(self.sharpness_ * _moderated(value, variance))
        return Estimates(value, probability, np.sqrt(np.maximum(variance, 0)))

    def _differences(self, pairs: Sequence[PreferencePair]) -> Rows:
        return self._contrasts(
            [pair.prompt for pair in pairs],
            [pair.chosen_text for pair in pairs],
            [pair.rejected_text for pair in pairs],
        )

    def _contrasts(self, prompts: Sequence[Prompt], firsts: Sequence[str], seconds: Sequence[str]) -> Rows:
        """Features of the first responses minus those of the second ones."""
        shared, own = self.basis_.rows(_paired([*prompts, *prompts], [*firsts, *seconds]))
        n = len(firsts)
        return Rows(shared=shared[:n] - shared[n:], own=own[:n] - own[n:])

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            **self.basis_.arrays,
            "weights": self.weights_,
            "covariance": self.covariance_,
            "own_variance": self.own_variance_,
            "common": self.common_,
        }

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        named = [feature.name for feature in stylometry.FEATURES]
        if facts["features"] != named:
            raise DataError(
                f"{self.name} was trained on other named features than those of this version",
                field="features",
                cure="train again.",
            )
        encoder = self._open_encoder()
        if encoder is not None and encoder.identity != facts["encoder"]:
            raise DataError(
                f"{self.name} was trained on the embeddings {facts['encoder']!r}; found {encoder.identity!r}",
                field="encoder",
                cure="name the encoder it was trained with, or train again.",
            )
        self.basis_ = Basis(encoder)
        self.basis_.restore(arrays)
        self.weights_, self.covariance_ = arrays["weights"], arrays["covariance"]
        self.own_variance_, self.common_ = arrays["own_variance"], arrays["common"]
        self.sharpness_ = float(facts["sharpness"])
        self.factors_ = (float(facts["factors"][0]), float(facts["factors"][1]))

    def _told(self) -> dict[str, float]:
        shared, own = self.factors_
        told = {"factor of shared variances": shared, "of own variances": own, "sharpness": self.sharpness_}
        told = {name: round(value, 3) for name, value in told.items()}
        return {**told, "common directions": self.common_.shape[1]}

    def _facts(self) -> dict[str, Any]:
        encoder = self.basis_.encoder
        return {
            "encoder": None if encoder is None else encoder.identity,
            "features": [feature.name for feature in stylometry.FEATURES],
            "sharpness": self.sharpness_,
            "factors": list(self.factors_),
        }


_SEARCHED = 2048
"""Pairs that the two factors are chosen on: more would cost time and change them little."""
_STARTS = 0.8 * np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]])
_ATTEMPTS = 12
_FARTHEST, _NEAR, _WIDEST = 1.6, 0.25, 4.0


def _downhill(points: Floats, losses: Floats, reach: float) -> Floats:
    """Step from the origin, shape (2,), to where a quadratic surface is lowest, at most `reach` long.

    Args:
        points: Shape (n, 2); the nearer to the origin, the more they count.
        losses: Their losses, shape (n,).
        reach: Length of the longest step.
    """
    x, y = points.T
    terms = np.stack([np.ones_like(x), x, y, x**2 / 2, x * y, y**2 / 2], axis=1)
    counts = np.exp(-(points**2).sum(axis=1) / 2)
    found = np.linalg.lstsq(terms * counts[:, None], losses * counts, rcond=None)[0]
    bends, axes = np.linalg.eigh(found[[3, 4, 4, 5]].reshape(2, 2))
    slopes = axes.T @ found[1:3]
    # Along a direction that does not bend upwards, as far as may be.
    steps = np.where(bends > 0, -slopes / np.maximum(bends, 1e-12), -np.sign(slopes) * reach)
    step: Floats = axes @ steps
    return step * min(1.0, reach / max(float(np.linalg.norm(step)), 1e-12))


def _evidence(j: int, weight: float, standard_error: float, state: UserState) -> Evidence:
    feature = stylometry.FEATURES[j]
    shown = np.sign(weight) * state["style"][:, j]
    best = [i for i in np.argsort(-shown, kind="stable").tolist() if shown[i] > 0][:_SHOWN_PAIRS]
    ids = json.loads(bytes(state["pair_ids"]))
    return Evidence(
        feature=feature.name,
        statement=feature.more if weight > 0 else feature.less,
        weight=weight,
        standard_error=standard_error,
        pair_ids=tuple(ids[i] for i in best),
    )


def _items(pairs: Sequence[PreferencePair]) -> list[Item]:
    prompts = [pair.prompt for pair in pairs]
    chosen, rejected = [pair.chosen_text for pair in pairs], [pair.rejected_text for pair in pairs]
    return _paired([*prompts, *prompts], [*chosen, *rejected])


def _paired(prompts: Sequence[Prompt], responses: Sequence[str]) -> list[Item]:
    return [Item(tuple(prompt), response) for prompt, response in zip(prompts, responses, strict=True)]


def _by_state(states: Sequence[UserState | None]) -> list[tuple[UserState, NDArray[np.int64]]]:
    found: dict[int, tuple[UserState, list[int]]] = {}
    for row, state in enumerate(states):
        if state is not None:
            found.setdefault(id(state), (state, []))[1].append(row)
    return [(state, np.asarray(rows)) for state, rows in found.values()]


def _moderated(margin: Floats, variance: Floats) -> Floats:
    """Margin shrunk by its own uncertainty, margin / sqrt(1 + pi variance / 8) (MacKay 1992, equation 10)."""
    return margin / np.sqrt(1 + np.pi / 8 * variance)


def _sharpness(fit: Fit) -> float:
    """The factor of all moderated margins that makes the left-out pairs most likely."""
    return 1 / fit_margin_temperature(_moderated(fit.left_out, fit.left_out_variance))


def _left_out_losses(fit: Fit) -> Floats:
    """Negative log-likelihood of the left-out pairs under calibrated probabilities, shape (n,)."""
    margins = _sharpness(fit) * _moderated(fit.left_out, fit.left_out_variance)
    return np.logaddexp(0, -margins)


def _left_out_loss(fit: Fit) -> float:
    """Their mean."""
    return float(_left_out_losses(fit).mean())
