"""What tokens of a model cost by DSPy's price list, and the budget of a session that is kept to an amount."""

from __future__ import annotations

import os
from collections.abc import Callable

from synthesizeme.backends._base import Model, find_backend
from synthesizeme.backends._ledger import Budget, Caps

_MILLION = 1_000_000


def token_price(model: str, *, api_base: str | None) -> Callable[[int, int], float] | None:
    """The most that so many prompt and completion tokens cost in US dollars.

    A model in this process costs nothing; None where the price is not known, as on a server of one's own.

    Raises:
        UnknownNameError: no backend serves the model.
    """
    backend = find_backend(model, api_base=api_base).__name__.rpartition(".")[2]
    if backend not in ("hosted", "local_server"):
        return lambda prompt, completion: 0.0
    if backend == "local_server":
        return None
    sent, received = _listed(model, _MILLION, 0), _listed(model, 0, _MILLION)
    if sent is None or received is None:
        return None
    return lambda prompt, completion: (prompt * sent + completion * received) / _MILLION


def model_budget(model: Model, caps: Caps) -> Budget:
    """The budget of one session of a model.

    Raises:
        ConfigError: the cost is capped and the price is not known.
    """
    price = None
    if caps.cost_usd is not None:
        price = token_price(model.name, api_base=model.settings.api_base)
    return Budget(caps, max_tokens=model.settings.max_tokens, price=price)


def _listed(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from dspy import lm15
    from dspy.clients.costs import estimate_cost

    provider, _, name = model.partition("/")
    usage = lm15.Usage(input_tokens=prompt_tokens, output_tokens=completion_tokens)
    message = lm15.Message.assistant("")
    reply = lm15.Response(id=None, model=name, message=message, finish_reason="stop", usage=usage)
    cost, _ = estimate_cost(reply, provider=provider, requested_model=name)
    return None if cost is None else float(cost)
