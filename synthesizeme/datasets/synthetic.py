"""A planted population: users whose tastes are known, so that finding them again can be measured.

A response has a level from 0 to 1 of every attribute in `ATTRIBUTES` and a quality from 0 to 1. User u values
response y to a prompt of kind k at

    value(u, y) = sum_a (weight[u, a] + kind_weight[u, k, a]) * level[y, a] + quality_weight * quality[y]

and prefers y to z with probability sigmoid((value(u, y) - value(u, z)) / noise). Quality is shared by all
users; the signs of the weights are fair coins, so that the best scorer that knows nobody goes by quality.

References:
    Bradley and Terry (1952), Rank analysis of incomplete block designs: the choice model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

from synthesizeme.datasets._synthetic_texts import KINDS, TOPICS, Defect, Topic, render
from synthesizeme.errors import ConfigError
from synthesizeme.pairs import by_user, resplit
from synthesizeme.types import SIMULATED, Comparison, Failure, Message, PreferencePair, Verdict

__all__ = (
    "ATTRIBUTES", "QUALITY", "Attribute", "KnownValues", "PlantedUser", "Population",
    "load", "planted_population",
)  # fmt: skip

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


_RARE, _FORM = (0, 0, 1, 2), (0, 0, 0, 2)

ATTRIBUTES: dict[str, Attribute] = {attribute.name: attribute for attribute in (
    Attribute("length", "longer, more detailed answers", "short, concise answers",
              ("long", "short", "detail", "concise", "brief", "thorough", "length")),
    Attribute("bullets", "bullet lists", "prose without bullet lists", ("bullet", "list"), _FORM),
    Attribute("numbered", "numbered steps", "prose without numbered steps",
              ("numbered", "step", "list"), _FORM),
    Attribute("formality", "a formal tone", "a casual tone",
              ("formal", "casual", "colloquial", "contraction")),
    Attribute("hedging", "careful, hedged claims", "confident claims without hedges",
              ("hedg", "caveat", "cautious", "confident", "tentative", "careful"), _RARE),
    Attribute("questions", "answers that ask questions back", "answers that ask no questions back",
              ("question", "ask"), _RARE),
    Attribute("examples", "examples and concrete cases", "answers without examples",
              ("example", "instance", "anecdote", "stor"), _RARE),
    Attribute("warmth", "a warm, encouraging tone", "a matter-of-fact tone",
              ("warm", "empath", "encourag", "matter-of-fact", "kind", "friendly", "neutral"), _RARE),
    Attribute("enthusiasm", "exclamation marks and emoji", "a calm style without exclamation marks or emoji",
              ("exclamation", "emoji", "enthusias", "excite", "calm", "lively"), _RARE),
    Attribute("figures", "exact numbers and quantities", "answers without numbers",
              ("number", "figure", "quantit", "exact", "digit", "measure")),
    Attribute("directness", "answers that come straight to the point",
              "answers that lead up to the point slowly",
              ("direct", "straight", "point", "upfront", "preamble", "introduct")),
    Attribute("disclaimers", "disclaimers and advice to consult an expert", "answers without disclaimers",
              ("disclaim", "consult", "professional", "expert", "warning"), _RARE),
)}  # fmt: skip
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


QUALITY: dict[Defect, float] = {"none": 1.0, "repeats": 0.5, "cut off": 0.25, "off topic": 0.0}
"""Quality of a response by its defect."""

_DEFECT_SHARES = (0.64, 0.12, 0.12, 0.12)


@dataclass(frozen=True)
class KnownValues:
    """A `PairwiseScorer` that knows what each response is worth to each user."""

    name: str
    noise: float
    """Temperature of the choices."""
    value: Callable[[Comparison, str], float | None]
    """Value of a response of a comparison to its user; None where that is not known."""
    order_sensitive: bool = False

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """The more valuable response, with the probability that the user's choice falls on the first."""
        return [self._verdict(comparison) for comparison in comparisons]

    def _verdict(self, comparison: Comparison) -> Verdict | Failure:
        first, second = (self.value(comparison, text) for text in (comparison.first, comparison.second))
        if first is None or second is None:
            detail = f"pair {comparison.pair_id!r}: the user is not planted, or one of the texts"
            return Failure(kind="unknown_user", detail=detail)
        margin = (first - second) / self.noise
        return Verdict(
            preference="tie" if margin == 0 else "first" if margin > 0 else "second",
            probability=_sigmoid(margin),
            margin=margin,
            probability_source="model",
        )


@dataclass(frozen=True)
class Population:
    """Planted users and their choices. `pairs` are in the order of the users."""

    users: dict[str, PlantedUser]
    pairs: list[PreferencePair]
    noise: float
    quality_weight: float

    def oracle(self) -> KnownValues:
        """The scorer that knows every weight: nothing can be right more often in the long run."""
        return self.answering(self.pairs, "oracle")

    def user_blind(self) -> KnownValues:
        """The best scorer that knows no user: it goes by the shared quality and ties where that is equal."""
        qualities = {key: self.quality_weight * known["quality"] for key, known in _facts(self.pairs).items()}
        return KnownValues("user-blind", self.noise, lambda it, text: qualities.get((it.pair_id, text)))

    def oracle_accuracy(self) -> float:
        """Expected accuracy of `oracle` on these pairs: mean of max(p, 1 - p), in [0.5, 1]."""
        chances: list[float] = [pair.metadata["probability"] for pair in self.pairs]
        return sum(max(chance, 1 - chance) for chance in chances) / len(chances)

    @cached_property
    def by_user(self) -> dict[str, list[PreferencePair]]:
        """The pairs of every user."""
        return by_user(self.pairs)

    def answering(self, pool: Sequence[PreferencePair], name: str = "planted") -> KnownValues:
        """The users, asked about any pairs that a planted population was made of: theirs or another's."""
        facts = _facts(pool)

        def value(asked: Comparison, text: str) -> float | None:
            user, known = self.users.get(asked.user_id), facts.get((asked.pair_id, text))
            if user is None or known is None:
                return None
            levels = zip(ATTRIBUTES, known["levels"], strict=True)
            taste = sum(user.weight(attribute, known["kind"]) * level for attribute, level in levels)
            return float(taste + self.quality_weight * known["quality"])

        return KnownValues(name, self.noise, value)


