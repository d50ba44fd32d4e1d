"""A language model as a reward: it rates one response against a fixed set of the user's own past choices."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from statistics import fmean
from types import MappingProxyType
from typing import Literal, NamedTuple, Self

from synthesizeme.backends import Question, Session
from synthesizeme.errors import ConfigError, DataError, JudgeError
from synthesizeme.feedback import NO_WORDS, Judgement, UserWords
from synthesizeme.judges.llm_judge import samples_of, under_neighbours
from synthesizeme.judges.messages import RATING, memory_profile, read_or_failure, read_rating
from synthesizeme.pairs import by_user
from synthesizeme.profile import UserProfile
from synthesizeme.prompts import as_data, conversation_text, load_prompt
from synthesizeme.scoring import Answer, Standing
from synthesizeme.types import (
    Comparison,
    Demonstration,
    Failure,
    Message,
    PreferencePair,
    Reward,
    Usage,
    Verdict,
)

PRIOR_VARIANCE = 4.0
"""s^2: prior variance of a response's strength around that of the anchors, in squared log-odds."""
_STEPS = 50


class Strength(NamedTuple):
    """How strong a response is against anchors of strength zero."""

    value: float
    """In log-odds of being preferred to an anchor."""
    variance: float
    """Posterior variance of `value`."""

    @property
    def probability(self) -> float:
        """P(preferred to an anchor), in [0, 1], shrunk by the uncertainty (MacKay 1992, equation 10)."""
        return chance(self.value, self.variance)


def strength(won: float) -> Strength:
    """The most probable strength of a response, and the variance of the Laplace posterior.

    It maximises c log sigma(t) + (1 - c) log sigma(-t) - t^2 / (2 s^2): the chance c counts as one duel, won
    in that part, against the anchors. It rises with the chance and is finite whatever that is. The maximum is
    found by Newton's method: each step is the slope over the curvature, at most 1 long.

    >>> [round(strength(chance).value, 2) for chance in (0.5, 0.9, 1.0)]
    [0.0, 0.82, 1.04]

    Args:
        won: Stated chance of winning, in [0, 1].

    References:
        Bradley and Terry, "Rank Analysis of Incomplete Block Designs", 1952.
    """
    precision, value = 1 / PRIOR_VARIANCE, 0.0
    for _ in range(_STEPS):
        p = _sigmoid(value)
        step = (won - p - precision * value) / (p * (1 - p) + precision)
        value += max(-1.0, min(1.0, step))
        if abs(step) < 1e-12:
            break
    p = _sigmoid(value)
    return Strength(value, 1 / (p * (1 - p) + precision))


def chance(margin: float, variance: float) -> float:
    """P(first preferred) for a margin that is known up to a variance, in [0, 1]."""
    return _sigmoid(margin / math.sqrt(1 + math.pi / 8 * variance))


def _sigmoid(x: float) -> float:
    return (1 + math.tanh(x / 2)) / 2


PROMPT = "judge/rating"
CHOICES = 8
"""Past choices that a response is held against, unless told otherwise; each is two anchors."""


