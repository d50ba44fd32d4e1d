"""OpenAI's chat protocol as servers in the wild speak it: request body, reply, errors, in DSPy's terms.

Nothing here trusts the server: what is missing or of a wrong type in a reply is an error of the server,
never an exception of Python.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from synthesizeme.backends._chat_bodies import (
    ForeignReplyError,
    NotAnApiError,
    body_in,
    calls_in,
    read_error,
    text_in,
    thoughts_in,
)

if TYPE_CHECKING:
    from dspy.lm15 import Request, Response, TokenLogprob

Finish = Literal["stop", "length", "content_filter", "tool_call"]
_FINISHES: tuple[tuple[Finish, str], ...] = (
    ("content_filter", r"filter|safety|block|prohibit|spii|recitation|refus|sensitive|guardrail|moderat"),
    ("length", r"max|length|limit|exceed|abort|cancel|time_?out|incomplete|unfinished|interrupt|preempt|cut"),
    ("tool_call", r"tool|function"),
    ("stop", r"stop|eos|eot|(?:^|_)end|finish|complete|done|success|normal"),
)
"""Words in a server's reason for the end of a reply, in lower case. A cut is a cut, whoever made it."""
_SPENT = re.compile(r"quota|daily|per day|balance|credits?\b|billing|expired", re.IGNORECASE)
_SOON_OVER = re.compile(r"per.?(?:minute|second)|rate.?limit|retry|again|temporar|overload", re.IGNORECASE)
_HOPELESS = re.compile(
    r"invalid|unsupported|not supported|(?:not|no such|n't) (?:found|exist)|no such", re.IGNORECASE
)
"""Words of an error, without a status, that another attempt will meet again."""


def request_body(request: Request) -> dict[str, Any]:
    """The JSON body for a canonical request. A setting that is None is absent, so the server's own holds.

    What the extensions hold goes in as it is, and wins.
    """
    config = request.config
    messages = [{"role": message.role, "content": message.text or ""} for message in request.messages]
    if request.system:
        messages.insert(0, {"role": "system", "content": str(request.system)})
    body: dict[str, Any] = {"model": request.model, "messages": messages}
    wanted = {
        "max_tokens": config.max_tokens,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "seed": config.seed,
        "stop": list(config.stop) or None,
    }
    body.update({name: value for name, value in wanted.items() if value is not None})
    if config.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": config.logprobs}
    if config.response_format is not None:
        inner = {name: value for name, value in config.response_format.items() if name != "type"}
        body["response_format"] = {"type": "json_schema", "json_schema": inner}
    return body | dict(config.extensions or {})


def read_reply(payload: bytes, request: Request) -> Response:
    """The canonical response in the body of a 200 reply.

    A reason for its end that is none of those known is kept in ``provider_data`` under ``finish_reason``, and
    counts as a cut.

    Raises:
        lm15.ServerError: it is not JSON, or not a chat completion (caused by `NotAnApiError`: a web page; by
            `ForeignReplyError`: something else that is whole).
        lm15.LM15Error: it is an error object, as some servers send with status 200.
    """
    from dspy import lm15

    try:
        body = body_in(payload)
    except NotAnApiError as error:
        raise lm15.ServerError(str(error)) from error
    except ValueError as error:
        start = payload[:80].decode("utf-8", "replace")
        raise lm15.ServerError(f"the reply is not JSON ({error}); it begins {start!r}") from error
    problem = _problem(body)
    if problem is not None:
        raise read_error(_status(problem), {}, json.dumps({"error": problem}).encode())
    try:
        choice = body["choices"][0]
        message = choice["message"] if "message" in choice else {"content": choice["text"]}
        text, thoughts = text_in(message.get("content"))
        sent, received = _counts(body.get("usage") or {})
        called = list(calls_in(message))
    except (AttributeError, IndexError, KeyError, TypeError):
        _foreign(body, payload)
    if dropped := dropped_prompt(request, sent):
        raise lm15.ContextLengthError(dropped)
    ended = choice.get("finish_reason")
    finish = _finish(ended, received, request.config.max_tokens)
    if refusal := message.get("refusal"):
        text, finish = str(refusal), "content_filter"
    thoughts = thoughts_in(message) or thoughts
    spoken: list[Any] = [lm15.ThinkingPart(thoughts)] if thoughts else []
    calls = [
        lm15.ToolCallPart(id=str(number), name=name, input=given)
        for number, (name, given) in enumerate(called)
    ]
    return lm15.Response(
        id=None,
        model=request.model,
        message=lm15.Message.assistant([*spoken, lm15.TextPart(text), *calls]),
        finish_reason=finish or "length",
        usage=lm15.Usage(input_tokens=sent, output_tokens=received),
        logprobs=_logprobs(choice.get("logprobs")),
        provider_data=None if finish else {"finish_reason": str(ended)[:40]},
    )


