"""How useful each past pair is to a judge: is it right with that one demonstration alone?"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthesizeme.backends import Account, Question
from synthesizeme.judges._forms import VERDICT
from synthesizeme.judges._reading import verdict_or_failure
from synthesizeme.judges.baselines import memory_profile
from synthesizeme.judges.messages import judge_messages
from synthesizeme.profile import UserProfile
from synthesizeme.prompts import PromptTemplate, load_prompt
from synthesizeme.types import ORDERS, Failure, Order, PreferencePair, Verdict, preferred_side


@dataclass(frozen=True)
class Usefulness:
    """One of a user's pairs as a question, and how the judge did with others of them."""

    asked: PreferencePair
    """The pair that was asked about."""
    shown: tuple[PreferencePair, ...]
    """Other pairs of the same user, each shown alone."""
    utilities: tuple[float, ...]
    """Of each: mean over both orders of 1 for the user's choice, 0.5 for a tie, 0 for the other."""


def demonstration_utilities(
    account: Account,
    histories: Mapping[str, Sequence[PreferencePair]],
    *,
    most_asked: int = 8,
    most_shown: int = 8,
    prompt: PromptTemplate | None = None,
    seed: int = 0,
) -> list[Usefulness]:
    """Ask about pairs of each user with one other pair of the user in the prompt.

    It costs two questions for each pair asked about and each pair shown. A pair that got no verdict in one
    order is left out.

    Args:
        account: Through which the judge is asked.
        histories: Pairs by user; never test pairs.
        most_asked: Pairs asked about, a user, drawn.
        most_shown: Pairs shown with each of them, drawn.
        prompt: The judge prompt.
        seed: Seed of what is drawn, and of the orders in which demonstrations are shown.

    Raises:
        BackendError: the model cannot be reached.

    References:
        Salemi, Kallumadi and Zamani (2024), arXiv 2404.05970: Eval(y, M(phi_p(x, {d}))), the feedback on a
        single document d.
    """
    prompt = prompt or load_prompt("judge/default")
    trials: list[tuple[PreferencePair, list[PreferencePair]]] = []
    questions: list[Question] = []
    for user, pairs in histories.items():
        rng = random.Random(f"{seed}\0{user}\0utility")
        profile = memory_profile(user, pairs, seed=seed)
        alone = {
            it.comparison.pair_id: UserProfile(user_id=user, demonstrations=(it,))
            for it in profile.demonstrations
        }
        for asked in rng.sample(list(pairs), min(most_asked, len(pairs))):
            others = [pair for pair in pairs if pair.pair_id != asked.pair_id]
            if shown := rng.sample(others, min(most_shown, len(others))):
                trials.append((asked, shown))
                questions += [
                    Question(judge_messages(asked.compare(order), alone[pair.pair_id], prompt), form=VERDICT)
                    for pair in shown
                    for order in ORDERS
                ]
    verdicts = iter([verdict_or_failure(outcome) for outcome in account.ask(questions, stage="utility")])
    found = []
    for asked, shown in trials:
        both = [[_agreement(next(verdicts), order) for order in ORDERS] for _ in shown]
        kept = [
            (pair, sum(known) / len(ORDERS))
            for pair, values in zip(shown, both, strict=True)
            if len(known := [value for value in values if value is not None]) == len(ORDERS)
        ]
        if kept:
            found.append(
                Usefulness(asked, tuple(pair for pair, _ in kept), tuple(value for _, value in kept))
            )
    return found


def _agreement(verdict: Verdict | Failure, order: Order) -> float | None:
    """1 for the chosen response, 0.5 for a tie, 0 for the rejected one; None without a verdict."""
    if isinstance(verdict, Failure):
        return None
    return 0.5 if verdict.preference == "tie" else float(verdict.preference == preferred_side(order))
