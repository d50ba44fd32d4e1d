"""Statements about a user on trial: each alone against the user's own choices, then the best set of them.

The writer proposes more than will stay. A statement is held against many pairs in one call: which of the two
responses does it speak for, or for neither? A model that cannot answer for many pairs at once is asked as a
judge that knows this one statement, a pair at a time. Its vote v_ij is +1 where statement j speaks for the
response that the user chose in pair i, -1 for the other one, 0 for neither.

With p_i the probability of choice i for anybody, a set S of statements is worth the evidence of

    P(choice i) = sigmoid(logit p_i + sum_{j in S} w_j v_ij),    w_j ~ N(0, 1 / PRECISION)               (1)

by Laplace's approximation. Statements join one by one, the one first that raises it most, as long as it rises
by `LEAST_RISE`: what is true of anybody adds nothing. One that was contradicted as often as it held never
joins. A statement that rests on what the user wrote of themself or wished stays beside the set unless it was
contradicted more often than it held.

References:
    Findeis et al., "Inverse Constitutional AI", ICLR 2025: every rule is tested on every pair.
    MacKay, "Information Theory, Inference, and Learning Algorithms", 2003, chapter 27: Laplace's method.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthesizeme.backends import Answer, Form, Ledger, Question
from synthesizeme.personas.synthesis import QUOTED_CHARACTERS
from synthesizeme.plain_text import beginning, quotable, quotations
from synthesizeme.profile import Persona, PersonaSentence, Quote
from synthesizeme.prompts import as_data, conversation_text, load_prompt
from synthesizeme.replies import refuses, without_thoughts
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import (
    Failure,
    Message,
    Order,
    PreferencePair,
    Verdict,
    last_user_turn,
    preferred_side,
)

Floats = NDArray[np.float64]
Judge = Callable[[str, Persona], PairwiseScorer]
"""(stage, persona) -> a judge that knows this persona and nothing else."""

TRIAL_PROMPT = "persona/trial"
PAIRS_A_CALL = 20
"""Most pairs that one call shows."""
CHARACTERS_A_CALL = 24_000
"""Most characters of responses and prompts that one call shows, where that leaves one pair at least."""
PRECISION = 3.0
LEAST_RISE = 0.3
"""Rise of the log-evidence, in nats, below which a statement does not join; chosen on validation rows
(`experiments/personas`)."""
MOST_SENTENCES = 8
MOST_CITED = 6
"""Of the pairs in which a statement held, those from which the quoted ones are taken."""
PAIRS_A_SENTENCE = 4
"""Pairs for each statement that may stay: few pairs give few."""
MOST_COMMON = 2
"""Most statements about what the user shares with most people."""
COMMON_SHARE, COMMON_PAIRS, COMMON_ODDS, COMMON_ERRORS = 0.65, 4, 0.2, 2.0
"""Share of the pairs where such a statement holds, pairs where it has to apply, and mean log-odds with which
anybody would choose as it says, at least, also in standard errors of that mean."""

_VOTE = re.compile(
    r"(?:\bpair\s*)?(?<![\d.])(\d{1,3})\b\W{1,6}(?:response\s*)?(first|second|neither|none|both|tie|1st|2nd)\b",
    re.IGNORECASE,
)
_SIDES = {"first": "first", "1st": "first", "second": "second", "2nd": "second"}


@dataclass(frozen=True)
class Tried:
    """Statements with their votes on pairs."""

    sentences: tuple[PersonaSentence, ...]
    pairs: tuple[PreferencePair, ...]
    votes: NDArray[np.int8]
    """v, shape (n, k); 0 where a statement speaks for neither response, or was not tried."""
    asked: NDArray[np.bool_]
    """Where a statement was tried, shape (n, k)."""


def try_statements(
    ledger: Ledger,
    sentences: Sequence[PersonaSentence],
    pairs: Sequence[PreferencePair],
    orders: Mapping[str, Order],
    *,
    judge: Judge,
    max_calls: int,
) -> Tried:
    """Hold each statement against the pairs.

    A statement is not tried on pairs whose responses it quotes.

    Args:
        ledger: Through which the model is asked.
        sentences: The statements.
        pairs: The user's train and validation pairs.
        orders: The order in which each pair is shown, by pair id.
        judge: Makes a judge of one statement alone, for a model that cannot answer for many pairs at once.
        max_calls: Most distinct calls; statements beyond them are not tried.
    """
    chunks = chunked(pairs)
    kept = list(sentences[: max(0, max_calls) // max(1, len(chunks))])
    questions = [_question(it, chunk, orders) for it in kept for chunk in chunks]
    outcomes = iter(ledger.ask(questions, stage="trying statements") if questions else ())
    shape = (len(pairs), len(sentences))
    tried = Tried(tuple(sentences), tuple(pairs), np.zeros(shape, np.int8), np.zeros(shape, bool))
    row = {pair.pair_id: number for number, pair in enumerate(pairs)}
    left = max_calls - len(questions)
    for column, sentence in enumerate(kept):
        own = _quoted_in(sentence.text, pairs)
        for chunk in chunks:
            outcome = next(outcomes)
            votes = _votes(outcome, chunk, orders)
            if not votes and left > 0:
                asked = [pair for pair in chunk if pair.pair_id not in own][:left]
                votes, left = _judged(judge, sentence, asked, orders), left - len(asked)
            for pair_id, vote in votes.items():
                if pair_id not in own:
                    tried.votes[row[pair_id], column] = vote
                    tried.asked[row[pair_id], column] = True
    return tried


def choose(tried: Tried, nobody: Floats) -> tuple[tuple[PersonaSentence, ...], tuple[PersonaSentence, ...]]:
    """The best set of statements, and a few that hold of most people as well.

    Args:
        tried: What was tried.
        nobody: p, the probability of each choice for anybody, shape (n,).

    Returns:
        Statements about this user: those that stay whatever their record (`PersonaSentence.kept`), then that
        of the largest gain first and those on the user's word last; and statements about most people. Each
        with the pairs in which it held and was contradicted, its gain and its quotes.
    """
    votes = tried.votes.astype(float)
    offset = np.log(nobody / (1 - nobody))
    held, against = (votes > 0).sum(axis=0), (votes < 0).sum(axis=0)
    may = [j for j in range(votes.shape[1]) if held[j] > against[j]]
    chosen = best_set(votes, offset, may, min(MOST_SENTENCES, max(1, len(votes) // PAIRS_A_SENTENCE)))
    weights = _fitted(votes[:, chosen], offset)[0]
    margin = votes[:, chosen] @ weights + offset
    gains = [
        float((_sigmoid(margin) - _sigmoid(margin - w * votes[:, j])).mean())
        for j, w in zip(chosen, weights, strict=True)
    ]
    kept = [j for j, it in enumerate(tried.sentences) if it.kept]
    gain = dict.fromkeys(kept, 0.0) | dict(sorted(zip(chosen, gains, strict=True), key=lambda it: -it[1]))
    stated = [j for j, it in enumerate(tried.sentences) if it.own_words and j not in gain]
    said = [j for j in stated if held[j] >= against[j]][: MOST_SENTENCES - len(chosen)]
    gain |= dict.fromkeys(said, 0.0)
    common = [
        j
        for j in sorted(may, key=lambda j: against[j] - held[j])
        if j not in gain
        and held[j] + against[j] >= COMMON_PAIRS
        and held[j] >= COMMON_SHARE * (held[j] + against[j])
        and _as_anybody(votes[:, j] * offset, votes[:, j] != 0)
    ]
    shown: set[str] = set()
    return (
        tuple(recorded(tried, j, gain[j], shown) for j in gain),
        tuple(recorded(tried, j, 0.0, shown) for j in common[:MOST_COMMON]),
    )


def _as_anybody(odds: Floats, applies: NDArray[np.bool_]) -> bool:
    """Whether anybody chooses as a statement says: pair for pair, not in one or two of them."""
    own = odds[applies]
    error = float(own.std(ddof=1)) / np.sqrt(len(own))
    return bool(own.mean() > max(COMMON_ODDS, COMMON_ERRORS * error))


def tried_persona(
    ledger: Ledger,
    proposed: Persona,
    pairs: Sequence[PreferencePair],
    orders: Mapping[str, Order],
    nobody: Floats,
    *,
    judge: Judge,
    max_calls: int,
) -> Persona | None:
    """What is left of a persona after the trial of its statements; None where no statement is.

    See `try_statements` and `choose` for the arguments.
    """
    tried = try_statements(ledger, proposed.sentences, pairs, orders, judge=judge, max_calls=max_calls)
    own, common = choose(tried, nobody)
    return proposed.model_copy(update={"sentences": own, "common": common}) if own else None


def best_set(votes: Floats, offset: Floats, may: Sequence[int], most: int) -> list[int]:
    """Columns whose set has the largest evidence of (1), found one by one.

    Args:
        votes: v, shape (n, k).
        offset: logit p, shape (n,).
        may: Columns that may join.
        most: Most columns.

    >>> best_set(np.array([[1, 1, 0]] * 6 + [[-1, 0, 1]]), np.zeros(7), [0, 1, 2], 3)
    [1]
    """
    chosen: list[int] = []
    best = -float(np.logaddexp(0, -offset).sum())
    while len(chosen) < most:
        rises = {}
        for j in may:
            if j not in chosen:
                weights, evidence = _fitted(votes[:, [*chosen, j]], offset)
                if (weights > 0).all():
                    rises[j] = evidence - best
        if not rises:
            return chosen
        j = max(rises, key=rises.__getitem__)
        if rises[j] < LEAST_RISE:
            return chosen
        chosen.append(j)
        best += rises[j]
    return chosen


def _fitted(votes: Floats, offset: Floats) -> tuple[Floats, float]:
    """Weights of largest posterior, shape (k,), and the log-evidence, by Newton's method."""
    size = votes.shape[1]
    weights = np.zeros(size)
    hessian = np.eye(size) * PRECISION
    for _ in range(30):
        p = _sigmoid(-(votes @ weights + offset))
        hessian = PRECISION * np.eye(size) + (votes * (p * (1 - p))[:, None]).T @ votes
        step = np.linalg.solve(hessian, PRECISION * weights - votes.T @ p)
        weights = weights - step
        if np.abs(step).max(initial=0.0) < 1e-8:
            break
    loss = float(np.logaddexp(0, -(votes @ weights + offset)).sum() + PRECISION * (weights**2).sum() / 2)
    return weights, size * np.log(PRECISION) / 2 - loss - float(np.linalg.slogdet(hessian)[1]) / 2


