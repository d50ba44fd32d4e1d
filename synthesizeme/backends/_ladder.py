"""The ways in which one question is put until its reply can be read, cheapest first.

A question with a form is asked in words, as its prompt says. Only where the reply cannot be read is more
done:

1. once more, with a JSON schema that the endpoint enforces;
2. the model's own reply, continued with the words before the verdict;
3. one question about the reply.

Where it is the schema that makes the reply to a session's first such question readable, all others are asked
with it from the start; the reasoning stays before the verdict either way. A refusal is not asked about.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from synthesizeme.backends._calls import Question, Sending
from synthesizeme.backends._reply import Answer, Token
from synthesizeme.types import Failure, Message

if TYPE_CHECKING:
    from synthesizeme.backends._base import Model
    from synthesizeme.backends._endpoint import Endpoint
    from synthesizeme.backends._reply import Form, Way

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
