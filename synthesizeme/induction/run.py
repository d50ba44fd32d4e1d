"""Many users: those of a store, a few of them in memory at a time, or some whose pairs are at hand.

Spread over a Ray cluster, every task does one shard of the users, as a process of its own would. The tasks
meet in the store alone, so the profiles are those of a single process. SQLite needs one machine; several need
PostgreSQL. A worker that dies is replaced, and its shard goes on where it was.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from synthesizeme.backends import Session
from synthesizeme.errors import (
    CacheError,
    ConfigError,
    DataError,
    MissingExtraError,
    StoreError,
    SynthesizeMeError,
    UnreadableError,
)
from synthesizeme.induction.job import InductionJob, NamedUser, Pooled, RunSummary
from synthesizeme.induction.one_user import InductionSettings, UserDone, induce_given_user
from synthesizeme.induction.stored_user import induce_stored_user, is_due
from synthesizeme.personas.beside import NOTHING, Beside
from synthesizeme.personas.budget import LEAST_CALLS
from synthesizeme.profiles import ProfileStore
from synthesizeme.profiles.store import UserSummary
from synthesizeme.profiles.views import every_user
from synthesizeme.progress import Progress
from synthesizeme.types import PreferencePair

ENDS = (CacheError, DataError, StoreError, UnreadableError)
"""What ends a run where it stands: nothing more could be kept, or most of what comes cannot be read."""
UNREACHABLE_USERS = 8
"""Users in a row that the model answered nothing about before no further user is begun."""
OnUser = Callable[[UserDone, RunSummary], None]
"""Told of each user as it is finished, with the run so far."""


def run(
    job: InductionJob, on_user: OnUser | None = None, progress: Callable[[Progress], None] | None = None
) -> RunSummary:
    """Bring every user of the job's shard up to date.

    What is finished is in the store; a run that was killed at any moment goes on with the others. A user that
    fails is recorded and the others go on. When the budget is used up, or the model answered none of
    `UNREACHABLE_USERS` users in a row, no further user is begun; when the store cannot be reached for longer
    than it is waited for, a disk is full, or most replies of the model cannot be read, the calls in flight
    are given up too. The summary says why.

    Args:
        job: What to do.
        on_user: Told of each user, from the thread that called.
        progress: Told of every call, with the counts of the one user it is about; from any thread.

    Raises:
        ConfigError: the settings, the store or the cache cannot be used.
        CredentialError: the key is missing or was rejected.
        DataError: the store cannot be opened.
        StoreError: likewise.
    """
    with job.open_store() as store, job.open_session(progress) as session:
        fingerprint = job.fingerprint
        walk = _Walk(
            session, lambda user_id: induce_stored_user(store, session, job, user_id, fingerprint), on_user
        )
        return walk.over(_due(store, job, fingerprint, walk.pass_over))


def induce_users(
    session: Session,
    users: Mapping[str, Sequence[PreferencePair]],
    settings: InductionSettings,
    on_user: OnUser | None = None,
    *,
    budget_calls: int | None = None,
    beside: Mapping[str, Beside] | None = None,
) -> RunSummary:
    """Induce users whose pairs are at hand, and keep nothing: it ends as `run` does.

    A budget is divided evenly over the users that are left when one is begun, so what a user does not spend
    goes to later ones.

    Args:
        session: The model.
        users: Pairs by user id.
        settings: How.
        on_user: Told of each user, from the thread that called, as they are finished; what was learned is in
            `UserDone.result`.
        budget_calls: Most distinct calls in all.
        beside: What is known of users beside choices, by user id; see `induce_user`.

    Raises:
        ConfigError: the budget is too small for so many users, or the settings cannot be used.
        CredentialError: the key is missing or was rejected.
    """
    if budget_calls is not None and budget_calls < LEAST_CALLS * len(users):
        raise ConfigError(
            f"a budget of {budget_calls} calls is too small for {len(users)} users; "
            f"at least {LEAST_CALLS} calls a user are needed, {LEAST_CALLS * len(users)} in all"
        )
    left, shares = budget_calls, dict[str, int]()

    def due() -> Iterator[str]:
        nonlocal left
        for position, user_id in enumerate(users):
            if left is not None:
                shares[user_id] = left // (len(users) - position)
                left -= shares[user_id]
            yield user_id

    def induce(user_id: str) -> UserDone:
        return induce_given_user(
            session, users[user_id], settings,
            budget_calls=shares.get(user_id), beside=(beside or {}).get(user_id, NOTHING),
        )  # fmt: skip

    def finished(user: UserDone, summary: RunSummary) -> None:
        nonlocal left
        if left is not None and user.record is not None:
            left += shares[user.user_id] - user.record.usage.distinct_calls
        if on_user is not None:
            on_user(user, summary)

    return _Walk(session, induce, finished).over(due())


class _Walk:
    """A run so far: users that are due are induced, and what became of each is added up.

    Args:
        session: The model that all users share.
        induce: Induces a user; from several threads where the model is waited for.
        on_user: Told of each user.
    """

    def __init__(
        self, session: Session, induce: Callable[[str], UserDone], on_user: OnUser | None = None
    ) -> None:
        self.session, self.induce, self.on_user = session, induce, on_user
        self.summary = RunSummary()
        self._unreachable = 0

    def over(self, due: Iterator[str]) -> RunSummary:
        """Induce these users: several at once, unless nothing is waited for and threads would take turns."""
        return self.together(due) if self.session.model.asynchronous else self.one_by_one(due)

    def pass_over(self) -> None:
        """Count a user with nothing to do."""
        self.summary += RunSummary(unchanged=1)

    def one_by_one(self, due: Iterator[str]) -> RunSummary:
        """One user after the other."""
        while not self.summary.stopped and (user_id := self._next(due)) is not None:
            self._land(partial(self.induce, user_id))
        return self.summary

    def together(self, due: Iterator[str]) -> RunSummary:
        """As many users at once as calls, each in a thread that mostly waits for the model."""
        most = self.session.concurrency
        pool = ThreadPoolExecutor(most, thread_name_prefix="synthesizeme-user")
        flying: set[Future[UserDone]] = set()
        try:
            while True:
                while (
                    len(flying) < most
                    and not self.summary.stopped
                    and (user_id := self._next(due)) is not None
                ):
                    flying.add(pool.submit(self.induce, user_id))
                if not flying:
                    return self.summary
                landed, flying = wait(flying, return_when=FIRST_COMPLETED)
                for future in landed:
                    self._land(future.result)
        except BaseException:
            self.session.abandon()  # whoever waits for the model waits no longer
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _next(self, due: Iterator[str]) -> str | None:
        try:
            return next(due, None)
        except ENDS as error:
            self._end(error)
            return None

    def _land(self, result: Callable[[], UserDone]) -> None:
        try:
            found = result()
        except ENDS as error:
            self._end(error)
        except CancelledError:
            if not self.summary.stopped:
                raise
        else:
            self._finished(found)

    def _finished(self, user: UserDone) -> None:
        self.summary += summed(user)
        if user.stopped:
            return
        self._unreachable = self._unreachable + 1 if user.unreachable else 0
        if self._unreachable >= UNREACHABLE_USERS:
            self._stop(f"the model failed for {self._unreachable} users in a row; {user.error}")
        if self.on_user is not None:
            self.on_user(user, self.summary)

    def _end(self, error: Exception) -> None:
        self._stop(str(error))
        self.session.abandon()

    def _stop(self, why: str) -> None:
        self.summary += RunSummary(stopped=why)


def _due(
    store: ProfileStore, job: InductionJob, fingerprint: str, pass_over: Callable[[], None]
) -> Iterator[str]:
    """Users of a store with something to do, one page of them in memory; the others are passed over."""
    for user in _chosen(store, job.user):
        if not job.shard.holds(user.user_id) or not user.pairs:
            continue
        if is_due(user.induced, user.pairs, job, fingerprint):
            yield user.user_id
        else:
            pass_over()


def _chosen(store: ProfileStore, one: str | None) -> Iterator[UserSummary]:
    if one is None:
        yield from every_user(store)
        return
    found, pairs = store.induction(one), len(store.pairs(one))
    yield UserSummary(user_id=one, pairs=pairs, version=found.version if found else 0, induced=found)


def summed(user: UserDone) -> RunSummary:
    """One user as a summary."""
    beside, record = RunSummary(stopped=user.stopped, usage=user.usage), user.record
    if record is None:
        return beside + RunSummary(unchanged=int(user.stopped is None))
    if record.state == "failed":
        named = NamedUser(user_id=user.user_id, why=record.error)
        failed = RunSummary(failed=1, usage=record.usage, unanswered=record.unanswered, failures=(named,))
        return beside + failed
    drifts: tuple[NamedUser, ...] = ()
    if record.drifted and (check := record.drift):
        loss = f"lost {check.loss:.2f} ± {check.standard_error:.2f} of accuracy on {check.recent_pairs} pairs"
        drifts = (NamedUser(user_id=user.user_id, why=loss),)
    found = user.profile.cautions if user.profile else ()
    cautions = tuple(NamedUser(user_id=user.user_id, why=caution.text) for caution in found[:1])
    return beside + RunSummary(
        done=1, cautioned=len(cautions), cautions=cautions,
        drifted=len(drifts), drifts=drifts, usage=record.usage, unanswered=record.unanswered,
        accuracy={name: Pooled(correct=c, pairs=n) for name, (c, n) in record.accuracy.items() if n},
    )  # fmt: skip


SHARDS_PER_WORKER = 4
"""So that a worker which is done early takes another shard."""


def run_on_ray(
    job: InductionJob, workers: int, on_shard: Callable[[RunSummary], None] | None = None
) -> RunSummary:
    """Bring every user of the job's shard up to date, on the Ray cluster that this process is connected to.

    The budget and the calls in flight are divided: together the workers keep to those of the job.

    Args:
        job: What to do; its store must be in reach of every worker.
        workers: Shards that are worked on at the same time.
        on_shard: Told of the run so far whenever a shard is done.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("--engine ray", "ray") from error
    jobs = job.divided(SHARDS_PER_WORKER * workers, at_once=workers)
    task = ray.remote(_run_shard).options(num_cpus=1, max_retries=3)
    total, waiting = RunSummary(), list(reversed(jobs))
    flying: list[Any] = []
    while waiting or flying:
        while waiting and len(flying) < workers:
            flying.append(task.remote(waiting.pop()))
        landed, flying = ray.wait(flying)
        for summary in ray.get(landed):
            total += RunSummary.model_validate_json(summary)
        if on_shard:
            on_shard(total)
    return total


def _run_shard(job: InductionJob) -> str:
    """One shard in a worker; what ends it comes back in the summary, since not every exception travels."""
    try:
        return run(job).model_dump_json()
    except SynthesizeMeError as error:
        return RunSummary(stopped=f"a worker on {socket.gethostname()}: {error}").model_dump_json()