def _sigmoid(values: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(values, -30, 30)))
    return found


def recorded(tried: Tried, column: int, gain: float, shown: set[str]) -> PersonaSentence:
    """A statement with what its trial showed, if it had one; pairs that the writer cited come first.

    Of these, pairs that no other statement quotes are quoted first; `shown` has the ids of the others.
    """
    sentence = tried.sentences[column]
    if not tried.asked[:, column].any():
        return sentence
    cited = {pair_id: place for place, pair_id in enumerate(sentence.pair_ids)}

    def ids(vote: int) -> list[PreferencePair]:
        found = [pair for pair, it in zip(tried.pairs, tried.votes[:, column], strict=True) if it == vote]
        return sorted(found, key=lambda pair: (cited.get(pair.pair_id, len(cited)), pair.reason is None))

    held, against = ids(1), ids(-1)
    silent = int(tried.asked[:, column].sum()) - len(held) - len(against)
    quoted = sorted(held[:MOST_CITED], key=lambda pair: pair.pair_id in shown)[:2]
    shown.update(pair.pair_id for pair in quoted)
    return sentence.model_copy(
        update={
            "pair_ids": tuple(pair.pair_id for pair in held),
            "against": tuple(pair.pair_id for pair in against),
            "silent": silent,
            "gain": gain,
            "quotes": tuple(_quote(pair, held=True) for pair in quoted)
            + tuple(_quote(pair, held=False) for pair in against[:1]),
        }
    )


