"""The one path from a user, a prompt and a response to a scalar, with a status that says what it is worth."""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from synthesizeme.errors import BackendError, ConfigError, RewardError
from synthesizeme.feedback import UserWords
from synthesizeme.scoring import Answer, PersonalRewards
from synthesizeme.serving.settings import Settings, without_standard_errors
from synthesizeme.serving.stripping import Seen, Stripper, read_strip
from synthesizeme.types import Comparison, Failure, Message, Preference, Reward, Verdict

Status = Literal["ok", "population", "unknown_user", "too_long", "error"]
STATUSES: tuple[Status, ...] = get_args(Status)
TOLD = ("scored", "taste", "floor", "below_floor", "stripped")
"""What loops log of a score: whether it is the user's own, its parts, whether the response is hardly an
answer, and whether something of the row was not scored."""
NOBODY = ""
"""An id that no user has: asked with it, a model answers for the population."""

_log = logging.getLogger(__name__)


class RewardQuestion(NamedTuple):
    """One response whose reward is asked for."""

    user_id: str
    prompt: tuple[Message, ...]
    """The conversation; ends with a user turn."""
    response: str
    about: UserWords | None = None
    """What the user said beside choices, where the row says so; see `ScalarRewards.introduce`."""
    pessimism: float | None = None
    """In place of that of `Settings`, where the row says so; 0 or more."""


class Score(NamedTuple):
    """What the path says about one response."""

    value: float | None
    """The reward as `Settings` want it; None where there is none, never a 0 in its place."""
    probability: float | None
    """P(the user prefers the response to a typical one), in [0, 1]."""
    standard_error: float | None
    """Standard error of `value`, where the model knows it."""
    status: Status
    """``ok``: the user's own reward. ``population``: the user is unknown and the population answers. Any
    other status with a value: the population's answer in place of the user's."""
    error: Exception | None = None
    """What went wrong, for status ``too_long`` and ``error``."""
    judged: bool | None = None
    """Whether the text was judged in training; None where the model makes no difference."""
    taste: float | None = None
    """What the model learned from choices says of it, in the model's own unit."""
    floor: float | None = None
    """What it costs that it is no answer to its prompt, at most 0, in the same unit. `value` is taste + floor
    as long as `Settings` ask for nothing else."""
    stripped: tuple[str, ...] = ()
    """What the row had beside prompt and answer, which is not scored (`synthesizeme.serving.stripping`)."""

    def __repr__(self) -> str:
        return f"Score({_in_short(self)})"

    @property
    def scored(self) -> int:
        """1 for the user's own reward, 0 for a substitute or nothing."""
        return int(self.status == "ok")


class Margin(NamedTuple):
    """What the path says about one comparison; the fields of `Score`, the value being a margin."""

    value: float | None
    """Reward of the first response minus that of the second, in log-odds."""
    probability: float | None
    """P(first is preferred), in [0, 1]."""
    standard_error: float | None
    status: Status
    error: Exception | None = None
    preference: Preference | None = None
    judged: bool | None = None
    floors: tuple[float, float] | None = None
    """`Score.floor` of the first and of the second response; `value` holds their difference."""
    stripped: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Margin({_in_short(self)})"

    @property
    def scored(self) -> int:
        """1 for the user's own margin, 0 for a substitute or nothing."""
        return int(self.status == "ok")


Asked = TypeVar("Asked", RewardQuestion, Comparison)
Found = TypeVar("Found", Score, Margin)


Ask = Callable[[Sequence[Asked]], Sequence[Reward | Verdict | Failure]]
"""How one kind of question is put to a model."""


