"""SynthesizeMe: from one user's pairs to a profile, in three stages and few calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from synthesizeme.backends import Ledger, Model, Session, session_with
from synthesizeme.datasets import assign_splits, pairs_of
from synthesizeme.datasets.rows import asked_user
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.feedback import UserWords
from synthesizeme.pairs import counted
from synthesizeme.personas.beside import Beside
from synthesizeme.personas.budget import EFFORTS, LEAST_PAIRS, SEARCHES, Effort, Search
from synthesizeme.personas.judging_profile import JudgingProfile
from synthesizeme.personas.stages import Induction, Method
from synthesizeme.personas.synthesis import check_evidence
from synthesizeme.plain_text import count, id_list
from synthesizeme.profile import UserProfile
from synthesizeme.progress import ShowProgress, watched
from synthesizeme.prompts import load_prompt
from synthesizeme.types import Evidence, PreferencePair


class SynthesizeMe:
    """Induces a user's profile: bootstrap and verify reasoning, write the persona, select demonstrations.

    Args:
        model: The model: its name (`open_model`), an opened one, or a `Session` with a cache and limits.
        effort: How many calls may be spent; see `budget.call_limit`.
        search: ``economical`` (ours) or ``paper`` (the plain search of the paper, for comparison).
        seed: Seed of every random choice.
        budget_calls: Most distinct calls for one user; None for the limit of the effort.
        judge_prompt: Name or path of the judge prompt.
        theta: Name or path of the persona-writing prompt.
        max_persona_characters: Longest persona-writing prompt; whole pairs are dropped beyond it.
        evidence_model: Where the evidence given to `fit` comes from, for the record.

    References:
        SynthesizeMe (arXiv 2506.05598), sections 3.1-3.3. Differs: train pairs are judged once and every
        candidate is drawn from that pool; unexplained choices are shown to the persona writer too; first it
        is tested whether the user shows a taste at all, then each statement of the writer is tried by itself
        on the user's choices and the best set stays; sets of demonstrations are compared in both orders with
        the judge that has no demonstrations, shrunk toward it, by successive halving under a call limit. What
        the trial costs is saved from judging the train pairs once more with the persona, to which only the
        reasoning of demonstrations lost.
    """

    def __init__(
        self,
        model: str | Model | Session = "builtin",
        *,
        effort: Effort = "medium",
        search: Search = "economical",
        seed: int = 0,
        budget_calls: int | None = None,
        judge_prompt: str = "judge/default",
        theta: str = "persona/default",
        max_persona_characters: int = 120_000,
        evidence_model: str | None = None,
    ) -> None:
        problems = []
        if effort not in EFFORTS:
            problems.append(f"effort is {effort!r}; expected {', '.join(EFFORTS)}")
        if search not in SEARCHES:
            problems.append(f"search is {search!r}; expected {', '.join(SEARCHES)}")
        if search == "paper" and budget_calls is not None:
            problems.append("budget_calls limits the economical search only; the paper's search has no limit")
        if budget_calls is not None and budget_calls < 1:
            problems.append(f"budget_calls is {budget_calls}; expected 1 or more")
        if problems:
            raise ConfigError(problems)
        self.session = session_with(model)
        self._opened_here = self.session is not model
        self.method = Method(
            effort, search, seed, budget_calls,
            load_prompt(judge_prompt), load_prompt(theta), max_persona_characters, evidence_model,
        )  # fmt: skip

    def fit(
        self,
        rows: object,
        *,
        user: str | None = None,
        progress: ShowProgress = None,
        split_rule: str | None = None,
        ledger: Ledger | None = None,
        evidence: Sequence[Evidence] = (),
        population: Mapping[str, float] | None = None,
        before: UserProfile | None = None,
        words: UserWords | None = None,
        others: Mapping[str, UserProfile] | None = None,
    ) -> JudgingProfile:
        """The profile of one user.

        Test pairs are never looked at. With fewer than two train and validation pairs the profile is empty
        and says so: a judge then answers as for anybody.

        Args:
            rows: The user's choices in any shape that `read_pairs` takes: dicts, `PreferencePair`, a frame, a
                data set, a file or its content. Those without a split get one, 60/20/20 by the seed.
            user: Whose choices they are, if rows name nobody, or whose of them are taken.
            progress: True shows a wait beyond two seconds; a function is told of every call.
            split_rule: How the splits came about, for the record; by default that is found out.
            ledger: Counts the calls, and says how they go on; a fresh one by default.
            evidence: What a reward model learned from this user's train and validation pairs; the persona
                writer is shown it and cites it.
            population: The probability of each train and validation choice for anybody, by pair id, in (0,
            1),
                as of a model of other users; by default that of the judge that knows nobody.
            words: What the user wrote beside choices: shown to the persona writer, which cites it.
                Demographics are not.
            before: The user's profile before. What the person did to it stays: own and pinned sentences,
                whatever their record; what was struck is not said again. See `synthesizeme.personas.owner`.
            others: Profiles of other users by user id. At high effort judgements under the personas of the
                nearest are averaged with the user's own, unless that loses on the validation pairs; the
                profile then holds these personas. See `synthesizeme.personas.averaging`.

        Raises:
            DataError: rows cannot be read, are of several users or have a split in some cases only, evidence
                names other pairs, or the words or the profile before are another user's.
            BackendError: the model cannot be reached.
        """
        named = None if user is None else asked_user(user)
        user_id, mine = _one_user(pairs_of(rows, user_id=named), named)
        if before is not None and before.user_id != user_id:
            raise DataError(
                f"the profile before is of user {before.user_id[:60]!r}; expected one of {user_id[:60]!r}",
                field="before",
                cure="give the profile of the user whose choices these are",
            )
        pairs, rule = assign_splits(mine, seed=self.method.seed)
        with ExitStack() as stack:
            told = stack.enter_context(watched(progress, user_id))
            if self._opened_here:
                stack.enter_context(self.session)
            ledger = ledger or self.session.ledger(told)
            beside = Beside(evidence, population, words, before, others)
            return self._fit(user_id, pairs, split_rule or rule, ledger, beside)

    def _fit(
        self,
        user_id: str,
        pairs: Sequence[PreferencePair],
        split_rule: str,
        ledger: Ledger,
        beside: Beside,
    ) -> JudgingProfile:
        train = [pair for pair in pairs if pair.split == "train"]
        validation = [pair for pair in pairs if pair.split == "validation"]
        check_evidence(beside.evidence, [*train, *validation])
        if beside.words is not None and beside.words.user_id != user_id:
            raise DataError(
                f"the words are of user {beside.words.user_id[:60]!r}, the choices of {user_id[:60]!r}",
                field="words",
                cure="give the words of the user whose choices these are",
            )
        run = Induction(self.method, ledger, user_id, train, validation, beside)
        people, simulated = counted([*train, *validation])
        if people and simulated:
            run.notes.append(f"learned from {people} choices of people and {simulated} of simulations")
        if len(train) + len(validation) < LEAST_PAIRS or not train:
            run.notes.append(
                f"not enough pairs: {len(train)} train and {len(validation)} validation, expected at least "
                f"{LEAST_PAIRS} with one for training; a judge answers for this user as for anybody"
            )
        elif self.method.search == "paper":
            run.paper()
        else:
            run.economical()
        return run.profile(pairs, split_rule)


def _one_user(pairs: Sequence[PreferencePair], user: str | None) -> tuple[str, Sequence[PreferencePair]]:
    """The user, and the pairs of that user among those that are given.

    Raises:
        DataError: there are several users and none is named, or none of that name.
    """
    if not pairs:
        raise DataError("found no row; expected the choices of a user", cure="give one row for each choice")
    users = list(dict.fromkeys(pair.user_id for pair in pairs))
    if user is None and len(users) == 1:
        return users[0], pairs
    if user is None or user not in users:
        found = "expected one" if user is None else f"none of them is {user[:60]!r}"
        raise DataError(
            f"{count(len(pairs), 'pair')} of {count(len(users), 'user')}; {found}. Users: {id_list(users)}",
            field="user_id",
            cure="name one with user=, and call fit once for each user",
        )
    return user, [pair for pair in pairs if pair.user_id == user]
