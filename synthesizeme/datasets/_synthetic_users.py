"""Who is planted: the attributes that users may care about, and users with known weights on them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from synthesizeme.datasets._synthetic_text import KINDS

_STRONG = (2.5, 4.5)
"""Range of the size of a strong weight, in units of choice noise 1."""
_FAINT = 0.2
"""Standard deviation of the other weights."""


@dataclass(frozen=True)
class Attribute:
    """A property of a text that a user may want more or less of."""

    name: str
    """Key in weights and levels."""
    more: str
    """What a user with a positive weight prefers, as it completes "prefers ..."."""
    less: str
    """What a user with a negative weight prefers."""
    words: tuple[str, ...]
    """Lower-case stems, at least one of which a text that speaks of the attribute should contain."""
    levels: tuple[int, ...] = (0, 1, 2)
    """Levels in halves, each as often as it is drawn."""


_RARE = (0, 0, 1, 2)

ATTRIBUTES: dict[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        Attribute(
            "length",
            "longer, more detailed answers",
            "short, concise answers",
            ("long", "short", "detail", "concise", "brief", "thorough", "length"),
        ),
        Attribute("bullets", "bullet lists", "prose without bullet lists", ("bullet", "list"), (0, 0, 0, 2)),
        Attribute(
            "numbered",
            "numbered steps",
            "prose without numbered steps",
            ("numbered", "step", "list"),
            (0, 0, 0, 2),
        ),
        Attribute(
            "formality", "a formal tone", "a casual tone", ("formal", "casual", "colloquial", "contraction")
        ),
        Attribute(
            "hedging",
            "careful, hedged claims",
            "confident claims without hedges",
            ("hedg", "caveat", "cautious", "confident", "tentative", "careful"),
            _RARE,
        ),
        Attribute(
            "questions",
            "answers that ask questions back",
            "answers that ask no questions back",
            ("question", "ask"),
            _RARE,
        ),
        Attribute(
            "examples",
            "examples and concrete cases",
            "answers without examples",
            ("example", "instance", "anecdote", "stor"),
            _RARE,
        ),
        Attribute(
            "warmth",
            "a warm, encouraging tone",
            "a matter-of-fact tone",
            ("warm", "empath", "encourag", "matter-of-fact", "kind", "friendly", "neutral"),
            _RARE,
        ),
        Attribute(
            "enthusiasm",
            "exclamation marks and emoji",
            "a calm style without exclamation marks or emoji",
            ("exclamation", "emoji", "enthusias", "excite", "calm", "lively"),
            _RARE,
        ),
        Attribute(
            "figures",
            "exact numbers and quantities",
            "answers without numbers",
            ("number", "figure", "quantit", "exact", "digit", "measure"),
        ),
        Attribute(
            "directness",
            "answers that come straight to the point",
            "answers that lead up to the point slowly",
            ("direct", "straight", "point", "upfront", "preamble", "introduct"),
        ),
        Attribute(
            "disclaimers",
            "disclaimers and advice to consult an expert",
            "answers without disclaimers",
            ("disclaim", "consult", "professional", "expert", "warning"),
            _RARE,
        ),
    )
}
"""Every attribute a user may care about, in the order of the levels in a pair's metadata."""


@dataclass(frozen=True)
class PlantedUser:
    """A user whose taste is known."""

    user_id: str
    weights: dict[str, float]
    """Weight of every attribute, over all kinds of topic; 2 to 4 of them are strong."""
    kind_weights: dict[str, dict[str, float]]
    """For every kind of topic the weights that come on top; all empty unless taste depends on the topic."""

    def weight(self, attribute: str, kind: str) -> float:
        """Weight of `attribute` in prompts of `kind`."""
        return self.weights[attribute] + self.kind_weights[kind].get(attribute, 0.0)

    @property
    def strong(self) -> dict[str, float]:
        """The strong general weights, strongest first."""
        kept = {name: weight for name, weight in self.weights.items() if abs(weight) >= _STRONG[0]}
        return dict(sorted(kept.items(), key=lambda item: -abs(item[1])))

    def tastes(self) -> list[str]:
        """The strong general weights in words, strongest first, each completing "prefers ..."."""
        return [
            ATTRIBUTES[name].more if weight > 0 else ATTRIBUTES[name].less
            for name, weight in self.strong.items()
        ]


def draw_user(user_id: str, topic_taste: float, rng: Random) -> PlantedUser:
    """Draw a taste; the scale of its topic-dependent part is `topic_taste`."""
    weights = {name: rng.gauss(0.0, _FAINT) for name in ATTRIBUTES}
    for name in rng.sample(list(ATTRIBUTES), rng.randint(2, 4)):
        weights[name] = _strong_weight(rng)
    extra = {kind: {rng.choice(list(ATTRIBUTES)): topic_taste * _strong_weight(rng)} for kind in KINDS}
    return PlantedUser(user_id, weights, extra if topic_taste else {kind: {} for kind in KINDS})


def _strong_weight(rng: Random) -> float:
    return rng.choice((-1, 1)) * rng.uniform(*_STRONG)
