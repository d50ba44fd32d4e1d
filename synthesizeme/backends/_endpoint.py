"""What was found out about an endpoint, and the ways in which a question is put until its reply can be read.

A question with a form is asked in words, as its prompt says. Only where the reply cannot be read is more
done, the cheapest first:

1. once more, with a JSON schema that the endpoint enforces;
2. the model's own reply, continued with the words before the verdict;
3. one question about the reply.

Where it is the schema that makes the reply to a session's first such question readable, all others are asked
with it from the start; the reasoning stays before the verdict either way. A refusal is not asked about.

An endpoint that objects to one thing in a request says so in words. That thing is named once in the log and
not sent to it again; where no words tell, nothing is guessed. What is known is kept beside the finished
calls, so that the next run begins with it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from synthesizeme.backends._reply import Answer, Question, Sending, Token
from synthesizeme.types import Failure, Message

if TYPE_CHECKING:
    from synthesizeme.backends._base import Model
    from synthesizeme.backends._reply import Form, Way


Feature = Literal[
    "max_tokens", "max_completion_tokens", "logprobs", "response_format", "continue_final_message",
    "continuation", "system", "seed", "temperature",
]  # fmt: skip
"""What a request may hold that some endpoints refuse."""
NEEDS: Mapping[Way, Feature] = {"json": "response_format", "continue": "continuation"}
"""Ways of asking that an endpoint has to take a feature for."""

_logger = logging.getLogger("synthesizeme")
_CONSEQUENCES: dict[Feature, str] = {
    "max_tokens": "the limit of a reply is sent as max_completion_tokens",
    "max_completion_tokens": "no limit of a reply is sent",
    "logprobs": "no token probabilities are asked for",
    "response_format": "no JSON schema is sent",
    "continue_final_message": "the model's turn is begun without that parameter",
    "continuation": "the model's turn is not begun for it",
    "system": "the system message stands at the head of the first user turn",
    "seed": "no seed is sent",
    "temperature": "no temperature is sent, and the endpoint's own holds",
}
_NOT_KNOWN = (
    r"extra.?(?:inputs?|fields?|forbidden)|deprecated|un(?:supported|recogni[sz]ed|known|expected)|"
    r"not (?:permitted|allowed|supported|accepted|recogni[sz]ed|available)|"
    r"does(?: not|n't) (?:support|accept|take|allow)"
)
"""That a parameter is not to be there at all."""
_OBJECTIONS: tuple[tuple[Feature, str], ...] = (
    ("max_tokens", r"max_tokens\b.*max_completion_tokens"),
    (
        "logprobs",
        r"log[_ -]?probs?|log[ -]?probabilit|token[ -]probabilit|out of range float values",
    ),
    ("response_format", r"response_?format|json_?schema|structured.?outputs?|guided|grammar"),
    ("continue_final_message", r"continue_final_message|add_generation_prompt"),
    (
        "continuation",
        r"prefill|(?:last|final)\b[^.]*\bassistant\b|assistant\b[^.]*\b(?:last|final|end)\b|"
        r"(?:last|final) (?:message|turn|role)|end(?:s|ing)? with (?:a |the )?(?:user|assistant)",
    ),
    (
        "system",
        r"system[ _\"'`-]*(?:role|message|prompt|instruction|turn)|\"system\"|'system'|`system`|"
        r"\broles?\b.{0,80}\bsystem\b|\bsystem\b.{0,80}\broles?\b|"
        r"developer (?:instruction|message|role)|roles must alternate|"
        r"\broles?\b.{0,80}\buser\b\W+(?:\w+\W+){0,2}assistant|"
        r"\buser\W+(?:\w+\W+){0,2}assistant\W+(?:roles?|messages?|turns?)\b",
    ),
    ("seed", r"\bseed\b"),
    ("temperature", r"\btemperature\b"),
    ("max_tokens", rf"\bmax_tokens\b.{{0,80}}(?:{_NOT_KNOWN})|(?:{_NOT_KNOWN}).{{0,80}}\bmax_tokens\b"),
    (
        "max_completion_tokens",
        rf"max_completion_tokens.{{0,80}}(?:{_NOT_KNOWN})|(?:{_NOT_KNOWN}).{{0,80}}max_completion_tokens",
    ),
)
_OF_TEMPLATES = frozenset({"logprobs", "response_format", "continuation", "continue_final_message", "system"})
"""Features about which an error of the server (5xx) is believed: templates and grammars fail there."""
_MUST = re.compile(
    rf"{_NOT_KNOWN}|\bmust\b|has to|have to|should be|invalid|expected|positive|greater|less|out of range",
    re.IGNORECASE,
)
"""What such an error says beside the name of any other feature, to be believed."""
_AT_MOST = re.compile(
    r"(?:at most|up to|more than|maximum(?: of| is|:)?|max(?: is|:)?|<=?|less than or equal to|"
    r"no greater than|between \d+ and|range \[?\d+,|in \[\d+,)\D{0,3}(\d+)",
    re.IGNORECASE,
)
TOP_LOGPROBS = 5
"""Alternatives asked for at each token."""


def objection(words: str, sent: Iterable[Feature], *, server_error: bool = False) -> Feature | None:
    """The feature of a request that an endpoint's words object to; None where they name none that was sent.

    Args:
        words: The endpoint's own words.
        sent: What the request held.
        server_error: Whether the endpoint counts the fault as its own.
    """
    held = set(sent)
    if server_error and not _MUST.search(words):
        held &= _OF_TEMPLATES
    for feature, pattern in _OBJECTIONS:
        if feature in held and re.search(pattern, words, re.IGNORECASE | re.DOTALL):
            return feature
    return None


_OPTIONAL: tuple[Feature, ...] = (
    "logprobs", "seed", "temperature", "system", "max_tokens", "max_completion_tokens",
)  # fmt: skip
"""What a request can do without, the least missed first."""


def to_leave_out(sent: Set[Feature]) -> Iterator[tuple[Feature, ...]]:
    """What to try without, where no words tell what is refused: each thing alone, then more and more.

    First nothing is left out: what is answered then was no refusal of anything.
    """
    yield ()
    alone = [it for it in _OPTIONAL if it in sent]
    yield from ((it,) for it in alone)
    more = [*alone, _OPTIONAL[-1]] if "max_tokens" in sent else alone  # that limit takes its place
    yield from (tuple(more[:number]) for number in range(2, len(more) + 1))


@dataclass
class Endpoint:
    """One model at one address. Changed by whoever asks it; all of a session share it."""

    name: str
    """For what is said about it."""
    refused: set[Feature] = field(default_factory=set)
    """What it objected to."""
    tried: set[Way] = field(default_factory=set)
    """Ways of asking that were tried in vain."""
    way: Way | None = None
    """How questions with a form are sent first; None until the first one was answered."""
    top_logprobs: int = TOP_LOGPROBS
    """Alternatives asked for at each token."""
    noted: set[str] = field(default_factory=set)
    """What was said of it, by kind."""

    def refuse(self, feature: Feature, words: str, *, asked: int = 0) -> None:
        """Take note that it refuses a feature, and say so once.

        Args:
            feature: What it refuses.
            words: Its own words.
            asked: Alternatives at each token that it was asked for: where the words give a smaller number,
                that many are asked for from then on.
        """
        limits = [int(found) for found in _AT_MOST.findall(words)] if feature == "logprobs" else []
        if limits and 0 < min(limits) < asked:
            self.top_logprobs = min(self.top_logprobs, *limits)
            then = f"{self.top_logprobs} alternatives are asked for at each token"
            self.note("alternatives", f"objects ({words}): from now on {then}")
        elif feature not in self.refused:
            self.refused.add(feature)
            self.note(feature, f"objects ({words}): from now on {_CONSEQUENCES[feature]}")

    def note(self, kind: str, words: str) -> None:
        """Say something of it, once for each kind of thing."""
        if kind not in self.noted:
            self.noted.add(kind)
            _logger.warning("Note: %s %s", self.name, words)

    def takes(self, feature: Feature) -> bool:
        """Whether nothing is known against a feature."""
        return feature not in self.refused

    def promises(self, way: Way) -> bool:
        """Whether a way of asking is worth trying."""
        return way not in self.tried and (way not in NEEDS or self.takes(NEEDS[way]))

    def to_json(self) -> str:
        """What is known, as the cache keeps it."""
        way = None if self.way == "words" else self.way  # the usual case is found out again at no cost
        known = {"refused": sorted(self.refused), "tried": sorted(self.tried), "way": way}
        return json.dumps(known | {"top_logprobs": self.top_logprobs})

    def recall(self, text: str | None) -> None:
        """Take up what `to_json` wrote; what cannot be read is as good as nothing."""
        try:
            known = json.loads(text or "{}")
            self.refused |= {name for name in known.get("refused", ()) if name in _CONSEQUENCES}
            self.tried |= {way for way in known.get("tried", ()) if way in ("json", "continue")}
            self.top_logprobs = min(self.top_logprobs, max(int(known.get("top_logprobs", TOP_LOGPROBS)), 1))
            self.way = self.way or (known.get("way") if known.get("way") in ("json", "continue") else None)
        except (AttributeError, TypeError, ValueError):
            return


def endpoint_key(model: Model) -> str:
    """Under what the cache keeps an endpoint: a hash over model and address."""
    text = json.dumps([model.lm.model, model.settings.api_base])
    return f"endpoint:{hashlib.sha256(text.encode()).hexdigest()}"


CONTINUED_TOKENS = 16
"""Most tokens of a turn that was begun for the model."""
Steps = Generator[Sending, "Answer | Failure", "Answer | Failure"]
"""Gives what to send, takes what came back, returns the outcome of the question."""


def steps(question: Question, model: Model, endpoint: Endpoint) -> Steps:
    """How a question is put to an endpoint; `Endpoint` learns from what comes back."""
    form, structure = question.form, model.settings.structure
    plain = Sending(question.messages, question.sample_index, form=form)
    if form is None:
        return (yield plain)
    settles = form.has_ways and structure == "auto"
    first = _first_way(form, model, endpoint)
    outcome = yield from _in_way(plain, first, form)
    if isinstance(outcome, Failure) and first != "words" and not endpoint.promises(first):
        first = "words"
        outcome = yield from _in_way(plain, first, form)
    if isinstance(outcome, Failure) or form.readable(outcome):
        if isinstance(outcome, Answer) and settles:
            endpoint.way = endpoint.way or first
        return outcome
    if form.refuses(outcome.text):
        return replace(outcome, readable=False)
    spent = [outcome]
    if structure == "auto" and first == "words" and _may("json", form, model, endpoint):
        again = yield from _in_way(plain, "json", form)
        if isinstance(again, Answer):
            spent.append(again)
            if form.readable(again):
                endpoint.way = endpoint.way or "json"
                return _total(again, spent)
            endpoint.tried.add("json")
    if settles:
        endpoint.way = endpoint.way or first
    return (yield from _mended(plain, outcome, spent, model, endpoint, opened=first == "continue"))


def _first_way(form: Form, model: Model, endpoint: Endpoint) -> Way:
    wanted = model.settings.structure
    way = (endpoint.way or "words") if wanted == "auto" else wanted
    return way if way == "words" or _may(way, form, model, endpoint) else "words"


def _may(way: Way, form: Form, model: Model, endpoint: Endpoint) -> bool:
    """Whether a question of this form can be put to the endpoint that way, as far as is known."""
    has = {"json": form.schema, "continue": form.opening}
    return way in model.ways and bool(has.get(way)) and endpoint.promises(way)


def _in_way(plain: Sending, way: Way, form: Form) -> Steps:
    if way != "continue":
        outcome = yield replace(plain, way=way)
        return (
            replace(outcome, constrained=True) if way == "json" and isinstance(outcome, Answer) else outcome
        )
    outcome = yield _opened(plain, form.opening)
    if isinstance(outcome, Failure):
        return outcome
    found = _after(form, "", _unechoed(outcome, form.opening), constrained=True)
    return found or replace(outcome, readable=False, constrained=True)


def _mended(
    plain: Sending, unread: Answer, spent: list[Answer], model: Model, endpoint: Endpoint, *, opened: bool
) -> Steps:
    """The reply continued, or asked about; as it was, where that does not help.

    `opened`: whether the turn was begun for the model already.
    """
    form = plain.form
    assert form is not None
    quoted = form.quoted(unread.text)
    continues = model.settings.structure in ("auto", "continue") and not opened
    if continues and _may("continue", form, model, endpoint):
        begun = f"{quoted}\n{form.opening}"
        outcome = yield _opened(plain, begun)
        if isinstance(outcome, Answer):
            spent.append(outcome)
            going_on = _unechoed(outcome, begun, form.opening)
            if (found := _after(form, quoted, going_on, constrained=True)) is not None:
                return _total(replace(found, mended=True), spent)
            endpoint.tried.add("continue")
    if form.mending and "mend" in model.ways:
        about = Message(role="assistant", content=quoted), Message(role="user", content=form.mending)
        outcome = yield replace(plain, messages=(*plain.messages, *about))
        if isinstance(outcome, Answer):
            spent.append(outcome)
            if (found := _after(form, quoted, outcome)) is not None:
                return _total(replace(found, mended=True), spent)
    return _total(replace(unread, readable=False), spent)


def _opened(plain: Sending, beginning: str) -> Sending:
    turn = Message(role="assistant", content=beginning)
    return replace(plain, messages=(*plain.messages, turn), way="continue", max_tokens=CONTINUED_TOKENS)


def _unechoed(answer: Answer, *beginnings: str) -> Answer:
    """The continuation of a turn alone, where a server repeats the beginning that it was given."""
    text = answer.text
    for beginning in beginnings:
        if text.lstrip().startswith(beginning.strip()):
            text = text.lstrip()[len(beginning.strip()) :]
            break
    return replace(answer, text=text)


def _after(form: Form, before: str, answer: Answer, *, constrained: bool = False) -> Answer | None:
    """An answer that goes on from what was said before, as one text; None where it cannot be read either."""
    lead = f"{before}\n" if before else ""
    found: list[Answer] = []
    if taken := form.continued(answer.text) or form.continued(form.said(answer.text)):
        tokens = _first_tokens(answer.tokens, taken)
        found = [_joined(start + form.opening, taken, tokens, answer) for start in dict.fromkeys((lead, ""))]
    elif not answer.cut_off:
        found = [_joined(lead, answer.text, answer.tokens, answer), answer]
    for one in found:
        if form.readable(one):
            return replace(one, constrained=constrained)
    return None


def _joined(start: str, text: str, tokens: tuple[Token, ...], answer: Answer) -> Answer:
    gap = "" if not start or start[-1].isspace() or text[:1].isspace() else " "
    known = (Token(start + gap, ()), *tokens) if tokens else ()
    return replace(answer, text=start + gap + text, tokens=known, cut_off=False)


def _first_tokens(tokens: tuple[Token, ...], text: str) -> tuple[Token, ...]:
    """The tokens that make up the beginning of a reply; none where they do not spell it."""
    spelt = ""
    for number, token in enumerate(tokens, 1):
        spelt += token.text
        if len(spelt) >= len(text):
            return tokens[:number] if spelt.startswith(text) else ()
    return ()


def _total(answer: Answer, spent: list[Answer]) -> Answer:
    """The answer with all that it took."""
    return replace(
        answer,
        prompt_tokens=sum(it.prompt_tokens for it in spent),
        completion_tokens=sum(it.completion_tokens for it in spent),
        cost_usd=sum(it.cost_usd for it in spent),
    )
