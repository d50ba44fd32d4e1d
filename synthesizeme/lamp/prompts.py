"""phi_p: the prompt that asks a language model, with the user's retrieved items before the input."""

from __future__ import annotations

from collections.abc import Sequence

from synthesizeme.datasets.lamp import LampItem, LampQuestion, LampTask
from synthesizeme.prompts import as_data
from synthesizeme.token_budget import CountTokens, allot, count_pieces, cut

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
    count_tokens: CountTokens = count_pieces,
) -> str:
    """The input, after those items that fit beside it.

    Args:
        task: Of the question.
        question: Its input stands last, whole.
        items: Retrieved items, best first; they are shown in this order.
        max_tokens: Tokens of the whole prompt; see `synthesizeme.token_budget.allot`. The text of an item is
            cut to what it gets; what the user made of it is not.
        count_tokens: Counts the tokens of a text.

    References:
        Salemi et al. (2024), arXiv 2304.11406, section 2 and the table of prompts: x' = phi_p(x, items).
    """
    heading, line = _FORMATS[task.number]
    long = task.source or task.answer
    frames = [line.format(**{**item.fields, long: ""}) for item in items]
    texts = [item.fields[long] for item in items]
    fixed = [count_tokens(frame) for frame in frames]
    whole = [frame + count_tokens(text) for frame, text in zip(fixed, texts, strict=True)]
    least = [min(one, frame + LEAST_OF_ITEM) for one, frame in zip(whole, fixed, strict=True)]
    asked = count_tokens(question.text) + (count_tokens(heading) if items else 0)
    given = allot(asked, whole, least, max_tokens)
    lines = [
        as_data(line.format(**{**item.fields, long: cut(item.fields[long], tokens - frame, count_tokens)}))
        for item, tokens, frame in zip(items, given, fixed, strict=False)
    ]
    return "\n".join([heading, *lines, "", question.text]) if lines else question.text
