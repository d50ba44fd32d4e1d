"""Stage 2: from explained choices to a persona in plain words, each sentence with the pairs behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from synthesizeme.backends import Account, Question
from synthesizeme.judges import refuses, without_thoughts
from synthesizeme.profile import Persona, PersonaSentence
from synthesizeme.prompts import PromptTemplate, as_data, conversation_text
from synthesizeme.types import Demonstration, Failure, Message

UNEXPLAINED = "none given"
PERSONA_ATTEMPTS = 2
"""Most calls that one persona takes."""
MAX_SENTENCES = 12
MAX_SENTENCE_CHARACTERS = 400

_LEAD = re.compile(r"^[\s>*•–-]*(?:\d{1,2}[.):])?[\s*]*")
_CITATION = re.compile(
    r"\s*[\[(](?:pairs?(?: numbers?)?[:\s]+)?((?:(?:pairs?\s+|#)?\d+\s*(?:,|;|and|to|&|-|–)?\s*)*)[\])]",
    re.IGNORECASE,
)
_NUMBERS = re.compile(r"(\d+)(?:\s*(?:-|–|to)\s*#?(\d+))?", re.IGNORECASE)
_STATEMENT = re.compile(
    r"(?:the|this) user\b|(?:they|s?he|you)\b|(?:strongly |clearly |slightly |generally )?"
    r"(?:prefer|like|dislike|value|avoid|want|enjoy|appreciate|favou?r|reject|care)s?\b",
    re.IGNORECASE,
)
_NO_STATEMENT = re.compile(r"\W*none\W*", re.IGNORECASE)


def persona_messages(choices: Sequence[Demonstration], theta: PromptTemplate) -> tuple[Message, ...]:
    """The conversation that asks for a persona; pairs are numbered from 1 in the order given."""
    blocks = [
        theta.render(
            "pair",
            number=str(number),
            conversation=conversation_text(choice.comparison.prompt),
            first_response=as_data(choice.comparison.first),
            second_response=as_data(choice.comparison.second),
            choice=choice.preference.capitalize(),
            reasoning=as_data(choice.reasoning) if choice.reasoning else UNEXPLAINED,
        )
        for number, choice in enumerate(choices, 1)
    ]
    request = "\n\n".join([*blocks, theta.render("request")])
    return Message(role="system", content=theta.render("system")), Message(role="user", content=request)


def fit_to_budget(
    choices: Sequence[Demonstration], theta: PromptTemplate, max_characters: int
) -> tuple[Demonstration, ...]:
    """The most choices that fit into a persona prompt; unexplained and long pairs are dropped first."""
    kept = list(choices)

    def size(choice: Demonstration) -> int:
        return len(choice.comparison.first) + len(choice.comparison.second) + len(choice.reasoning)

    while len(kept) > 1 and sum(len(m.content) for m in persona_messages(kept, theta)) > max_characters:
        kept.remove(max(kept, key=lambda choice: (not choice.reasoning, size(choice))))
    return tuple(kept)


def parse_persona(text: str, pair_ids: Sequence[str]) -> tuple[PersonaSentence, ...]:
    """Sentences of a reply, one per line, with the pairs cited in brackets after each.

    Lines that cite no pair and do not speak of the user, such as a greeting, are left out.

    Args:
        text: The reply.
        pair_ids: Pair id of each number, from 1. Numbers that do not exist are left out.
    """
    sentences = []
    for line in without_thoughts(text).splitlines():
        body = _LEAD.sub("", line).replace("**", "").strip().strip("*").strip()
        cited = [n for match in _CITATION.finditer(body) for n in _cited(match[1], len(pair_ids))]
        body = _CITATION.sub("", body).strip()
        if not re.search(r"\w", body) or body.endswith(":") or body.startswith("#"):
            continue
        known = tuple(dict.fromkeys(pair_ids[n - 1] for n in cited))
        sentences.append(PersonaSentence(text=body[:MAX_SENTENCE_CHARACTERS], pair_ids=known))
    statements = [s for s in sentences if s.pair_ids or _STATEMENT.match(s.text)]
    return tuple(statements[:MAX_SENTENCES])


def _cited(numbers: str, largest: int) -> list[int]:
    """Numbers in a citation such as ``1, 3-5 and 9`` that are at least 1 and at most `largest`."""
    return [
        number
        for first, last in _NUMBERS.findall(numbers)
        for number in range(max(1, int(first)), min(largest, int(last or first)) + 1)
    ]


def write_persona(
    account: Account,
    choices: Sequence[Demonstration],
    theta: PromptTemplate,
    *,
    max_characters: int,
    attempts: int = PERSONA_ATTEMPTS,
) -> tuple[Persona | None, str]:
    """Ask for a persona; an unusable reply is asked for again as another sample.

    A reply that was cut off loses its last, unfinished line.

    Args:
        account: Through which the model is asked; unusable replies are counted among its failures.
        choices: The user's choices, with reasoning where there is any.
        theta: The persona-writing prompt.
        max_characters: Longest prompt.
        attempts: Most calls, at least 1.

    Returns:
        The persona or None, and a note that is empty unless something must be said about it.
    """
    kept = fit_to_budget(choices, theta, max_characters)
    note = f"the persona was written from {len(kept)} of {len(choices)} pairs (context limit)"
    note = note if len(kept) < len(choices) else ""
    messages = persona_messages(kept, theta)
    reason = ""
    for sample in range(attempts):
        outcome = account.ask([Question(messages, sample)], stage="writing the persona")[0]
        if isinstance(outcome, Failure):
            reason = f"{outcome.kind}: {outcome.detail}"
            continue
        if _NO_STATEMENT.fullmatch(without_thoughts(outcome.text)):
            return None, "the model found no statement about this user that the choices support"
        whole = outcome.text.rpartition("\n")[0] if outcome.cut_off else outcome.text
        sentences = parse_persona(whole, [choice.comparison.pair_id for choice in kept])
        if sentences:
            name = account.model.name
            return Persona(sentences=sentences, made_by=name, prompt_id=theta.prompt_id), note
        kind = "refusal" if refuses(outcome.text) else "parse"
        account.failures[kind] = account.failures.get(kind, 0) + 1
        reason = f"{kind}: the reply contains no statement about the user"
    return None, f"no persona could be written ({reason})"
