"""What a person said beside their choices, as frozen values.

Of themself: `UserWords`, own answers to questions, a description, wishes, demographics as named values; and
`Trait`, whether they like a named property of responses. Of responses to a prompt: `Tie`, `Ranking`, `Rating`
and `Edit`. A `PreferencePair` is the choice between two.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby, pairwise
from operator import itemgetter
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from synthesizeme.types import (
    SIMULATED,
    Frozen,
    Moment,
    PreferencePair,
    Prompt,
    Split,
    Strength,
    Text,
    zoned,
)

LONGEST_TEXT = 20_000
"""Characters of one text that are read; what comes after them is cut, and whoever reads a file says so."""


Written = Annotated[Text, AfterValidator(lambda text: text[:LONGEST_TEXT])]
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


class Scale(Frozen):
    """An ordered scale: `levels` values at equal steps from `lowest` to `highest`."""

    lowest: float = Field(allow_inf_nan=False)
    """The worst value that can be given."""
    highest: float = Field(allow_inf_nan=False)
    """The best one."""
    levels: int = Field(ge=2)
    """How many values there are, both ends included; five for one to five stars."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.lowest >= self.highest:
            raise ValueError(
                f"lowest is {self.lowest:g} and highest {self.highest:g}; expected lowest below highest"
            )
        return self

    def level(self, value: float) -> int:
        """The level nearest to a value, from 1 to `levels`; of two equally near ones the higher one."""
        share = (value - self.lowest) / (self.highest - self.lowest)
        return 1 + math.floor(share * (self.levels - 1) + 0.5)

    def strength(self, better: float, worse: float) -> Strength | None:
        """How much a response rated `better` is preferred to one rated `worse`; None for fewer than 3 levels.

        One level of difference is 1 of `levels` - 1, the whole scale all of them.

        Raises:
            ValueError: the first is not rated higher, or a rating is not on the scale.
        """
        if not self.lowest <= worse < better <= self.highest:
            raise ValueError(
                f"the ratings are {better:g} and {worse:g}; expected a higher and a lower one from "
                f"{self.lowest:g} to {self.highest:g}"
            )
        if self.levels == 2:
            return None
        steps = (better - worse) / (self.highest - self.lowest) * (self.levels - 1)
        return Strength(level=max(math.floor(steps + 0.5), 1), levels=self.levels - 1)


THUMBS = Scale(lowest=0, highest=1, levels=2)
"""Thumbs: 1 is up, 0 is down."""
STARS = Scale(lowest=1, highest=5, levels=5)
"""One to five stars."""


class _Said(Frozen):
    """What one person said, other than a choice between two."""

    feedback_id: str = Field(min_length=1)
    """Unique within a data set."""
    user_id: str = Field(min_length=1)
    """Whose feedback it is; any text, never a path."""
    created_at: Moment | None = None
    """When it was given."""
    split: Split | None = None
    """Which part of the user's history it belongs to, if that was decided."""
    reason: Text | None = None
    """Why, in the person's own words."""
    instead_of: tuple[str, ...] = ()
    """Ids of pairs made of the same act, e.g. of the best of four against each other one. Whoever learns from
    this leaves those pairs out, and of several that name one pair takes one kind."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    """Anything else the source knew; never shown to a judge."""

    @property
    def subject(self) -> Hashable:
        """What it is about: two different statements about one subject contradict; None: they do not."""
        return None

    @property
    def simulated(self) -> bool:
        """Whether a simulation gave it, and no person."""
        return bool(self.metadata.get(SIMULATED))


class _OfResponses(_Said):
    """What one person said of responses to a prompt."""

    prompt: Prompt
    """The conversation; ends with a user turn."""


class Tie(_OfResponses):
    """Two responses, neither of which was preferred."""

    kind: Literal["tie"] = "tie"
    """What it is, in a file of feedback."""
    responses: tuple[Text, Text]
    """The two, in the order in which they were shown where that is known."""
    both: Literal["good", "bad"] | None = None
    """Whether both were called good, or bad; None where it was not said."""

    @model_validator(mode="after")
    def _differ(self) -> Self:
        _refuse_repeats("responses", self.responses, "a tie needs two responses")
        return self

    @property
    def subject(self) -> Hashable:
        """The two responses, in whatever order."""
        return self.prompt, frozenset(self.responses)


class Ranking(_OfResponses):
    """Three responses or more from the best to the worst, some of them perhaps alike."""

    kind: Literal["ranking"] = "ranking"
    """What it is, in a file of feedback."""
    responses: tuple[Text, ...]
    """The responses, best first."""
    ranks: tuple[int, ...] = ()
    """Rank of each, from 1 and without gaps; a rank that several share says nothing of which of these is
    better: (1, 2, 2) is the best of three. Empty: each has its own."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(self.responses) < 3:
            raise ValueError(
                f"responses are {len(self.responses)}; expected three or more. Two are a pair, or a tie"
            )
        _refuse_repeats("responses", self.responses, "a response cannot be better than itself")
        if not self.ranks:
            object.__setattr__(self, "ranks", tuple(range(1, len(self.responses) + 1)))
        if len(self.ranks) != len(self.responses):
            raise ValueError(
                f"ranks are {len(self.ranks)} of {len(self.responses)} responses; expected one each"
            )
        steps = [later - earlier for earlier, later in pairwise((0, *self.ranks))]
        if steps[0] != 1 or not set(steps) <= {0, 1}:
            raise ValueError(
                f"ranks are {list(self.ranks)}; expected 1 first, then in order, with no rank left out"
            )
        if self.ranks[-1] == 1:
            raise ValueError("ranks are all 1; a ranking needs a better response and a worse one")
        return self

    @property
    def subject(self) -> Hashable:
        """The responses, in whatever order."""
        return self.prompt, frozenset(self.responses)

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The responses of each rank, best first."""
        ranked = zip(self.ranks, self.responses, strict=True)
        return tuple(tuple(text for _, text in some) for _, some in groupby(ranked, key=itemgetter(0)))


class Rating(_OfResponses):
    """A value given to one response by itself: stars, a score, a thumb. It is no choice between two."""

    kind: Literal["rating"] = "rating"
    """What it is, in a file of feedback."""
    response: Text
    """The response."""
    value: float = Field(allow_inf_nan=False)
    """What it was given, from `Scale.lowest` to `Scale.highest`."""
    scale: Scale
    """What could be given; `THUMBS` for a thumb."""
    aspect: Text | None = None
    """What of the response was rated, e.g. ``fluency``; None: the response as a whole."""

    @model_validator(mode="after")
    def _on_the_scale(self) -> Self:
        if not self.scale.lowest <= self.value <= self.scale.highest:
            raise ValueError(
                f"value is {self.value:g}; expected {self.scale.lowest:g} to {self.scale.highest:g}"
            )
        return self

    @property
    def subject(self) -> Hashable:
        """The response, or the aspect of it, on its scale."""
        return self.prompt, self.response, self.aspect, self.scale

    @property
    def level(self) -> int:
        """The level of the scale nearest to the value, from 1, the worst, to `Scale.levels`."""
        return self.scale.level(self.value)


class Edit(_OfResponses):
    """A response and what the person made of it."""

    kind: Literal["edit"] = "edit"
    """What it is, in a file of feedback."""
    original: Text
    """The response as it was."""
    edited: Text
    """The person's own version."""

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.original.strip() == self.edited.strip():
            raise ValueError("edited is the same text as original; an edit changes something")
        return self