def _foreign(body: Any, payload: bytes) -> NoReturn:
    """Say that a reply is whole and is no chat completion.

    Raises:
        lm15.ServerError: always.
    """
    from dspy import lm15

    start = payload[:80].decode("utf-8", "replace")
    problem = f"the reply is not a chat completion; it begins {start!r}"
    if isinstance(body, dict) and body:
        problem = (
            f"the reply is not a chat completion but an object with {', '.join(map(repr, list(body)[:6]))}"
        )
    raise lm15.ServerError(problem) from ForeignReplyError(problem)


def _finish(ended: Any, received: int | None, most: int | None) -> Finish | None:
    """Why a reply ended; None for a reason that is none of those known.

    Where no reason is given it ended by itself, unless it is as long as it might be.
    """
    if ended is None or ended == "":
        return "length" if received is not None and most is not None and received >= most else "stop"
    name = re.sub(r"\W+", "_", re.sub(r"^finish_?reason\W", "", str(ended).lower()))
    return next((finish for finish, words in _FINISHES if re.search(words, name)), None)


def _problem(body: Any) -> Any:
    """The error in a reply with status 200, of the whole or of its choice; None where there is none."""
    if not isinstance(body, dict):
        return None
    if body.get("error"):
        return body["error"]
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    if choice.get("error"):
        return choice["error"]
    if choice:
        ended = choice.get("finish_reason") == "error"
        return "the provider ended the reply with an error" if ended else None
    feedback = body.get("promptFeedback")
    if isinstance(feedback, dict) and (reason := feedback.get("blockReason")):
        return {"code": 400, "message": f"content filter: the prompt was blocked ({reason})"}
    return _words_instead(body)


def _words_instead(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error in a body that has words in place of a reply; None where it has none."""
    words = [body.get(name) for name in ("message", "error_msg", "error_message", "errors", "detail", "msg")]
    said = next((it for it in words if it and isinstance(it, str | list)), None)
    if said is None:
        return None
    codes = [body.get(name) for name in ("error_code", "code", "status")]
    code = next((it for it in codes if isinstance(it, int | str)), None)
    message = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    return {"message": message, "code": code} if code is not None else {"message": message}


def _status(problem: Any) -> int:
    """The HTTP status that an error object names; where it names none, one by its words."""
    code = problem.get("code") or problem.get("status") if isinstance(problem, dict) else None
    number = int(code) if isinstance(code, int) or (isinstance(code, str) and code.isdigit()) else 0
    if 400 <= number <= 599:
        return number
    words = str(problem.get("message") if isinstance(problem, dict) else problem)
    if _SPENT.search(words) and not _SOON_OVER.search(words):
        return 402
    return 400 if _HOPELESS.search(words) else 500


_LEAST_SEEN = 50
"""Tokens of a prompt below which nothing is said about its size."""


def dropped_prompt(request: Request, sent: int | None) -> str:
    """What to say when a server read far fewer tokens than the prompt must have; empty where it may be all.

    It must have more than one token for two words between spaces, and more than one for 40 bytes of text in
    which repeated characters count once: no tokenizer in use packs prose of any language as tightly, and text
    without spaces is not taken for one word.
    """
    texts = [str(request.system or ""), *(message.text or "" for message in request.messages)]
    words = sum(len(text.split()) for text in texts)
    size = sum(
        len(re.sub(r"(.)\1+", r"\1", text, flags=re.DOTALL).encode("utf-8", "replace")) for text in texts
    )
    least = max(words // 2, size // 40)
    if not sent or least < _LEAST_SEEN or sent >= least:
        return ""
    return (
        f"the server dropped most of the prompt: it counts {sent} tokens for {sum(map(len, texts)):,} "
        f"characters, which have at least {least}. Cure: give the server a longer context"
    )


def _counts(usage: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Tokens read and written. Servers that leave tokens of their cache out of those read tell them apart."""
    sent = _count(usage.get("prompt_tokens"))
    details = usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    if sent is not None and cached is not None and cached > sent:
        sent += cached
    return sent, _count(usage.get("completion_tokens"))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _logprobs(found: Any) -> tuple[TokenLogprob, ...] | None:
    """Token probabilities as they are told, or None where the server gives none or in another shape.

    What is no number is NaN: whether they can be log-probabilities is for who uses them.
    """
    from dspy import lm15

    try:
        return tuple(
            lm15.TokenLogprob(
                token=item["token"],
                logprob=_number(item["logprob"]),
                top=tuple(
                    lm15.TopLogprob(token=top["token"], logprob=_number(top["logprob"]))
                    for top in item.get("top_logprobs") or ()
                ),
            )
            for item in found["content"]
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _number(value: Any) -> float:
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan
