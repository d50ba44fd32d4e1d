"""The paper's plain search, kept for comparison: ten random trials for reasoning, ten for demonstrations.

Each trial bootstraps a random-sized set of demonstrations from a random order of the train pairs and is
scored by bare accuracy on the validation pairs in one order; the best one wins.

References:
    SynthesizeMe (arXiv 2506.05598), sections 3.1 and 3.3; random search of DSPy's BootstrapFewShot.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from synthesizeme.judges import LLMJudge
from synthesizeme.personas.selection import Trace, TracePool, reasoned
from synthesizeme.profile import Candidate, Persona
from synthesizeme.types import Demonstration, Order, PreferencePair, Verdict

TRIALS = 10
"""n and m of the paper."""
MOST_DEMONSTRATIONS = 8
"""Most demonstrations in a set."""

MakeJudge = Callable[[str, Persona | None, Sequence[Demonstration]], LLMJudge]


@dataclass(frozen=True)
class SearchResult:
    """What the search ends with."""

    persona: Persona | None
    demonstrations: tuple[Demonstration, ...]
    candidates: list[Candidate]
    pool: TracePool


def paper_search(
    make_judge: MakeJudge,
    write: Callable[[Sequence[Demonstration]], Persona | None],
    train: Sequence[PreferencePair],
    validation: Sequence[PreferencePair],
    orders: dict[str, Order],
    *,
    seed: int,
) -> SearchResult:
    """Stages 1 to 3 as the paper has them.

    Args:
        make_judge: (stage, persona, demonstrations) -> judge.
        write: Writes a persona from demonstrations.
        train: Train pairs.
        validation: Pairs that score the trials.
        orders: The one order in which each pair is shown.
        seed: Seed; the user and the trial are mixed in.
    """
    pool = TracePool()

    def search(stage: str, persona: Persona | None) -> tuple[tuple[Demonstration, ...], list[Candidate]]:
        best: tuple[float, tuple[Demonstration, ...]] = (-1.0, ())
        candidates: list[Candidate] = []
        winner = 0
        for trial in range(TRIALS):
            rng = random.Random(f"{seed}\0{train[0].user_id}\0{stage}\0{trial}")
            shuffled = rng.sample(list(train), len(train))
            size = rng.randint(1, MOST_DEMONSTRATIONS)
            kept: list[Trace] = []
            for pair in shuffled:
                order = orders[pair.pair_id]
                result = make_judge(stage, persona, ()).compare([pair.compare(order)])[0]
                if isinstance(result, Verdict):
                    trace = Trace(pair, order, result)
                    pool.add(pair, order, result)
                    kept += [trace] if trace.verified else []
                if len(kept) == size:
                    break
            demonstrations = tuple(reasoned(trace) for trace in kept)
            candidate = _score(
                make_judge(stage, persona, demonstrations), validation, orders, f"{stage} #{trial + 1}"
            )
            candidates.append(candidate)
            accuracy = candidate.correct / max(1, candidate.judged)
            if accuracy > best[0]:
                best, winner = (accuracy, demonstrations), trial
        candidates[winner] = candidates[winner].model_copy(update={"selected": True})
        return best[1], candidates

    reasoning, first = search("trial of reasoning", None)
    persona = write(reasoning) if reasoning else None
    demonstrations, second = search("trial of demonstrations", persona)
    return SearchResult(persona, demonstrations, [*first, *second], pool)


def _score(
    judge: LLMJudge, validation: Sequence[PreferencePair], orders: dict[str, Order], name: str
) -> Candidate:
    results = judge.compare([pair.compare(orders[pair.pair_id]) for pair in validation])
    traces = [
        Trace(pair, orders[pair.pair_id], result)
        for pair, result in zip(validation, results, strict=True)
        if isinstance(result, Verdict)
    ]
    correct, failures = sum(trace.score for trace in traces), len(results) - len(traces)
    return Candidate(name=name, shrunken_gain=0.0, correct=correct, judged=len(traces), failures=failures)
