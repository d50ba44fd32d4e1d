"""What each route of the server does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from synthesizeme.errors import DataError, RewardError, StoreConflictError, UnknownUserError
from synthesizeme.feedback import Judgement, Ranking, Tie, Trait
from synthesizeme.profiles.store import ProfileVersion
from synthesizeme.profiles.views import rewrite_stored
from synthesizeme.serving.metrics import Metrics
from synthesizeme.serving.openrlhf import cause, reply, rows
from synthesizeme.serving.personas import read_change, shown
from synthesizeme.serving.queue import ModelQueue
from synthesizeme.serving.requests import (
    Limits,
    Refused,
    answer,
    comparisons,
    in_words,
    list_of,
    questions,
    read_json,
    user_of,
    words_in,
)
from synthesizeme.serving.rewards import Margin, RewardQuestion, Score
from synthesizeme.serving.rows import ABOUT, PESSIMISM, refusal
from synthesizeme.serving.schemas import MarginAnswer, Results, ScoreAnswer
from synthesizeme.serving.settings import without_standard_errors
from synthesizeme.serving.users import HistoryMissingError, Users, read_feedback, read_pair
from synthesizeme.types import PreferencePair

_log = logging.getLogger(__name__)
_PAIR_TEXTS = ("prompt", "chosen", "rejected")
_SCORES, _MARGINS = Results[ScoreAnswer], Results[MarginAnswer]
_NOT_HERE = "nothing is known of this user"


class Endpoints:
    """The routes of one server.

    Args:
        queue: The way to the model.
        metrics: What is counted.
        users: Users of the model.
        limits: Sizes above which a request is refused.
        read_only: Whether pairs are neither added nor deleted.
    """

    def __init__(
        self, queue: ModelQueue, metrics: Metrics, users: Users, limits: Limits, read_only: bool
    ) -> None:
        self.queue, self.users, self.limits, self.read_only = queue, users, limits, read_only
        self.closing = False
        self._told: set[type[Exception]] = set()
        self._metrics = metrics

    async def score(self, request: Request) -> Response:
        asked, several = questions(await read_json(request, self.limits), self.limits)
        model = self.queue.rewards.model
        if any(question.pessimism for question in asked) and not model.standard_errors:
            raise Refused(422, without_standard_errors(model.name), field=PESSIMISM)
        found = await self._scores(asked)
        return answer(
            _SCORES.model_validate({"results": found}) if several else ScoreAnswer.model_validate(found[0])
        )

    async def compare(self, request: Request) -> Response:
        asked, several = comparisons(await read_json(request, self.limits), self.limits)
        found = self._insisted(cast(list[Margin], await self.queue.ask(asked)))
        return answer(
            _MARGINS.model_validate({"results": found}) if several else MarginAnswer.model_validate(found[0])
        )

    async def get_reward(self, request: Request) -> Response:
        body = await read_json(request, self.limits)
        queries, prompts, labels = (
            list_of(body, name, self.limits) for name in ("query", "prompts", "labels")
        )
        try:
            asked = rows(queries, prompts, labels)
            for number, row in enumerate(asked, start=1):
                if row.about is not None:
                    raise DataError(
                        "expected no words here", source="row", line=number, field=ABOUT,
                        cure="PUT them to /v1/users/ID/words",
                    )  # fmt: skip
                if len(row.prompt[0].content) > self.limits.text or len(row.response) > self.limits.text:
                    raise DataError(
                        f"more than {self.limits.text:,} characters", source="row", line=number,
                        cure="a larger --max-text",
                    )  # fmt: skip
            found = await self._scores(asked)
            if refused := refusal(asked, found):
                raise refused
        except (DataError, UnknownUserError) as error:
            self._say_refused(error)
            raise _told(error) from None
        rewards = self.queue.rewards
        return answer(reply(found, rewards.substituted, rewards.fallen))

    async def add_pairs(self, request: Request) -> Response:
        user_id = user_of(request, self.limits, after=("pairs",))
        self._writable()
        replace = _replaces(request)
        body = await read_json(request, self.limits)
        if unknown := body.keys() - {"pairs", ABOUT}:
            raise Refused(422, f"expected pairs, and maybe {ABOUT}", field=min(unknown)[:80])
        pairs = self._pairs(list_of(body, "pairs", self.limits), user_id)
        words, cut = words_in(body[ABOUT], user_id, self.limits) if ABOUT in body else (None, {})
        done = await self._added(lambda: self.users.add(user_id, pairs, words, replace=replace))
        return answer({"user_id": user_id, **done, **cut})

    async def add_feedback(self, request: Request) -> Response:
        user_id = user_of(request, self.limits, after=("feedback",))
        self._writable()
        replace = _replaces(request)
        body = await read_json(request, self.limits)
        if unknown := body.keys() - {"feedback"}:
            raise Refused(422, "expected feedback alone", field=min(unknown)[:80])
        feedback = self._feedback(list_of(body, "feedback", self.limits), user_id)
        done = await self._added(lambda: self.users.add(user_id, (), None, feedback, replace=replace))
        told = {"added": done["feedback_added"], "feedback": done["feedback"]}
        return answer({"user_id": user_id, **told, "not_learned_from": done["not_learned_from"]})

    async def put_words(self, request: Request) -> Response:
        user_id = user_of(request, self.limits, after=("words",))
        self._writable()
        replace = _replaces(request)
        words, cut = words_in(await read_json(request, self.limits), user_id, self.limits)
        done = await self._added(lambda: self.users.add(user_id, (), words, replace=replace))
        return answer({"user_id": user_id, "pairs": done["pairs"], "read": done["read"], **cut})

    async def show_persona(self, request: Request) -> Response:
        if not request.scope["raw_path"].endswith(b"/persona"):  # a user whose own id ends in it
            return await self.export_user(request)
        user_id = user_of(request, self.limits, after=("persona",))
        found = await self.queue.run(lambda: self.users.store.profile(user_id))
        return await self._persona(found, user_id)

    async def correct_persona(self, request: Request) -> Response:
        user_id = user_of(request, self.limits, after=("persona",))
        self._writable()
        try:
            change = read_change(await read_json(request, self.limits))
            found = await self.queue.run(
                lambda: rewrite_stored(self.users.store, user_id, change.made, change.version)
            )
        except StoreConflictError as error:
            raise Refused(409, str(error)) from None
        except DataError as error:
            if error.source is not None:  # not what was sent is wrong, but the place where it is kept
                raise
            raise in_words(error) from None
        return await self._persona(found, user_id)

    async def _persona(self, found: ProfileVersion | None, user_id: str) -> Response:
        if found is None:
            raise Refused(404, "there is no profile of this user")
        pairs = await self.queue.run(lambda: self.users.store.pairs(user_id))
        return answer(await asyncio.to_thread(shown, found, pairs))  # no scoring waits for what is read

    async def export_user(self, request: Request) -> Response:
        user_id = user_of(request, self.limits)
        found = await self.queue.run(lambda: self.users.export(user_id))
        if found is None:
            raise Refused(404, _NOT_HERE)
        return answer(found)

    async def delete_user(self, request: Request) -> Response:
        user_id = user_of(request, self.limits)
        self._writable()
        found = await self.queue.run(lambda: self.users.delete(user_id))
        if found is None:
            raise Refused(404, _NOT_HERE)
        return answer({"user_id": user_id, "deleted": found})

    async def metrics(self, _: Request) -> Response:
        return Response(self._metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def healthz(self, _: Request) -> Response:
        return answer({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        full = self.queue.waiting >= self.queue.most_waiting
        if self.closing or full:
            raise Refused(503, "shutting down" if self.closing else "the queue is full")
        model: Any = self.queue.rewards.model
        return answer({"status": "ready", "model": model.name, "users": len(model.users_)})

    def _say_refused(self, error: DataError | UnknownUserError) -> None:
        if type(error) not in self._told:
            self._told.add(type(error))
            _log.warning("%s", cause(error))

    async def _added(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return await self.queue.run(work)
        except HistoryMissingError as error:
            raise Refused(409, str(error)) from None
        except DataError as error:
            if error.source is not None:  # not what was sent is wrong, but the place where it is kept
                raise
            raise in_words(error) from None

    async def _scores(self, asked: list[RewardQuestion]) -> list[Score]:
        return self._insisted(cast(list[Score], await self.queue.ask(asked)))

    def _insisted(self, found: list[Any]) -> list[Any]:
        try:
            return self.queue.rewards.insist(found)
        except RewardError as error:
            raise Refused(500, f"a row cannot be scored ({type(error.__cause__).__name__})") from None

    def _writable(self) -> None:
        if self.read_only:
            raise Refused(
                409,
                "this server has several processes that share no users; start it with --store, or "
                "with --workers 1",
            )

    def _pairs(self, given: list[Any], user_id: str) -> list[PreferencePair]:
        found = []
        for number, row in enumerate(given, start=1):
            if not isinstance(row, dict):
                raise Refused(422, "expected an object", at=f"pairs {number}")
            try:
                pair = read_pair(row, user_id, number)
            except DataError as error:
                raise in_words(error) from None
            sizes = (sum(len(turn.content) for turn in getattr(pair, name)) for name in _PAIR_TEXTS)
            if max(sizes) > self.limits.text:
                raise Refused(422, f"more than {self.limits.text:,} characters", at=f"pairs {number}")
            found.append(pair)
        return found

    def _feedback(self, given: list[Any], user_id: str) -> list[Judgement]:
        found = []
        for number, row in enumerate(given, start=1):
            at = f"feedback {number}"
            if not isinstance(row, dict):
                raise Refused(422, "expected an object", at=at)
            try:
                said = read_feedback(row, user_id, number)
            except DataError as error:
                raise in_words(error) from None
            texts = [] if isinstance(said, Trait) else [turn.content for turn in said.prompt]
            texts += [it for it in said.model_dump().values() if isinstance(it, str)]
            texts += said.responses if isinstance(said, Tie | Ranking) else ()
            if sum(map(len, texts)) > self.limits.text:
                raise Refused(422, f"more than {self.limits.text:,} characters", at=at)
            found.append(said)
        return found


def _told(error: DataError | UnknownUserError) -> Refused:
    if isinstance(error, DataError):
        return in_words(error)
    problem = f"user {error.user_id!r} is unknown to the model, and this server refuses unknown users"
    return Refused(422, f"{problem}; start it with --unknown-user population", user_id=error.user_id)


def _replaces(request: Request) -> bool:
    replace = request.query_params.get("replace", "false")
    if replace not in ("true", "false"):
        raise Refused(422, "expected true or false", field="replace")
    return replace == "true"
