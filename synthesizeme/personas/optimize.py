"""A better persona-writing instruction (Theta), searched once over many users with DSPy's optimisers.

The program that is optimised is what inductions do, `write_persona` and the trial of its statements: DSPy
proposes instructions, our code renders and sends them. An instruction is scored by how well a judge that sees
only the persona predicts the user's other pairs. Users are split in three: one part for proposals and their
feedback, one for choosing, one held out for the score before and after.

References:
    SynthesizeMe (arXiv 2506.05598), section 3.2: Theta by MIPROv2. GEPA: arXiv 2507.19457.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dspy
import numpy as np

from synthesizeme.backends import Ledger, Model, Session
from synthesizeme.errors import ConfigError, DataError, MissingExtraError
from synthesizeme.evaluation.harness import Outcome, evaluate
from synthesizeme.evaluation.intervals import accuracy_interval, paired_difference
from synthesizeme.judges import LLMJudge
from synthesizeme.personas.budget import call_limit
from synthesizeme.personas.selection import draw_orders, labelled
from synthesizeme.personas.synthesis import persona_messages, write_persona
from synthesizeme.personas.trial import tried_persona
from synthesizeme.profile import Persona, UserProfile
from synthesizeme.prompts import PromptTemplate, load_prompt
from synthesizeme.types import Demonstration, Order, PreferencePair

Optimizer = Literal["mipro", "gepa"]
OPTIMIZERS: tuple[Optimizer, ...] = ("mipro", "gepa")
LEAST_USERS = 6
_MAX_CHARACTERS = 120_000


@dataclass(frozen=True)
class OptimizedTheta:
    """What a search over instructions found."""

    theta: PromptTemplate
    before: Outcome
    """Held-out users, judged with personas of the instruction the search began with."""
    after: Outcome
    """The same users with personas of the best instruction."""
    record: Mapping[str, Any]
    """Settings and held-out scores, JSON-serialisable."""


@dataclass(frozen=True)
class _User:
    """One user's part in the search: pairs to write from and pairs to predict."""

    choices: tuple[Demonstration, ...]
    train: tuple[PreferencePair, ...]
    orders: Mapping[str, Order]
    asked: tuple[PreferencePair, ...]


class ThetaProgram(dspy.Module):  # type: ignore[misc]
    """Writes one user's persona with the instruction its predictor carries.

    The predictor is never called: it is where DSPy's optimisers read and put the instruction. The call goes
    through `write_persona`, and is recorded in DSPy's trace so that reflective optimisers see it.
    """

    def __init__(self, ledger: Ledger, theta: PromptTemplate) -> None:
        super().__init__()
        self._theta = theta

        def written(user: _User, prompt: PromptTemplate) -> Persona | None:
            return _tried(ledger, user, prompt)

        self._written = written  # a function: DSPy copies programs, and ledgers cannot be copied
        signature = dspy.Signature("choices: str -> persona: str", instructions=theta.render("system"))
        self.write = dspy.Predict(signature)

    @property
    def theta(self) -> PromptTemplate:
        """The prompt with the instruction as it stands."""
        return self._theta.with_section("system", self.write.signature.instructions)

    def forward(self, user: _User) -> dspy.Prediction:
        """The persona of `user` (an empty text when none could be written)."""
        persona = self._written(user, self.theta)
        prediction = dspy.Prediction(persona=persona.text if persona else "", profile_persona=persona)
        if dspy.settings.trace is not None:
            shown = persona_messages(user.choices, self.theta)[1].content
            dspy.settings.trace.append((self.write, {"choices": shown}, prediction))
        return prediction