class JudgeRewards:
    """Scalar rewards of a language-model judge: `ResponseScorer`, and `PersonalRewards` as it is served.

    A pairwise judge has no number for a lone response. Here the model says how likely the user is to prefer
    the response to one of a fixed set of anchors: both responses of a few of the user's past choices, which
    are the same for every response of the user. The best of N therefore costs N calls and not N (N - 1) / 2
    duels. What it says is turned into a reward by `synthesizeme.judges.rating.strength`; a call that fails
    or cannot be read is a `Failure`. Where the profile says that the mean of several judgements is taken
    (`UserProfile.averaging`), it is that of the chances which the samples state, as far as they are there;
    under a neighbour's persona the user's own anchors are shown.

    A user is known by a profile, by pairs, or by both: the persona comes from the profile, the anchors from
    the pairs, or else from the profile's demonstrations. The population is the model with neither.

    Args:
        session: The model. Questions of one batch that are the same are asked once.
        profiles: What is known of users, by user id.
        choices: Most past choices of a user that are shown, drawn by the seed and the user.
        standing: What the rewards stand on; nothing unless given. A language model is no floor by itself: it
            rates what it is shown, and may be talked round.
        unknown_user: ``refuse`` or ``population``, for a user without a profile and without pairs.
        seed: Seed of the choices drawn.

    Raises:
        ConfigError: `choices` is less than 1.
    """

    name = "judge-rating"
    order_sensitive = False
    waits = True
    """It asks others, who take their time."""
    standard_errors = True
    reward_scale = None
    """A language model was not trained here."""

    def __init__(
        self,
        session: Session,
        profiles: Mapping[str, UserProfile] | None = None,
        *,
        choices: int = CHOICES,
        standing: Standing | None = None,
        unknown_user: Literal["population", "refuse"] = "refuse",
        seed: int = 0,
    ) -> None:
        if choices < 1:
            raise ConfigError(f"choices is {choices}; expected 1 or more past choices as anchors")
        self.session = session
        self.choices, self.seed = choices, seed
        self.unknown_user: Literal["population", "refuse"] = unknown_user
        self.standing = standing
        self.usage = Usage()
        """What was asked so far."""
        self.failures: Counter[str] = Counter()
        """Calls that failed so far, by kind."""
        self._profiles = {} if profiles is None else profiles
        self._prompt = load_prompt(PROMPT)
        self.users_ = {user: self._shortened(self._profiles[user]) for user in self._profiles}
        """What is known of each user: persona, and the anchors as demonstrations."""

    @property
    def parameters(self) -> int:
        """Learned numbers: none, a language model's are not ours."""
        return 0

    @property
    def reads_words(self) -> bool:
        """No: a user is known by persona and past choices."""
        return False

    @property
    def reads_feedback(self) -> frozenset[str]:
        """None: past choices alone."""
        return frozenset()

    def fit(self, pairs: Sequence[PreferencePair], words: Mapping[str, UserWords] = NO_WORDS) -> Self:
        """Take the anchors of every user from these pairs, and forget all others; words are not read.

        Raises:
            DataError: a pair is of the test split.
        """
        self.users_ = {}
        return self.fit_users(by_user(pairs))

    def fit_users(
        self,
        histories: Mapping[str, Sequence[PreferencePair]],
        words: Mapping[str, UserWords] = NO_WORDS,
        feedback: Mapping[str, Sequence[Judgement]] = MappingProxyType({}),
    ) -> Self:
        """Take the anchors of these users from their own pairs; no pairs: forget them. No call is made.

        Words and other feedback are not read.

        Raises:
            DataError: a pair is of the test split or of another user; nobody has been changed then.
        """
        for user, pairs in histories.items():
            _refuse_foreign(user, pairs)
        for user, pairs in histories.items():
            self.users_.pop(user, None)
            if pairs:
                profile = self._profiles.get(user) or UserProfile(user_id=user)
                shown = memory_profile(user, self._drawn(user, pairs), seed=self.seed).demonstrations
                self.users_[user] = profile.model_copy(update={"demonstrations": shown})
        return self

    def fit_user(
        self,
        user_id: str,
        pairs: Sequence[PreferencePair],
        words: UserWords | None = None,
        feedback: Sequence[Judgement] = (),
    ) -> Self:
        """`fit_users` for one user."""
        return self.fit_users({user_id: pairs})

    def forget_user(self, user_id: str) -> Self:
        """Drop what is known of a user; nothing happens if nothing is."""
        self.users_.pop(user_id, None)
        return self

    def stand_on(self, floor: str) -> Self:
        """Exchange the floor of all rewards, by its name.

        Raises:
            ConfigError: it was made without a standing, whose unit a floor needs.
            UnknownNameError: no floor is called so.
        """
        if self.standing is None and floor != "none":
            raise ConfigError(f"{self.name} stands on nothing, and floor is {floor!r}; give it a standing")
        self.standing = None if self.standing is None else self.standing.on(floor)
        return self

    def score(self, answers: Sequence[Answer]) -> list[Reward | Failure]:
        """The reward of each answer for its user, in order; all are asked in one go.

        Raises:
            BackendError: the model cannot be reached.
        """
        tastes = [
            found
            if isinstance(found, Failure)
            else Reward(
                value=found.value,
                probability=found.probability,
                standard_error=math.sqrt(found.variance),
                status="scored" if it.user_id in self.users_ else "population",
            )
            for found, it in zip(self._strengths(answers), answers, strict=True)
        ]
        return tastes if self.standing is None else self.standing.rewards(answers, tastes)

    def rewards(self, answers: Sequence[Answer]) -> list[float]:
        """The values of `score` alone.

        Raises:
            JudgeError: a response got no reward.
            BackendError: the model cannot be reached.
        """
        values = []
        for row, found in enumerate(self.score(answers)):
            if isinstance(found, Failure):
                raise JudgeError(f"response {row} got no rating: {found.kind}", reply=found.detail)
            values.append(found.value)
        return values

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """The response with the higher reward; two ratings a comparison, whatever their order.

        Raises:
            BackendError: the model cannot be reached.
        """
        sides = [Answer(c.prompt, text, c.user_id) for c in comparisons for text in (c.first, c.second)]
        found = iter(self._strengths(sides))
        verdicts = [_verdict(next(found), next(found)) for _ in comparisons]
        return verdicts if self.standing is None else self.standing.verdicts(comparisons, verdicts)

    def _strengths(self, rows: Sequence[Answer]) -> list[Strength | Failure]:
        known = [self.unknown_user == "population" or user in self.users_ for *_, user in rows]
        asked = [self._samples(row) if may else [] for row, may in zip(rows, known, strict=True)]
        ledger = self.session.ledger()
        try:
            outcomes = iter(ledger.ask([it for questions in asked for it in questions], stage=self.name))
        finally:
            self.usage += ledger.usage
            self.failures.update(ledger.failures)
        found: list[Strength | Failure] = []
        for (*_, user), questions in zip(rows, asked, strict=True):
            if questions:
                read = [read_or_failure(next(outcomes), read_rating, "rating") for _ in questions]
                rated = [it for it in read if not isinstance(it, Failure)]
                failed = [it for it in read if isinstance(it, Failure)]
                found.append(strength(fmean(rated)) if rated else failed[0])
            else:
                detail = f"neither a profile nor a pair of user {user!r} is known"
                found.append(Failure(kind="unknown_user", detail=detail))
        return found

    def _samples(self, row: Answer) -> list[Question]:
        profile = self.users_.get(row.user_id)
        first = self.question(*row)
        own = [replace(first, sample_index=it) for it in range(samples_of(profile, self.session.model))]
        return [*own, *(self._question(it, row.prompt, row.response) for it in under_neighbours(profile))]

    def question(self, prompt: Sequence[Message], response: str, user_id: str) -> Question:
        """What is asked about one response, first or alone."""
        return self._question(self.users_.get(user_id), prompt, response)

    def _question(self, profile: UserProfile | None, prompt: Sequence[Message], response: str) -> Question:
        choices = profile.demonstrations if profile else ()
        system = self._prompt.render("system")
        if profile is not None and profile.persona is not None:
            system += "\n\n" + self._prompt.render("persona", persona=as_data(profile.persona.text))
        parts = [self._choice(number, choice) for number, choice in enumerate(choices, start=1)]
        parts.append(
            self._prompt.render(
                "rating", conversation=conversation_text(prompt), new_response=as_data(response)
            )
        )
        return Question(
            (Message(role="system", content=system), Message(role="user", content="\n\n".join(parts))),
            form=RATING,
        )

    def _choice(self, number: int, choice: Demonstration) -> str:
        shown = choice.comparison
        texts = (shown.first, shown.second)
        chosen, rejected = texts if choice.preference == "first" else texts[::-1]
        return self._prompt.render(
            "choice",
            number=str(number),
            conversation=conversation_text(shown.prompt),
            chosen_response=as_data(chosen),
            rejected_response=as_data(rejected),
        )

    def _drawn(self, user: str, pairs: Sequence[PreferencePair]) -> list[PreferencePair]:
        places = range(len(pairs))
        kept = Random(f"{self.seed}\0{user}\0anchors").sample(places, min(self.choices, len(pairs)))
        return [pairs[place] for place in sorted(kept)]

    def _shortened(self, profile: UserProfile) -> UserProfile:
        return profile.model_copy(update={"demonstrations": profile.demonstrations[: self.choices]})


def _verdict(first: Strength | Failure, second: Strength | Failure) -> Verdict | Failure:
    if isinstance(first, Failure):
        return first
    if isinstance(second, Failure):
        return second
    margin, variance = first.value - second.value, first.variance + second.variance
    return Verdict(
        preference="tie" if margin == 0 else "first" if margin > 0 else "second",
        probability=chance(margin, variance),
        margin=margin,
        standard_error=math.sqrt(variance),
        probability_source="stated",
    )


def _refuse_foreign(user_id: str, pairs: Sequence[PreferencePair]) -> None:
    for pair in pairs:
        if pair.split == "test" or pair.user_id != user_id:
            what = "of the test split" if pair.split == "test" else f"of user {pair.user_id[:60]!r}"
            raise DataError(
                f"pair {pair.pair_id[:60]!r} is {what}; expected other pairs, of user {user_id[:60]!r}",
                field="split" if pair.split == "test" else "user_id",
                cure="leave it out.",
            )
