"""A reward model as it is used in Python: asked with texts or messages, fitted with rows of any shape."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthesizeme.datasets import by_user, pairs_of
from synthesizeme.datasets.rows import (
    SourceRow,
    asked_comparison,
    asked_user,
    plain,
    read_prompt,
    read_response,
    read_user,
)
from synthesizeme.errors import ConfigError, DataError, MissingExtraError, RewardError
from synthesizeme.feedback import UserWords
from synthesizeme.plain_text import count, printable
from synthesizeme.profile import OwnTaste
from synthesizeme.progress import ShowProgress, in_steps, waiting
from synthesizeme.scoring import PersonalRewards
from synthesizeme.serving.opening import open_rewards
from synthesizeme.serving.rewards import NOBODY, Margin, RewardQuestion, ScalarRewards, Score
from synthesizeme.serving.rows import read_words
from synthesizeme.serving.settings import Settings
from synthesizeme.types import Comparison, Failure, PreferencePair, Verdict

STEP = 256
"""Responses of a batch where the progress of scoring is shown."""
_CURE = "give a prompt as text or messages that end with the user's, a response as text or one message"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Best:
    """The best of several responses."""

    response: Any
    """The response with the largest value, as it was given; the first of several."""
    index: int
    """Its place among the candidates."""
    score: Score
    """Its score."""
    scores: tuple[Score, ...]
    """The scores of all candidates, in their order."""


def load_reward_model(
    model: PersonalRewards | str | Path | None = None,
    *,
    unknown_user: str | None = None,
    floor: str | None = None,
    pessimism: float = 0.0,
    normalize: bool = False,
    clip: float | None = None,
    strip: str = "all",
    progress: ShowProgress = None,
) -> LoadedRewardModel:
    """A reward model to be asked.

    Args:
        model: Checkpoint folder, ``judge:NAME`` (`synthesizeme.serving.opening`) or a fitted model; None: the
            population that is shipped, which knows nobody.
        unknown_user: ``population``, ``refuse``; by default as the model was trained.
        floor: See `Settings`, as the others.
        pessimism: Likewise.
        normalize: Likewise.
        clip: Likewise.
        strip: Likewise.
        progress: True shows a wait beyond two seconds.

    Raises:
        DataError: the folder holds no checkpoint that can be read.
        ConfigError: a setting is wrong, or the model lacks what one needs.
    """
    from reward_models import POPULATION

    if model is None or isinstance(model, str | Path):
        name = str(POPULATION if model is None else model)
        with waiting(progress, name, "loading"):
            opened = open_rewards(name)
    elif isinstance(model, PersonalRewards):
        opened = model
    else:
        raise ConfigError(
            f"model is {model!r}, a {type(model).__name__}; expected a checkpoint's path or a fitted model"
        )
    settings = Settings(
        unknown_user=unknown_user or opened.unknown_user,  # type: ignore[arg-type]
        on_error="raise", floor=floor, pessimism=pessimism, normalize=normalize, clip=clip, strip=strip,
    )  # fmt: skip
    return LoadedRewardModel(ScalarRewards(opened, settings))


class LoadedRewardModel:
    """What `load_reward_model` gives; a scorer for `evaluate` too.

    Args:
        rewards: The path that every score takes.
    """

    order_sensitive = False

    def __init__(self, rewards: ScalarRewards) -> None:
        self.rewards = rewards
        self.model = rewards.model

    def __repr__(self) -> str:
        return f"LoadedRewardModel({self.name}, {count(len(self.users), 'user')})"

    @property
    def name(self) -> str:
        """Name of its method."""
        return self.model.name

    @property
    def users(self) -> tuple[str, ...]:
        """Users that it knows."""
        return tuple(self.model.users_)

    def score(self, prompt: Any, response: Any, user: Any = None, *, progress: ShowProgress = None) -> Any:
        """The reward of a response to a prompt for a user; of a list of responses the list of rewards.

        Args:
            prompt: Text of the user, or messages that end with the user's; for several responses one for all
                of them or a list with one for each.
            response: Text, or one message; or a list of texts.
            user: Id of the user, one for all or a list with one for each; None: the population answers.
            progress: True shows a wait beyond two seconds; a function is told of every step.

        Returns:
            A `Score`, or a list of them.

        Raises:
            DataError: a prompt, response or user cannot be read, or there are not as many; names the row.
            RewardError: the model cannot score it.
        """
        responses = _several(response)
        if responses is None:
            return self._scores(_asked(prompt, [response], user), None)[0]
        return self._scores(_asked(prompt, responses, user), progress)

    def judge(self, prompt: Any, first: Any, second: Any, user: Any = None) -> Margin:
        """Which of two responses a user prefers: the margin of the first over the second, in log-odds.

        Raises:
            DataError: the prompt, a response or the user cannot be read.
            RewardError: the model cannot score it.
        """
        [margin] = self.rewards.compare([asked_comparison(_user(user, 1), prompt, first, second)])
        return margin

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """The verdicts of the model on comparisons, for `evaluate`."""
        return self.model.compare(comparisons)

    def fit_user(self, user: str, rows: object, about: Any = None) -> LoadedRewardModel:
        """Learn who a user is, known or new, from the user's choices; nothing else changes.

        Args:
            user: Id of the user; rows that name nobody are of this one, and rows of others are left out.
            rows: Choices in any shape that `read_pairs` takes; those of the split test are left out. An empty
                list forgets the user, unless there are words.
            about: What the user said beside choices: text, a dict with fields of `UserWords`, or these.

        Raises:
            DataError: rows or words cannot be read, or are of others alone.
        """
        user = asked_user(user)
        pairs = pairs_of(rows, user_id=user)
        own = by_user(pairs).get(user, [])
        if pairs and not own:
            raise DataError(
                f"no row is a choice of user {printable(user, 60)!r}", field="user_id", cure="check the user"
            )
        if about is not None and not self.model.reads_words:
            _log.warning("%s reads no words of users; about changes nothing", self.name)
        learned = _without_test(own, user)
        words = {} if about is None else {user: _words(about, user)}
        self.model.fit_users({user: learned}, words)
        return self

    def fit_users(self, rows: object) -> LoadedRewardModel:
        """`fit_user` for every user of some rows.

        Raises:
            DataError: rows cannot be read, or one names nobody.
        """
        users = by_user(pairs_of(rows))
        self.model.fit_users({user: _without_test(own, user) for user, own in users.items()})
        return self

    def weights(self, user: str) -> OwnTaste:
        """In what a user differs from most people, if in anything; see `own_taste`."""
        return own_taste(self.model, asked_user(user))

    def _scores(self, questions: list[RewardQuestion], progress: ShowProgress) -> list[Score]:
        return in_steps(progress, self.name, "scoring", questions, self.rewards.score, step=STEP)


def best_of(
    model: LoadedRewardModel | PersonalRewards | str | Path | None,
    prompt: Any,
    candidates: Iterable[Any],
    user: Any = None,
) -> Best:
    """The response that a user likes best.

    Args:
        model: A loaded or fitted reward model, or its path; see `load_reward_model`.
        prompt: Text of the user, or messages that end with the user's.
        candidates: Responses, each a text or one message.
        user: Id of the user; None: the population answers.

    Raises:
        DataError: there are no candidates, or one cannot be read; names it.
        RewardError: none of them gets a reward, such as for a user who is unknown and refused.
    """
    loaded = model if isinstance(model, LoadedRewardModel) else load_reward_model(model)
    if isinstance(candidates, str | Mapping) or not isinstance(candidates, Iterable):
        raise DataError(
            f"candidates is a {type(candidates).__name__}; expected a list of responses", cure="give a list"
        )
    candidates = list(candidates)
    if not candidates:
        raise DataError("there are no candidates; expected at least one", cure="give a list of responses")
    asked = _asked([prompt] * len(candidates), candidates, user, source="candidate row")
    scores = tuple(loaded.rewards.score(asked))
    valued = [index for index, score in enumerate(scores) if score.value is not None]
    if not valued:
        raise RewardError(
            f"no candidate got a reward ({scores[0].status}). Cure: fit the user first, or load the model "
            "with unknown_user='population'"
        )
    index = max(valued, key=lambda place: scores[place].value or 0.0)
    return Best(candidates[index], index, scores[index], scores)


def own_taste(model: object, user: str) -> OwnTaste:
    """In what a user differs from most people, if in anything, and what is liked as most people do.

    Raises:
        ConfigError: the model has no weights that can be named.
        DataError: it does not know the user.
    """
    named = getattr(model, "own_taste", None)
    name, users = getattr(model, "name", "the model"), tuple(getattr(model, "users_", ()))
    if not callable(named):
        raise ConfigError(f"{name} has no weights that can be named; these have: {_with_own_taste()}")
    if user not in users:
        raise DataError(
            f"the model knows {count(len(users), 'user')}, {printable(str(user), 60)!r} is none of them."
            + meant(str(user), users),
            cure="fit the user first: fit_user(user, rows), or --history PAIRS or --about FILE",
        )
    found: OwnTaste = named(user)
    return found


def meant(user: str, known: Collection[str]) -> str:
    """The question whether a known user was meant who is called much the same, after a blank; else empty."""
    close = difflib.get_close_matches(user, known, n=1)
    return f" Did you mean {printable(close[0], 60)!r}?" if close else ""


def _with_own_taste() -> str:
    from reward_models import method, method_names

    found = []
    for name in method_names():
        try:
            if hasattr(method(name), "own_taste"):
                found.append(name)
        except MissingExtraError:
            continue
    return ", ".join(found) or "none"


def _several(value: Any) -> list[Any] | None:
    """The items of a list of texts or conversations; None for one text, message or conversation."""
    if isinstance(value, str | Mapping) or value is None:
        return None
    items = plain(list(value) if isinstance(value, Iterator) or hasattr(value, "tolist") else value)
    if not isinstance(items, list) or (items and all(isinstance(it, dict) for it in items)):
        return None
    return items


def _asked(
    prompt: Any, responses: Sequence[Any], user: Any, *, source: str = "response row"
) -> list[RewardQuestion]:
    """A question for each response.

    Raises:
        DataError: something cannot be read, or there are not as many.
    """
    number = len(responses)
    prompts = _for_each("prompts", _several(prompt), prompt, number)
    users = _for_each("users", _several(user), user, number)
    found = []
    rows = zip(prompts, responses, users, strict=True)
    for place, (asked, response, who) in enumerate(rows, start=1):
        row = SourceRow(source, place, {"prompt": plain(asked), "response": plain(response)})
        try:
            found.append(RewardQuestion(_user(who, place), read_prompt(row), read_response(row)))
        except DataError as error:
            alone = number == 1 and source == "response row"
            problem = {"source": None if alone else source, "line": None if alone else place}
            raise DataError(error.problem, **problem, field=error.field, cure=_CURE) from None  # type: ignore[arg-type]
    return found


def _for_each(what: str, several: list[Any] | None, one: Any, number: int) -> list[Any]:
    if several is None:
        return [one] * number
    if len(several) != number:
        raise DataError(
            f"found {len(several):,} {what} and {count(number, 'response')}; expected one, or as many",
            cure=f"give one of the {what} for each response, in their order",
        )
    return several


def _user(user: Any, place: int) -> str:
    return NOBODY if user is None else read_user(SourceRow("response row", place, {"user_id": plain(user)}))


def _words(about: Any, user: str) -> UserWords:
    if isinstance(about, UserWords):
        return about.lent_to(user) if not about.user_id else about
    return read_words(about, user, SourceRow("about", 1, {}))[0]


def _without_test(pairs: Sequence[PreferencePair], user: str) -> list[PreferencePair]:
    """The pairs that may be learned from.

    Raises:
        DataError: there are only test pairs.
    """
    found = [pair for pair in pairs if pair.split != "test"]
    if pairs and not found:
        cure = "give train or validation rows, or leave the column split out"
        raise DataError(
            f"all pairs of user {printable(user, 60)!r} are of the split test", field="split", cure=cure
        )
    if len(found) < len(pairs):
        _log.warning("user %r: %s left out", user[:60], count(len(pairs) - len(found), "test pair"))
    return found
