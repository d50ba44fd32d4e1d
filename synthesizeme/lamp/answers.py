"""How LaMP is answered: a choice among candidates, a prompt with retrieved items, a ranking of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthesizeme.datasets.lamp import LampItem, LampQuestion, LampSet, LampTask, check_ids, read_object
from synthesizeme.errors import DataError
from synthesizeme.files import write_whole
from synthesizeme.judges import both_orders
from synthesizeme.judges.retrieval_judge import allot, count_pieces, cut
from synthesizeme.prompts import as_data
from synthesizeme.retrieval import Retriever
from synthesizeme.scoring import Answer, PairwiseScorer, ResponseScorer
from synthesizeme.types import Comparison, Failure, Message, Verdict


@dataclass(frozen=True)
class Choice:
    """What there is to choose from for one user's question."""

    choice_id: str
    """Unique among the choices put together; the pair id of its comparisons."""
    user_id: str
    """Whose choice it is."""
    prompt: tuple[Message, ...]
    """What is answered."""
    candidates: tuple[str, ...]
    """At least two different texts."""


def choose(scorer: PairwiseScorer, choices: Sequence[Choice]) -> list[int | Failure]:
    """Position of the candidate that each user prefers, by what the scorer says.

    A scorer of responses takes the largest reward (best-of-n). A judge is asked about neighbours, then the
    winners about each other, until one is left: n - 1 comparisons in about log2(n) rounds, all questions of a
    round in one go, both orders where the verdict may depend on the order. The earlier one wins a tie.

    Returns:
        One position for each choice, or the first `Failure` that came in its way.
    """
    if isinstance(scorer, ResponseScorer):
        return _by_reward(scorer, choices)
    standing = [list(range(len(choice.candidates))) for choice in choices]
    failed: dict[int, Failure] = {}
    while any(len(left) > 1 for left in standing):
        asked = [
            (row, first, second)
            for row, left in enumerate(standing)
            for first, second in zip(left[::2], left[1::2], strict=False)
        ]
        verdicts = _verdicts(scorer, [_comparison(choices[row], *two) for row, *two in asked])
        winners: list[list[int]] = [[] for _ in choices]
        for (row, first, second), verdict in zip(asked, verdicts, strict=True):
            if isinstance(verdict, Failure):
                failed.setdefault(row, verdict)
            else:
                winners[row].append(second if verdict.preference == "second" else first)
        waiting = [left[-1:] if len(left) % 2 else [] for left in standing]
        standing = [
            [] if row in failed else won + odd
            for row, (won, odd) in enumerate(zip(winners, waiting, strict=True))
        ]
    return [failed[row] if row in failed else left[0] for row, left in enumerate(standing)]


def _by_reward(scorer: ResponseScorer, choices: Sequence[Choice]) -> list[int | Failure]:
    asked = [Answer(it.prompt, text, it.user_id) for it in choices for text in it.candidates]
    rewards = iter(scorer.rewards(asked))
    found: list[int | Failure] = []
    for choice in choices:
        values = [next(rewards) for _ in choice.candidates]
        found.append(values.index(max(values)))
    return found


def _comparison(choice: Choice, first: int, second: int) -> Comparison:
    return Comparison(
        pair_id=choice.choice_id, user_id=choice.user_id, prompt=choice.prompt,
        first=choice.candidates[first], second=choice.candidates[second],
    )  # fmt: skip


