"""Stage 2: from explained choices to a persona in plain words, each sentence with what is behind it.

What a reward model learned about the user may stand beside the pairs. Its items are marked E1, E2, ... in the
order given; what the user wrote beside choices W1, W2, .... A sentence of the reply names those it rests on
beside its pairs, ``[2, 5; E1, W2]``. What does not exist is left out and counted, with the sentences that
name nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from synthesizeme.backends import Answer, Form, Ledger, Question
from synthesizeme.errors import DataError
from synthesizeme.personas.citations import Citations, read_citations
from synthesizeme.personas.own_words import WORDS_PROMPT, reason_block, words_block
from synthesizeme.plain_text import beginning
from synthesizeme.profile import Persona, PersonaSentence, Provenance
from synthesizeme.prompts import PromptTemplate, as_data, conversation_text, load_prompt
from synthesizeme.replies import refuses, without_thoughts
from synthesizeme.replies.statements import finished, says_nothing, speaks_of_user, statement_lines
from synthesizeme.types import Demonstration, Evidence, Failure, Message, PreferencePair

EVIDENCE_PROMPT = "persona/evidence"
"""The prompt that is added to the persona-writing prompt, whichever that is."""
_MAX_CHARACTERS = 200

_TAG = re.compile(r"<(?=\s*/?\s*evidence\b)", re.IGNORECASE)


def evidence_text(evidence: Sequence[Evidence], pair_ids: Sequence[str]) -> str:
    """What the system message of a persona prompt says of `evidence`; empty without any.

    Args:
        evidence: The items, in the order of their markers.
        pair_ids: The pairs the prompt shows, in the order of their numbers; others are not mentioned.
    """
    if not evidence:
        return ""
    prompt = load_prompt(EVIDENCE_PROMPT)
    number = {pair_id: str(position) for position, pair_id in enumerate(pair_ids, 1)}
    lines = []
    for position, item in enumerate(evidence, 1):
        shown = [number[pair_id] for pair_id in item.pair_ids if pair_id in number]
        lines.append(
            prompt.render(
                "item",
                marker=f"E{position}",
                statement=_one_line(item.statement),
                feature=_one_line(item.feature),
                weight=f"{item.weight:+.2f}",
                standard_error=f"{item.standard_error:.2f}",
                others=""
                if item.population is None
                else prompt.render("others", weight=f"{item.population:+.2f}"),
                pairs=prompt.render("pairs", numbers=", ".join(shown)) if shown else "",
            )
        )
    return prompt.render("system", items="\n".join(lines))


def without_evidence_tags(text: str) -> str:
    """`text` with the bracket taken from every evidence tag, so that data cannot pose as evidence."""
    return _TAG.sub("‹", text)


def check_evidence(evidence: Sequence[Evidence], history: Sequence[PreferencePair]) -> None:
    """Refuse evidence that rests on anything but the user's own train and validation pairs.

    Raises:
        DataError: an item names another pair.
    """
    known = {pair.pair_id for pair in history}
    for item in evidence:
        strange = [pair_id for pair_id in item.pair_ids if pair_id not in known]
        if strange:
            raise DataError(
                f"the evidence on {item.feature!r} names pair {strange[0]!r}, which is no train or "
                "validation pair of this user",
                field="pair_ids",
                cure="take the evidence from a model fitted to this user's history alone",
            )


def cited(sentence: PersonaSentence, provenance: Provenance | None) -> list[str]:
    """The evidence behind a sentence for people: feature, weight and standard error where they are known."""
    items = {item.feature: item for item in provenance.evidence} if provenance else {}
    return [
        f"{name} {items[name].weight:+.2f} ± {items[name].standard_error:.2f}" if name in items else name
        for name in sentence.evidence
    ]


def _one_line(text: str) -> str:
    return without_evidence_tags(as_data(" ".join(text.split())[:_MAX_CHARACTERS]))


UNEXPLAINED = "none given"
PERSONA_ATTEMPTS = 2
"""Most calls that one persona takes."""
MAX_SENTENCES = 12
MAX_SENTENCE_CHARACTERS = 400
QUOTED_CHARACTERS = 80
"""Most characters of a text that is quoted for people beside a statement."""

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
    choices: Sequence[Demonstration],
    theta: PromptTemplate,
    evidence: Sequence[Evidence] = (),
    words: Sequence[str] = (),
) -> tuple[Message, ...]:
    """The conversation that asks for a persona; pairs are numbered from 1 in the order given.

    Evidence stands in the system message, where no data of the pairs can pose as it. The user's own words
    stand between tags of their own, in their pair or before all pairs.
    """

    def why(choice: Demonstration) -> str:
        if choice.own_words:
            return reason_block(choice.reasoning)
        return as_data(choice.reasoning) if choice.reasoning else UNEXPLAINED

    blocks = [
        theta.render(
            "pair",
            number=str(number),
            conversation=conversation_text(choice.comparison.prompt),
            first_response=as_data(choice.comparison.first),
            second_response=as_data(choice.comparison.second),
            choice=choice.preference.capitalize(),
            reasoning=why(choice),
        )
        for number, choice in enumerate(choices, 1)
    ]
    said = [words_block(words)] if words else []
    request = "\n\n".join([*said, *blocks, theta.render("request")])
    system = theta.render("system")
    if words or any(choice.own_words for choice in choices):
        system += "\n\n" + load_prompt(WORDS_PROMPT).render("system")
    if evidence:
        system += "\n\n" + evidence_text(evidence, [choice.comparison.pair_id for choice in choices])
        request = without_evidence_tags(request)
    return Message(role="system", content=system), Message(role="user", content=request)


def fit_to_budget(
    choices: Sequence[Demonstration],
    theta: PromptTemplate,
    max_characters: int,
    evidence: Sequence[Evidence] = (),
    words: Sequence[str] = (),
) -> tuple[Demonstration, ...]:
    """The most choices that fit into a persona prompt.

    Unexplained pairs are dropped first, those with the user's own reason last, of each kind the longest
    first.
    """
    kept = list(choices)

    def size(choice: Demonstration) -> int:
        return len(choice.comparison.first) + len(choice.comparison.second) + len(choice.reasoning)

    def length() -> int:
        return sum(len(message.content) for message in persona_messages(kept, theta, evidence, words))

    while len(kept) > 1 and length() > max_characters:
        kept.remove(max(kept, key=lambda choice: (not choice.reasoning, not choice.own_words, size(choice))))
    return tuple(kept)


def parse_persona(
    text: str, pair_ids: Sequence[str], evidence: Sequence[Evidence] = (), words: Sequence[str] = ()
) -> tuple[PersonaSentence, ...]:
    """Sentences of a reply, with the pairs, the evidence and the own words cited in brackets after each.

    The reply may be lines, a list, a table, prose or JSON, in any language; see
    `synthesizeme.replies.statements`. What cites nothing and does not speak of the user, such as a
    greeting, is left out; beside evidence and own words also sentences that name nothing but what does not
    exist.

    Args:
        text: The reply.
        pair_ids: Pair id of each number, from 1. Numbers that do not exist are left out.
        evidence: Item of each marker, from E1. Markers that do not exist are left out.
        words: What the user wrote beside choices, by marker from W1; likewise.
    """
    sentences, marked = [], bool(evidence or words)
    for line in statement_lines(text):
        body = _LEAD.sub("", line).replace("**", "").strip().strip("*").strip()
        found = read_citations(body, len(pair_ids), len(evidence), len(words)) if marked else Citations(body)
        plain = [n for match in _CITATION.finditer(found.body) for n in _cited(match[1], len(pair_ids))]
        body = _CITATION.sub("", found.body).strip()
        if not re.search(r"\w", body) or body.endswith(":") or body.startswith("#"):
            continue
        known = tuple(dict.fromkeys(pair_ids[n - 1] for n in [*found.pairs, *plain]))
        named = tuple(dict.fromkeys(evidence[n - 1].feature for n in found.items))
        own = tuple(beginning(words[n - 1], QUOTED_CHARACTERS) for n in found.words)
        if found.unknown and not (known or named or own):
            continue
        text = body[:MAX_SENTENCE_CHARACTERS]
        sentences.append(PersonaSentence(text=text, pair_ids=known, evidence=named, own_words=own))
    statements = [s for s in sentences if s.supported or speaks_of_user(s.text)]
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


def _form(pair_ids: Sequence[str], evidence: Sequence[Evidence], words: Sequence[str]) -> Form:
    """A persona's form: a reply without a statement is not final."""

    def readable(answer: Answer) -> bool:
        return bool(says_nothing(answer.text) or parse_persona(answer.text, pair_ids, evidence, words))

    return Form(name="persona", readable=readable, refuses=refuses)


