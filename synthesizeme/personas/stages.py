"""One user's induction: what SynthesizeMe finds in the user's choices, stage by stage."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synthesizeme.backends import Ledger
from synthesizeme.errors import BackendError
from synthesizeme.evaluation.report import fingerprint
from synthesizeme.judges import LLMJudge
from synthesizeme.personas import own_words
from synthesizeme.personas.averaging import choose_averaging, kept_back, nearest
from synthesizeme.personas.beside import Beside
from synthesizeme.personas.budget import Effort, Search, make_plan
from synthesizeme.personas.cautions import Verdicts, in_both_orders, with_cautions, without_repetition
from synthesizeme.personas.judging_profile import JudgingProfile
from synthesizeme.personas.owner import beside_kept, carried
from synthesizeme.personas.paper_search import paper_search
from synthesizeme.personas.selection import (
    CandidateSet,
    Item,
    TracePool,
    bootstrap,
    candidate_report,
    draw_demonstrations,
    draw_orders,
    judge_into,
    other,
    successive_halving,
    with_why,
)
from synthesizeme.personas.synthesis import EVIDENCE_PROMPT, PERSONA_ATTEMPTS, write_persona
from synthesizeme.personas.trial import tried_persona
from synthesizeme.plain_text import count
from synthesizeme.profile import APART_LEVEL, Averaging, Candidate, Persona, Provenance, UserProfile
from synthesizeme.prompts import PromptTemplate, load_prompt
from synthesizeme.taste import as_sure_as_they_are, p_value
from synthesizeme.types import Demonstration, Order, PreferencePair

FEW_VALIDATION_PAIRS = 6
"""Below this many validation pairs, demonstrations are also scored on train pairs they do not show."""
LEAST_SURE = 0.02
"""A probability of a choice for anybody is at least that far from 0 and 1."""
LARGEST_SET = {"low": 8, "medium": 48, "high": 48}
"""Most demonstrations in a profile, by effort."""
FEW = 8
"""Most of them for a model that answers to none of the larger sets, such as one with a small window."""


@dataclass(frozen=True)
class Method:
    """How users are induced; see `SynthesizeMe`."""

    effort: Effort
    search: Search
    seed: int
    budget_calls: int | None
    judge_prompt: PromptTemplate
    theta: PromptTemplate
    max_persona_characters: int
    evidence_model: str | None


class Induction:
    """One user's induction: what has been found so far."""

    def __init__(
        self,
        method: Method,
        ledger: Ledger,
        user_id: str,
        train: list[PreferencePair],
        validation: list[PreferencePair],
        beside: Beside,
    ) -> None:
        self.method, self.ledger, self.user_id = method, ledger.part(), user_id
        self.train, self.validation, self.evidence = train, validation, tuple(beside.evidence)
        self.population, self.words, self.before = beside.population or {}, beside.words, beside.before
        self.others = beside.others or {}
        self.orders: dict[str, Order] = draw_orders([*train, *validation], seed=method.seed)
        self.persona: Persona | None = None
        self.demonstrations: tuple[Demonstration, ...] = ()
        self.averaging: Averaging | None = None
        self.candidates: list[Candidate] = []
        self.pools: list[TracePool] = []
        self.judges: list[LLMJudge] = []
        self.notes: list[str] = []
        self.verdicts = Verdicts("train")
        self.nobody = np.zeros(0)
        self.p_value: float | None = None

    def judge(
        self,
        stage: str,
        persona: Persona | None,
        demonstrations: Sequence[Demonstration] = (),
        averaging: Averaging | None = None,
    ) -> LLMJudge:
        """A judge of this user with the given parts of a profile."""
        known = UserProfile(
            user_id=self.user_id, persona=persona, demonstrations=tuple(demonstrations), averaging=averaging
        )
        profiles = {self.user_id: known}
        self.judges.append(LLMJudge(self.ledger, profiles, prompt=self.method.judge_prompt, name=stage))
        return self.judges[-1]

    def economical(self) -> None:
        """Judge once, write and try statements if there is a taste, select demonstrations."""
        method = self.method
        plan = make_plan(
            len(self.train), len(self.validation), effort=method.effort, budget_calls=method.budget_calls
        )
        train = self.train[: plan.train]
        pool = TracePool()
        default = self.judge("bootstrapping reasoning", None)
        bootstrap(default, train, self.orders, pool=pool, rejudged=plan.rejudged)
        self.pools.append(pool)
        self._insist_on_verdicts(pool)
        both = [
            (pair, order)
            for pair in self.validation
            for order in (self.orders[pair.pair_id], other(self.orders[pair.pair_id]))
        ][: max(0, self._calls_left(plan.limit) // 2)]
        judged = TracePool()
        judge_into(judged, self.judge("scoring the default judge", None), both)
        taste = self._shows_taste([pool, judged])
        choices = self._choices([pool, judged], [*self.train, *self.validation])
        self.persona = self._tried(self._write(choices, plan.limit) if taste else None, plan.limit)
        neighbours = self._neighbours(train) if plan.averages and self.others else ()
        kept = kept_back(
            plan.averages, len(self.validation),
            samples=self.ledger.model.samples, neighbours=len(neighbours),
        )  # fmt: skip
        single = self._select([pool, judged], both, train, plan.candidates, plan.limit - kept)
        if kept:
            self._average(single, both, neighbours, plan.limit)

    def _shows_taste(self, pools: Sequence[TracePool]) -> bool:
        """Whether the choices differ from those of anybody; what was measured is kept."""
        self.nobody = as_sure_as_they_are(self._probabilities(pools))
        self.p_value = p_value([*self.train, *self.validation], self.nobody, self.method.seed)
        if self.p_value <= APART_LEVEL:
            return True
        if self._said_a_taste():
            return True
        self.notes.append(
            f"nothing yet: these {len(self.nobody)} choices cannot be told from those of anybody "
            f"(p = {self.p_value:.2f}, expected {APART_LEVEL:g} or less). What helps: more choices, between "
            "answers that differ in what matters to the user"
        )
        return False

    def _said_a_taste(self) -> bool:
        """Whether the user gave a reason or a wish: then statements are sought whatever the choices show."""
        said = own_words.tastes([*self.train, *self.validation], self.words)
        if said:
            self.notes.append(
                f"these {len(self.nobody)} choices cannot be told from those of anybody (p = "
                f"{self.p_value:.2f}); statements were sought all the same, since the user gave {said}"
            )
        return bool(said)

    def _probabilities(self, pools: Sequence[TracePool]) -> NDArray[np.float64]:
        """Of each train and validation choice for anybody: as given, or by the judge that knows nobody."""
        found = []
        for pair in (*self.train, *self.validation):
            said = [trace.probability for pool in pools for trace in pool.traces.get(pair.pair_id, ())]
            default = sum(said) / len(said) if said else 0.5
            found.append(self.population.get(pair.pair_id, default))
        return np.clip(found, LEAST_SURE, 1 - LEAST_SURE)

    def _tried(self, written: Persona | None, limit: int) -> Persona | None:
        """What the person keeps, and of what the writer proposes what a trial on the choices bears out."""
        proposed = beside_kept(written, self.before)
        if proposed is None:
            return None
        pairs = [*self.train, *self.validation]
        persona = tried_persona(
            self.ledger, proposed, pairs, self.orders, self.nobody,
            judge=self.judge, max_calls=self._calls_left(limit) // 2,
        )  # fmt: skip
        number = sum(not it.kept for it in proposed.sentences)
        if number and not (persona and any(not it.kept for it in persona.sentences)):
            tried = count(number, "statement")
            self.notes.append(f"{tried} tried; none explains the choices better than what holds of anybody")
        if persona is None:
            return None
        own = [it for it in persona.sentences if it.silent is not None]
        agreed = dict.fromkeys((pair_id for it in own for pair_id in (*it.pair_ids, *it.against)), 0)
        for it in own:
            for ids, vote in ((it.pair_ids, 1), (it.against, -1)):
                agreed.update({pair_id: agreed[pair_id] + vote for pair_id in ids})
        correct = sum((1 + (votes > 0) - (votes < 0)) / 2 for votes in agreed.values())
        self.verdicts = replace(self.verdicts, judged=len(agreed), correct=correct)
        return persona

    def _insist_on_verdicts(self, pool: TracePool) -> None:
        """Stop when the model gave no verdict at all: what would follow is not about the user."""
        if pool.judged:
            return
        found = ", ".join(f"{number} {kind}" for kind, number in self._failures().items())
        raise BackendError(
            f"{self.ledger.model.name}: none of its {self.ledger.usage.distinct_calls} replies about user "
            f"{self.user_id[:60]!r} is a verdict ({found}). Cure: see what it replies to one comparison with "
            "`synthesizeme judge`, or use another model or judge prompt"
        )

    def _calls_left(self, limit: int) -> int:
        return limit - self.ledger.usage.distinct_calls

    def _choices(self, pools: Sequence[TracePool], pairs: Sequence[PreferencePair]) -> list[Demonstration]:
        """Pairs with the user's reasons or verified reasoning, or as bare choices where there is neither."""
        return [with_why(pair, self.orders, pools) for pair in pairs]

    def _write(self, choices: Sequence[Demonstration], limit: int | None = None) -> Persona | None:
        attempts = PERSONA_ATTEMPTS if limit is None else min(PERSONA_ATTEMPTS, self._calls_left(limit))
        persona, note = write_persona(
            self.ledger, choices, self.method.theta,
            max_characters=self.method.max_persona_characters, attempts=attempts, evidence=self.evidence,
            words=own_words.told(self.words),
        )  # fmt: skip
        shown = [pair for pair in (*self.train, *self.validation) if pair.reason]
        for said in (note, *own_words.left_out(shown, self.words)):
            if said and said not in self.notes:
                self.notes.append(said)
        return persona and without_repetition(persona)

    def _select(
        self,
        pools: Sequence[TracePool],
        both: Sequence[Item],
        train: Sequence[PreferencePair],
        count: int,
        limit: int,
    ) -> CandidateSet:
        """Race sets of demonstrations against the judge without any; returns the winner.

        All of them judge without the persona: it was written from these very pairs, and a judge that has it
        answers them as if it knew them.
        """
        base = CandidateSet("no demonstrations", (), self.judge("scoring the default judge", None))
        for traces in (traces for pool in pools for traces in pool.traces.values()):
            base.scores.update({(it.pair.pair_id, it.order): it.score for it in traces})
        few = len(self.validation) < FEW_VALIDATION_PAIRS
        out_of_fold = [(pair, self.orders[pair.pair_id]) for pair in train] if few else []
        for largest in (LARGEST_SET[self.method.effort], FEW):
            drawn = draw_demonstrations(
                pools[0], train, self.orders, count=count, largest=largest, seed=self.method.seed
            )
            candidates = [
                CandidateSet(name, shown, self.judge("selecting demonstrations", None, shown))
                for name, shown in drawn
            ]
            winner = successive_halving(
                base, candidates, both, out_of_fold, calls_left=lambda: self._calls_left(limit) - 1
            )
            if any(it.scores for it in candidates) or not any(it.failures for it in candidates):
                break
        self.demonstrations = winner.demonstrations
        self._told_apart(winner, base)
        self.candidates = [
            candidate_report(candidate, base, selected=candidate is winner)
            for candidate in [base, *candidates]
        ]
        return winner

    def _told_apart(self, *judges: CandidateSet) -> None:
        """Keep in how many pairs the steadiest of these judges preferred the same response in both orders."""
        before = (self.verdicts.ordered, self.verdicts.consistent)
        ordered, consistent = max(before, *(in_both_orders(it.scores) for it in judges))
        self.verdicts = replace(self.verdicts, ordered=ordered, consistent=consistent)

    def _neighbours(self, train: Sequence[PreferencePair]) -> tuple[str, ...]:
        items = [(pair, self.orders[pair.pair_id]) for pair in train]
        return nearest(self.others, self.user_id, items, seed=self.method.seed)

    def _average(
        self, single: CandidateSet, validation: Sequence[Item], neighbours: Sequence[str], limit: int
    ) -> None:
        """Read the judge as the mean of several judgements, where that is the better bet."""
        self.averaging, best, tried = choose_averaging(
            single,
            lambda how: self.judge("averaging judgements", None, single.demonstrations, how),
            validation,
            samples=self.ledger.model.samples,
            neighbours=neighbours,
            calls_left=lambda: self._calls_left(limit),
        )
        self.candidates += tried
        self._told_apart(best, single)
        if tried and self.averaging is None:
            pairs = count(len({pair.pair_id for pair, _ in validation}), "validation pair")
            self.notes.append(f"judged once: on {pairs} no mean of several judgements was the better bet")

    def paper(self) -> None:
        """The plain search of the paper."""
        found = paper_search(
            self.judge, self._write, self.train, self.validation or self.train, self.orders,
            seed=self.method.seed,
        )  # fmt: skip
        self.persona, self.demonstrations = found.persona, found.demonstrations
        self.candidates, self.pools = found.candidates, [found.pool]

    def _failures(self) -> dict[str, int]:
        """Calls that failed and replies that could not be read, by kind."""
        unread = {
            question: failure.kind for judge in self.judges for question, failure in judge.unread.items()
        }
        return dict(sorted((Counter(self.ledger.failures) + Counter(unread.values())).items()))

    def _evidence_settings(self) -> dict[str, str | int | float | None]:
        if not self.evidence:
            return {}
        made_by, prompt = self.method.evidence_model, load_prompt(EVIDENCE_PROMPT).prompt_id
        return {"evidence_model": made_by, "evidence_prompt": prompt}

    def _words_settings(self) -> dict[str, str]:
        spoken = own_words.told(self.words) or any(pair.reason for pair in (*self.train, *self.validation))
        return {"words_prompt": load_prompt(own_words.WORDS_PROMPT).prompt_id} if spoken else {}

    def profile(self, pairs: Sequence[PreferencePair], split_rule: str) -> JudgingProfile:
        """The finished document."""
        method, usage, asked = self.method, self.ledger.usage, self.ledger.model.settings
        provenance = Provenance(
            model=self.ledger.model.name,
            model_kind=self.ledger.model.kind,
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
                **self._words_settings(),
            },
            search=method.search,
            effort=method.effort,
            seed=method.seed,
            split_rule=split_rule,
            splits={pair.pair_id: pair.split or "" for pair in pairs},
            data_fingerprint=fingerprint(pairs),
            taste_p_value=self.p_value,
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
            averaging=self.averaging,
            provenance=provenance,
        )
        return with_cautions(carried(made, self.before), self.verdicts)