def _facts(pairs: Sequence[PreferencePair]) -> dict[tuple[str, str], dict[str, Any]]:
    """Kind of topic, levels and quality of every response, by pair id and text."""
    found = {}
    for pair in pairs:
        about = pair.metadata
        for side, text in (("chosen", pair.chosen_text), ("rejected", pair.rejected_text)):
            levels, quality = about[f"{side}_levels"], about[f"{side}_quality"]
            found[pair.pair_id, text] = {"kind": about["kind"], "levels": levels, "quality": quality}
    return found


def planted_population(
    n_users: int,
    pairs_per_user: int,
    *,
    seed: int = 0,
    noise: float = 1.0,
    topic_taste: float = 0.0,
    quality: float = 2.0,
    split: bool = False,
) -> Population:
    """Make users and their choices. User k and pair j of user k do not depend on how many there are.

    The metadata of a pair holds ``topic``, ``kind``, ``probability`` (that the chosen response wins), and for
    ``chosen_`` and ``rejected_`` each ``levels`` (in the order of `ATTRIBUTES`, in [0, 1]), ``defect``,
    ``quality`` and ``value``; ``simulated`` says that a planted user chose.

    Args:
        n_users: Number of users, at least 1.
        pairs_per_user: Pairs of each user, at least 1.
        seed: Seed of everything; each user draws from a generator of (seed, user id).
        noise: Temperature of the choices, > 0. Users and texts are the same at any noise.
        topic_taste: In [0, 1]; strength of an additional taste for each kind of topic, relative to the
            strong general weights.
        quality: Weight of the shared quality, >= 0.
        split: Whether to draw train, validation and test within each user.

    Raises:
        ConfigError: an argument is out of range; lists all of them.
    """
    problems = [
        f"{name} is {found}; expected {expected}"
        for name, found, expected, fine in (
            ("n_users", n_users, "at least 1", n_users >= 1),
            ("pairs_per_user", pairs_per_user, "at least 1", pairs_per_user >= 1),
            ("noise", noise, "more than 0", noise > 0),
            ("topic_taste", topic_taste, "0 to 1", 0 <= topic_taste <= 1),
            ("quality", quality, "0 or more", quality >= 0),
        )
        if not fine
    ]
    if problems:
        raise ConfigError(problems)
    users: dict[str, PlantedUser] = {}
    pairs: list[PreferencePair] = []
    for number in range(n_users):
        user_id = f"planted-{number:05d}"
        rng = Random(f"{seed}/{user_id}")
        user = users[user_id] = draw_user(user_id, topic_taste, rng)
        for place in range(pairs_per_user):
            pairs.append(_draw_pair(f"{user_id}-{place:03d}", user, noise, quality, rng))
    return Population(users, resplit(pairs, seed) if split else pairs, noise, quality)


def load(*, n_users: int = 100, pairs_per_user: int = 20, **options: Any) -> list[PreferencePair]:
    """The pairs of a planted population. See `planted_population` for the options.

    Raises:
        ConfigError: an option is out of range.
    """
    return planted_population(n_users, pairs_per_user, **options).pairs


def _draw_pair(pair_id: str, user: PlantedUser, noise: float, quality: float, rng: Random) -> PreferencePair:
    topic = rng.choice(TOPICS)
    question, answer = rng.choice(topic.questions)
    one = _draw_response(topic, answer, user, quality, rng)
    other = _draw_response(topic, answer, user, quality, rng)
    while other["text"] == one["text"]:
        other = _draw_response(topic, answer, user, quality, rng)
    chance = _sigmoid((one["value"] - other["value"]) / noise)
    if rng.random() >= chance:
        one, other, chance = other, one, 1 - chance
    metadata: dict[str, Any] = {"topic": topic.name, "kind": topic.kind, "probability": chance}
    metadata[SIMULATED] = {"by": "planted", "persona": user.user_id}
    for side, response in (("chosen", one), ("rejected", other)):
        metadata |= {f"{side}_{name}": value for name, value in response.items() if name != "text"}
    return PreferencePair(
        pair_id=pair_id,
        user_id=user.user_id,
        prompt=(Message(role="user", content=question),),
        chosen=(Message(role="assistant", content=one["text"]),),
        rejected=(Message(role="assistant", content=other["text"]),),
        metadata=metadata,
    )


def _draw_response(
    topic: Topic, answer: str, user: PlantedUser, quality: float, rng: Random
) -> dict[str, Any]:
    levels = {name: rng.choice(attribute.levels) for name, attribute in ATTRIBUTES.items()}
    form = rng.choice(("prose", "prose", "bullets", "numbered"))
    levels |= {"bullets": 2 * (form == "bullets"), "numbered": 2 * (form == "numbered")}
    defect = rng.choices(list(QUALITY), _DEFECT_SHARES)[0]
    value = sum(user.weight(name, topic.kind) * level / 2 for name, level in levels.items())
    return {
        "text": render(topic, answer, levels, defect, rng),
        "levels": tuple(level / 2 for level in levels.values()),
        "defect": defect,
        "quality": QUALITY[defect],
        "value": value + quality * QUALITY[defect],
    }


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else 1 - 1 / (1 + math.exp(x))