def _quote(pair: PreferencePair, *, held: bool) -> Quote:
    asked, chosen, rejected, reason = (
        beginning(text, QUOTED_CHARACTERS)
        for text in (last_user_turn(pair.prompt), pair.chosen_text, pair.rejected_text, pair.reason or "")
    )
    return Quote(
        pair_id=pair.pair_id, asked=asked, chosen=chosen, rejected=rejected, held=held, reason=reason
    )


def chunked(pairs: Sequence[PreferencePair]) -> list[list[PreferencePair]]:
    """The pairs in as many parts as calls are needed for one statement, the order kept."""
    chunks: list[list[PreferencePair]] = []
    left = 0
    for pair in pairs:
        size = len(pair.chosen_text) + len(pair.rejected_text) + len(conversation_text(pair.prompt))
        if not chunks or len(chunks[-1]) == PAIRS_A_CALL or size > left:
            chunks.append([])
            left = CHARACTERS_A_CALL
        chunks[-1].append(pair)
        left -= size
    return chunks


def _question(
    sentence: PersonaSentence, pairs: Sequence[PreferencePair], orders: Mapping[str, Order]
) -> Question:
    prompt = load_prompt(TRIAL_PROMPT)
    blocks = []
    for number, pair in enumerate(pairs, 1):
        shown = pair.compare(orders[pair.pair_id])
        blocks.append(
            prompt.render(
                "pair",
                number=str(number),
                conversation=conversation_text(shown.prompt),
                first_response=as_data(shown.first),
                second_response=as_data(shown.second),
            )
        )
    asked = "\n\n".join([*blocks, prompt.render("request", statement=as_data(sentence.text))])
    form = Form(name="trial", readable=lambda answer: bool(_said(answer, len(pairs))), refuses=refuses)
    messages = (Message(role="system", content=prompt.render("system")), Message(role="user", content=asked))
    return Question(messages, form=form)


