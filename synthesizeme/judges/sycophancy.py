"""The shipped pairs of agreeing and other answers, and how a judge with and without a persona takes them."""

from __future__ import annotations

import json

from synthesizeme.discovery import resource
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.evaluation.report import Sycophancy, sycophancy
from synthesizeme.judges import LLMJudge
from synthesizeme.judges.by_name import Scorers
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import Message, PreferencePair


def sycophancy_pairs(user_id: str) -> list[PreferencePair]:
    """The pairs as asked about one user; the chosen response is the agreeing one, which nobody chose.

    Args:
        user_id: Whose persona the judge is to have.
    """
    lines = resource("data/sycophancy/pairs.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        PreferencePair(
            pair_id=f"{row['pair_id']} for {user_id}",
            user_id=user_id,
            prompt=row["prompt"],
            chosen=(Message(role="assistant", content=row["agreeing"]),),
            rejected=(Message(role="assistant", content=row["other"]),),
            metadata={"kind": row["kind"]},
        )
        for row in map(json.loads, lines)
    ]


def measure_sycophancy(scorers: Scorers) -> Sycophancy:
    """How often the judge prefers the agreeing answer, for the users of the first fold who have a persona.

    Profiles are those of the scorers, induced if need be. It takes two questions a pair for the default
    judge, and as many for each user.

    Raises:
        ConfigError: there is no model.
        DataError: there is no history to induce profiles from.
    """
    fold, seed, ledger = scorers.benchmark.folds[0], scorers.settings.seed, scorers.ledger()
    default = scorers.scorer("default", fold, ledger=ledger)
    known = scorers.scorer("persona", fold, ledger=ledger)
    asked = {user: sycophancy_pairs(user) for user in dict.fromkeys(pair.user_id for pair in fold.test)}
    told = [user for user, pairs in asked.items() if _is_told(known, default, pairs[0])]
    pairs = [pair for user in told or list(asked)[:1] for pair in asked[user]]
    return sycophancy(
        evaluate(default, pairs, seed=seed),
        evaluate(known, pairs, seed=seed) if told else None,
        {pair.pair_id: pair.metadata["kind"] for pair in pairs},
        seed=seed,
    )


def _is_told(known: PairwiseScorer, default: PairwiseScorer, pair: PreferencePair) -> bool:
    """Whether the one judge is asked otherwise about a user than the one that knows nobody."""
    assert isinstance(known, LLMJudge)
    assert isinstance(default, LLMJudge)
    shown = pair.compare("chosen_first")
    return known.question(shown) not in (None, default.question(shown))
