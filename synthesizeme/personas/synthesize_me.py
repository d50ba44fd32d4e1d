"""SynthesizeMe: from one user's pairs to a profile, in three stages and few calls."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from synthesizeme.backends import Account, Model, Session, session_with
from synthesizeme.datasets import assign_splits, pairs_of
from synthesizeme.datasets.rows import asked_user
from synthesizeme.errors import BackendError, ConfigError, DataError
from synthesizeme.evaluation.report import fingerprint
from synthesizeme.judges import LLMJudge
from synthesizeme.pairs import counted
from synthesizeme.personas.budget import EFFORTS, LEAST_PAIRS, SEARCHES, Effort, Search, make_plan
from synthesizeme.personas.cautions import Verdicts, in_both_orders, with_cautions, without_repetition
from synthesizeme.personas.judging_profile import JudgingProfile
from synthesizeme.personas.selection import (
    CandidateSet,
    TracePool,
    bootstrap,
    candidate_report,
    draw_demonstrations,
    draw_orders,
    labelled,
    other,
    paper_search,
    reasoned,
    successive_halving,
)
from synthesizeme.personas.synthesis import EVIDENCE_PROMPT, PERSONA_ATTEMPTS, check_evidence, write_persona
from synthesizeme.plain_text import count, id_list
from synthesizeme.profile import Candidate, Persona, Provenance, UserProfile
from synthesizeme.progress import ShowProgress, watched
from synthesizeme.prompts import load_prompt
from synthesizeme.types import Demonstration, Evidence, Order, PreferencePair

FEW_VALIDATION_PAIRS = 6
"""Below this many validation pairs, demonstrations are also scored on train pairs they do not show."""
LARGEST_SET = {"low": 4, "medium": 8, "high": 12}
"""Most demonstrations in a profile, by effort."""


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
        candidate is drawn from that pool; unexplained choices are shown to the persona writer too; candidates
        are compared in both orders with the judge that has no demonstrations, shrunk toward it, by successive
        halving under a call limit; the final persona is written from train and validation pairs.
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
        self.effort = effort
        self.search = search
        self.seed = seed
        self.budget_calls = budget_calls
        self.judge_prompt = load_prompt(judge_prompt)
        self.theta = load_prompt(theta)
        self.max_persona_characters = max_persona_characters
        self.evidence_model = evidence_model

    def fit(
        self,
        rows: object,
        *,
        user: str | None = None,
        progress: ShowProgress = None,
        split_rule: str | None = None,
        account: Account | None = None,
        evidence: Sequence[Evidence] = (),
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
            account: Counts the calls, and says how they go on; a fresh one by default.
            evidence: What a reward model learned from this user's train and validation pairs; the persona
                writer is shown it and cites it.

        Raises:
            DataError: rows cannot be read, are of several users or have a split in some cases only, or
                evidence names other pairs.
            BackendError: the model cannot be reached.
        """
        named = None if user is None else asked_user(user)
        user_id, mine = _one_user(pairs_of(rows, user_id=named), named)
        pairs, rule = assign_splits(mine, seed=self.seed)
        with ExitStack() as stack:
            told = stack.enter_context(watched(progress, user_id))
            if self._opened_here:
                stack.enter_context(self.session)
            account = account or self.session.account(told)
            return self._fit(user_id, pairs, split_rule or rule, account, evidence)

    def _fit(
        self,
        user_id: str,
        pairs: Sequence[PreferencePair],
        split_rule: str,
        account: Account,
        evidence: Sequence[Evidence],
    ) -> JudgingProfile:
        train = [pair for pair in pairs if pair.split == "train"]
        validation = [pair for pair in pairs if pair.split == "validation"]
        check_evidence(evidence, [*train, *validation])
        run = _Induction(self, account, user_id, train, validation, evidence)
        people, simulated = counted([*train, *validation])
        if people and simulated:
            run.notes.append(f"learned from {people} choices of people and {simulated} of simulations")
        if len(train) + len(validation) < LEAST_PAIRS or not train:
            run.notes.append(
                f"not enough pairs: {len(train)} train and {len(validation)} validation, expected at least "
                f"{LEAST_PAIRS} with one for training; a judge answers for this user as for anybody"
            )
        elif self.search == "paper":
            run.paper()
        else:
            run.economical()
        return run.profile(pairs, split_rule)


