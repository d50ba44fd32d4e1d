"""A model in the loop: answers to prompts that have none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from synthesizeme.backends import Answer, Question, Session
from synthesizeme.errors import BackendError, SynthesizeMeError
from synthesizeme.page.pool import Item
from synthesizeme.types import Message
from synthesizeme.visible_text import without_special_tokens, without_thoughts

ANSWERS = 2
"""Answers that are written to one prompt."""
_SAMPLES = 2
"""How many more samples are asked for where answers are the same text."""
_log = logging.getLogger(__name__)


def write_answers(session: Session, prompt: Sequence[Message], number: int = ANSWERS) -> tuple[str, ...]:
    """Different answers of a model to one prompt.

    Raises:
        BackendError: the model gave fewer than asked for.
    """
    found: dict[str, None] = {}
    asked = [Question(tuple(prompt), sample_index=index) for index in range(number + _SAMPLES)]
    for some in (asked[:number], asked[number:]):
        for outcome in session.ledger().ask(some, stage="writing answers"):
            said = outcome.text if isinstance(outcome, Answer) else ""
            if text := without_special_tokens(without_thoughts(said)).strip():
                found.setdefault(text)
        if len(found) >= number:
            return tuple(list(found)[:number])
    raise BackendError(
        f"{session.model.name} gave {len(found)} different answers; expected {number}. Cure: try again, or "
        "give --temperature a value above 0"
    )


class AnswerWriter:
    """Writes answers to the prompts of a pool in a thread, one after the other, beside whoever chooses.

    Args:
        session: The model.
        items: Items without responses.
        ready: Called with each item once it has responses.
    """

    def __init__(self, session: Session, items: Sequence[Item], ready: Callable[[Item], None]) -> None:
        self._session, self._items, self._ready = session, items, ready
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="answers", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self._items:
            self._thread.start()

    def end(self) -> None:
        """Write no further answer."""
        self._ended.set()

    def _work(self) -> None:
        for item in self._items:
            if self._ended.is_set():
                return
            try:
                responses = write_answers(self._session, item.prompt)
            except SynthesizeMeError as error:
                _log.warning("no answers could be written to one prompt: %s", type(error).__name__)
                continue
            self._ready(replace(item, responses=tuple(sorted(responses))))