class ScalarRewards:
    """Scores of a fitted reward model, every row with a status, every status counted.

    From here on the settings decide what unknown users get, so the model's own `unknown_user` is set to
    ``population``; and the model stands on the floor that they name, if they name one. Calls from several
    threads take turns.

    Args:
        model: A fitted model.
        settings: What happens where a user's own reward cannot be given, and how rewards are given. Margins
            are those of the model: they are neither cautious nor normalised.

    Raises:
        ConfigError: the model lacks what the settings need.
    """

    def __init__(self, model: PersonalRewards, settings: Settings | None = None) -> None:
        self.model = model
        self.settings = settings or Settings()
        self.settings.check(model)
        if self.settings.floor is not None:
            model.stand_on(self.settings.floor)
        self.counts: Counter[Status] = Counter()
        """Answers given so far, by status."""
        model.unknown_user = "population"
        self._strip = Stripper(read_strip(self.settings.strip) or frozenset())
        self._introduced: dict[str, UserWords] = {}
        self._told_unread = False
        self._lock = threading.Lock()
        self._sum, self._number = 0.0, 0

    @property
    def waits(self) -> bool:
        """Whether the model waits for others, such as a server it asks; it is then never run in between."""
        return bool(getattr(self.model, "waits", False))

    def fallen(self, score: Score) -> int:
        """Whether a response is hardly an answer, 1 or 0: its floor costs more than a cut off ending may.

        That is more than a standard deviation of the tastes of real answers.
        """
        standing = getattr(self.model, "standing", None)
        unit = 1.0 if standing is None else standing.unit
        return int(score.floor is not None and score.floor < -unit)

    def told(self, score: Score) -> dict[str, float | None]:
        """What loops log of a score beside its value, by the names of `TOLD`; taste and floor may be None."""
        found = (score.scored, score.taste, score.floor, self.fallen(score), int(bool(score.stripped)))
        return dict(zip(TOLD, found, strict=True))

    @property
    def typical(self) -> float | None:
        """Mean of all rewards given so far, for loops that need a number for every row; None before any."""
        return self._sum / self._number if self._number else None

    def substituted(self, score: Score) -> Score:
        """The same score; without a value that of a typical answer, for loops that need a number.

        That is the `typical` value, no floor, and the probability .5 of being preferred to itself.
        """
        if score.value is not None:
            return score
        usual = self.typical or 0.0
        return score._replace(value=usual, taste=usual, floor=0.0, probability=0.5)

    def introduce(self, words: Iterable[UserWords | None]) -> None:
        """Let the model know users whom it does not know by what they said; it changes nothing for others.

        Later words of a user who was introduced take the place of the earlier ones. A model that reads no
        words is not told, which is said once.
        """
        said = {it.user_id: it for it in words if it is not None}
        if not said:
            return
        with self._lock:
            known = self.model.users_
            new = {
                user: it
                for user, it in said.items()
                if it != self._introduced.get(user) and (user not in known or user in self._introduced)
            }
            if new and self.model.reads_words:
                self.model.fit_users(dict.fromkeys(new, ()), new)
                self._introduced |= new
            elif new and not self._told_unread:
                self._told_unread = True
                _log.warning(
                    "%s reads no words of users; `about` changes nothing (said once)", self.model.name
                )

    def score(self, questions: Sequence[RewardQuestion]) -> list[Score]:
        """One score a question, in order.

        Raises:
            RewardError: a row cannot be scored and `on_error` is ``raise``.
        """
        return self.insist(self.scores(questions))

    def compare(self, comparisons: Sequence[Comparison]) -> list[Margin]:
        """One margin a comparison, in order.

        Raises:
            RewardError: a row cannot be scored and `on_error` is ``raise``.
        """
        return self.insist(self.margins(comparisons))

    def scores(self, questions: Sequence[RewardQuestion]) -> list[Score]:
        """`score` without the exception: a row that failed carries its `error` instead."""
        self.introduce(question.about for question in questions)
        seen = [self._strip(it.prompt, it.response) for it in questions]
        kept = [
            row._replace(prompt=it.prompt, response=it.responses[0]) if it.stripped else row
            for row, it in zip(questions, seen, strict=True)
        ]
        with self._lock:
            given = self._answers(self._score, Score, kept, seen)
            found = [self._shaped(score, row) for score, row in zip(given, kept, strict=True)]
            values = [score.value for score in found if score.value is not None]
            self._sum, self._number = self._sum + sum(values), self._number + len(values)
            return found

    def margins(self, comparisons: Sequence[Comparison]) -> list[Margin]:
        """`compare` without the exception: a row that failed carries its `error` instead."""
        seen = [self._strip(row.prompt, row.first, row.second) for row in comparisons]
        kept = [
            row.model_copy(update={"prompt": it.prompt, "first": it.responses[0], "second": it.responses[1]})
            if it.stripped else row
            for row, it in zip(comparisons, seen, strict=True)
        ]  # fmt: skip
        with self._lock:
            return self._answers(self.model.compare, Margin, kept, seen)

    def unread(self, error: Exception) -> Score:
        """The score of a row that could not even be read; counted like any other."""
        with self._lock:
            self.counts["error"] += 1
        return Score(None, None, None, "error", error)

    def insist(self, found: list[Found]) -> list[Found]:
        """The same answers, where `on_error` allows them.

        Raises:
            RewardError: a row has status ``too_long`` or ``error`` and `on_error` is ``raise``.
        """
        if self.settings.on_error == "raise":
            for row, answer in enumerate(found):
                if answer.error is not None:
                    raise RewardError(
                        f"row {row} cannot be scored ({answer.status}): {answer.error}. Cure: mend the row, "
                        "or set on_error to 'population'"
                    ) from answer.error
        return found

    def _answers(
        self, ask: Ask[Asked], made: type[Found], rows: Sequence[Asked], seen: Sequence[Seen]
    ) -> list[Found]:
        known, refuse = self.model.users_, self.settings.unknown_user == "refuse"
        found = [made(None, None, None, "unknown_user")] * len(rows)
        asked = [i for i, row in enumerate(rows) if not refuse or row.user_id in known]
        failed = []
        for i, answer in zip(asked, _isolated(ask, [rows[i] for i in asked]), strict=True):
            found[i] = _read(made, answer)
            if rows[i].user_id not in known and found[i].status == "ok":
                found[i] = found[i]._replace(status="population")
            elif rows[i].user_id in known and found[i].error is not None:
                failed.append(i)
        if failed and self.settings.on_error == "population":
            lent = _isolated(ask, [_of_nobody(rows[i]) for i in failed])
            for i, answer in zip(failed, lent, strict=True):
                if (substitute := _read(made, answer)).error is None:
                    found[i] = substitute._replace(status=found[i].status, error=found[i].error)
        self.counts.update(answer.status for answer in found)
        return [
            answer._replace(stripped=it.stripped) if it.stripped else answer
            for answer, it in zip(found, seen, strict=True)
        ]

    def _shaped(self, score: Score, question: RewardQuestion) -> Score:
        """A reward and its standard error as `Settings` want them."""
        settings, value, error = self.settings, score.value, score.standard_error
        pessimism = settings.pessimism if question.pessimism is None else question.pessimism
        if value is None or not (pessimism or settings.normalize):
            return score
        if pessimism:
            if error is None:
                raise ConfigError(without_standard_errors(self.model.name))
            value -= pessimism * error
        if settings.normalize and (scale := self.model.reward_scale) is not None:
            usual = scale.mean - pessimism * (scale.standard_error or 0.0)
            value = (value - usual) / scale.scale
            if settings.clip is not None:
                value = min(max(value, -settings.clip), settings.clip)
            error = None if error is None else error / scale.scale
        return score._replace(value=value, standard_error=error)

    def _score(self, questions: Sequence[RewardQuestion]) -> list[Reward | Failure]:
        return self.model.score([Answer(it.prompt, it.response, it.user_id) for it in questions])


