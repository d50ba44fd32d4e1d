"""The nouns of the field, as frozen values.

`PreferencePair` is the truth, `Comparison` is what a judge is shown (no label in it), `Verdict`
is what a judge says, `Failure` is what happens instead. ``chosen``/``rejected`` exist only before
an order is drawn, ``first``/``second`` only after.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from synthesizeme import display

Role = Literal["system", "user", "assistant"]
Side = Literal["first", "second"]
Preference = Literal["first", "second", "tie"]
EXCHANGED: Mapping[Preference, Preference] = {"first": "second", "second": "first", "tie": "tie"}
"""What a preference is where both responses change places, or where it is said of the worse one."""
Split = Literal["train", "validation", "test"]
Order = Literal["chosen_first", "rejected_first"]
FailureKind = Literal["transport", "parse", "refusal", "too_long", "unknown_user"]
Respondents = Literal["human", "simulated", "mixed"]

ORDERS: tuple[Order, ...] = ("chosen_first", "rejected_first")
SIMULATED = "simulated"
"""Metadata key of a pair that no person chose; who chose stands there, e.g. ``{"by": "builtin"}``."""
_LOGIT_CLIP = 1e-6


def zoned(value: datetime) -> datetime:
    """A time with a zone; one that names none is UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


Moment = Annotated[datetime, AfterValidator(zoned)]
"""A time that is `zoned`, so that any two can be compared."""


class Frozen(BaseModel):
    """Base of every value here: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Fields that say something, long ones shortened; `model_dump` has all of them whole."""
        for name, value in super().__repr_args__():
            field = type(self).model_fields.get(name or "")
            if field is None or value != field.get_default(call_default_factory=True):
                yield name, display.shortened(value)

    def __str__(self) -> str:
        return repr(self)


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("is blank; expected text")
    return value


Text = Annotated[str, AfterValidator(_not_blank)]
"""A text that is not blank."""


class Message(Frozen):
    """One turn of a conversation."""

    role: Role
    """Who speaks; loaders map foreign role names at the border."""
    content: Text = Field(min_length=1)
    """The text, not blank."""


def _ends_with_user(turns: tuple[Message, ...]) -> tuple[Message, ...]:
    if turns[-1].role != "user":
        raise ValueError(
            f"prompt ends with a turn of role {turns[-1].role!r}; expected 'user'. "
            "If this is a whole conversation, run `synthesizeme data convert`"
        )
    return turns


Prompt = Annotated[tuple[Message, ...], Field(min_length=1), AfterValidator(_ends_with_user)]
"""A conversation that ends with a user turn."""


class Strength(Frozen):
    """How much a response was preferred to another one, on a scale of ordered levels."""

    level: int = Field(ge=1)
    """From 1, barely, to `levels`, very much."""
    levels: int = Field(ge=2)
    """How many levels the person could choose from, no preference not being one of them."""

    @model_validator(mode="after")
    def _on_the_scale(self) -> Strength:
        if self.level > self.levels:
            raise ValueError(f"level is {self.level}; expected 1 to {self.levels}, the number of levels")
        return self


class Comparison(Frozen):
    """Two responses in a fixed order, without the label. Of a pair, made by `PreferencePair.compare`."""

    pair_id: str
    """The pair this comparison was drawn from."""
    user_id: str
    """The user whose preference is asked for."""
    prompt: tuple[Message, ...]
    """The conversation; ends with a user turn."""
    first: str
    """Text of the response shown first."""
    second: str
    """Text of the response shown second."""
    created_at: Moment | None = None
    """The moment as of which the user is asked; None: now. What the user said later is not used."""

    def swapped(self) -> Comparison:
        """The same comparison with the two responses exchanged."""
        return self.model_copy(update={"first": self.second, "second": self.first})