def _with_citations(
    ledger: Ledger,
    messages: Sequence[Message],
    reply: str,
    sentences: Sequence[PersonaSentence],
    pair_ids: Sequence[str],
) -> tuple[PersonaSentence, ...]:
    """Statements with the pairs that the model names for them when it is asked once more.

    Args:
        ledger: Through which it is asked.
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
    [outcome] = ledger.ask([Question(turns)], stage="asking for citations")
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
    ledger: Ledger,
    choices: Sequence[Demonstration],
    theta: PromptTemplate,
    *,
    max_characters: int,
    attempts: int = PERSONA_ATTEMPTS,
    evidence: Sequence[Evidence] = (),
    words: Sequence[str] = (),
) -> tuple[Persona | None, str]:
    """Ask for a persona; an unusable reply is asked for again as another sample.

    If no statement names a pair, and an attempt is left, the model is asked once for the pairs behind them.
    A reply that was cut off loses what is unfinished.

    Args:
        ledger: Through which the model is asked; unusable replies are counted among its failures.
        choices: The user's choices, with reasoning where there is any.
        theta: The persona-writing prompt.
        max_characters: Longest prompt.
        attempts: Most calls, at least 1.
        evidence: What a reward model learned about the user from the user's own pairs.
        words: What the user wrote beside choices; see `own_words.told`.

    Returns:
        The persona or None, and a note that is empty unless something must be said about it.
    """
    kept = fit_to_budget(choices, theta, max_characters, evidence, words)
    notes = []
    if len(kept) < len(choices):
        notes.append(f"the persona was written from {len(kept)} of {len(choices)} pairs (context limit)")
    messages = persona_messages(kept, theta, evidence, words)
    ids = [choice.comparison.pair_id for choice in kept]
    form, marked = _form(ids, evidence, words), bool(evidence or words)
    reason = ""
    for sample in range(attempts):
        question = Question(messages, sample, form)
        outcome = ledger.ask([question], stage="writing the persona")[0]
        if isinstance(outcome, Failure):
            reason = f"{outcome.kind}: {outcome.detail}"
            continue
        if says_nothing(outcome.text):
            return None, "the model found no statement about this user that the choices support"
        whole = finished(outcome.text) if outcome.cut_off else outcome.text
        sentences = parse_persona(whole, ids, evidence, words)
        said = without_thoughts(whole)
        unknown = read_citations(said, len(ids), len(evidence), len(words)).unknown if marked else 0
        if sentences:
            if not any(it.supported for it in sentences) and sample + 1 < attempts:
                sentences = _with_citations(ledger, messages, outcome.text, sentences, ids)
            if unknown:
                notes.append(f"references to pairs or evidence that do not exist, left out: {unknown}")
            name = ledger.model.name
            return Persona(sentences=sentences, made_by=name, prompt_id=theta.prompt_id), "; ".join(notes)
        kind = "refusal" if refuses(outcome.text) else "parse"
        ledger.failures[kind] = ledger.failures.get(kind, 0) + 1
        lack = " that rests on anything that exists" if unknown else ""
        reason = f"{kind}: the reply contains no statement about the user{lack}"
    return None, f"no persona could be written ({reason})"
