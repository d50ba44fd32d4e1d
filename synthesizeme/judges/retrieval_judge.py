"""Past choices in a judge's prompt: retrieved for each question, cut to what fits, and how useful each is."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthesizeme.backends import Ledger, Question
from synthesizeme.errors import DataError
from synthesizeme.judges.llm_judge import LLMJudge
from synthesizeme.judges.messages import (
    VERDICT,
    comparison_message,
    demonstration_turns,
    judge_messages,
    memory_profile,
    system_message,
    verdict_or_failure,
)
from synthesizeme.profile import UserProfile
from synthesizeme.prompts import PromptTemplate, load_prompt
from synthesizeme.types import (
    ORDERS,
    Comparison,
    Demonstration,
    Failure,
    Message,
    Order,
    PreferencePair,
    Verdict,
    preferred_side,
)

INPUT_SHARE = 0.6
"""Largest share of the budget that is reserved for the input."""
CUT = " …"
"""What stands where a text was cut."""
_PIECE = re.compile(r"\w+|[^\w\s]")


def count_pieces(text: str) -> int:
    """Words and marks of punctuation: a count for when the model's own tokenizer is not at hand."""
    return len(_PIECE.findall(text))


def allot(input_tokens: int, wanted: Sequence[int], least: Sequence[int], most: int) -> list[int]:
    """Tokens for each item, best item first; a shorter list where the last items had to be dropped.

    ``min(input, 0.6 most)`` is reserved for the input; each item in turn gets what it wants, at most an equal
    share of what is left for it and those after it, so that unused tokens are carried on. The last item is
    dropped until every one has the least it can do with and all fits beside the whole input.

    Args:
        input_tokens: Tokens of everything that is not an item.
        wanted: Tokens of each whole item.
        least: Tokens below which an item is not worth showing; at most those wanted.
        most: Tokens of the whole prompt.

    >>> allot(100, [50, 500, 80], [10, 10, 10], 400)
    [50, 125, 80]

    References:
        Salemi et al. (2024), arXiv 2304.11406, the construction of prompts. Differs: there the end of a
        prompt that is too long is cut, and with it the input.
    """
    available = most - min(input_tokens, int(INPUT_SHARE * most))
    for kept in range(len(wanted), 0, -1):
        given, left = [], available
        for position in range(kept):
            given.append(min(wanted[position], left // (kept - position)))
            left -= given[-1]
        enough = all(tokens >= floor for tokens, floor in zip(given, least, strict=False))
        if enough and sum(given) + input_tokens <= most:
            return given
    return []


def cut(text: str, most: int) -> str:
    """The longest beginning of whole words that has at most `most` tokens, marked where it was cut."""
    if count_pieces(text) <= most:
        return text
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        fits = count_pieces(text[: ends[middle - 1]] + CUT) <= most
        low, high = (middle, high) if fits else (low, middle - 1)
    return text[: ends[low - 1]] + CUT if low else ""


Retrieve = Callable[[str, Sequence[str], int], Sequence[int]]
"""(query, documents oldest first, k) to positions, best first; see `synthesizeme.retrieval.Retriever`."""
MOST_TOKENS = 8192
"""Tokens of a whole prompt, by default."""
LEAST_RESPONSES = 64
"""Tokens that the two responses of a demonstration keep together; with fewer it is dropped."""


def last_turn(comparison: Comparison) -> str:
    """What a comparison is about: its last user turn."""
    return comparison.prompt[-1].content


class RetrievalJudge(LLMJudge):
    """Asks a model with `k` of the user's past pairs in the prompt, retrieved for the comparison at hand.

    Past pairs are bare labelled demonstrations, the best one nearest to the question. The pair that is
    asked about is never among them. A user without a past is judged as anybody.

    Args:
        ledger: Through which the model is asked.
        histories: Past pairs by user id; oldest first, unless all carry `created_at`.
        retrieve: Picks positions in the history.
        k: How many pairs are shown at most.
        profiles: Personas to go with them, by user id; demonstrations of a profile are not shown.
        describe: The text that stands for a comparison, as query and as document.
        max_tokens: Budget of a whole prompt; see `allot`. A demonstration that
            gets fewer tokens than it has keeps the beginnings of its responses.
        seed: Seed of the orders in which demonstrations show their responses.
        **options: Those of `LLMJudge`.

    References:
        Salemi et al. (2024), LaMP, arXiv 2304.11406, section 2: x' = phi_p(x, R(phi_q(x), P_u, k)).
    """

    def __init__(
        self,
        ledger: Ledger,
        histories: Mapping[str, Sequence[PreferencePair]],
        retrieve: Retrieve,
        *,
        k: int = 4,
        profiles: Mapping[str, UserProfile] | None = None,
        describe: Callable[[Comparison], str] = last_turn,
        max_tokens: int = MOST_TOKENS,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(ledger, profiles, **{"name": "retrieval", **options})
        self.k = k
        self._histories = histories
        self._retrieve = retrieve
        self._describe = describe
        self._max_tokens = max_tokens
        self._seed = seed
        self._pasts: dict[str, tuple[Demonstration, ...]] = {}

    def _contexts(self, comparisons: Sequence[Comparison]) -> list[tuple[Message, ...] | None]:
        made: dict[tuple[object, ...], tuple[Message, ...] | None] = {}
        keys = [
            (it.user_id, it.pair_id, self._describe(it), frozenset((it.first, it.second)))
            for it in comparisons
        ]
        for key, comparison in zip(keys, comparisons, strict=True):
            if key not in made:
                made[key] = self._retrieved(comparison)
        return [made[key] for key in keys]

    def _retrieved(self, comparison: Comparison) -> tuple[Message, ...] | None:
        """What the question begins with in either order; None where the user is refused."""
        user = comparison.user_id
        unknown = user not in self._histories and user not in (self._profiles or {})
        if unknown and self._unknown_user == "refuse":
            return None
        return self._within_budget(comparison, self.shown(comparison))

    def shown(self, comparison: Comparison) -> list[Demonstration]:
        """The demonstrations retrieved for a comparison, best first, before the budget.

        Raises:
            DataError: a past pair has no text to retrieve by, or the retriever names no position of it.
        """
        past = [it for it in self._past(comparison.user_id) if it.comparison.pair_id != comparison.pair_id]
        documents = [self._describe(demonstration.comparison) for demonstration in past]
        positions = self._retrieve(self._describe(comparison), documents, self.k)
        if len(set(positions)) != len(positions) or not set(positions) <= set(range(len(past))):
            raise DataError(
                f"the retriever gave positions {list(positions)} in a history of {len(past)} pairs",
                cure="let it return each position at most once, from 0",
            )
        return [past[position] for position in positions]

    def _past(self, user_id: str) -> tuple[Demonstration, ...]:
        if user_id not in self._pasts:
            pairs = list(self._histories.get(user_id, ()))
            times = [pair.created_at for pair in pairs if pair.created_at]
            if len(times) == len(pairs):
                pairs = [pairs[i] for i in sorted(range(len(pairs)), key=times.__getitem__)]
            self._pasts[user_id] = memory_profile(user_id, pairs, seed=self._seed).demonstrations
        return self._pasts[user_id]

    def _within_budget(
        self, comparison: Comparison, demonstrations: Sequence[Demonstration]
    ) -> tuple[Message, ...]:
        """System message and demonstrations, worst first, cut and dropped so that the whole input fits."""
        system = system_message((self._profiles or {}).get(comparison.user_id), self._prompt)
        asked = count_pieces(system.content) + count_pieces(
            comparison_message(comparison, self._prompt).content
        )
        sizes = [_Size.of(demonstration, self._prompt) for demonstration in demonstrations]
        given = allot(asked, [size.whole for size in sizes], [size.least for size in sizes], self._max_tokens)
        kept = [
            _cut(demonstration, size, tokens)
            for demonstration, size, tokens in zip(demonstrations, sizes, given, strict=False)
        ]
        turns = [turn for it in reversed(kept) for turn in demonstration_turns(it, self._prompt)]
        return (system, *turns)


class _Size:
    """Tokens of a demonstration: all of it, its two responses, and the least it can do with."""

    def __init__(self, whole: int, first: int, second: int) -> None:
        self.whole, self.first, self.second = whole, first, second
        self.least = whole - max(first + second - LEAST_RESPONSES, 0)

    @classmethod
    def of(cls, demonstration: Demonstration, prompt: PromptTemplate) -> _Size:
        whole = sum(count_pieces(turn.content) for turn in demonstration_turns(demonstration, prompt))
        comparison = demonstration.comparison
        return cls(whole, count_pieces(comparison.first), count_pieces(comparison.second))


def _cut(demonstration: Demonstration, size: _Size, tokens: int) -> Demonstration:
    """The demonstration with as many tokens, both responses keeping the same share."""
    if tokens >= size.whole:
        return demonstration
    share = 1 - (size.whole - tokens) / (size.first + size.second)
    comparison = demonstration.comparison.model_copy(
        update={
            "first": cut(demonstration.comparison.first, int(share * size.first)),
            "second": cut(demonstration.comparison.second, int(share * size.second)),
        }
    )
    return demonstration.model_copy(update={"comparison": comparison})


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
    ledger: Ledger,
    histories: Mapping[str, Sequence[PreferencePair]],
    *,
    most_asked: int = 8,
    most_shown: int = 8,
    seed: int = 0,
) -> list[Usefulness]:
    """Ask about pairs of each user with one other pair of the user in the prompt.

    It costs two questions for each pair asked about and each pair shown. A pair that got no verdict in one
    order is left out.

    Args:
        ledger: Through which the judge is asked.
        histories: Pairs by user; never test pairs.
        most_asked: Pairs asked about, a user, drawn.
        most_shown: Pairs shown with each of them, drawn.
        seed: Seed of what is drawn, and of the orders in which demonstrations are shown.

    Raises:
        BackendError: the model cannot be reached.

    References:
        Salemi, Kallumadi and Zamani (2024), arXiv 2404.05970: Eval(y, M(phi_p(x, {d}))), the feedback on a
        single document d.
    """
    prompt = load_prompt("judge/default")
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
    verdicts = iter([verdict_or_failure(outcome) for outcome in ledger.ask(questions, stage="utility")])
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