class PreferencePair(Frozen):
    """One choice by one user: a TRL conversational preference row plus `user_id`."""

    pair_id: str = Field(min_length=1)
    """Unique within a data set."""
    user_id: str = Field(min_length=1)
    """Whose choice it is; any text, never a path."""
    prompt: Prompt
    """The conversation; ends with a user turn."""
    chosen: tuple[Message, ...] = Field(min_length=1, max_length=1)
    """The response the user preferred: one assistant message."""
    rejected: tuple[Message, ...] = Field(min_length=1, max_length=1)
    """The other response: one assistant message."""
    split: Split | None = None
    """Which part of the user's history it belongs to, if that was decided."""
    created_at: Moment | None = None
    """When the choice was made."""
    reason: Text | None = Field(default=None, exclude_if=lambda reason: reason is None)
    """Why, in the person's own words."""
    strength: Strength | None = Field(default=None, exclude_if=lambda strength: strength is None)
    """How much the chosen response was preferred, if that was said."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    """Anything else the source knew; never shown to a judge."""

    @model_validator(mode="after")
    def _well_formed(self) -> PreferencePair:
        for name, messages in (("chosen", self.chosen), ("rejected", self.rejected)):
            if messages[0].role != "assistant":
                raise ValueError(f"{name} has role {messages[0].role!r}; expected 'assistant'")
        if self.chosen_text.strip() == self.rejected_text.strip():
            raise ValueError("chosen and rejected are the same text; a pair needs two responses")
        return self

    @property
    def chosen_text(self) -> str:
        """Text of the preferred response."""
        return self.chosen[0].content

    @property
    def rejected_text(self) -> str:
        """Text of the other response."""
        return self.rejected[0].content

    @property
    def fingerprint(self) -> str:
        """16 hex digits that say who chose what over what; the pair's id, split and metadata have no say."""
        turns = [
            f"{message.role}\0{message.content}" for message in (*self.prompt, *self.chosen, *self.rejected)
        ]
        text = "\0\0".join([self.user_id, *turns])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def simulated(self) -> bool:
        """Whether a simulation made the choice, and no person."""
        return bool(self.metadata.get(SIMULATED))

    def compare(self, order: Order) -> Comparison:
        """Draw an order: the label stays behind.

        Raises:
            ValueError: `order` is not one of `ORDERS`.
        """
        if order not in ORDERS:
            raise ValueError(f"order is {order!r}; expected {' or '.join(ORDERS)}")
        texts = (self.chosen_text, self.rejected_text)
        first, second = texts if order == "chosen_first" else texts[::-1]
        return Comparison(
            pair_id=self.pair_id,
            user_id=self.user_id,
            prompt=self.prompt,
            first=first,
            second=second,
            created_at=self.created_at,
        )

    def swapped_labels(self) -> PreferencePair:
        """The same pair with the label reversed and no reason for it: a control, never data."""
        return self.model_copy(update={"chosen": self.rejected, "rejected": self.chosen, "reason": None})


def respondents(pairs: Iterable[PreferencePair]) -> Respondents:
    """Who made the choices: people, simulations, or some of both."""
    kinds = {pair.simulated for pair in pairs}
    return "mixed" if len(kinds) > 1 else "simulated" if kinds == {True} else "human"


def preferred_side(order: Order) -> Side:
    """Side on which the chosen response stands under `order`."""
    return "first" if order == "chosen_first" else "second"


class Usage(Frozen):
    """What model calls cost. Values add with ``+``."""

    calls: int = 0
    """Questions asked, repeats included."""
    distinct_calls: int = 0
    """Different questions among them; identical ones are asked once."""
    cached_calls: int = 0
    """Distinct questions answered from the disk cache of an earlier run."""
    retries: int = 0
    """Attempts repeated after a transient fault."""
    follow_ups: int = 0
    """Further requests about replies that could not be read: the same question with a schema, the reply
    continued, one more question about it."""
    prompt_tokens: int = 0
    """Tokens sent, summed over the distinct questions."""
    completion_tokens: int = 0
    """Tokens received, summed over the distinct questions."""
    cost_usd: float = 0.0
    """Price of the distinct questions in US dollars where it is known, else 0."""
    constrained: int = 0
    """Distinct questions whose reply was held to a JSON schema, or continued a turn begun for the model."""
    mended: int = 0
    """Distinct questions whose reply could be read only after one more question about it."""
    unreadable: int = 0
    """Distinct questions whose reply came, and could not be read in any way that was tried."""
    refused: int = 0
    """Distinct questions that the endpoint or the model refused to answer."""
    failed: int = 0
    """Distinct questions without a reply: errors of transport, prompts that are too long, empty replies."""

    def __add__(self, other: Usage) -> Usage:
        mine, theirs = self.model_dump(), other.model_dump()
        return Usage(**{name: mine[name] + theirs[name] for name in mine})


def last_user_turn(prompt: Sequence[Message]) -> str:
    """What the user said last in a conversation; nothing where the user said nothing."""
    return next((message.content for message in reversed(prompt) if message.role == "user"), "")


def _stretched(probability: float, margin: float, to: float) -> float:
    """The probability of another margin, log-odds being the same multiple of it as of this one."""
    if probability in (0.0, 1.0):
        return probability
    odds = math.log(probability / (1 - probability))
    return _shifted(0.5, to * (odds / margin if odds * margin > 0 else 1.0))


def _shifted(probability: float, by: float) -> float:
    """A probability whose log-odds are moved."""
    if by == 0 or probability in (0.0, 1.0):
        return probability
    return 1 / (1 + math.exp(min(max(-by - math.log(probability / (1 - probability)), -700.0), 700.0)))


FLOOR_ERRS = 0.5
"""Chance that a text which its floor lowers is an answer after all; probabilities are averaged over both.

Chosen on validation rows (`experiments/floor`)."""


def _averaged(taste: float, lowered: float) -> float:
    """The probability where a floor may be wrong, from that of the taste and that on the floor."""
    return FLOOR_ERRS * taste + (1 - FLOOR_ERRS) * lowered