def _said(answer: Answer, n_pairs: int) -> dict[int, str]:
    """By number of the pair what a reply says of it: the last word counts."""
    found = {
        int(number): _SIDES.get(word.lower(), "neither")
        for number, word in _VOTE.findall(without_thoughts(answer.text))
    }
    return {number: word for number, word in found.items() if 1 <= number <= n_pairs}


def _votes(
    outcome: Answer | Failure, pairs: Sequence[PreferencePair], orders: Mapping[str, Order]
) -> dict[str, int]:
    """By pair id the vote of each pair that a reply speaks of."""
    if isinstance(outcome, Failure):
        return {}
    votes = {}
    for number, word in _said(outcome, len(pairs)).items():
        pair_id = pairs[number - 1].pair_id
        votes[pair_id] = 0 if word == "neither" else 1 if word == preferred_side(orders[pair_id]) else -1
    return votes


def _judged(
    judge: Judge, sentence: PersonaSentence, pairs: Sequence[PreferencePair], orders: Mapping[str, Order]
) -> dict[str, int]:
    """The votes of a judge that knows the statement alone."""
    if not pairs:
        return {}
    alone = judge(
        "trying statements", Persona(sentences=(sentence,), made_by="trial", prompt_id=TRIAL_PROMPT)
    )
    results = alone.compare([pair.compare(orders[pair.pair_id]) for pair in pairs])
    votes = {}
    for pair, result in zip(pairs, results, strict=True):
        if isinstance(result, Verdict):
            side = preferred_side(orders[pair.pair_id])
            votes[pair.pair_id] = 0 if result.preference == "tie" else 1 if result.preference == side else -1
    return votes


def _quoted_in(statement: str, pairs: Sequence[PreferencePair]) -> set[str]:
    """Ids of the pairs whose responses a statement quotes."""
    quotes = quotations(statement)
    found = set()
    for pair in pairs:
        texts = [quotable(text) for text in (pair.chosen_text, pair.rejected_text)]
        if any(quote in text for text in texts for quote in quotes):
            found.add(pair.pair_id)
    return found