def _isolated(ask: Ask[Asked], rows: Sequence[Asked]) -> list[Reward | Verdict | Failure | Exception]:
    """An answer to every row; one that makes the model raise is found by halving and gets the exception.

    Where the model behind it cannot be reached, that is every row's.
    """
    if not rows:
        return []
    middle: int = len(rows) // 2
    try:
        return list(ask(rows))
    except (
        BackendError
    ) as error:  # no row is at fault: asking for each alone would fail as often as there are
        _log.warning("no row could be scored: %s", error)
        return [error] * len(rows)
    except Exception as error:
        if middle == 0:
            _log.warning("a row could not be scored: %s", type(error).__name__)
            _log.debug("the row was %r", rows[0], exc_info=error)
            return [error]
    return [*_isolated(ask, rows[:middle]), *_isolated(ask, rows[middle:])]


def _read(made: type[Found], answer: Reward | Verdict | Failure | Exception) -> Found:
    if isinstance(answer, Exception):
        return made(None, None, None, "error", answer)
    if isinstance(answer, Failure):
        if answer.kind == "unknown_user":
            return made(None, None, None, "unknown_user")
        status: Status = "too_long" if answer.kind == "too_long" else "error"
        return made(None, None, None, status, RewardError(f"{answer.kind}: {answer.detail}"))
    parts: dict[str, Any]
    if isinstance(answer, Verdict):
        value, parts = answer.margin, {"preference": answer.preference, "floors": answer.floors}
    else:
        value, parts = answer.value, {"taste": answer.taste, "floor": answer.floor}
    if not math.isfinite(value):
        return made(None, None, None, "error", RewardError(f"the model gave {value}; expected a number"))
    return made(value, answer.probability, answer.standard_error, "ok", judged=answer.judged, **parts)


def _in_short(found: Score | Margin) -> str:
    if found.value is None:
        return f"none: {found.status}"
    error = "" if found.standard_error is None else f" ± {found.standard_error:.3f}"
    return f"{found.value:+.3f}{error}, {found.status}"


def _of_nobody(row: Asked) -> Asked:
    """The same question about nobody."""
    if isinstance(row, RewardQuestion):
        return row._replace(user_id=NOBODY)
    return row.model_copy(update={"user_id": NOBODY})
