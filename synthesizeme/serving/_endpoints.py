"""What each route of the server does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from starlette.requests import Request
from starlette.responses import Response

from synthesizeme.datasets.rows import SourceRow
from synthesizeme.errors import DataError, RewardError, StoreConflictError, UnknownUserError
from synthesizeme.personas import owner
from synthesizeme.personas.since import read_since
from synthesizeme.profiles.store import ProfileVersion
from synthesizeme.profiles.views import rewrite_stored
from synthesizeme.serving.access import Scope
from synthesizeme.serving.metrics import Metrics
from synthesizeme.serving.openrlhf import cause, reply, rows
from synthesizeme.serving.queue import ModelQueue
from synthesizeme.serving.requests import (
    FEEDBACK_TEXTS,
    PAIR_TEXTS,
    Limits,
    Refused,
    answer,
    comparisons,
    in_words,
    list_of,
    questions,
    read_change,
    read_json,
    read_rows,
    refuse_long,
    user_of,
    words_in,
)
from synthesizeme.serving.rewards import Margin, RewardQuestion, Score
from synthesizeme.serving.rows import ABOUT, PESSIMISM, refusal
from synthesizeme.serving.schemas import (
    ANSWERED,
    ASKED,
    CHANGED,
    CORRECTED,
    OF_A_USER,
    USER,
    Alive,
    FeedbackAdded,
    MarginAnswer,
    PairsAdded,
    PersonaShown,
    Ready,
    Results,
    RewardsAnswer,
    Route,
    ScoreAnswer,
    UserDeleted,
    UserExport,
    WordsPut,
)
from synthesizeme.serving.settings import without_standard_errors
from synthesizeme.serving.users import HistoryMissingError, Users, read_feedback, read_pair

_log = logging.getLogger(__name__)
T = TypeVar("T")
_SCORES, _MARGINS = Results[ScoreAnswer], Results[MarginAnswer]
_NOT_HERE = "nothing is known of this user"


Endpoint = Callable[[Any, Request], Awaitable[Response]]
ROUTES: dict[str, Route] = {}
"""By the name of each endpoint; of two that fit an address the first one answers."""


def _at(
    method: str, path: str, scope: Scope | None, codes: tuple[int, ...], kind: Any
) -> Callable[[Endpoint], Endpoint]:
    """Says where an endpoint is, how it may fail and what it answers; see `Route`."""

    def marked(endpoint: Endpoint) -> Endpoint:
        summary = " ".join((endpoint.__doc__ or "").split()).removesuffix(".")
        ROUTES[endpoint.__name__] = Route(method, path, scope, summary, codes, kind)
        return endpoint

    return marked


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

    @_at("POST", "/v1/score", "score", ASKED, ScoreAnswer | Results[ScoreAnswer])
    async def score(self, request: Request) -> Response:
        """Rewards of responses."""
        asked, several = questions(await read_json(request, self.limits), self.limits)
        model = self.queue.rewards.model
        if any(question.pessimism for question in asked) and not model.standard_errors:
            raise Refused(422, without_standard_errors(model.name), field=PESSIMISM)
        found = await self._scores(asked)
        return answer(
            _SCORES.model_validate({"results": found}) if several else ScoreAnswer.model_validate(found[0])
        )

    @_at("POST", "/v1/compare", "score", ASKED, MarginAnswer | Results[MarginAnswer])
    async def compare(self, request: Request) -> Response:
        """Margins of one response over another."""
        asked, several = comparisons(await read_json(request, self.limits), self.limits)
        found = self._insisted(cast(list[Margin], await self.queue.ask(asked)))
        return answer(
            _MARGINS.model_validate({"results": found}) if several else MarginAnswer.model_validate(found[0])
        )

    @_at("POST", "/get_reward", "score", ASKED, RewardsAnswer)
    async def get_reward(self, request: Request) -> Response:
        """Rewards in OpenRLHF's protocol; labels hold the user ids."""
        body = await read_json(request, self.limits)
        queries, prompts, labels = (
            list_of(body, name, self.limits) for name in ("query", "prompts", "labels")
        )
        try:
            asked = rows(queries, prompts, labels)
            for number, row in enumerate(asked, start=1):
                place = SourceRow("row", number, {})
                if row.about is not None:
                    cure = "PUT them to /v1/users/ID/words"
                    raise place.error("expected no words here", field=ABOUT, cure=cure)
                refuse_long(row, place, ("prompt", "response"), self.limits)
            found = await self._scores(asked)
            if refused := refusal(asked, found):
                raise refused
        except (DataError, UnknownUserError) as error:
            self._say_refused(error)
            raise _told(error) from None
        return answer(reply(found, self.queue.rewards))

    @_at("POST", f"{USER}/pairs", "write", CHANGED, PairsAdded)
    async def add_pairs(self, request: Request) -> Response:
        """Add choices of a user, who is refitted at once."""
        user_id, body, replace = await self._change(request, "pairs", ("pairs", ABOUT))
        given = list_of(body, "pairs", self.limits)
        pairs = read_rows(given, "pairs", partial(read_pair, user_id=user_id), PAIR_TEXTS, self.limits)
        words, cut = words_in(body[ABOUT], user_id, self.limits) if ABOUT in body else (None, {})
        done = await self._changed(lambda: self.users.add(user_id, pairs, words, replace=replace))
        return answer({"user_id": user_id, **done, **cut})

    @_at("POST", f"{USER}/feedback", "write", CHANGED, FeedbackAdded)
    async def add_feedback(self, request: Request) -> Response:
        """Add ties, rankings, ratings and edits of a user; not_learned_from counts what is left unread."""
        user_id, body, replace = await self._change(request, "feedback", ("feedback",))
        given = list_of(body, "feedback", self.limits)
        said = read_rows(
            given, "feedback", partial(read_feedback, user_id=user_id), FEEDBACK_TEXTS, self.limits
        )
        done = await self._changed(lambda: self.users.add(user_id, (), None, said, replace=replace))
        told = {"added": done["feedback_added"], "feedback": done["feedback"]}
        return answer({"user_id": user_id, **told, "not_learned_from": done["not_learned_from"]})

    @_at("PUT", f"{USER}/words", "write", CHANGED, WordsPut)
    async def put_words(self, request: Request) -> Response:
        """Take what a user said in place of what was known; read says whether the model makes use of it."""
        user_id, body, replace = await self._change(request, "words")
        words, cut = words_in(body, user_id, self.limits)
        done = await self._changed(lambda: self.users.add(user_id, (), words, replace=replace))
        return answer({"user_id": user_id, "pairs": done["pairs"], "read": done["read"], **cut})

    @_at("GET", f"{USER}/persona", "admin", OF_A_USER, PersonaShown)
    async def show_persona(self, request: Request) -> Response:
        """What is believed of a user, and what the user corrected."""
        if not request.scope["raw_path"].endswith(b"/persona"):  # a user whose own id ends in it
            return await self.export_user(request)
        user_id = user_of(request, self.limits, after=("persona",))
        found = await self.queue.run(lambda: self.users.store.profile(user_id))
        return await self._persona(found, user_id)

    @_at("POST", f"{USER}/persona", "admin", CORRECTED, PersonaShown)
    async def correct_persona(self, request: Request) -> Response:
        """Add, edit, pin or strike a sentence about the user."""
        user_id = user_of(request, self.limits, after=("persona",))
        self._writable()
        body = await read_json(request, self.limits)

        def corrected() -> ProfileVersion | None:
            change = read_change(body)
            return rewrite_stored(self.users.store, user_id, change.made, change.version)

        found = await self._changed(corrected)
        return await self._persona(found, user_id)

    async def _persona(self, found: ProfileVersion | None, user_id: str) -> Response:
        if found is None:
            raise Refused(404, "there is no profile of this user")
        version, profile = found.version, found.profile
        pairs = await self.queue.run(lambda: self.users.store.pairs(user_id))

        def shown() -> PersonaShown:
            return PersonaShown(version=version, **owner.shown(profile, read_since(profile, pairs)))

        return answer(await asyncio.to_thread(shown))  # no scoring waits for what is read

    @_at("GET", USER, "admin", OF_A_USER, UserExport)
    async def export_user(self, request: Request) -> Response:
        """Everything that is known of a user."""
        user_id = user_of(request, self.limits)
        found = await self.queue.run(lambda: self.users.export(user_id))
        if found is None:
            raise Refused(404, _NOT_HERE)
        return answer(found)

    @_at("DELETE", USER, "admin", (*OF_A_USER, 409), UserDeleted)
    async def delete_user(self, request: Request) -> Response:
        """Forget a user: what was said, and what was learned."""
        user_id = user_of(request, self.limits)
        self._writable()
        found = await self.queue.run(lambda: self.users.delete(user_id))
        if found is None:
            raise Refused(404, _NOT_HERE)
        return answer({"user_id": user_id, "deleted": found})

    @_at("GET", "/metrics", "score", ANSWERED, str)
    async def metrics(self, _: Request) -> Response:
        """Counters for Prometheus."""
        return Response(self._metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @_at("GET", "/healthz", None, (), Alive)
    async def healthz(self, _: Request) -> Response:
        """Whether the process is alive."""
        return answer({"status": "ok"})

    @_at("GET", "/readyz", None, (503,), Ready)
    async def readyz(self, _: Request) -> Response:
        """Whether it takes requests."""
        full = self.queue.waiting >= self.queue.most_waiting
        if self.closing or full:
            raise Refused(503, "shutting down" if self.closing else "the queue is full")
        model: Any = self.queue.rewards.model
        return answer({"status": "ready", "model": model.name, "users": len(model.users_)})

    def _say_refused(self, error: DataError | UnknownUserError) -> None:
        if type(error) not in self._told:
            self._told.add(type(error))
            _log.warning("%s", cause(error))

    async def _change(
        self, request: Request, what: str, fields: Sequence[str] = ()
    ) -> tuple[str, dict[str, Any], bool]:
        """Whose what is to be changed, the body of the request, and whether it replaces a lost history."""
        user_id = user_of(request, self.limits, after=(what,))
        self._writable()
        replace = request.query_params.get("replace", "false")
        if replace not in ("true", "false"):
            raise Refused(422, "expected true or false", field="replace")
        body = await read_json(request, self.limits)
        if fields and (unknown := body.keys() - set(fields)):
            raise Refused(422, f"expected only {', '.join(fields)}", field=min(unknown)[:80])
        return user_id, body, replace == "true"

    async def _changed(self, work: Callable[[], T]) -> T:
        try:
            return await self.queue.run(work)
        except (HistoryMissingError, StoreConflictError) as error:
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


def _told(error: DataError | UnknownUserError) -> Refused:
    if isinstance(error, DataError):
        return in_words(error)
    problem = f"user {error.user_id!r} is unknown to the model, and this server refuses unknown users"
    return Refused(422, f"{problem}; start it with --unknown-user population", user_id=error.user_id)