def _named_feature(name: str) -> str:
    from synthesizeme.stylometry import FEATURE

    if name not in FEATURE:
        raise ValueError(f"found {name[:80]!r}; expected one of {', '.join(FEATURE)}")
    return name


NamedFeature = Annotated[str, AfterValidator(_named_feature)]
"""A name of `synthesizeme.stylometry.FEATURES`, e.g. ``examples``."""


class Trait(_Said):
    """Whether a person likes responses with more of a named feature, all else being equal, as they say."""

    kind: Literal["trait"] = "trait"
    """What it is, in a file of feedback."""
    feature: NamedFeature
    """Which feature."""
    answer: Literal["yes", "no", "no matter"]
    """Yes: they like what `Feature.more` says. No: they like what `Feature.less` says."""

    @property
    def subject(self) -> Hashable:
        """The feature."""
        return self.feature


Judgement: TypeAlias = Tie | Ranking | Rating | Edit | Trait
"""What a person said of responses, or of a trait of them, other than a choice between two."""
Feedback: TypeAlias = Judgement | UserWords
"""Everything that a person may say beside choices. None of it is ever turned into pairs."""
Given: TypeAlias = PreferencePair | Judgement
"""What a person may say of responses."""
KINDS: Mapping[str, type[Judgement]] = MappingProxyType({
    "tie": Tie, "ranking": Ranking, "rating": Rating, "edit": Edit, "trait": Trait,
})  # fmt: skip
"""The kinds of feedback by the name that a row of a file has for them."""


def pairs_in(given: Iterable[Given]) -> Iterator[PreferencePair]:
    """The pairs alone."""
    return (said for said in given if isinstance(said, PreferencePair))


def kinds_of(feedback: Iterable[Judgement]) -> dict[str, int]:
    """How much there is of each kind, in words, most frequent first.

    A thumb is a rating with two levels, and named apart; so is a tie of which more was said.
    """
    counts = Counter(
        ("thumb" if said.scale.levels == 2 else "rating") if isinstance(said, Rating)
        else f"tie (both {said.both})" if isinstance(said, Tie) and said.both
        else said.kind
        for said in feedback
    )  # fmt: skip
    return dict(counts.most_common())


def _refuse_repeats(field: str, texts: Sequence[str], why: str) -> None:
    """Refuse responses of which two are the same but for space around them.

    Raises:
        ValueError: two are.
    """
    places: dict[str, int] = {}
    for number, text in enumerate(texts, start=1):
        first = places.setdefault(text.strip(), number)
        if first != number:
            raise ValueError(f"{field} {first} and {number} are the same text; {why}")
