"""What the two hierarchical models share: fit, score, uncertainty, readable weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from reward_models._answers import answer_beliefs, asked_line
from reward_models._base import RewardModel
from reward_models._basis import GROUPS, STYLE, Basis, Group, items_of
from reward_models._effects import NONE, JudgedTexts, first_less_second
from reward_models._features import open_features, same_features
from reward_models._feedback import (
    KINDS,
    LOG_NU,
    THRESHOLDS,
    TIES,
    Margins,
    choices,
    everything,
    reads,
    says_ties,
)
from reward_models._hierarchy import Fit, Problem, Rows, Variances, fit_own, some_users, times
from reward_models._left_out import CASES, Factors, Pairs, moderated, searched
from reward_models._own_taste import by_state, named_weights, nobodys_choices, own_taste, shared_variance
from reward_models._own_words import OwnWords, as_of
from reward_models._rows_of_texts import RowsOfTexts
from reward_models._tastes import Tastes, no_tastes, sharpness_by_case, sharpness_of, tried, with_tastes
from reward_models._types import (
    SILENT,
    Asked,
    Estimates,
    Floats,
    Histories,
    Said,
    Sayings,
    UserState,
    Words,
    logit,
    sides_of,
    sigmoid,
)
from synthesizeme import stylometry
from synthesizeme.errors import DataError
from synthesizeme.feedback import Judgement, UserWords
from synthesizeme.profile import OwnTaste
from synthesizeme.questions import AnswerBeliefs, Question
from synthesizeme.types import Comparison, Evidence, PreferencePair

HowVariances = Literal["left-out", "fixed"]
HowTastes = Literal["learned", "none"]
KNOWLEDGE = ("choices", "words", "demographics")
SEARCHED = 512
"""Pairs that the factors are chosen on; 1,024 take four times as long and were no better on people."""
_NOTHING = 1e-9
"""Factor of the variances of deviations where the users' choices are not to be known."""


