"""Persona-prompted: one transformer for everybody that reads who the user is, in words, before the prompt.

The words are written from how the answers that a user chose differ from those they rejected, or are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reward_models._backbone import TextModel
from reward_models._settings import SHARE
from reward_models._training_pairs import content
from reward_models._types import SILENT, Floats, Histories, Said, UserState
from synthesizeme import stylometry
from synthesizeme.profile import UserProfile
from synthesizeme.types import PreferencePair

Profiler = Callable[[Sequence[PreferencePair]], str]
PRIOR = 4.0
"""Pseudo-observations, one typical difference each, that pull a statistic to 0."""
MENTIONED, STRONG = 1.0, 2.0
"""Sizes of the statistic from which a preference is named, and named as strong."""
MOST = 5
"""Sentences of a profile."""
FOLDS = 5


class StylometricProfiler:
    """Writes the user's strongest preferences among the named features, relative to everybody's.

    For feature j with differences d_i (chosen minus rejected, in typical differences, clipped to [-3, 3])
    over the user's n pairs and m_j their mean over all training pairs, the shrunken statistic is

        t_j = sum_i (d_ij - m_j) / sqrt(sum_i (d_ij - m_j)^2 + PRIOR)

    Args:
        baseline: m, shape (F,): what everybody prefers and a profile need not say.
    """

    def __init__(self, baseline: Floats) -> None:
        self.baseline = baseline

    def __call__(self, pairs: Sequence[PreferencePair]) -> str:
        """At most `MOST` sentences, strongest first; empty when nothing stands out or there is no pair."""
        deviations = differences(pairs) - self.baseline
        statistics = deviations.sum(0) / np.sqrt((deviations**2).sum(0) + PRIOR)
        strongest = sorted(range(len(statistics)), key=lambda j: -abs(statistics[j]))[:MOST]
        return " ".join(_sentence(j, statistics[j]) for j in strongest if abs(statistics[j]) >= MENTIONED)


def differences(pairs: Sequence[PreferencePair]) -> Floats:
    """Named features of the chosen response minus those of the rejected one, shape (n, F)."""
    rows = [stylometry.difference(p.chosen_text, p.rejected_text, p.prompt[-1].content) for p in pairs]
    return np.asarray(rows, dtype=np.float64).reshape(len(rows), len(stylometry.FEATURES))


def profile_text(profile: UserProfile | str) -> str:
    """A profile as text: the persona, then the demonstrations, each as what was asked, preferred and not."""
    if isinstance(profile, str):
        return profile
    parts = [profile.persona.text] if profile.persona else []
    for shown in profile.demonstrations:
        better, worse = shown.comparison.first, shown.comparison.second
        if shown.preference == "second":
            better, worse = worse, better
        parts.append(f"Asked: {shown.comparison.prompt[-1].content}\nPreferred: {better}\nNot: {worse}")
    return "\n".join(parts)


def cross_fitted(
    histories: Histories, profiler: Profiler, known: Mapping[str, str], *, dropout: float, seed: int
) -> list[str]:
    """A profile for every pair that has not seen the pair: written from the user's other folds.

    Args:
        histories: Pairs by user.
        profiler: Writes a profile from pairs; called once for each of the `FOLDS` folds of a user.
        known: Profiles by user id that are given and not written here.
        dropout: Share of pairs, in [0, 1], that get an empty profile, so that nobody can be scored too.
        seed: Of folds and dropout.

    Returns:
        One text per pair, in the order of `histories`.
    """
    rng = np.random.default_rng(seed)
    found: list[str] = []
    for user_id, history in histories.items():
        texts = [known.get(user_id, "")] * len(history)
        if user_id not in known:
            fold = rng.permutation(len(history)) % FOLDS
            for k in range(min(FOLDS, len(history))):
                others = _others(history, fold, k)
                text = profiler(others) if others else ""
                texts = [text if fold[i] == k else old for i, old in enumerate(texts)]
        found.extend("" if rng.random() < dropout else text for text in texts)
    return found


def _others(history: Sequence[PreferencePair], fold: NDArray[np.int64], k: int) -> list[PreferencePair]:
    """Pairs of the other folds, without those that compare the same two responses as one of fold `k`."""
    held = {content(pair) for pair, f in zip(history, fold, strict=True) if f == k}
    return [p for p, f in zip(history, fold, strict=True) if f != k and content(p) not in held]


def _sentence(feature: int, statistic: float) -> str:
    named = stylometry.FEATURES[feature]
    verb = "Strongly prefers" if abs(statistic) >= STRONG else "Prefers"
    return f"{verb} {named.more if statistic > 0 else named.less}."


class WordedUser:
    """What the methods that read a user in words have in common; mixed into a `RewardModel`."""

    profiler: Profiler | None
    """Writes a profile from a user's pairs; by default the strongest named preferences."""
    profiles: Mapping[str, UserProfile | str] | None
    """Profiles by user id, used instead of written ones."""
    baseline_: Floats
    """What everybody prefers and a written profile need not say, (F,)."""

    def _learn_words(self, histories: Histories) -> None:
        self.baseline_ = differences([pair for history in histories.values() for pair in history]).mean(0)

    def _unseeing(self, histories: Histories, *, dropout: float, seed: int) -> list[str]:
        """A profile for every pair, in the order of `histories`, written without the pair."""
        known = {user: profile_text(given) for user, given in (self.profiles or {}).items()}
        return cross_fitted(histories, self._writer(), known, dropout=dropout, seed=seed)

    def _writer(self) -> Profiler:
        return self.profiler or StylometricProfiler(self.baseline_)

    def _words(self, pairs: Sequence[PreferencePair]) -> UserState:
        """The profile of one user as UTF-8 bytes, (length,)."""
        given = (self.profiles or {}).get(pairs[0].user_id)
        text = self._writer()(pairs) if given is None else profile_text(given)
        return {"profile": np.frombuffer(text.encode(errors="replace"), dtype=np.uint8)}

    def _profile(self, state: UserState | None) -> str:
        """The words for a user; empty for nobody, and for one known otherwise."""
        return "" if state is None or "profile" not in state else state["profile"].tobytes().decode()