def optimize_theta(
    session: Session,
    users: Mapping[str, Sequence[PreferencePair]],
    *,
    optimizer: Optimizer = "mipro",
    proposer: Model | None = None,
    theta: str = "persona/default",
    trials: int = 8,
    seed: int = 0,
) -> OptimizedTheta:
    """Search for a better Theta.

    Args:
        session: The model that writes personas and judges.
        users: Pairs by user id, each with a split; personas are written from train pairs and scored on the
            others.
        optimizer: ``mipro`` (MIPROv2) or ``gepa``.
        proposer: The model that proposes instructions; the session's own by default.
        theta: Name or path of the prompt to begin with.
        trials: Instructions to try.
        seed: Seed of the split of users and of the optimiser.

    Raises:
        DataError: fewer than six users have pairs to write from and pairs to predict.
        MissingExtraError: the optimiser is not installed.
    """
    if optimizer not in OPTIMIZERS:
        raise ConfigError(f"optimizer is {optimizer!r}; expected {', '.join(OPTIMIZERS)}")
    base = load_prompt(theta)
    train, choose, held_out = _three_parts(users, seed)
    ledger = session.ledger()
    program = ThetaProgram(ledger, base)
    metric = _Metric(ledger)
    lm = (proposer or session.model).lm
    examples = [[dspy.Example(user=user).with_inputs("user") for user in part] for part in (train, choose)]
    with dspy.context(lm=lm, disable_history=True), contextlib.redirect_stdout(io.StringIO()):
        best = _COMPILE[optimizer](program, metric, lm, examples, trials, seed)
    before, after = (_held_out(ledger, held_out, prompt) for prompt in (base, best.theta))
    changed = best.theta.sections["system"] != base.sections["system"]
    found = PromptTemplate(base.name, base.version + changed, base.variables, best.theta.sections)
    record = {
        "changed": changed,
        "optimizer": optimizer,
        "model": session.model.name,
        "proposer": (proposer or session.model).name,
        "trials": trials,
        "seed": seed,
        "users": {"propose": len(train), "choose": len(choose), "held_out": len(held_out)},
        "held_out": {"before": _figures(before), "after": _figures(after), "gain": _gain(after, before)},
        "calls": ledger.usage.distinct_calls,
    }
    return OptimizedTheta(found, before, after, record)


def theta_document(previous: str | None, base: PromptTemplate, found: OptimizedTheta) -> str:
    """The JSON document that `load_prompt` reads back: every version with its record, the newest last.

    A search that found nothing better is recorded with the version it began with.

    Args:
        previous: The document found was optimised from, if it was one; its versions are kept.
        base: The prompt the search began with.
        found: What it found.
    """
    versions = json.loads(previous)["versions"] if previous else [_version(base, None)]
    if found.record["changed"]:
        versions.append(_version(found.theta, found.record))
    else:  # nothing better was found: that is worth keeping too
        versions[-1].setdefault("searches", []).append(found.record)
    document = {"name": base.name, "variables": sorted(base.variables), "versions": versions}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _version(prompt: PromptTemplate, record: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "version": prompt.version,
        "prompt_id": prompt.prompt_id,
        "record": record,
        "sections": dict(prompt.sections),
    }


def _tried(ledger: Ledger, user: _User, theta: PromptTemplate) -> Persona | None:
    """What a trial on the user's train pairs leaves of the persona that an instruction brings."""
    proposed, _ = write_persona(ledger, user.choices, theta, max_characters=_MAX_CHARACTERS)
    user_id = user.asked[0].user_id

    def judge(stage: str, persona: Persona) -> LLMJudge:
        return LLMJudge(ledger, {user_id: UserProfile(user_id=user_id, persona=persona)}, name=stage)

    return proposed and tried_persona(
        ledger, proposed, user.train, user.orders, np.full(len(user.train), 0.5),
        judge=judge, max_calls=call_limit(len(user.train), "medium"),
    )  # fmt: skip


class _Metric:
    """Accuracy of a judge with the written persona alone, in both orders, with the misses as feedback."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __call__(
        self, gold: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> Any:
        outcome = _judge(
            self._ledger, {gold.user.asked[0].user_id: prediction.profile_persona}, gold.user.asked
        )
        score = outcome.micro if outcome.micro is not None else 0.0
        if pred_name is None:
            return score
        missed = [pair for pair in gold.user.asked if outcome.scores.get(pair.pair_id, 1.0) < 1.0][:3]
        told = "\n\n".join(
            f"Missed: asked {pair.prompt[-1].content[:300]!r}, the user chose {pair.chosen_text[:600]!r} "
            f"over {pair.rejected_text[:600]!r}."
            for pair in missed
        )
        feedback = f"A judge with this persona predicted {score:.0%} of the user's other choices. {told}"
        return dspy.Prediction(score=score, feedback=feedback)


def _judge(ledger: Ledger, personas: Mapping[str, Any], pairs: Sequence[PreferencePair]) -> Outcome:
    profiles = {user: UserProfile(user_id=user, persona=persona) for user, persona in personas.items()}
    return evaluate(LLMJudge(ledger, profiles, name="scoring the persona"), pairs)


def _held_out(ledger: Ledger, users: Sequence[_User], theta: PromptTemplate) -> Outcome:
    program = ThetaProgram(ledger, theta)
    personas = {user.asked[0].user_id: program(user=user).profile_persona for user in users}
    return _judge(ledger, personas, [pair for user in users for pair in user.asked])


def _three_parts(
    users: Mapping[str, Sequence[PreferencePair]], seed: int
) -> tuple[list[_User], list[_User], list[_User]]:
    usable = []
    for pairs in users.values():
        train = [pair for pair in pairs if pair.split == "train"]
        asked = tuple(pair for pair in pairs if pair.split != "train")
        if len(train) >= 2 and asked:
            orders = draw_orders(train, seed=seed)
            choices = tuple(labelled(pair, orders[pair.pair_id]) for pair in train)
            usable.append(_User(choices, tuple(train), orders, asked))
    if len(usable) < LEAST_USERS:
        raise DataError(
            f"{len(usable)} of {len(users)} users have two train pairs and one more; expected {LEAST_USERS}",
            cure="optimise Theta over a file with more users",
        )
    random.Random(f"{seed}\0users").shuffle(usable)
    third = len(usable) // 3
    return usable[:third], usable[third : 2 * third], usable[2 * third :]


def _mipro(
    program: ThetaProgram, metric: _Metric, lm: Any, examples: list[list[Any]], trials: int, seed: int
) -> ThetaProgram:
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("MIPROv2", "optimize") from error
    search = dspy.MIPROv2(
        metric=metric, prompt_model=lm, task_model=lm, auto=None, num_candidates=trials, num_threads=1,
        max_bootstrapped_demos=0, max_labeled_demos=0, seed=seed,
    )  # fmt: skip
    best: ThetaProgram = search.compile(
        program, trainset=examples[0], valset=examples[1], num_trials=trials, minibatch=False, seed=seed,
        program_aware_proposer=False, data_aware_proposer=False, fewshot_aware_proposer=False,
    )  # fmt: skip
    return best


def _gepa(
    program: ThetaProgram, metric: _Metric, lm: Any, examples: list[list[Any]], trials: int, seed: int
) -> ThetaProgram:
    try:
        import gepa  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("GEPA", "optimize") from error
    calls = (trials + 1) * len(examples[1]) + 2 * 3 * trials
    search = dspy.GEPA(metric=metric, reflection_lm=lm, max_metric_calls=calls, num_threads=1, seed=seed)
    best: ThetaProgram = search.compile(program, trainset=examples[0], valset=examples[1])
    return best


_COMPILE = {"mipro": _mipro, "gepa": _gepa}


def _figures(outcome: Outcome) -> dict[str, Any]:
    interval = accuracy_interval(outcome)
    return {
        "micro": outcome.micro, "low": interval.low, "high": interval.high,
        "n_pairs": outcome.n_pairs, "n_users": outcome.n_users, "failures": sum(outcome.failures.values()),
    }  # fmt: skip


def _gain(after: Outcome, before: Outcome) -> dict[str, Any]:
    difference = paired_difference(after, before)
    return {"value": difference.value, "low": difference.low, "high": difference.high}
