"""Asking one user the questions that tell most about them, refitted after every answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from synthesizeme.errors import ConfigError, DataError
from synthesizeme.scoring import PersonalRewards
from synthesizeme.simulation.answers import answer_id, answered_pair
from synthesizeme.simulation.information import Floats, choose
from synthesizeme.simulation.pool import asked_of
from synthesizeme.types import Comparison, PreferencePair, Side, Verdict


class MarginBeliefs(PersonalRewards, Protocol):
    """A fitted reward model that knows how its margins for one user hang together."""

    def margin_posterior(self, user_id: str, comparisons: Sequence[Comparison]) -> tuple[Floats, Floats]:
        """Means of the user's margins, shape (n,); covariance of them and of the taste, (n + K, n + K)."""


class Question(NamedTuple):
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

    def next(self, n: int = 1) -> list[Question]:
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
            Question(pool[it.place], it.bits, verdict.probability if isinstance(verdict, Verdict) else 0.5)
            for it, verdict in zip(chosen, verdicts, strict=True)
        ]

    def answer(self, question: Question, side: Side) -> PreferencePair:
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

    def skip(self, question: Question) -> None:
        """Do not ask this one (again)."""
        self._open.pop(question.comparison.pair_id, None)


def _texts(comparison: Comparison) -> tuple[object, ...]:
    return (comparison.prompt, *sorted((comparison.first, comparison.second)))