def pass_seeds(seed: int, passes: int) -> list[int]:
    """A seed for every pass over the pairs."""
    return [int(one) for one in np.random.SeedSequence(seed).generate_state(passes)]


class PersonaPrompted(WordedUser, TextModel):
    """A sequence classifier with one label that reads a profile of the user, the prompt and the response.

    Reward r(pi_u, c, y): the profile pi_u stands as a leading system turn; tokens (B, T), T <= `max_length`,
    logits (B, 1). Objective, over pairs of all users, through TRL's `RewardTrainer`:

        -log sigma(r(pi_u, c, y+) - r(pi_u, c, y-))

    The profile of a training pair is written from the user's *other* pairs (cross-fitted, redrawn for every
    pass), since at scoring it will not have seen the pair either; a share of the pairs gets none. A user's
    state is the profile as UTF-8 bytes (length,). Without a user the profile is empty. `fit_user` writes a
    profile and takes no gradient step. Different from the paper: the profile need not come from a language
    model; by default it is written from named features by `StylometricProfiler`.

    Args:
        profiler: Writes a profile from a user's pairs; by default the strongest named preferences. It is not
            saved: a loaded model writes new profiles with the default one.
        profiles: Profiles by user id, used instead of written ones; they must not know the pairs they are
            measured on. Not saved beyond the states of fitted users.
        profile_dropout: Share of training pairs with an empty profile, in [0, 1].
        lora_rank: Rank of low-rank adapters, merged after training; 0 trains all weights.
        backbone, max_length, epochs, batch_size, learning_rate, precision: See `BackboneModel`.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        Ryan et al., SynthesizeMe, arXiv 2506.05598: the fine-tuned reward model with personas.
    """

    unsaved: ClassVar[tuple[str, ...]] = ("profiler", "profiles")
    limits: ClassVar = {"profile_dropout": SHARE}

    profiler: Profiler | None = None
    profiles: Mapping[str, UserProfile | str] | None = None
    profile_dropout: float = 0.2

    def profile(self, user_id: str) -> str:
        """The words this model reads for a user; empty for an unknown one.

        Raises:
            NotFittedError: before `fit`.
        """
        return self._profile(self._fitted().get(user_id))

    def _passes(self, histories: Histories) -> list[list[str]]:
        self._learn_words(histories)
        return [
            self._unseeing(histories, dropout=self.profile_dropout, seed=seed)
            for seed in pass_seeds(self.seed, self.epochs)
        ]

    def _user_state(self, pairs: Sequence[PreferencePair], said: Said = SILENT) -> UserState:
        return self._words(pairs)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {"baseline": self.baseline_}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        super()._restore(arrays, facts)
        self.baseline_ = arrays["baseline"]
