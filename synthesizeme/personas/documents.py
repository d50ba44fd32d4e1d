"""The ready-to-paste files of a profile: judge prompt, generation prompt, persona in Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from synthesizeme.judges.messages import context_messages
from synthesizeme.personas.synthesis import cited
from synthesizeme.profile import Persona, PersonaSentence, Provenance, UserProfile
from synthesizeme.prompts import PromptTemplate, as_data, conversation_text, load_prompt
from synthesizeme.types import Message

CONVERSATION, FIRST, SECOND = "{{conversation}}", "{{first_response}}", "{{second_response}}"
"""Placeholders in the last message of the prompts, to be replaced by whoever pastes them."""
MOST_CITED = 6
"""Pairs that are named at most."""
GENERATION_PROMPT = "generation/default"


def judge_prompt_json(profile: UserProfile, prompt: PromptTemplate) -> str:
    """A JSON list of messages that asks a judge for this user's preference.

    Instruction, persona and demonstrations stand as a judge is sent them; the last message holds the
    placeholders `CONVERSATION`, `FIRST` and `SECOND`.
    """
    question = prompt.render(
        "comparison", conversation=CONVERSATION, first_response=FIRST, second_response=SECOND
    )
    return _messages_json([*context_messages(profile, prompt), Message(role="user", content=question)])


def generation_prompt_json(profile: UserProfile, prompt: PromptTemplate | None = None) -> str:
    """A JSON list of messages that asks a chat model to answer the way this user likes.

    The system message holds the persona and, as examples, the responses that the user preferred in the
    demonstrations; the last message is the placeholder `CONVERSATION`.
    """
    prompt = prompt or load_prompt(GENERATION_PROMPT)
    parts = [prompt.render("system")]
    if profile.persona is not None:
        parts.append(prompt.render("persona", persona=as_data(profile.persona.text)))
    if profile.demonstrations:
        parts.append(prompt.render("examples"))
    for demonstration in profile.demonstrations:
        shown = demonstration.comparison
        preferred = shown.first if demonstration.preference == "first" else shown.second
        conversation = conversation_text(shown.prompt)
        parts.append(prompt.render("example", conversation=conversation, response=as_data(preferred)))
    system = Message(role="system", content="\n\n".join(parts))
    return _messages_json([system, Message(role="user", content=CONVERSATION)])


def profile_documents(profile: UserProfile, judge_prompt: str) -> dict[str, str]:
    """The text of each file that stands beside a ``profile.json``, by its name.

    Args:
        profile: The profile.
        judge_prompt: Name or path of the judge prompt.
    """
    return {
        "judge_prompt.json": judge_prompt_json(profile, load_prompt(judge_prompt)),
        "generation_prompt.json": generation_prompt_json(profile),
        "persona.md": persona_markdown(profile),
    }


def persona_markdown(profile: UserProfile) -> str:
    """The persona for people: each sentence with its record and some choices, and how it was made."""
    parts = [f"# Persona of {_code(profile.user_id)}"]
    if profile.cautions:
        parts.append("\n".join(f"- **Caution:** {_plain(caution.text)}." for caution in profile.cautions))
    if profile.persona is None:
        parts.append("Nothing yet; the notes below say why, and what helps.")
    else:
        parts += [
            _made_by(profile.persona, profile.provenance),
            _sentences(profile.persona, profile.provenance),
        ]
    if profile.corrections:
        parts.append(_corrections(profile))
    if profile.demonstrations:
        ids = ", ".join(_code(shown.comparison.pair_id) for shown in profile.demonstrations)
        parts.append(f"## Demonstrations\n\nPast choices that a judge is shown: {ids}.")
    if profile.provenance is not None:
        parts.append(_how(profile.provenance))
    return "\n\n".join(parts) + "\n"


def _made_by(persona: Persona, provenance: Provenance | None) -> str:
    if all(it.by == "owner" for it in persona.statements):
        return "In the user's own words."
    kind = f", a {provenance.model_kind}" if provenance else ""
    return f"Written by {_code(persona.made_by)}{kind}, with the prompt {_code(persona.prompt_id)}."


_WHOSE = {
    ("owner", False): "the user's own words",
    ("owner", True): "the user's own words, pinned",
    ("writer", True): "pinned by the user",
}


def behind(sentence: PersonaSentence, provenance: Provenance | None) -> list[str]:
    """What stands behind a statement, in lines for people: its record, choices for and against it, own words.

    Of a statement that was never tried the pairs that the writer cited are named.
    """
    lines = [_WHOSE[sentence.by, sentence.pinned]] if sentence.kept else []
    lines += [sentence.record] if sentence.record else []
    for quote in sentence.quotes:
        side = "for" if quote.held else "against"
        why = f", because “{quote.reason}”" if quote.reason else ""
        lines.append(f"{side}: asked “{quote.asked}”, chose “{quote.chosen}” over “{quote.rejected}”{why}")
    lines += [f"in the user's own words: {text}" for text in sentence.own_words]
    if sentence.silent is None:
        shown, beyond = ", ".join(sentence.pair_ids[:MOST_CITED]), len(sentence.pair_ids) - MOST_CITED
        named = f"cited: {shown}" if shown else "no pair was cited for it"
        lines.append(f"never tried; {named}{f' and {beyond} more' if beyond > 0 else ''}")
    if items := cited(sentence, provenance):
        lines.append(f"evidence: {'; '.join(items)}")
    return lines


def _sentences(persona: Persona, provenance: Provenance | None) -> str:
    def listed(sentences: Sequence[PersonaSentence], first: int = 1) -> str:
        return "\n".join(
            "\n".join(
                [f"{number}. {_plain(it.text)}", *(f"   - {_plain(line)}" for line in behind(it, provenance))]
            )
            for number, it in enumerate(sentences, first)
        )

    if not persona.common:
        return listed(persona.sentences)
    common = f"Like most people:\n\n{listed(persona.common, 1 + len(persona.sentences))}"
    return f"{listed(persona.sentences)}\n\n{common}" if persona.sentences else common


def _corrections(profile: UserProfile) -> str:
    done = [
        f"{it.at:%Y-%m-%d %H:%M} UTC, {it.kind}: {_plain(it.text)}"
        + (f" (was: {_plain(it.before)})" if it.before is not None else "")
        for it in profile.corrections
    ]
    return "## What the user corrected\n\n" + "\n".join(f"- {line}" for line in done)


def _how(provenance: Provenance) -> str:
    splits = list(provenance.splits.values())
    usage = provenance.usage
    facts = [
        ", ".join(f"{splits.count(split)} {split}" for split in ("train", "validation", "test"))
        + f" pairs; split {_plain(provenance.split_rule)}",
        f"search {provenance.search}, effort {provenance.effort}, seed {provenance.seed}",
        f"{provenance.traces_verified} of {provenance.traces_judged} verdicts on train pairs agreed "
        "with the user",
        f"{usage.distinct_calls} distinct calls, {usage.prompt_tokens} prompt and "
        f"{usage.completion_tokens} completion tokens",
        *_evidence(provenance),
        *(f"{number} failed calls: {kind}" for kind, number in provenance.failures.items()),
        *(f"note: {_plain(note)}" for note in provenance.notes),
    ]
    return "## How it was made\n\n" + "\n".join(f"- {fact}" for fact in facts)


def _evidence(provenance: Provenance) -> list[str]:
    """How to read the evidence, where there is any."""
    if not provenance.evidence:
        return []
    source = provenance.settings.get("evidence_model") or "a reward model"
    return [
        f"evidence: {len(provenance.evidence)} items of {_plain(str(source))}; difference from most people "
        "± standard error, in log-odds of a choice per typical difference, a positive one for more of the "
        "feature"
    ]


def _messages_json(messages: Sequence[Message]) -> str:
    rows = [{"role": message.role, "content": message.content} for message in messages]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def _plain(text: str) -> str:
    """One line of text that Markdown shows as it is."""
    return re.sub(r"([\\`*_<>\[\]#|])", r"\\\1", _printable(text))


def _code(text: str) -> str:
    """One line of text as code, shortened."""
    line = _printable(text).replace("`", "'") or " "
    return f"`{line if len(line) <= 80 else line[:79] + '…'}`"


def _printable(text: str) -> str:
    """One line without control characters or marks that change the direction of writing."""
    return "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split())
    )