def _verdicts(scorer: PairwiseScorer, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
    """One verdict a comparison, independent of the order where the scorer is not."""
    if not scorer.order_sensitive:
        return list(scorer.compare(comparisons))
    both = both_orders(scorer, comparisons)
    return [it if isinstance(it, Failure) else it.combined for it in both]


LEAST_OF_ITEM = 8
"""Tokens that the text of an item keeps; with fewer the item is dropped."""
_FORMATS = {
    1: ("Papers by this author:", '"{title}"'),
    2: ("Films and the tags this user gave them:", "description: {description} tag: {tag}"),
    3: ("Reviews by this user and their scores:", "review: {text} score: {score}"),
    4: ("Articles by this author and their headlines:", "article: {text} headline: {title}"),
    5: ("Abstracts by this author and their titles:", "abstract: {abstract} title: {title}"),
    6: ("Emails by this user and their subjects:", "email: {text} subject: {title}"),
    7: ("Tweets by this user:", "{text}"),
}
"""Heading and line of an item, by task; the wording is ours."""


def lamp_prompt(
    task: LampTask,
    question: LampQuestion,
    items: Sequence[LampItem],
    *,
    max_tokens: int = 8192,
) -> str:
    """The input, after those items that fit beside it.

    Args:
        task: Of the question.
        question: Its input stands last, whole.
        items: Retrieved items, best first; they are shown in this order.
        max_tokens: Tokens of the whole prompt; see `allot`. The text of an item is cut to what it gets; what
            the user made of it is not.

    References:
        Salemi et al. (2024), arXiv 2304.11406, section 2 and the table of prompts: x' = phi_p(x, items).
    """
    heading, line = _FORMATS[task.number]
    long = task.source or task.answer
    frames = [line.format(**{**item.fields, long: ""}) for item in items]
    texts = [item.fields[long] for item in items]
    fixed = [count_pieces(frame) for frame in frames]
    whole = [frame + count_pieces(text) for frame, text in zip(fixed, texts, strict=True)]
    least = [min(one, frame + LEAST_OF_ITEM) for one, frame in zip(whole, fixed, strict=True)]
    asked = count_pieces(question.text) + (count_pieces(heading) if items else 0)
    given = allot(asked, whole, least, max_tokens)
    lines = [
        as_data(line.format(**{**item.fields, long: cut(item.fields[long], tokens - frame)}))
        for item, tokens, frame in zip(items, given, fixed, strict=False)
    ]
    return "\n".join([heading, *lines, "", question.text]) if lines else question.text


Ranking = Mapping[str, Sequence[str]]
"""Item ids by question id, best first."""


def rank_profiles(data: LampSet, retriever: Retriever, *, k: int | None = None) -> dict[str, list[str]]:
    """The items of every question's profile as a retriever ranks them: all, or the `k` best.

    Raises:
        DataError: an item has no text.
    """
    task, found = data.task, {}
    for question in data.questions:
        documents = [task.document(item.fields) for item in question.profile]
        positions = retriever.retrieve(
            task.query(question.text), documents, len(documents) if k is None else k
        )
        found[question.question_id] = [question.profile[position].item_id for position in positions]
    return found


def ranked_items(question: LampQuestion, ranking: Ranking, k: int) -> list[LampItem]:
    """The `k` items of a question that a ranking puts first."""
    items = {item.item_id: item for item in question.profile}
    return [items[key] for key in ranking[question.question_id][:k]]


def write_ranking(path: Path, ranking: Ranking) -> None:
    """Write a ranking.

    Raises:
        DataError: the place cannot be written.
    """
    text = json.dumps({key: list(ids) for key, ids in ranking.items()}, ensure_ascii=False)
    write_whole(path, text + "\n")


def read_ranking(path: Path, data: LampSet) -> dict[str, list[str]]:
    """A ranking of the profiles of `data`, by whoever made it.

    Raises:
        DataError: its ids are not those of the questions, or it names an item twice or one that is not in the
            profile.
    """
    document = read_object(path)
    check_ids(path, document, [question.question_id for question in data.questions])
    for question in data.questions:
        ids, known = document[question.question_id], {item.item_id for item in question.profile}
        if isinstance(ids, list) and known.issuperset(map(str, ids)) and len(set(map(str, ids))) == len(ids):
            continue
        strange = [str(key) for key in ids if str(key) not in known] if isinstance(ids, list) else []
        said = f"{strange[0]!r} is not in the profile" if strange else "expected a list of different item ids"
        raise DataError(
            f"question {question.question_id!r}: {said}",
            source=str(path),
            field=question.question_id,
            cure="rank the profiles of this split again",
        )
    return {key: list(map(str, ids)) for key, ids in document.items()}
