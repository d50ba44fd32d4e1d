"""How every reward model answers: rewards of responses and verdicts on comparisons, each for its user."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

from reward_models._standing import Standing
from reward_models._types import Asked, Estimates, UserState, sides_of, sigmoid
from synthesizeme.errors import DataError, NotFittedError
from synthesizeme.scoring import Answer
from synthesizeme.types import Comparison, Failure, Reward, Verdict

UnknownUser = Literal["population", "refuse"]


def method_name(method: type) -> str:
    """Name of a method: that of its module, with dashes."""
    return method.__module__.rpartition(".")[2].replace("_", "-")


class Answering(ABC):
    """What a model that was fitted says, user by user, once a method gives `_rewards`."""

    users_: dict[str, UserState]
    standing: Standing
    unknown_user: UnknownUser

    @abstractmethod
    def _rewards(self, asked: Asked) -> Estimates:
        """Reward of each response, shape (n,)."""

    def _margins(self, firsts: Asked, seconds: Asked) -> Estimates:
        """Reward of the first response minus that of the second, and P(first), each of shape (n,).

        Both sides are scored in one batch. A method whose rewards of two responses are correlated overrides
        this to know the standard error of their difference.
        """
        both = self._rewards(firsts.then(seconds)).value
        margin = both[: len(firsts.responses)] - both[len(firsts.responses) :]
        return Estimates(margin, sigmoid(margin))

    @property
    def name(self) -> str:
        """Name on the command line and in reports."""
        return method_name(type(self))

    def score(self, answers: Sequence[Answer]) -> list[Reward | Failure]:
        """Reward of each answer for its user, taste and floor, in the order given.

        Raises:
            NotFittedError: before `fit`.
            DataError: what is given are no answers.
        """
        return self.standing.rewards(answers, self.taste_rewards(answers))

    def taste_rewards(self, answers: Sequence[Answer]) -> list[Reward | Failure]:
        """`score` without a floor.

        Raises:
            NotFittedError: before `fit`.
            DataError: what is given are no answers.
        """
        if not all(isinstance(it, Answer) for it in answers):
            cure = "load_reward_model(model).score(prompt, response, user=ID) takes a response and its prompt"
            raise DataError("found something else than answers; expected a list of Answer", cure=cure)
        users = self._fitted()
        states = [users.get(it.user_id) for it in answers]

        def read(rows: Sequence[int]) -> list[Reward]:
            some = [answers[i] for i in rows]
            asked = Asked([it.prompt for it in some], [it.response for it in some], [states[i] for i in rows])
            found = self._rewards(asked)
            return [found.reward(row, known=states[i] is not None) for row, i in enumerate(rows)]

        return self._answered(answers, states, read)

    def rewards(self, answers: Sequence[Answer]) -> list[float]:
        """The values of `score` alone.

        Raises:
            DataError: a user is unknown and `unknown_user` is ``refuse``.
        """
        results = self.score(answers)
        refused = [r.detail for r in results if isinstance(r, Failure)]
        if refused:
            raise DataError(refused[0], field="user_id", cure="call fit_user first, or answer by population.")
        return [r.value for r in results if isinstance(r, Reward)]

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """Which response each user prefers, floors included; exchanging the two negates the margin.

        Raises:
            NotFittedError: before `fit`.
        """
        states = self._states_as_of(comparisons)

        def read(rows: Sequence[int]) -> list[Verdict]:
            found = self._margins(*sides_of([comparisons[i] for i in rows], [states[i] for i in rows]))
            return [found.verdict(row) for row in range(len(rows))]

        return self.standing.verdicts(comparisons, self._answered(comparisons, states, read))

    def _answered(
        self,
        asked: Sequence[Any],
        states: Sequence[UserState | None],
        read: Callable[[Sequence[int]], Sequence[Any]],
    ) -> list[Any]:
        """What `read` says of the answers or comparisons whose users may be answered; else a `Failure`."""
        rows = [i for i, state in enumerate(states) if state is not None or self.unknown_user != "refuse"]
        found = dict(zip(rows, read(rows) if rows else (), strict=True))
        detail = "user {!r} is unknown to this model, and unknown users are refused"
        return [
            found[i] if i in found else Failure(kind="unknown_user", detail=detail.format(it.user_id))
            for i, it in enumerate(asked)
        ]

    def _fitted(self) -> dict[str, UserState]:
        try:
            return self.users_
        except AttributeError:
            raise NotFittedError(
                f"{self.name} is not fitted; call fit(pairs), or load a checkpoint"
            ) from None

    def _as_of(self, state: UserState, moment: datetime | None) -> UserState:
        """A state without what the user said later than a moment; by default nothing is left out."""
        return state

    def _states_as_of(self, comparisons: Sequence[Comparison]) -> list[UserState | None]:
        """States of the users as of when they are asked; equal questions share one object."""
        users, asked = self._fitted(), dict.fromkeys((c.user_id, c.created_at) for c in comparisons)
        known = {key: self._as_of(users[key[0]], key[1]) if key[0] in users else None for key in asked}
        return [known[c.user_id, c.created_at] for c in comparisons]
