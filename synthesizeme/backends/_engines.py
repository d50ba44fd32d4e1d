"""One request to the engine of a `dspy.LM`.

Engines of our own are called as they are: what `dspy.LM` does around them (a checked copy of the request,
the shape of older replies, history, prices) costs more than the call itself and is used by nobody here. A
provider's engine, which DSPy chooses for each request, is called through it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from synthesizeme.backends._base import Model

if TYPE_CHECKING:
    from dspy.lm15 import Request, Response


def ask(model: Model, request: Request) -> Response:
    """The response of a model in this process.

    Raises:
        Exception: what DSPy raises for it.
    """
    import dspy

    engine = model.lm.engine
    if isinstance(engine, str):
        with dspy.context(disable_history=True):
            return cast("Response", model.lm(request))
    with _dspy_errors(model):
        return cast("Response", engine.complete(request))


async def ask_in_turn(model: Model, request: Request) -> Response:
    """The response of a model that others wait for at the same time.

    Raises:
        Exception: what DSPy raises for it.
    """
    import dspy

    engine = model.lm._async_engine_spec
    if engine is None or isinstance(model.lm.engine, str):
        with dspy.context(disable_history=True):
            return cast("Response", await model.lm.acall(request))
    with _dspy_errors(model):
        return cast("Response", await engine.complete(request))


@contextmanager
def _dspy_errors(model: Model) -> Iterator[None]:
    """Canonical errors as those that DSPy shows, which say how to go on."""
    try:
        yield
    except Exception as error:
        from dspy.clients.errors import wrap_error

        shown = wrap_error(error, model=model.lm.model)
        if shown is error:
            raise
        raise shown from error