class Verdict(Frozen):
    """What a scorer says about one comparison in the order it was shown."""

    preference: Preference
    """Which response the user is expected to prefer."""
    probability: float = Field(ge=0.0, le=1.0)
    """P(first preferred), in [0, 1]."""
    margin: float = math.nan
    """Signed strength, > 0 prefers first; log-odds of `probability` unless the scorer has its own."""
    probability_source: Literal["logprobs", "stated", "verdict", "model"] = "verdict"
    """Where the probability came from: token logprobs, a number in the reply, the bare verdict, a model."""
    standard_error: float | None = Field(default=None, ge=0.0)
    """Standard error of `margin`, where the scorer knows it."""
    judged: bool | None = None
    """Whether both texts were judged in training, where a model is sharper then; None: it is not."""
    floors: tuple[float, float] = (0.0, 0.0)
    """`Reward.floor` of the first and of the second response; `margin` holds their difference."""
    reasoning: str = ""
    """Why, in words; empty when the scorer has none."""

    @model_validator(mode="after")
    def _fill_margin(self) -> Verdict:
        if math.isnan(self.margin):
            p = min(max(self.probability, _LOGIT_CLIP), 1 - _LOGIT_CLIP)
            object.__setattr__(self, "margin", math.log(p / (1 - p)))
        return self

    def on(self, first: float, second: float) -> Verdict:
        """The same comparison with the floors of both responses, at most 0 each, in log-odds.

        A floor may be wrong (`FLOOR_ERRS`): the probability is less sure than the margin, and on its side.
        """
        changed: dict[str, Any] = {"floors": (first, second)}
        margin = self.margin + (first - second)
        if margin != self.margin:
            preference: Preference = "tie" if margin == 0 else "first" if margin > 0 else "second"
            p = _averaged(self.probability, _stretched(self.probability, self.margin, margin))
            p = 0.5 if margin == 0 else max(p, 0.5) if margin > 0 else min(p, 0.5)
            changed |= {"margin": margin, "preference": preference, "probability": p}
        return self.model_copy(update=changed)


class Reward(Frozen):
    """What a reward model gives one response of a user's conversation."""

    value: float
    """The reward, taste + floor; larger is preferred, differences are log-odds where it is calibrated."""
    probability: float = Field(ge=0.0, le=1.0)
    """P(the user prefers this response to a typical one of the training data), in [0, 1]."""
    taste: float = math.nan
    """What the model learned from choices says of it; `value` less `floor`."""
    floor: float = Field(default=0.0, le=0.0)
    """About 0 for whatever answers the prompt, far below for what does not (`reward_models.floor`)."""
    standard_error: float | None = Field(default=None, ge=0.0)
    """Standard error of `value`, where the model knows it."""
    status: Literal["scored", "population"] = "scored"
    """Whether the user is known, or the population answered for an unknown one."""
    judged: bool | None = None
    """Whether this very text was judged in training, where a model is sharper then; None: it is not."""

    @model_validator(mode="after")
    def _fill_taste(self) -> Reward:
        if math.isnan(self.taste):
            object.__setattr__(self, "taste", self.value - self.floor)
        return self

    def on(self, floor: float) -> Reward:
        """The same taste with this floor, at most 0, in log-odds; the probability reckons with its errors."""
        p = _averaged(self.probability, _shifted(self.probability, floor))
        return self.model_copy(update={"value": self.taste + floor, "floor": floor, "probability": p})


class Evidence(Frozen):
    """One thing a model learned about a user, in plain values: what a persona sentence can rest on."""

    feature: str
    """Name of the feature or topic."""
    statement: str
    """What the user likes, to follow "prefers": "short, concise answers"."""
    weight: float = Field(allow_inf_nan=False)
    """How far the user's weight is from that of most people, in log-odds of a choice per typical difference;
    its sign is the direction of `feature`."""
    standard_error: float = Field(ge=0.0, allow_inf_nan=False)
    """Standard error of `weight`: how far choices like most people's would scatter it about zero."""
    population: float | None = Field(default=None, allow_inf_nan=False)
    """Weight of most people on the same scale; None if it is not known."""
    pair_ids: tuple[str, ...] = ()
    """The user's own pairs that show it most, strongest first."""


class Failure(Frozen):
    """A comparison that got no verdict, and why. Never a tie, never wrong, never a number."""

    kind: FailureKind
    """What went wrong."""
    detail: str
    """The endpoint's or parser's own words, shortened."""


class Demonstration(Frozen):
    """A past choice of the user shown to a judge: the comparison, the choice, the reasoning if any."""

    comparison: Comparison
    """The comparison in the order in which it is shown."""
    preference: Side
    """The user's own choice."""
    reasoning: str = ""
    """Why: the user's own words, or else verified reasoning that led a judge to the same choice; empty for a
    bare label."""
    own_words: bool = False
    """Whether the reasoning is what the user wrote."""
    confidence: float | None = Field(default=None, ge=0.5, le=1.0)
    """The chance that the judge gave this choice before it was told, in [0.5, 1]; None if it gave none."""
