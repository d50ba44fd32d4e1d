"""What a person said about themself beside their choices, as frozen values.

`UserWords` is the first kind of feedback that is no choice between two responses: own answers to questions,
a description of oneself, stated wishes, and demographics as named values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import AfterValidator, Field

from synthesizeme.types import Frozen, Moment, zoned

LONGEST_TEXT = 20_000
"""Characters of one text that are read; what comes after them is cut, and whoever reads a file says so."""


def _written(value: str) -> str:
    if not value.strip():
        raise ValueError("is blank; expected text")
    return value[:LONGEST_TEXT]


Written = Annotated[str, AfterValidator(_written)]
"""A text that is not blank, cut to `LONGEST_TEXT` characters."""


class OwnAnswer(Frozen):
    """What a person wrote themself in answer to a question."""

    question: str = Field(min_length=1)
    """The question as it was put."""
    text: Written
    """The answer, not blank; at most `LONGEST_TEXT` characters are kept."""
    answered_at: Moment | None = None
    """When it was given; None: before everything else that is known of the person."""


class UserWords(Frozen):
    """What one person said beside choices; every part is optional.

    Nothing here is ever inferred: it is what the person wrote or ticked. A model that reads words says so
    (`reward_models.RewardModel.reads_words`); demographics are read only where that is asked for by name.
    """

    user_id: str = Field(min_length=1)
    """Whose words they are."""
    answers: tuple[OwnAnswer, ...] = ()
    """Own answers to questions, in the order they were given."""
    about: Written | None = None
    """A description of oneself; at most `LONGEST_TEXT` characters are kept."""
    wishes: tuple[Written, ...] = ()
    """What the person asks of an assistant, one wish an item; each is cut like a description."""
    demographics: dict[str, str] = Field(default_factory=dict)
    """Named values, e.g. ``{"age range": "30-39"}``; names are free."""

    def texts(self, until: datetime | None = None) -> tuple[str, ...]:
        """Everything the person wrote: answers in order, then the description, then the wishes.

        Args:
            until: Leave out answers given later than this moment; None keeps all.
        """
        answers = (answer.text for answer in self.answers if reached(answer, until))
        about = () if self.about is None else (self.about,)
        return (*answers, *about, *self.wishes)

    def lent_to(self, user_id: str) -> Self:
        """The same words under another user's id: a control, never data."""
        return self.model_copy(update={"user_id": user_id})

    def __bool__(self) -> bool:
        """Whether anything was said at all."""
        return bool(self.answers or self.about or self.wishes or self.demographics)


NO_WORDS: Mapping[str, UserWords] = MappingProxyType({})
"""Nobody said anything."""


def reached(answer: OwnAnswer, moment: datetime | None) -> bool:
    """Whether an answer had been given at a moment; an answer or a moment without a time counts as reached.

    A time without a zone is taken as UTC.
    """
    if moment is None or answer.answered_at is None:
        return True
    return seconds(answer.answered_at) <= seconds(moment)


def by_user(words: Iterable[UserWords]) -> dict[str, UserWords]:
    """Words by user id; of two rows of one user the later one replaces the earlier one."""
    return {said.user_id: said for said in words}


def seconds(moment: datetime) -> float:
    """Seconds since 1970; a time without a zone is taken as UTC."""
    return zoned(moment).timestamp()
