"""Simulated users: a persona in words played by a model, or a planted taste; and the pairs they answer.

A respondent is a `PairwiseScorer`: it is asked like any judge, through the same ledger, and what it says is
read the same way. A pair that comes of an answer carries in its metadata who answered in whose place.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from pydantic import Field

from synthesizeme.backends import Ledger
from synthesizeme.datasets.rows import ReadReport, rows_of
from synthesizeme.datasets.synthetic import KnownValues, planted_population
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.judges import LLMJudge, both_orders
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.prompts import PromptTemplate, load_prompt
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.simulation.answers import answered_pair
from synthesizeme.simulation.pool import asked_of
from synthesizeme.types import SIMULATED, Comparison, Failure, Frozen, PreferencePair, Side, Verdict

PROMPT = "simulation/default"
PREFIX = "simulated:"
"""Beginning of the id of a simulated user, so that nobody takes it for the person it was made after."""


class Simulated(Frozen):
    """What simulated users answered, and what they did not."""

    pairs: tuple[PreferencePair, ...]
    """One for each choice, users in the order given."""
    asked: int
    """Comparisons put to users, each in one or both orders."""
    ties: int
    """Comparisons without a choice: a tie, or answers that turned with the order."""
    failures: dict[str, int] = Field(default_factory=dict)
    """Comparisons without a verdict in every order asked, by kind."""
    consistent: float | None = None
    """Share of those answered in both orders with the same answer in both; None where one order is enough."""


def role_played(
    ledger: Ledger, personas: Mapping[str, UserProfile], prompt: PromptTemplate | None = None
) -> LLMJudge:
    """Users as a model plays them: it is told to be the person of the persona, not to judge for one.

    Args:
        ledger: Through which the model is asked.
        personas: Who is played, by user id; demonstrations are left out, words are all there is.
        prompt: The instruction, ``simulation/default`` unless given; sections as of a judge prompt.

    Raises:
        DataError: a profile has no persona.
    """
    bare = {user: profile.without(demonstrations=True) for user, profile in personas.items()}
    if speechless := [user for user, profile in bare.items() if profile.persona is None]:
        raise DataError(
            f"{len(speechless)} profiles have no persona, the first is that of {speechless[0][:80]!r}; a "
            "user is played by the words about them",
            field="persona",
            cure="leave them out, or write one.",
        )
    return LLMJudge(ledger, bare, prompt=prompt or load_prompt(PROMPT), name="role-play")


def played_by(
    ledger: Ledger, personas: Mapping[str, UserProfile], prompt: PromptTemplate | None = None
) -> dict[str, dict[str, Any]]:
    """For the metadata of every user's pairs: the model, the prompt, and which words were played."""
    asked = (prompt or load_prompt(PROMPT)).prompt_id
    return {
        user: {"by": ledger.model.name, "prompt": asked, "persona": persona_id(profile)}
        for user, profile in personas.items()
    }


def persona_id(profile: UserProfile) -> str:
    """The user and a hash of the persona's words, e.g. ``tobias#3f2a9c10``."""
    words = profile.persona.text if profile.persona else ""
    return f"{profile.user_id}#{hashlib.sha256(words.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def simulate(
    respondents: PairwiseScorer,
    made_by: Mapping[str, Mapping[str, Any]],
    pool: Sequence[Comparison],
    *,
    per_user: int | None = None,
    noise: float = 0.0,
    seed: int = 0,
) -> Simulated:
    """Let every user answer comparisons of a pool, in both orders where the order may matter.

    Args:
        respondents: Who answers; a comparison names its user.
        made_by: For every user, in order, what the metadata of their pairs says of where they come from.
        pool: What is asked.
        per_user: Comparisons of each user, drawn without replacement; all unless given.
        noise: Temperature of the choices: 0 takes the verdict, 1 draws from its stated probability.
        seed: Seed of what is drawn.

    Raises:
        ConfigError: `noise` is negative, `per_user` less than 1, or nobody or nothing is to be asked.
        BackendError: the model cannot be reached.
    """
    _check(made_by, pool, per_user, noise)
    asked = [asked_of(user, item) for user in made_by for item in _drawn(user, pool, per_user, seed)]
    consistent: float | None = None
    if respondents.order_sensitive:
        both = both_orders(respondents, asked)
        alike = [it.consistent for it in both if not isinstance(it, Failure)]
        consistent = sum(alike) / len(alike) if alike else None
        said = [it if isinstance(it, Failure) else it.combined for it in both]
    else:
        said = list(respondents.compare(asked))
    pairs, ties, failures = [], 0, Counter[str]()
    for comparison, verdict in zip(asked, said, strict=True):
        if isinstance(verdict, Failure):
            failures[verdict.kind] += 1
        elif verdict.preference == "tie":
            ties += 1
        else:
            facts = {**made_by[comparison.user_id], "noise": noise, "seed": seed}
            pairs.append(_pair(comparison, verdict, facts, noise, seed))
    return Simulated(
        pairs=tuple(pairs), asked=len(asked), ties=ties, failures=dict(failures), consistent=consistent
    )


