"""Whether a model's replies can be read at all: a run whose verdicts mostly cannot is stopped."""

from __future__ import annotations

from collections import deque

from synthesizeme.backends._answer import Answer
from synthesizeme.backends._base import Model
from synthesizeme.backends._calls import Question
from synthesizeme.errors import UnreadableError
from synthesizeme.types import Failure

LEAST_REPLIES = 8
"""Replies before which nothing is concluded."""
RECENT = 200
"""Replies over which the share is taken: the latest ones."""
_SHOWN = 300


class Readings:
    """Which of a session's latest replies could be read, for the forms that insist on a share of them.

    A failed call is no reply. Safe to use from several threads.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._latest: dict[str, deque[bool]] = {}
        self._cut_off = 0
        self._stopped: dict[str, UnreadableError] = {}

    def check(self, question: Question) -> None:
        """Refuse to ask for what the model mostly does not give.

        Raises:
            UnreadableError: too few replies of this form could be read.
        """
        if question.form is not None and question.form.name in self._stopped:
            raise self._stopped[question.form.name]

    def add(self, question: Question, outcome: Answer | Failure) -> None:
        """Take note of what came for a question.

        Raises:
            UnreadableError: with it, too few replies of this form could be read.
        """
        form = question.form
        if form is None or not form.least_readable or isinstance(outcome, Failure):
            return
        latest = self._latest.setdefault(form.name, deque(maxlen=RECENT))
        latest.append(outcome.readable)
        self._cut_off += outcome.cut_off and not outcome.readable
        read, asked = sum(latest), len(latest)
        if outcome.readable or asked < LEAST_REPLIES or read >= form.least_readable * asked:
            return
        self._stopped[form.name] = UnreadableError(
            f"{self._model.name}: only {read} of its {'latest ' * (asked == RECENT)}{asked} replies can be "
            f"read as a {form.name}, {100 * form.least_readable:.0f} % are wanted",
            reply=" ".join(outcome.text.split())[:_SHOWN],
            cure="another model (--model), --structure json or continue, which hold it to the form, or more "
            f"--max-tokens, since {self._cut_off} were cut off"
            if self._cut_off
            else "another model (--model), or --structure json or continue, which hold it to the form; more "
            "--max-tokens where it thinks for long",
        )
        self._stopped[form.name].question = question
        raise self._stopped[form.name]
