"""Stage 2: from explained choices to a persona in plain words, each sentence with the pairs behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from synthesizeme.backends import Account, Answer, Form, Question
from synthesizeme.personas.evidence import Citations, evidence_text, read_citations, without_evidence_tags
from synthesizeme.profile import Persona, PersonaSentence
from synthesizeme.prompts import PromptTemplate, as_data, conversation_text, load_prompt
from synthesizeme.replies import refuses, without_thoughts
from synthesizeme.replies.statements import finished, says_nothing, speaks_of_user, statement_lines
from synthesizeme.types import Demonstration, Evidence, Failure, Message

UNEXPLAINED = "none given"
PERSONA_ATTEMPTS = 2
"""Most calls that one persona takes."""
MAX_SENTENCES = 12
MAX_SENTENCE_CHARACTERS = 400

_LEAD = re.compile(r"^[\s>*•–-]*(?:\d{1,2}[.):])?[\s*]*")
_CHOICES = r"(?:pairs?|choices?|comparisons?|examples?)"
_CITATION = re.compile(
    rf"\s*[\[(](?:{_CHOICES}(?: numbers?)?[:\s]+)?"
    rf"((?:(?:{_CHOICES}\s+|#|p)?\d++\s*+(?:(?:,|;|and|to|&|-|–)\s*+)*+)*+)[\])]",
    re.IGNORECASE,
)
_NAMED = re.compile(r"[^\w\n]*(?:statement\s*)?(\d{1,2})\W*[.:)\]]\s*(.*)", re.IGNORECASE)
_NUMBERS = re.compile(r"(\d+)(?:\s*(?:-|–|to)\s*[#p]?(\d+))?", re.IGNORECASE)
CITATIONS_PROMPT = "persona/citations"
"""The prompt that asks for the pairs behind statements which name none."""


def persona_messages(
    choices: Sequence[Demonstration], theta: PromptTemplate, evidence: Sequence[Evidence] = ()
) -> tuple[Message, ...]:
    """The conversation that asks for a persona; pairs are numbered from 1 in the order given.

    Evidence stands in the system message, where no data of the pairs can pose as it.
    """
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
    system = theta.render("system")
    if evidence:
        system += "\n\n" + evidence_text(evidence, [choice.comparison.pair_id for choice in choices])
        request = without_evidence_tags(request)
    return Message(role="system", content=system), Message(role="user", content=request)


def fit_to_budget(
    choices: Sequence[Demonstration],
    theta: PromptTemplate,
    max_characters: int,
    evidence: Sequence[Evidence] = (),
) -> tuple[Demonstration, ...]:
    """The most choices that fit into a persona prompt; unexplained and long pairs are dropped first."""
    kept = list(choices)

    def size(choice: Demonstration) -> int:
        return len(choice.comparison.first) + len(choice.comparison.second) + len(choice.reasoning)

    def length() -> int:
        return sum(len(message.content) for message in persona_messages(kept, theta, evidence))

    while len(kept) > 1 and length() > max_characters:
        kept.remove(max(kept, key=lambda choice: (not choice.reasoning, size(choice))))
    return tuple(kept)


def parse_persona(
    text: str, pair_ids: Sequence[str], evidence: Sequence[Evidence] = ()
) -> tuple[PersonaSentence, ...]:
    """Sentences of a reply, with the pairs and the evidence cited in brackets after each.

    The reply may be lines, a list, a table, prose or JSON, in any language; see
    `synthesizeme.replies.statements`. What cites nothing and does not speak of the user, such as a
    greeting, is left out; beside evidence also sentences that name nothing but pairs and items that do not
    exist.

    Args:
        text: The reply.
        pair_ids: Pair id of each number, from 1. Numbers that do not exist are left out.
        evidence: Item of each marker, from E1. Markers that do not exist are left out.
    """
    sentences = []
    for line in statement_lines(text):
        body = _LEAD.sub("", line).replace("**", "").strip().strip("*").strip()
        found = read_citations(body, len(pair_ids), len(evidence)) if evidence else Citations(body)
        plain = [n for match in _CITATION.finditer(found.body) for n in _cited(match[1], len(pair_ids))]
        body = _CITATION.sub("", found.body).strip()
        if not re.search(r"\w", body) or body.endswith(":") or body.startswith("#"):
            continue
        known = tuple(dict.fromkeys(pair_ids[n - 1] for n in [*found.pairs, *plain]))
        named = tuple(dict.fromkeys(evidence[n - 1].feature for n in found.items))
        if found.unknown and not known and not named:
            continue
        sentences.append(PersonaSentence(text=body[:MAX_SENTENCE_CHARACTERS], pair_ids=known, evidence=named))
    statements = [s for s in sentences if s.pair_ids or s.evidence or speaks_of_user(s.text)]
    return tuple(statements[:MAX_SENTENCES])


def _cited(numbers: str, largest: int) -> list[int]:
    """Numbers in a citation such as ``1, 3-5 and 9`` that are at least 1 and at most `largest`."""
    return [
        number
        for first, last in _NUMBERS.findall(numbers)
        for number in range(max(1, _number(first)), min(largest, _number(last or first)) + 1)
    ]


def _number(digits: str) -> int:
    """The number, or one beyond every pair: Python refuses to read thousands of digits."""
    return int(digits) if len(digits) < 10 else 10**9


def _form(pair_ids: Sequence[str], evidence: Sequence[Evidence]) -> Form:
    """A persona's form: a reply without a statement is not final."""

    def readable(answer: Answer) -> bool:
        return bool(says_nothing(answer.text) or parse_persona(answer.text, pair_ids, evidence))

    return Form(name="persona", readable=readable, refuses=refuses)


