"""The one way from a scorer and a user's pairs to numbers: ask, match with the label, count.

Every pair keeps all that was said about it. Ties, failures and disagreement between the two
orders are counted beside the accuracy, never folded into it or dropped from it unseen.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Literal

from synthesizeme import display
from synthesizeme.datasets import pairs_of
from synthesizeme.errors import DataError, SynthesizeMeError
from synthesizeme.evaluation.controls import ScoreFunction, as_scorer
from synthesizeme.pairs import by_user
from synthesizeme.progress import ShowProgress, in_steps
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import (
    ORDERS,
    Failure,
    FailureKind,
    Frozen,
    Order,
    PreferencePair,
    Verdict,
    preferred_side,
)

TiePolicy = Literal["half", "wrong"]
STEP = 32
"""Comparisons of a batch where the progress of an evaluation is shown."""
TIE_VALUE: dict[TiePolicy, float] = {"half": 0.5, "wrong": 0.0}


class OrderResult(Frozen):
    """What a scorer said about one pair in one order."""

    order: Order
    """Which response was shown first."""
    result: Verdict | Failure
    """The verdict, or why there is none."""

    @property
    def choice(self) -> Literal["chosen", "rejected", "tie"] | None:
        """Which response the verdict prefers; None for a failure."""
        if isinstance(self.result, Failure):
            return None
        if self.result.preference == "tie":
            return "tie"
        return "chosen" if self.result.preference == preferred_side(self.order) else "rejected"

    @property
    def p_chosen(self) -> float | None:
        """Probability given to the chosen response, in [0, 1]; None for a failure."""
        if isinstance(self.result, Failure):
            return None
        p_first = self.result.probability
        return p_first if self.order == "chosen_first" else 1.0 - p_first


class PairOutcome(Frozen):
    """One pair: everything the scorer said about it, in one or two orders."""

    pair_id: str
    """The pair."""
    user_id: str
    """Whose choice it was."""
    results: tuple[OrderResult, ...]
    """One result per order asked, and of `repeated` outcomes one per order and repetition."""
    ties_count: TiePolicy = "half"
    """What a tie is worth: half a correct answer, or nothing (the paper's protocol)."""

    def with_results(self, results: tuple[OrderResult, ...]) -> PairOutcome:
        """The same pair with other results; `model_copy` would keep what was computed from the old ones."""
        return PairOutcome(
            pair_id=self.pair_id, user_id=self.user_id, results=results, ties_count=self.ties_count
        )

    @property
    def choices(self) -> tuple[Literal["chosen", "rejected", "tie"], ...]:
        """Choices of the orders that got a verdict."""
        return tuple(choice for result in self.results if (choice := result.choice) is not None)

    @cached_property
    def score(self) -> float | None:
        """Mean over the orders asked of 1 correct, 0 wrong, a tie as `ties_count` says.

        None when an order failed: such a pair is a failure, not a wrong answer, and what the other order
        says alone depends on where the responses stood.
        """
        if self.failures:
            return None
        values = {"chosen": 1.0, "rejected": 0.0, "tie": TIE_VALUE[self.ties_count]}
        return _mean(values[choice] for choice in self.choices)

    @property
    def ties(self) -> int:
        """Orders in which the verdict was a tie, 0..2."""
        return self.choices.count("tie")

    @property
    def failures(self) -> tuple[FailureKind, ...]:
        """Kinds of the orders that got no verdict."""
        return tuple(r.result.kind for r in self.results if isinstance(r.result, Failure))

    @property
    def consistent(self) -> bool | None:
        """Whether both orders led to the same choice (a tie twice is the same); None unless both answered."""
        return None if len(self.choices) < len(ORDERS) else len(set(self.choices)) == 1

    @cached_property
    def p_chosen(self) -> float | None:
        """Mean probability given to the chosen response over the orders asked; None if one failed."""
        return (
            None
            if self.failures
            else _mean(p for result in self.results if (p := result.p_chosen) is not None)
        )


class Outcome(Frozen):
    """All pairs of one evaluation of one scorer.

    Accuracies are over the pairs with a verdict in every order asked; `coverage` says how many those are, so
    that ``micro * coverage`` is the accuracy with every failure counted as wrong.
    """

    scorer: str
    """Name of the scorer."""
    pairs: tuple[PairOutcome, ...]
    """One outcome per pair, in the order given."""

    def __repr__(self) -> str:
        return (
            f"Outcome({self.scorer}, {', '.join(f'{name} {value}' for name, value in self._told().items())})"
        )

    def _repr_html_(self) -> str:
        told = self._told()
        return display.table([["scorer", *told], [self.scorer, *told.values()]])

    def _told(self) -> dict[str, str]:
        """What a reader wants to know first, by its name; accuracies in per cent."""
        shares = {"accuracy": self.micro, "consistent": self.order_consistency}
        return {
            **{name: "–" if it is None else f"{100 * it:.1f} %" for name, it in shares.items()},
            "pairs": str(self.n_pairs), "users": str(self.n_users), "ties": str(self.ties),
            "failures": str(sum(self.failures.values())),
        }  # fmt: skip

    @property
    def n_pairs(self) -> int:
        """Pairs asked about, failures included."""
        return len(self.pairs)

    @property
    def n_users(self) -> int:
        """Users behind those pairs."""
        return len({pair.user_id for pair in self.pairs})

    @property
    def n_questions(self) -> int:
        """Comparisons shown: one or two per pair. `ties` and `failures` are out of this number."""
        return sum(len(pair.results) for pair in self.pairs)

    @cached_property
    def answered(self) -> tuple[PairOutcome, ...]:
        """Pairs with a verdict in every order asked."""
        return tuple(pair for pair in self.pairs if pair.score is not None)

    @cached_property
    def scores(self) -> dict[str, float]:
        """Score of every answered pair, by pair id, in the order of `answered`."""
        return {pair.pair_id: pair.score for pair in self.answered if pair.score is not None}

    @property
    def coverage(self) -> float | None:
        """Share of pairs with a verdict in every order asked, in [0, 1]; None without pairs."""
        return len(self.answered) / self.n_pairs if self.pairs else None

    @property
    def ties(self) -> int:
        """Verdicts that were a tie."""
        return sum(pair.ties for pair in self.pairs)

    @property
    def failures(self) -> dict[str, int]:
        """Questions without a verdict, by kind."""
        return dict(sorted(Counter(kind for pair in self.pairs for kind in pair.failures).items()))

    @property
    def micro(self) -> float | None:
        """Mean score over answered pairs, in [0, 1]; None without any.

        Where no order failed this equals the accuracy over all (pair, order) questions.
        """
        return _mean(self.scores.values())

    @property
    def macro(self) -> float | None:
        """Mean over users of each user's mean score, in [0, 1]; None without answered pairs."""
        return _mean(self.by_user.values())

    @cached_property
    def by_user(self) -> dict[str, float]:
        """Accuracy of every user with an answered pair."""
        return {
            user: sum(self.scores[pair.pair_id] for pair in own) / len(own)
            for user, own in by_user(self.answered).items()
        }

    @property
    def order_consistency(self) -> float | None:
        """Share of pairs, among those answered in both orders, with the same choice in both."""
        return _mean(float(pair.consistent) for pair in self.pairs if pair.consistent is not None)

    @property
    def position_bias(self) -> float | None:
        """Share of verdicts for the response shown first, minus .5, in [-.5, .5]; a tie adds nothing.

        Over pairs answered in both orders, where content is balanced; None when there is none.
        """
        leanings = {"first": 0.5, "second": -0.5, "tie": 0.0}
        both = (pair for pair in self.pairs if pair.consistent is not None)
        verdicts = (r.result for pair in both for r in pair.results)
        return _mean(leanings[verdict.preference] for verdict in verdicts if isinstance(verdict, Verdict))


def evaluate(
    scorer: PairwiseScorer | ScoreFunction,
    pairs: object,
    *,
    both_orders: bool | None = None,
    ties: TiePolicy = "half",
    seed: int = 0,
    progress: ShowProgress = None,
) -> Outcome:
    """Ask `scorer` about all `pairs` in one batch and match its answers with the labels.

    Args:
        scorer: Who answers; it sees comparisons only. Or a function of the messages of a prompt and two
            responses, whose number is above 0 where it prefers the first; it is asked in both orders.
        pairs: Held-out pairs with distinct `pair_id`, in any shape that `read_pairs` takes.
        both_orders: Show each pair in both orders. None: if the scorer says its verdict may depend on
            the order. With one order, a seeded hash of `pair_id` draws it, so position carries nothing.
        ties: ``half``, or ``wrong`` (the paper's protocol, with both orders).
        seed: Seed of the drawn orders.
        progress: True shows a wait beyond two seconds, a function is told of every step; the scorer is then
            asked about `STEP` comparisons at a time.

    Raises:
        DataError: two pairs share a `pair_id`, or they cannot be read.
        ConfigError: the scorer is none.
        SynthesizeMeError: the scorer did not return one result per comparison.
    """
    scorer = as_scorer(scorer)
    pairs = pairs_of(pairs)
    _refuse_duplicates(pairs)
    n_orders = 2 if (scorer.order_sensitive if both_orders is None else both_orders) else 1
    asked = [(pair, order) for pair in pairs for order in _drawn_orders(pair, seed)[:n_orders]]
    comparisons = [pair.compare(order) for pair, order in asked]
    results = in_steps(progress, scorer.name, "evaluating", comparisons, scorer.compare, step=STEP)
    if len(results) != len(asked):
        raise SynthesizeMeError(
            f"scorer {scorer.name!r} returned {len(results)} results for {len(asked)} comparisons; "
            "expected one Verdict or Failure for each, in the same order"
        )
    answers = [
        OrderResult(order=order, result=result) for (_, order), result in zip(asked, results, strict=True)
    ]
    outcomes = (
        PairOutcome(
            pair_id=pair.pair_id,
            user_id=pair.user_id,
            results=tuple(answers[i * n_orders : (i + 1) * n_orders]),
            ties_count=ties,
        )
        for i, pair in enumerate(pairs)
    )
    return Outcome(scorer=scorer.name, pairs=tuple(outcomes))


def pool(outcomes: Iterable[Outcome]) -> Outcome:
    """Join the outcomes of disjoint test sets, e.g. the folds of a cross-validation, into one.

    Raises:
        ValueError: there is nothing to join.
        DataError: a pair occurs in two of them.
    """
    parts = list(outcomes)
    if not parts:
        raise ValueError("pool needs at least one outcome")
    pairs = tuple(pair for part in parts for pair in part.pairs)
    _refuse_duplicates(pairs)
    return Outcome(scorer=parts[0].scorer, pairs=pairs)


def repeated(outcomes: Sequence[Outcome]) -> Outcome:
    """The same pairs asked several times, as one outcome: the score of a pair is its mean over all of them.

    Raises:
        ValueError: the outcomes are not of the same pairs in the same order, or there is none.
    """
    asked = [[pair.pair_id for pair in outcome.pairs] for outcome in outcomes]
    if not asked or any(ids != asked[0] for ids in asked):
        raise ValueError(f"expected outcomes of the same pairs, got {[len(ids) for ids in asked]} pairs")
    together = zip(*(outcome.pairs for outcome in outcomes), strict=True)
    pairs = tuple(
        group[0].with_results(tuple(it for pair in group for it in pair.results)) for group in together
    )
    return Outcome(scorer=outcomes[0].scorer, pairs=pairs)


def _drawn_orders(pair: PreferencePair, seed: int) -> tuple[Order, ...]:
    """Both orders, the first of them drawn by a hash: not even the place in a batch tells the label."""
    coin = hashlib.sha256(f"order:{seed}:{pair.pair_id}".encode("utf-8", "surrogatepass")).digest()[0] & 1
    return ORDERS if coin else ORDERS[::-1]


def _refuse_duplicates(pairs: Sequence[PreferencePair] | Sequence[PairOutcome]) -> None:
    repeated = [pair_id for pair_id, count in Counter(p.pair_id for p in pairs).items() if count > 1]
    if repeated:
        raise DataError(
            f"{len(repeated)} ids occur more than once, the first is {repeated[0]!r}; expected distinct ids",
            field="pair_id",
            cure="give every pair its own id; evaluate re-splits separately.",
        )


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None
