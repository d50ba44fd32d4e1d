"""Stage 2: from explained choices to a persona in plain words, each sentence with the pairs behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from synthesizeme.backends import Account, Question
from synthesizeme.profile import Persona, PersonaSentence
from synthesizeme.prompts import PromptTemplate, as_data, conversation_text
from synthesizeme.types import Demonstration, Failure, Message

UNEXPLAINED = "none given"
MAX_SENTENCES = 12
MAX_SENTENCE_CHARACTERS = 400

_LEAD = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])?\s*")
_CITATION = re.compile(r"\s*[\[(](?:pairs?\s+)?((?:\d+\s*(?:,|;|and|-)?\s*)*)[\])]", re.IGNORECASE)
_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)


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

    Args:
        text: The reply.
        pair_ids: Pair id of each number, from 1. Numbers that do not exist are left out.
    """
    sentences = []
    for line in _THOUGHT.sub("", text).splitlines():
        body = _LEAD.sub("", line).strip().strip("*").strip()
        cited = [int(n) for match in _CITATION.finditer(body) for n in re.findall(r"\d+", match[1])]
        body = _CITATION.sub("", body).strip()
        if not re.search(r"\w", body) or body.endswith(":") or body.startswith("#"):
            continue
        known = tuple(dict.fromkeys(pair_ids[n - 1] for n in cited if 1 <= n <= len(pair_ids)))
        sentences.append(PersonaSentence(text=body[:MAX_SENTENCE_CHARACTERS], pair_ids=known))
    return tuple(sentences[:MAX_SENTENCES])


def write_persona(
    account: Account,
    choices: Sequence[Demonstration],
    theta: PromptTemplate,
    *,
    max_characters: int,
    attempts: int = 2,
) -> tuple[Persona | None, str]:
    """Ask for a persona; an unusable reply is asked for again as another sample.

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
        sentences = parse_persona(outcome.text, [choice.comparison.pair_id for choice in kept])
        if sentences:
            name = account.model.name
            return Persona(sentences=sentences, made_by=name, prompt_id=theta.prompt_id), note
        reason = "the reply contains no statement"
    return None, f"no persona could be written ({reason})"
