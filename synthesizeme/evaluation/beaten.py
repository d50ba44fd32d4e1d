"""How often a reward prefers a text that is no answer to the answer that its user chose.

Accuracy on pairs of real answers cannot see it, and whoever optimises the reward finds such texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from pydantic import Field

from synthesizeme.evaluation.no_answers import KINDS, Source
from synthesizeme.scoring import Answer, RewardScorer
from synthesizeme.types import Frozen, PreferencePair, Reward, last_user_turn

MOST = 100
"""Test pairs that are taken, unless told otherwise."""


class KindBeaten(Frozen):
    """Texts of one kind."""

    asked: int = Field(ge=1)
    """How many were made, each beside the chosen answer that it was made from."""
    above: int = Field(ge=0)
    """How many of them got the higher reward."""

    @property
    def share(self) -> float:
        """In [0, 1]."""
        return self.above / self.asked


class Beaten(Frozen):
    """Chosen answers against texts that are no answers to their prompts."""

    pairs: int = Field(ge=1)
    """Test pairs whose chosen answers were taken."""
    kinds: dict[str, KindBeaten] = Field(min_length=1)
    """By kind (`synthesizeme.evaluation.no_answers.KINDS`), of those that could be made of any pair."""

    @property
    def mean(self) -> float:
        """Mean of the kinds' shares, in [0, 1]."""
        return sum(it.share for it in self.kinds.values()) / len(self.kinds)

    @property
    def worst(self) -> tuple[str, float]:
        """The kind that beats most, the first of several, and its share."""
        name = max(self.kinds, key=lambda kind: self.kinds[kind].share)
        return name, self.kinds[name].share


def answers_beaten(
    model: object, pairs: Sequence[PreferencePair], most: int = MOST, *, seed: int = 0
) -> Beaten | None:
    """Show a reward model texts of every kind beside the chosen answers of test pairs.

    The user of each pair is asked. An answer to another prompt is drawn from the chosen answers of the pairs;
    where all of them have one prompt, that kind is left out.

    Args:
        model: What is asked; a scorer that gives no rewards, such as a judge of pairs, is not.
        pairs: The test pairs.
        most: Most pairs that are taken, drawn by the seed; 0: none.
        seed: Seed of what is drawn.

    Returns:
        None where nothing was asked, or nothing of it got a reward, as with unknown users who are refused.

    Raises:
        SynthesizeMeError: it cannot be asked.
    """
    if not isinstance(model, RewardScorer) or not most or not pairs:
        return None
    places = range(len(pairs))
    drawn = sorted(Random(f"{seed}\0pairs").sample(places, min(most, len(pairs))))
    asked = [it for place in drawn for it in _texts(pairs[place], pairs, seed)]
    rewards = model.score([answer for _, answer in asked])
    compared: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    answered, chosen = 0, 0.0
    for (kind, _), reward in zip(asked, rewards, strict=True):
        if not isinstance(reward, Reward):
            continue
        if kind is None:
            answered, chosen = answered + 1, reward.value
        else:
            compared[kind].append(reward.value > chosen)
    kinds = {kind: KindBeaten(asked=len(them), above=sum(them)) for kind, them in compared.items() if them}
    return Beaten(pairs=answered, kinds=kinds) if kinds else None


def _texts(
    pair: PreferencePair, pairs: Sequence[PreferencePair], seed: int
) -> Iterator[tuple[str | None, Answer]]:
    """The chosen answer of a pair, of no kind, then every text that is made from it, with its kind."""
    yield None, Answer(pair.prompt, pair.chosen_text, pair.user_id)
    draw = Random(f"{seed}\0{pair.pair_id}\0other")
    others = [it.chosen_text for it in pairs if it.prompt != pair.prompt]
    source = Source(last_user_turn(pair.prompt), pair.chosen_text, draw.choice(others) if others else "")
    for kind, make in KINDS.items():
        text = make(source, Random(f"{seed}\0{pair.pair_id}\0{kind}"))
        if text is not None and text.strip() and text.strip() != pair.chosen_text.strip():
            yield kind, Answer(pair.prompt, text, pair.user_id)