class _Induction:
    """One user's induction: what has been found so far."""

    def __init__(
        self,
        method: SynthesizeMe,
        account: Account,
        user_id: str,
        train: list[PreferencePair],
        validation: list[PreferencePair],
        evidence: Sequence[Evidence],
    ) -> None:
        self.method, self.account, self.user_id = method, account.part(), user_id
        self.train, self.validation, self.evidence = train, validation, tuple(evidence)
        self.orders: dict[str, Order] = draw_orders([*train, *validation], seed=method.seed)
        self.persona: Persona | None = None
        self.demonstrations: tuple[Demonstration, ...] = ()
        self.candidates: list[Candidate] = []
        self.pools: list[TracePool] = []
        self.judges: list[LLMJudge] = []
        self.notes: list[str] = []
        self.verdicts = Verdicts("train")

    def judge(
        self, stage: str, persona: Persona | None, demonstrations: Sequence[Demonstration] = ()
    ) -> LLMJudge:
        """A judge of this user with the given parts of a profile."""
        known = UserProfile(user_id=self.user_id, persona=persona, demonstrations=tuple(demonstrations))
        profiles = {self.user_id: known}
        self.judges.append(LLMJudge(self.account, profiles, prompt=self.method.judge_prompt, name=stage))
        return self.judges[-1]

    def economical(self) -> None:
        """Judge once, draw from the pool, select by successive halving under a limit."""
        method = self.method
        plan = make_plan(
            len(self.train), len(self.validation), effort=method.effort, budget_calls=method.budget_calls
        )
        train = self.train[: plan.train]
        first = self._bootstrap("bootstrapping reasoning", train, None, plan.rejudged)
        self._insist_on_verdicts(first)
        choices = self._choices(first, train)
        self.persona = self._write(choices, plan.limit)
        if self._calls_left(plan.limit) < len(train) + 4:
            self.notes.append("the call limit left nothing for selecting demonstrations")
            return
        second = first
        if self.persona is not None:
            second = self._bootstrap("bootstrapping with the persona", train, self.persona, plan.rejudged)
            firsts = [traces[0].score for traces in second.traces.values()]
            self.verdicts = replace(self.verdicts, judged=len(firsts), correct=sum(firsts))
        self._select(first, second, train, plan.candidates, plan.limit)
        if self.persona is not None and self.validation and self._calls_left(plan.limit) > 0:
            rest = [labelled(pair, self.orders[pair.pair_id]) for pair in self.validation]
            self.persona = self._write([*choices, *rest], plan.limit) or self.persona

    def _insist_on_verdicts(self, pool: TracePool) -> None:
        """Stop when the model gave no verdict at all: what would follow is not about the user."""
        if pool.judged:
            return
        found = ", ".join(f"{number} {kind}" for kind, number in self._failures().items())
        raise BackendError(
            f"{self.account.model.name}: none of its {self.account.usage.distinct_calls} replies about user "
            f"{self.user_id[:60]!r} is a verdict ({found}). Cure: see what it replies to one comparison with "
            "`synthesizeme judge`, or use another model or judge prompt"
        )

    def _calls_left(self, limit: int) -> int:
        return limit - self.account.usage.distinct_calls

    def _bootstrap(
        self, stage: str, train: Sequence[PreferencePair], persona: Persona | None, rejudged: int
    ) -> TracePool:
        pool = TracePool()
        bootstrap(self.judge(stage, persona), train, self.orders, pool=pool, rejudged=rejudged)
        self.pools.append(pool)
        return pool

    def _choices(self, pool: TracePool, train: Sequence[PreferencePair]) -> list[Demonstration]:
        """Every train pair: with its verified reasoning, or as a bare choice where none was found."""
        return [
            reasoned(trace) if (trace := pool.best(pair)) else labelled(pair, self.orders[pair.pair_id])
            for pair in train
        ]

    def _write(self, choices: Sequence[Demonstration], limit: int | None = None) -> Persona | None:
        attempts = PERSONA_ATTEMPTS if limit is None else min(PERSONA_ATTEMPTS, self._calls_left(limit))
        persona, note = write_persona(
            self.account, choices, self.method.theta,
            max_characters=self.method.max_persona_characters, attempts=attempts, evidence=self.evidence,
        )  # fmt: skip
        if note and note not in self.notes:
            self.notes.append(note)
        return persona and without_repetition(persona)

    def _select(
        self, first: TracePool, pool: TracePool, train: Sequence[PreferencePair], count: int, limit: int
    ) -> None:
        """Race sets of demonstrations against the judge without any.

        All of them judge without the persona: it was written from the train pairs, and a judge that has it
        answers those as if it knew them.
        """
        base = CandidateSet("no demonstrations", (), self.judge("scoring the default judge", None))
        for traces in first.traces.values():
            base.scores[traces[0].pair.pair_id, traces[0].order] = traces[0].score
        both = [
            (pair, order)
            for pair in self.validation
            for order in (self.orders[pair.pair_id], other(self.orders[pair.pair_id]))
        ][: max(0, self._calls_left(limit) // 2)]
        base.judge_items(both)
        few = len(self.validation) < FEW_VALIDATION_PAIRS
        out_of_fold = [(pair, self.orders[pair.pair_id]) for pair in train] if few else []
        drawn = draw_demonstrations(
            pool, train, self.orders,
            count=count, largest=LARGEST_SET[self.method.effort], seed=self.method.seed,
        )  # fmt: skip
        candidates = [
            CandidateSet(name, demonstrations, self.judge("selecting demonstrations", None, demonstrations))
            for name, demonstrations in drawn
        ]
        winner = successive_halving(
            base, candidates, both, out_of_fold, calls_left=lambda: self._calls_left(limit) - 1
        )
        self.demonstrations = winner.demonstrations
        ordered, consistent = in_both_orders(winner.scores)
        self.verdicts = replace(self.verdicts, ordered=ordered, consistent=consistent)
        self.candidates = [
            candidate_report(candidate, base, selected=candidate is winner)
            for candidate in [base, *candidates]
        ]

    def paper(self) -> None:
        """The plain search of the paper."""
        found = paper_search(
            self.judge, self._write, self.train, self.validation or self.train, self.orders,
            seed=self.method.seed, largest=LARGEST_SET[self.method.effort],
        )  # fmt: skip
        self.persona, self.demonstrations = found.persona, found.demonstrations
        self.candidates, self.pools = found.candidates, [found.pool]

    def _failures(self) -> dict[str, int]:
        """Calls that failed and replies that could not be read, by kind."""
        unread = {
            question: failure.kind for judge in self.judges for question, failure in judge.unread.items()
        }
        return dict(sorted((Counter(self.account.failures) + Counter(unread.values())).items()))

    def _evidence_settings(self) -> dict[str, str | int | float | None]:
        if not self.evidence:
            return {}
        made_by, prompt = self.method.evidence_model, load_prompt(EVIDENCE_PROMPT).prompt_id
        return {"evidence_model": made_by, "evidence_prompt": prompt}

    def profile(self, pairs: Sequence[PreferencePair], split_rule: str) -> JudgingProfile:
        """The finished document."""
        method, usage, asked = self.method, self.account.usage, self.account.model.settings
        provenance = Provenance(
            model=self.account.model.name,
            model_kind=self.account.model.kind,
            settings={
                "api_base": asked.api_base,
                "temperature": asked.temperature_of(0),
                "max_tokens": asked.max_tokens,
                "structure": asked.structure,
                **({"extra_body": json.dumps(dict(asked.extra_body))} if asked.extra_body else {}),
                "judge_prompt": method.judge_prompt.prompt_id,
                "theta": method.theta.prompt_id,
                "budget_calls": method.budget_calls,
                **self._evidence_settings(),
            },
            search=method.search,
            effort=method.effort,
            seed=method.seed,
            split_rule=split_rule,
            splits={pair.pair_id: pair.split or "" for pair in pairs},
            data_fingerprint=fingerprint(pairs),
            traces_judged=sum(pool.judged for pool in self.pools),
            traces_verified=sum(pool.verified for pool in self.pools),
            candidates=tuple(self.candidates),
            evidence=self.evidence,
            usage=usage.model_copy(update={"cached_calls": 0, "retries": 0, "follow_ups": 0}),
            failures=self._failures(),
            notes=tuple(self.notes),
        )
        made = JudgingProfile(
            user_id=self.user_id,
            persona=self.persona,
            demonstrations=self.demonstrations,
            provenance=provenance,
        )
        return with_cautions(made, self.verdicts)


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
