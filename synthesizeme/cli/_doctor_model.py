"""``doctor --model``: one comparison put to a model, and what that tells about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer

from synthesizeme.cli._options import ModelOptions
from synthesizeme.cli._text import terminal
from synthesizeme.plain_text import count, dollars, printable

if TYPE_CHECKING:
    from synthesizeme.backends import Answer, Model

PROMPT = "How long do I boil an egg?"
FIRST = "Seven minutes for a soft yolk, ten for a hard one. Start counting when the water boils."
SECOND = (
    "What a wonderful question! There are so many ways to think about eggs, and it really depends on a great "
    "many things that we might want to consider together first."
)
NOT_KNOWN = "not known"
"""What is said of what no reply told."""
_SHOWN = 200


def asks_for_a_model(context: typer.Context) -> bool:
    """Whether a model was named on the command line; a config file names the one of other verbs."""
    sources = [context.get_parameter_source(name) for name in ("model", "api_base")]
    return any(source is not None and source.name not in ("DEFAULT", "DEFAULT_MAP") for source in sources)


def tried_model(options: ModelOptions) -> dict[str, Any]:
    """What one comparison found out: plain values.

    Raises:
        ConfigError: a flag has an impossible value.
        CredentialError: the key is missing.
        BackendError: the model cannot be loaded.
    """
    from synthesizeme.backends import Answer, RetryPolicy, Session
    from synthesizeme.cli._session import model_of
    from synthesizeme.errors import BackendError
    from synthesizeme.judges import LLMJudge, verdict_or_failure
    from synthesizeme.types import Comparison, Failure, Message

    model = model_of(options)
    prompt = (Message(role="user", content=PROMPT),)
    comparison = Comparison(pair_id="doctor", user_id="doctor", prompt=prompt, first=FIRST, second=SECOND)
    with Session(model, retry=RetryPolicy(retries=min(1, options.retries))) as session:
        account = session.account()
        question = LLMJudge(account).question(comparison)
        assert question is not None
        started = time.perf_counter()
        outcome: Answer | Failure
        try:
            (outcome,) = account.ask([question])
        except BackendError as error:
            outcome = Failure(kind="transport", detail=str(error))
        seconds = time.perf_counter() - started
        refused = sorted(session.endpoint.refused)
        unusable = "probabilities" in session.endpoint.noted
    found = verdict_or_failure(outcome)
    answer = outcome if isinstance(outcome, Answer) else None
    failed = found if isinstance(found, Failure) else None
    return {
        "model": model.name,
        "kind": model.kind,
        "api_base": model.settings.api_base,
        "verdict": None if isinstance(found, Failure) else found.preference,
        "failure": None if failed is None else f"{failed.kind}: {failed.detail}",
        "read_by": None if failed is not None or answer is None else _way(answer),
        "reply": "" if answer is None else answer.text,
        "token_probabilities": None if answer is None else bool(answer.tokens),
        "unusable_probabilities": None if answer is None else unusable,
        "refuses": refused if refused or answer is not None else None,
        "system_message": False if "system" in refused else None if answer is None else True,
        "usd_per_million_tokens": _price(model),
        "seconds": round(seconds, 3),
        "tokens_per_second": None if answer is None else round(answer.completion_tokens / seconds, 1),
        "context_tokens": _context(model),
    }


def show_tried(found: dict[str, Any]) -> None:
    """The same for people."""
    from rich.table import Column, Table
    from rich.text import Text

    table = Table.grid(Column(), Column(overflow="fold"), padding=(0, 2))

    def line(name: str, text: str) -> None:
        table.add_row(Text(name), Text(printable(text)))

    line(
        "model",
        f"{found['model']} ({found['kind']})" + (f" at {found['api_base']}" if found["api_base"] else ""),
    )
    line("verdict", found["verdict"] or f"none: {found['failure']}")
    line("read by", found["read_by"] or "no way that was tried")
    line("its reply", found["reply"][:_SHOWN] or "none")
    not_given = "given, but they are none: not used" if found["unusable_probabilities"] else "not given"
    line("token probabilities", _told(found["token_probabilities"], "given", not_given))
    taken = _told(found["system_message"], "taken", "refused; stands in the first user turn")
    line("system message", taken)
    refuses = found["refuses"]
    line("refuses", NOT_KNOWN if refuses is None else ", ".join(refuses) or "nothing that was sent")
    price = found["usd_per_million_tokens"]
    read_and_written = (
        NOT_KNOWN if price is None else f"{dollars(price[0])} read, {dollars(price[1])} written"
    )
    line("price of a million tokens", read_and_written)
    speed = found["tokens_per_second"]
    took = f"{found['seconds']:.1f} s"
    line("speed", f"{NOT_KNOWN}; it took {took}" if speed is None else f"{took}, {speed:g} tokens a second")
    context = found["context_tokens"]
    line("context", "not told" if context is None else count(context, "token"))
    terminal().print(table)


def _told(found: bool | None, yes: str, no: str) -> str:
    """What was found out, in words."""
    return NOT_KNOWN if found is None else yes if found else no


def _way(answer: Answer) -> str:
    if answer.mended:
        return "its own turn, continued" if answer.constrained else "one more question about its reply"
    if not answer.constrained:
        return "its words"
    return "a JSON schema" if answer.text.lstrip().startswith("{") else "its own turn, begun for it"


def _price(model: Model) -> tuple[float, float] | None:
    """US dollars for a million tokens read and written; None where they are not known."""
    from synthesizeme.personas.estimate import token_price

    price = token_price(model.name, api_base=model.settings.api_base)
    return None if price is None else (price(1_000_000, 0), price(0, 1_000_000))


def _context(model: Model) -> int | None:
    told = getattr(model.lm.engine, "context", None)
    return None if told is None else told(model.lm.model)