def _pair(
    comparison: Comparison, verdict: Verdict, facts: dict[str, Any], noise: float, seed: int
) -> PreferencePair:
    side: Side = "first" if verdict.preference == "first" else "second"
    if noise:
        coin = Random(f"{seed}\0{comparison.user_id}\0{comparison.pair_id}\0answer").random()
        chance = 1 / (1 + math.exp(min(max(-verdict.margin / noise, -500.0), 500.0)))
        side = "first" if coin < chance else "second"
    named = comparison.model_copy(update={"user_id": f"{PREFIX}{comparison.user_id}"})
    return answered_pair(named, side, {SIMULATED: facts})


def _drawn(user: str, pool: Sequence[Comparison], per_user: int | None, seed: int) -> Sequence[Comparison]:
    if per_user is None or per_user >= len(pool):
        return pool
    return Random(f"{seed}\0{user}\0pool").sample(pool, per_user)


def _check(users: Mapping[str, Any], pool: Sequence[Comparison], per_user: int | None, noise: float) -> None:
    problems = []
    if not users:
        problems.append("there is no user to be asked; expected at least one persona")
    if not pool:
        problems.append("there is nothing to ask; expected at least one comparison")
    if per_user is not None and per_user < 1:
        problems.append(f"per_user is {per_user}; expected 1 or more")
    if not noise >= 0 or math.isinf(noise):
        problems.append(f"noise is {noise}; expected 0 or more")
    if problems:
        raise ConfigError(problems)


_OTHERS = 1_000_003
"""Added to a seed for the makers of the texts, who are other people."""


def planted_respondents(
    users: int, pairs: int, *, seed: int = 0
) -> tuple[KnownValues, list[str], list[PreferencePair]]:
    """Planted users, by name, and so many planted pairs of others that all of them can be asked about."""
    population = planted_population(users, 1, seed=seed)
    others = planted_population(pairs, 1, seed=seed + _OTHERS)
    return population.answering(others.pairs), list(population.users), others.pairs


_CURE = 'give {"user_id": ..., "persona": "The user prefers ..."}'


def read_personas(path: str | Path) -> dict[str, UserProfile]:
    """Profiles of a file with one ``{"user_id", "persona"}`` per line; a persona is text, a sentence a line.

    Raises:
        DataError: the file cannot be read, holds no row, a row lacks either field, or a user comes twice.
    """
    found: dict[str, UserProfile] = {}
    for place in rows_of(Path(path), ReadReport()):
        user, words = place.row.get("user_id"), place.row.get("persona")
        for field, value in (("user_id", user), ("persona", words)):
            if not isinstance(value, str) or not value.strip():
                raise place.error("found no text; expected some", field=field, cure=_CURE)
        if user in found:
            raise place.error(f"user {str(user)[:60]!r} has a persona already", field="user_id", cure=_CURE)
        found[str(user)] = persona_of(str(user), str(words))
    return found


def persona_of(user_id: str, words: str, *, made_by: str = "by hand") -> UserProfile:
    """A profile that is a persona in words alone, each line a sentence."""
    sentences = tuple(PersonaSentence(text=line.strip()) for line in words.splitlines() if line.strip())
    return UserProfile(
        user_id=user_id, persona=Persona(sentences=sentences, made_by=made_by, prompt_id="none")
    )
