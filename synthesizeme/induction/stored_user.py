"""One user of a store: is there something to do, do it, and store what came of it with the profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from synthesizeme.backends import Session
from synthesizeme.datasets import extend_splits
from synthesizeme.errors import BackendError, DataError, StoreConflictError
from synthesizeme.evaluation.harness import Outcome, evaluate
from synthesizeme.feedback import UserWords
from synthesizeme.induction import drift
from synthesizeme.induction.job import InductionJob
from synthesizeme.induction.one_user import UserDone, UserResult, added, attempt, failure, induce_user
from synthesizeme.judges import LLMJudge
from synthesizeme.personas.beside import Beside
from synthesizeme.profiles import ProfileStore
from synthesizeme.profiles.store import InductionNote, InductionRecord, ProfileVersion
from synthesizeme.prompts import load_prompt
from synthesizeme.types import PreferencePair, Usage, respondents

_TURNS = 5
"""How often a user is taken up again that other processes finish at the same moment."""


def is_due(note: InductionNote | None, pairs: int, job: InductionJob, fingerprint: str) -> bool:
    """Whether there is something to do for a user with so many pairs.

    There is when nothing was made yet, when it failed, when it was made with other settings, or when enough
    pairs have come since.
    """
    if not pairs:
        return False
    if note is None or note.state == "failed" or note.settings != fingerprint:
        return True
    return pairs - note.pairs >= job.min_new_pairs


def induce_stored_user(
    store: ProfileStore, session: Session, job: InductionJob, user_id: str, fingerprint: str
) -> UserDone:
    """Bring one user's profile up to date with the user's pairs.

    Safe beside other processes: whoever stores second looks again, so that each profile follows the one that
    it knew of. What fails is stored as failed, with the reason.

    Raises:
        Exception: one of `STOPS`.
        UnreadableError: most replies of the model cannot be read.
    """
    spent = Usage()
    for _ in range(_TURNS):
        try:
            before, latest, pairs = store.induction(user_id), store.profile(user_id), store.pairs(user_id)
            words = store.words(user_id)
        except DataError as error:  # a row of this user is damaged; a store that is, refuses the next line
            return UserDone(user_id, store.put_induction(user_id, failure(error, 0, fingerprint)))
        if not is_due(before, len(pairs), job, fingerprint):
            return UserDone(user_id, None, usage=spent)
        work = _Work(session, job, fingerprint, user_id, before, latest)
        found = attempt(user_id, partial(work.induce, pairs, words), partial(work.failed, pairs))
        if found.record is None:
            return replace(found, usage=spent + work.usage)
        version = latest.version if latest else 0
        try:
            kept = store.put_induction(user_id, found.record, found.profile, expected_version=version)
        except StoreConflictError:
            spent += work.usage
            continue
        return replace(found, record=kept, usage=spent)
    raise StoreConflictError(
        f"other processes kept changing user {user_id[:60]!r}. Cure: let each process have its own --shard"
    )


class _Work:
    """The induction of one user, who may have a profile already."""

    def __init__(
        self,
        session: Session,
        job: InductionJob,
        fingerprint: str,
        user_id: str,
        before: InductionRecord | None,
        latest: ProfileVersion | None,
    ) -> None:
        self.session, self.job, self.fingerprint, self.user_id = session, job, fingerprint, user_id
        self.before = before
        self.known = latest.profile if latest else None
        self.checking, self.making, self.measuring = (session.ledger() for _ in range(3))

    def induce(
        self, pairs: Sequence[PreferencePair], words: UserWords | None
    ) -> tuple[UserResult, InductionRecord]:
        """The profile of all pairs, each in the split that it had before, and how it was made."""
        made = self.known.provenance if self.known else None
        splits = made.splits if made else {}
        split, rule = extend_splits(pairs, splits, seed=self.job.settings.seed)
        judged = None
        if respondents(pairs) != "mixed":  # the accuracy on people's choices and on others' are not compared
            judged = self._judged([pair for pair in pairs if pair.pair_id not in splits])
        result = induce_user(
            self.session, split, self.job.settings,
            ledger=self.making, evaluation=self.measuring, split_rule=rule,
            beside=Beside(words=words, before=self.known),
        )  # fmt: skip
        if result.evaluation_error is not None:
            raise BackendError(result.evaluation_error)
        track, checked = drift.started(_scored(result.outcomes.get("both"))), None
        if judged is not None and self.before is not None:
            followed = drift.extended(self.before.track, _scored(judged))
            checked = drift.check(followed)
            track = track if checked and checked.drifted else followed
        record = result.record(self.fingerprint)
        return result, record.model_copy(
            update={
                "drifted": checked is not None and checked.drifted,
                "drift": checked,
                "track": track,
                "usage": self.usage,
                "unanswered": added(record.unanswered, judged.failures if judged else {}),
            }
        )

    def _judged(self, new: Sequence[PreferencePair]) -> Outcome | None:
        """How the profile does on pairs that it has not learned from; None if it was made otherwise."""
        before = self.before
        if before is None or self.known is None or before.settings != self.fingerprint or not new:
            return None
        prompt = load_prompt(self.job.settings.judge_prompt)
        judge = LLMJudge(self.checking, {self.user_id: self.known}, prompt=prompt, name="checking for drift")
        return evaluate(judge, new, seed=self.job.settings.seed)

    @property
    def usage(self) -> Usage:
        """What was spent so far."""
        return self.checking.usage + self.making.usage + self.measuring.usage

    def failed(self, pairs: Sequence[PreferencePair], error: Exception) -> InductionRecord:
        """What is known of a failure; what was known of the user before stays known."""
        before = self.before
        return failure(
            error, len(pairs), self.fingerprint,
            attempts=before.attempts + 1 if before and before.state == "failed" else 1,
            usage=self.usage,
            unanswered=added(self.checking.failures, self.making.failures, self.measuring.failures),
            track=before.track if before else drift.started(()),
        )  # fmt: skip


def _scored(outcome: Outcome | None) -> list[float]:
    return [] if outcome is None else list(outcome.scores.values())