def _with_citations(
    account: Account,
    messages: Sequence[Message],
    reply: str,
    sentences: Sequence[PersonaSentence],
    pair_ids: Sequence[str],
) -> tuple[PersonaSentence, ...]:
    """Statements with the pairs that the model names for them when it is asked once more.

    Args:
        account: Through which it is asked.
        messages: What asked for the statements.
        reply: What came back.
        sentences: The statements in it.
        pair_ids: Pair id of each number, from 1.
    """
    numbered = "\n".join(f"{number}. {it.text}" for number, it in enumerate(sentences, 1))
    request = load_prompt(CITATIONS_PROMPT).render("request", statements=as_data(numbered))
    turns = (
        *messages,
        Message(role="assistant", content=without_thoughts(reply)),
        Message(role="user", content=request),
    )
    [outcome] = account.ask([Question(turns)], stage="asking for citations")
    if isinstance(outcome, Failure):
        return tuple(sentences)
    named: dict[int, list[str]] = {}
    for line in without_thoughts(outcome.text).splitlines():
        found = _NAMED.match(line)
        cited = _cited(found[2], len(pair_ids)) if found else []
        if found and 1 <= _number(found[1]) <= len(sentences):
            named[_number(found[1])] = [pair_ids[number - 1] for number in cited]
    return tuple(
        it.model_copy(update={"pair_ids": tuple(dict.fromkeys(named.get(number, ())))})
        for number, it in enumerate(sentences, 1)
    )


def write_persona(
    account: Account,
    choices: Sequence[Demonstration],
    theta: PromptTemplate,
    *,
    max_characters: int,
    attempts: int = PERSONA_ATTEMPTS,
    evidence: Sequence[Evidence] = (),
) -> tuple[Persona | None, str]:
    """Ask for a persona; an unusable reply is asked for again as another sample.

    If no statement names a pair, and an attempt is left, the model is asked once for the pairs behind them.
    A reply that was cut off loses what is unfinished.

    Args:
        account: Through which the model is asked; unusable replies are counted among its failures.
        choices: The user's choices, with reasoning where there is any.
        theta: The persona-writing prompt.
        max_characters: Longest prompt.
        attempts: Most calls, at least 1.
        evidence: What a reward model learned about the user from the user's own pairs.

    Returns:
        The persona or None, and a note that is empty unless something must be said about it.
    """
    kept = fit_to_budget(choices, theta, max_characters, evidence)
    notes = []
    if len(kept) < len(choices):
        notes.append(f"the persona was written from {len(kept)} of {len(choices)} pairs (context limit)")
    messages = persona_messages(kept, theta, evidence)
    ids = [choice.comparison.pair_id for choice in kept]
    form = _form(ids, evidence)
    reason = ""
    for sample in range(attempts):
        question = Question(messages, sample, form)
        outcome = account.ask([question], stage="writing the persona")[0]
        if isinstance(outcome, Failure):
            reason = f"{outcome.kind}: {outcome.detail}"
            continue
        if says_nothing(outcome.text):
            return None, "the model found no statement about this user that the choices support"
        whole = finished(outcome.text) if outcome.cut_off else outcome.text
        sentences = parse_persona(whole, ids, evidence)
        said = without_thoughts(whole)
        unknown = read_citations(said, len(ids), len(evidence)).unknown if evidence else 0
        if sentences:
            if not any(it.pair_ids or it.evidence for it in sentences) and sample + 1 < attempts:
                sentences = _with_citations(account, messages, outcome.text, sentences, ids)
            if unknown:
                notes.append(f"references to pairs or evidence that do not exist, left out: {unknown}")
            name = account.model.name
            return Persona(sentences=sentences, made_by=name, prompt_id=theta.prompt_id), "; ".join(notes)
        kind = "refusal" if refuses(outcome.text) else "parse"
        account.failures[kind] = account.failures.get(kind, 0) + 1
        lack = " that rests on anything that exists" if unknown else ""
        reason = f"{kind}: the reply contains no statement about the user{lack}"
    return None, f"no persona could be written ({reason})"
