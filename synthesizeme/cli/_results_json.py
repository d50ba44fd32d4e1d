"""What `induce-persona` prints for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthesizeme.evaluation.harness import Outcome
    from synthesizeme.personas.estimate import Estimate, UserEstimate
    from synthesizeme.personas.workflow import UserFailure, UserResult

Price = float | None


def result_json(result: UserResult, files: Mapping[str, Path]) -> dict[str, Any]:
    """One user's entry in the JSON output; ``evidence`` and ``evaluation_error`` only if there is any."""
    persona, provenance = result.profile.persona, result.profile.provenance
    evidence = provenance.evidence if provenance else ()
    return {
        "user_id": result.user_id,
        "persona": None if persona is None else persona.text,
        "pairs": dict(result.pairs),
        "usage": result.usage.model_dump(),
        "evaluation_usage": result.evaluation_usage.model_dump(),
        "accuracy": {name: _accuracy_json(outcome) for name, outcome in result.outcomes.items()},
        "cautions": [caution.model_dump(mode="json") for caution in result.profile.cautions],
        "files": {name: str(path) for name, path in files.items()},
        **({"evidence": [item.model_dump(mode="json") for item in evidence]} if evidence else {}),
        **({"evaluation_error": result.evaluation_error} if result.evaluation_error else {}),
    }


def failure_json(failure: UserFailure) -> dict[str, str]:
    """The entry of a user whose induction failed."""
    return {"user_id": failure.user_id, "error": failure.error}


def pooled_json(results: Sequence[UserResult]) -> dict[str, Any]:
    """Accuracy of each judge over all users."""
    return {name: _accuracy_json(outcome) for name, outcome in pooled_outcomes(results).items()}


def estimate_json(
    user_ids: Sequence[str],
    found: Sequence[UserEstimate],
    prices: Sequence[tuple[Price, Price]],
    follow_ups: int,
) -> dict[str, Any]:
    """What a dry run found; `follow_ups` are those that each call may take beside it."""

    def one(estimate: Estimate, price: Price) -> dict[str, Any]:
        return {**estimate.__dict__, "cost_usd": price}

    users = [
        {
            "user_id": user_id,
            "induction": one(it.induction, price[0]),
            "evaluation": one(it.evaluation, price[1]),
            **({"note": it.note} if it.note else {}),
        }
        for user_id, it, price in zip(user_ids, found, prices, strict=True)
    ]
    return {"dry_run": True, "most_follow_ups_per_call": follow_ups, "users": users}


def pooled_outcomes(results: Sequence[UserResult]) -> dict[str, Outcome]:
    """Outcomes of the users joined, for each judge; none where some are people and others simulations."""
    from synthesizeme.evaluation.harness import pool

    if len({result.respondents for result in results if result.outcomes}) > 1:
        return {}
    names = dict.fromkeys(name for result in results for name in result.outcomes)
    return {
        name: pool(result.outcomes[name] for result in results if name in result.outcomes) for name in names
    }


def _accuracy_json(outcome: Outcome) -> dict[str, Any]:
    from synthesizeme.evaluation.intervals import accuracy_interval

    found = accuracy_interval(outcome)
    return {
        "micro": found.value,
        "low": found.low,
        "high": found.high,
        "n": len(outcome.answered),
        "ties": outcome.ties,
        "failures": sum(outcome.failures.values()),
    }