class HierarchicalModel(RowsOfTexts, RewardModel):
    """Hierarchical Bradley-Terry on frozen features; see `reward_models.hierarchical` for the method."""

    reads_words = True
    standard_errors = True
    groups: ClassVar[Mapping[str, Group]] = GROUPS
    """Groups of features, with their built-in prior variances."""

    knows: str = "choices+words"
    variances: HowVariances = "left-out"
    tastes: HowTastes = "learned"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reads_words = self.knows != "choices"
        self.reads_feedback = KINDS if "choices" in self.knows else frozenset()

    def _problems(self) -> list[str]:
        found = super()._problems()
        if set(self.knows.split("+")) - set(KNOWLEDGE):
            found.append(
                f"knows is {self.knows!r}; expected one or more of {', '.join(KNOWLEDGE)}, joined by +; "
                "leave it out for the default"
            )
        return found

    def _encoder_spec(self) -> str | None:
        """What opens the embeddings of texts here (`reward_models._features.open_features`), or None."""
        return None

    def own_taste(self, user_id: str) -> OwnTaste:
        """Whether a user's choices differ from what is predicted of anybody, and in which named features.

        Each feature is taken by itself: what goes with it in the user's pairs counts for it too.

        Args:
            user_id: A user with a state.

        Returns:
            Weights in log-odds of preferring a response by one standard deviation more of the feature.

        Raises:
            NotFittedError: before `fit`.
            DataError: the user is unknown, or comes from a checkpoint that does not say what was predicted.
        """
        state = self._fitted().get(user_id)
        if state is None or "nobody" not in state:
            said = "knows no user" if state is None else "does not keep what was predicted of user"
            raise DataError(
                f"{self.name} {said} {user_id!r}",
                field="user_id",
                cure="call fit_user with their pairs.",
            )
        weights = named_weights(self.fit_, self.variances_, self.tastes_, self.sharpness_)
        return own_taste(state, weights, self.seed)

    def evidence(self, user_id: str, limit: int | None = 8) -> list[Evidence]:
        """What a user likes more than most people: `own_taste`.own, at most so many (None: all)."""
        return list(self.own_taste(user_id).own[:limit])

    def answer_posterior(self, user_id: str, questions: Sequence[Question]) -> AnswerBeliefs:
        """What is believed of a user's answers to these questions and of the user's taste, all together.

        What is uncertain here is the user alone, in what features represent of the texts, and the user's
        thresholds; see `reward_models._answers`. A user without a state has the prior of all users.

        Args:
            user_id: The user; that of the questions is not read.
            questions: n questions.

        Raises:
            NotFittedError: before `fit`.
        """
        state = self._fitted().get(user_id)
        lines = [asked_line(it) for it in questions]
        rows = self._beside(self._lines(lines, [state] * len(lines)), Margins(lines))
        usual = (self._thresholds(), self._threshold_scale())
        return answer_beliefs(questions, rows, state, self.fit_, self.variances_, self._taste(), usual)

    def tie_chances(self, comparisons: Sequence[Comparison]) -> Floats:
        """How probable it is that each user would call a tie, where that can be said (Davidson 1970).

        With p the probability of a choice that `compare` gives, and log nu the user's own, or that of all:
        nu / (nu + sqrt(p / (1 - p)) + sqrt((1 - p) / p)).

        Args:
            comparisons: n comparisons.

        Returns:
            Shape (n,), in (0, 1). Of a model that was fitted to no tie, what the prior says.

        Raises:
            NotFittedError: before `fit`.
        """
        states = self._states_as_of(comparisons)
        log_odds = logit(self._margins(*sides_of(comparisons, states)).probability)
        usual = self._thresholds()
        own = np.array([usual if state is None else state["thresholds"] for state in states])
        nu = np.exp(LOG_NU + own.reshape(-1, len(THRESHOLDS))[:, TIES.place])
        found: Floats = nu / (nu + 2 * np.cosh(log_odds / 2))
        return found

    def forget_user(self, user_id: str) -> Self:
        """Drop what is known of a user, and the texts read lately, which may be the user's."""
        super().forget_user(user_id)
        self.basis_.forget()
        return self

    def _reads(self, words: UserWords | None) -> bool:
        return words is not None and self.words_.reads(words)

    def _hears(self, judgement: Judgement) -> bool:
        return super()._hears(judgement) and reads(judgement)

    def _as_of(self, state: UserState, moment: datetime | None) -> UserState:
        return as_of(state, moment)

    def _fit(self, histories: Histories, sayings: Sayings) -> dict[str, UserState]:
        words = {user: said.words for user, said in sayings.items() if said.words is not None}
        self.heard_ = self.ties_ = False
        self.spec_ = self._encoder_spec()
        basis = Basis(None if self.spec_ is None else open_features(self.spec_), self.groups)
        items = [item for pairs in histories.values() for item in items_of(pairs)]
        basis.learn(items, self.seed)
        self.basis_ = basis
        self.judged_ = JudgedTexts() if self.variances == "fixed" else JudgedTexts.of(items)
        shared, own = basis.variances()
        self.tastes_ = no_tastes(len(own), len(self.judged_))
        self._learn_words(histories, words)
        shared = np.concatenate([shared, self.words_.variances()])
        users = self._rows_of({user: choices(pairs) for user, pairs in histories.items()}, words)
        factors = Factors()
        if self.variances != "fixed":
            some = some_users(users, SEARCHED, self.seed)
            factors = searched(Pairs(some, Variances(shared, own), seed=self.seed))
        if not factors.items:  # also where no text recurs among the pairs that it would be chosen on
            self.judged_, self.tastes_ = JudgedTexts(), no_tastes(len(own), 0)
            users = [replace(rows, items=np.full_like(rows.items, NONE)) for rows in users]
        chooses = "choices" in self.knows
        factors = factors if chooses else replace(factors, own=_NOTHING)
        variances = Variances(factors.shared * shared, factors.own * own, factors.items)
        problem = Problem(users, variances, len(self.judged_))
        fit, fitted = problem.fit(), True
        if chooses and self.tastes == "learned" and self.variances != "fixed":
            trial = tried(users, fit, variances, own, seed=self.seed)
            if trial.tastes.count:
                self.tastes_ = trial.tastes
                factors = replace(factors, own=trial.own_factor * factors.own)
                variances = with_tastes(variances, self.tastes_.count, trial.own_factor)
                fit = Problem(self.tastes_.joined(users), variances, len(self.judged_), fit).fit()
                users, fitted = trial.crossed, False
        self.sharpness_ = sharpness_by_case(users, variances, fit, self.seed, problem if fitted else None)
        self.fit_, self.variances_, self.factors_ = fit, variances, factors
        self._hear(histories, sayings, words)
        self.learned_from = frozenset(pair.fingerprint for pairs in histories.values() for pair in pairs)
        return self._user_states(histories, sayings)

    def _hear(self, histories: Histories, sayings: Sayings, words: Words) -> None:
        """Fit the shared weights again, if anybody said more than choices, to everything that was said.

        Prior variances, tastes and sharpness stay those that choices gave.
        """
        self.ties_ = any(says_ties(said.feedback) for said in sayings.values())
        said = {
            user: everything(histories.get(user, ()), sayings.get(user, SILENT).feedback, ties=self.ties_)
            for user in ({**histories, **sayings} if self.reads_feedback else ())
        }
        said = {user: margins for user, margins in said.items() if margins.lines}
        if all(
            margins.plain and len(margins.lines) == len(histories.get(user, ()))
            for user, margins in said.items()
        ):
            return
        self.heard_ = True
        before, variances = self.fit_, self.variances_
        thresholds = np.array([threshold.shared for threshold in THRESHOLDS])
        self.variances_ = replace(variances, shared=np.append(variances.shared, thresholds))
        start = replace(before, weights=np.append(before.weights, np.zeros(len(thresholds))))
        users = self._rows_of(said, words)
        self.fit_ = Problem(users, self.variances_, len(self.judged_), start).fit()

    def _learn_words(self, histories: Histories, words: Words) -> None:
        self.words_ = found = self._open_words()
        found.learn({user: said for user, said in words.items() if user in histories})
        width = found.count()
        spoke = {user: pairs for user, pairs in histories.items() if width and user in words}
        found.learn_scale([
            self._differences(pairs, words[user]).shared[:, -width:] for user, pairs in spoke.items()
        ])  # fmt: skip

    def _open_words(self) -> OwnWords:
        return OwnWords(self.basis_, texts="words" in self.knows, demographics="demographics" in self.knows)

    def _user_state(self, pairs: Sequence[PreferencePair], said: Said = SILENT) -> UserState:
        known, words = pairs if "choices" in self.knows else (), said.words
        rows = self._rows(everything(known, said.feedback, ties=self.ties_), words)
        own = fit_own(rows, self.fit_.offsets(rows), self.variances_.own)
        chosen, by_choices = rows, own
        thresholds, held = self._thresholds(), np.zeros((len(rows), len(THRESHOLDS)))
        if len(rows) != len(known) or rows.heard is not None:
            chosen = self._differences(known, words)
            by_choices = fit_own(chosen, self.fit_.offsets(chosen), self.variances_.own)
        if rows.heard is not None:
            thresholds, held = thresholds + self._threshold_scale() * own.thresholds, rows.heard.thresholds
        learned = np.array([pair.fingerprint in (self.learned_from or ()) for pair in known], dtype=bool)
        both, n = items_of(known), len(known)
        outside = self.basis_.outside(self.variances_, both[:n], both[n:])
        nobody = nobodys_choices(
            chosen, by_choices, learned, self.fit_, self.variances_, self.sharpness_, outside
        )
        ids = json.dumps([pair.pair_id for pair in known]).encode()
        return {
            "mean": own.mean,
            "own_factor": own.own_factor.astype(np.float32),
            "shared_factor": own.shared_factor.astype(np.float32),
            "root": own.root.astype(np.float32),
            "thresholds": thresholds,
            "threshold_factor": (own.root @ held).astype(np.float32),
            "items": rows.items.astype(np.int32),
            "style": chosen.shared[:, :STYLE].astype(np.float32),
            "nobody": nobody.astype(np.float32),
            "pair_ids": np.frombuffer(ids, dtype=np.uint8),
            **self.words_.state(words),
        }

    def _rewards(self, asked: Asked) -> Estimates:
        rows = self._described(asked)
        outside = self.basis_.outside(self.variances_, asked.items)
        unjudged = (rows.items[:, 0] == NONE).astype(float)
        return self._estimate(rows, asked.states, unjudged=unjudged, outside=outside)

    def _margins(self, firsts: Asked, seconds: Asked) -> Estimates:
        rows = self._contrasts(firsts, seconds)
        outside = self.basis_.outside(self.variances_, firsts.items, seconds.items)
        unjudged = (rows.items == NONE).sum(axis=1).astype(float)
        return self._estimate(rows, firsts.states, unjudged=unjudged, outside=outside)

    def _estimate(
        self, rows: Rows, states: Sequence[UserState | None], *, unjudged: Floats, outside: Floats | float = 0
    ) -> Estimates:
        """Mean and variance of the margin of each row, and the calibrated probability.

        Args:
            rows: n rows.
            states: Whose they are.
            unjudged: How many of a row's responses have no effect of their own, which is uncertain then.
            outside: Variance of what no feature of a row represents, shape (n,).
        """
        # No product of two matrices: what is said of a row must not depend on its batch.
        fit, variances = self.fit_, self.variances_
        value = (rows.shared * fit.weights).sum(axis=1) + first_less_second(fit.effects, rows.items)
        variance = (rows.own**2 * variances.own).sum(axis=1) + unjudged * variances.items
        known = np.zeros(len(value), dtype=bool)
        for state, some in by_state(states):
            part = rows[some]
            seen = np.zeros((len(some), 0))
            if state is not None:
                value[some] += (part.own * state["mean"]).sum(axis=1)
                seen = times(state["own_factor"], part.own)
                variance[some] -= (seen**2).sum(axis=1)
                known[some] = len(state["own_factor"]) > 0
            variance[some] = np.maximum(variance[some], 0) + shared_variance(fit, part, state, seen)
        variance += outside
        judged = unjudged == 0
        probability = sigmoid(sharpness_of(self.sharpness_, known, judged) * moderated(value, variance))
        return Estimates(value, probability, np.sqrt(variance), judged & (len(self.judged_) > 0))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            **self.basis_.arrays,
            **self.words_.arrays,
            "weights": self.fit_.weights,
            "effects": self.fit_.effects,
            "covariance": self.fit_.covariance,
            "own_variance": self.variances_.own,
            "shared_variance": self.variances_.shared,
            "tastes.features": self.tastes_.features,
            "tastes.items": self.tastes_.items,
            "judged": self.judged_.digests,
        }

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        named = [feature.name for feature in stylometry.FEATURES]
        if facts["features"] != named:
            raise DataError(
                f"{self.name} was trained on other named features than those of this version",
                field="features",
                cure="train again.",
            )
        self.spec_ = facts["encoder_spec"]
        encoder = None if self.spec_ is None else same_features(self.name, self.spec_, facts["encoder"])
        self.basis_ = Basis(encoder, self.groups)
        self.basis_.restore(arrays)
        self.judged_ = JudgedTexts(arrays["judged"])
        self.words_ = self._open_words()
        self.words_.restore(arrays, facts["demographics"])
        self.tastes_ = Tastes(arrays["tastes.features"], arrays["tastes.items"])
        self.fit_ = Fit(arrays["weights"], arrays["effects"], arrays["covariance"])
        features = len(self.basis_.variances()[0]) + self.words_.count()
        self.heard_ = len(self.fit_.weights) > features
        self.ties_ = bool(facts.get("ties"))
        self.factors_ = Factors(*(float(factor) for factor in facts["factors"]))
        self.variances_ = Variances(arrays["shared_variance"], arrays["own_variance"], self.factors_.items)
        self.sharpness_ = {case: float(facts["sharpness"][case]) for case in CASES}

    def _told(self) -> dict[str, float]:
        factors = self.factors_
        told = {
            "factor of shared variances": factors.shared,
            "of own variances": factors.own,
            "variance of effects": factors.items,
            "sharpness": self.sharpness_["new"],
            "of judged texts": self.sharpness_["seen"],
        }
        told = {name: round(value, 3) for name, value in told.items()}
        return {**told, "judged texts": len(self.judged_), "tastes": self.tastes_.count}

    def _facts(self) -> dict[str, Any]:
        encoder = self.basis_.encoder
        factors = self.factors_
        return {
            "encoder": None if encoder is None else encoder.identity,
            "encoder_spec": self.spec_,
            "features": [feature.name for feature in stylometry.FEATURES],
            "sharpness": dict(self.sharpness_),
            "factors": [factors.shared, factors.own, factors.items],
            "demographics": self.words_.values,
            "ties": self.ties_,
        }
