"""Small invented values that the tests of several packages share."""

from __future__ import annotations

import re

from synthesizeme.backends import Ledger, RetryPolicy, Session
from synthesizeme.backends.scripted import scripted_model
from synthesizeme.types import Comparison, Message, PreferencePair


def user_says(text: str) -> Message:
    return Message(role="user", content=text)


def pair(number=0, *, user="ada", split=None, chosen=None, rejected=None, prompt=None, **metadata):
    """Pair `number` of a user, with texts that name it."""
    return PreferencePair(
        pair_id=f"{user}-{number}",
        user_id=user,
        prompt=prompt or (user_says(f"How deep is fathom {number}?"),),
        chosen=(Message(role="assistant", content=chosen or f"Six feet, sailor {number}."),),
        rejected=(Message(role="assistant", content=rejected or f"Fathom {number} is a unit of length."),),
        split=split,
        metadata=metadata,
    )


def comparison(first="Six feet.", second="A unit of length.", *, user="ada", prompt="How deep is a fathom?"):
    return Comparison(
        pair_id=f"{user}-0", user_id=user, prompt=(user_says(prompt),), first=first, second=second
    )


def votes(asked: str, speaks) -> str:
    """A reply to the trial of a statement: for each pair shown the word that `speaks(first, second)` gives."""
    shown = re.findall(
        r'<pair number="(\d+)">.*?<first_response>\n(.*?)\n</first_response>\n<second_response>\n(.*?)\n</sec',
        asked,
        re.DOTALL,
    )
    return "\n".join(f"{number}: {speaks(first, second)}" for number, first, second in shown)


def shorter(asked: str) -> str:
    """The reply of a model that reads every statement as one for short answers."""
    return votes(asked, lambda first, second: "First" if len(first) < len(second) else "Second")


def ledger(script, **settings) -> Ledger:
    """A ledger with a model whose replies come from `script`, a function of the request or a list."""
    return Session(scripted_model(script, **settings), retry=RetryPolicy(backoff_s=0.0)).ledger()


def sent(asked_through: Ledger) -> list[list[tuple[str, str]]]:
    """Every request that reached a scripted model, as (role, text) turns, the system message first."""
    requests = asked_through.model.lm.engine.requests
    return [
        [("system", r.system), *((m.role, m.text) for m in r.messages)]
        if r.system
        else [(m.role, m.text) for m in r.messages]
        for r in requests
    ]
