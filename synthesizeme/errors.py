"""Every exception this project raises on purpose, as one tree.

    SynthesizeMeError
    ├── DataError            a row, field or file of input is wrong (file:line: field)
    ├── ConfigError          settings are wrong (all problems at once)
    │   └── CacheError       the cache of finished calls can no longer be read or written
    ├── PromptError          a prompt file or a value for it is wrong
    ├── BackendError         a model cannot be reached or refuses to work at all
    │   ├── CredentialError  the key a provider needs is missing or was rejected
    │   └── UnreadableError  most of a model's replies cannot be read (carries one of them)
    ├── BudgetError          a cap on calls, tokens or cost is reached
    ├── JudgeError           a reply could not be read (carries the raw reply)
    ├── NotFittedError       a model was used before ``fit``
    ├── RewardError          a response got no reward where one was insisted on
    │   └── UnknownUserError the user is unknown to the model and unknown users are refused
    ├── VectorError          a persona vector does not fit the model it is to be used with
    ├── StoreError           a store of profiles cannot do what was asked of it
    │   ├── StoreConflictError     another writer was first
    │   ├── StoreUnavailableError  the database cannot be reached, or stays busy
    │   └── SealError              the key is missing or wrong, or sealed content was changed
    ├── UnknownNameError     a name that is not registered (lists the names there are)
    └── MissingExtraError    an optional dependency is not installed (gives the pip line)

A single failed model call is not an exception: it is a `Failure` value, counted and shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class SynthesizeMeError(Exception):
    """Root of the tree; the command line turns any of these into one message and a status.

    All of them survive the way between processes, whatever their arguments.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.args, self.__dict__)


class DataError(SynthesizeMeError):
    """Input data is wrong. Says where, which field, what was found, what was expected, the cure.

    Args:
        problem: What was found and what was expected, one sentence.
        source: File or data set the row came from, or ``list row`` and the like for one in memory.
        line: 1-based line number in `source`.
        field: Name of the offending field.
        cure: What the reader can do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        source: str | None = None,
        line: int | None = None,
        field: str | None = None,
        cure: str | None = None,
    ) -> None:
        parts = [part for part in (placed(source, line), f"field {field!r}" if field else "") if part]
        message = ": ".join([*parts, problem])
        super().__init__(f"{message.rstrip('.')}. Cure: {cure}" if cure else message)
        self.problem, self.source, self.line, self.field, self.cure = problem, source, line, field, cure


def placed(source: str | None, line: int | None) -> str:
    """Where something stands: a file and line, or a row in memory.

    >>> placed("pairs.jsonl", 3), placed("list row", 3)
    ('pairs.jsonl:3', 'list row 3')
    """
    between = " " if source is not None and source.endswith(" row") else ":"
    return between.join(str(part) for part in (source, line) if part is not None)


class ConfigError(SynthesizeMeError):
    """One or more settings are wrong; all of them are listed together."""

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("; ".join(self.problems))


class CacheError(ConfigError):
    """The cache of finished calls can no longer be read or written: the disk is full, or the file is damaged.

    Nothing more is asked then, since no reply could be kept.
    """


class PromptError(SynthesizeMeError):
    """A prompt file is malformed, or a variable is missing or undeclared."""


class BackendError(SynthesizeMeError):
    """A model endpoint cannot be reached or refuses every call; the run cannot go on."""


class CredentialError(BackendError):
    """The key a provider needs is missing or was rejected; names its environment variable."""


class UnreadableError(BackendError):
    """Most of a model's replies cannot be read; the run does not go on.

    Args:
        problem: Which model, and how many of its replies.
        reply: What it said last.
        cure: What the reader can do about it.
        user_id: About whom it was asked, where that is known.
    """

    def __init__(self, problem: str, *, reply: str, cure: str, user_id: str | None = None) -> None:
        about = "" if user_id is None else f"user {user_id[:60]!r}: "
        super().__init__(f"{about}{problem}. It says: {reply!r}. Cure: {cure}")
        self.problem, self.reply, self.cure, self.user_id = problem, reply, cure, user_id
        self.question: Any = None
        """The question that `reply` answers, for whoever knows about whom it was asked."""

    def about(self, user_id: str) -> UnreadableError:
        """The same error, saying about whom the model was asked; unchanged where it says so already."""
        if self.user_id is not None:
            return self
        return UnreadableError(self.problem, reply=self.reply, cure=self.cure, user_id=user_id)


class BudgetError(SynthesizeMeError):
    """A cap on calls, tokens or cost is reached; what was finished is kept."""


class JudgeError(SynthesizeMeError):
    """A judge's reply could not be read as a verdict. `reply` is the raw text."""

    def __init__(self, message: str, *, reply: str) -> None:
        super().__init__(message)
        self.reply = reply


class NotFittedError(SynthesizeMeError):
    """A reward model was asked to score before `fit`."""


class RewardError(SynthesizeMeError):
    """A response got no reward, and the caller insists on one."""


class UnknownUserError(RewardError):
    """A reward was asked for a user the model does not know, and unknown users are refused."""

    def __init__(self, user_id: str) -> None:
        shown = user_id if len(user_id) <= 80 else f"{user_id[:79]}…"
        super().__init__(
            f"user {shown!r} is unknown to this model and unknown users are refused. Cure: fit the user to "
            "their pairs first, or set unknown_user to 'population'"
        )
        self.user_id = user_id


class VectorError(SynthesizeMeError):
    """A persona vector does not fit its use: another model, another width, a layer that does not exist."""


class StoreError(SynthesizeMeError):
    """A store of profiles cannot do what was asked of it."""


class StoreConflictError(StoreError):
    """A profile was to follow a version that is no longer the latest: another writer was first."""


class StoreUnavailableError(StoreError):
    """The database cannot be reached, or stays busy, for longer than was to be waited."""


class SealError(StoreError):
    """The key of an encrypted store is missing or wrong, or something that it sealed was changed."""


class UnknownNameError(SynthesizeMeError):
    """A name that nothing is registered under; lists the names there are."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names) or 'none'}.")
        self.kind, self.name, self.known = kind, name, names


def install_line(extra: str) -> str:
    """The command that installs an extra, in a checkout of this project."""
    return f"pip install -c constraints.txt -e '.[{extra}]'"


class MissingExtraError(SynthesizeMeError):
    """An optional dependency is missing."""

    def __init__(self, needed_for: str, extra: str) -> None:
        super().__init__(
            f"{needed_for} needs an extra. Cure: in the checkout of this project, {install_line(extra)}"
        )
        self.extra = extra


def _rebuilt(
    kind: type[SynthesizeMeError], args: tuple[Any, ...], known: dict[str, Any]
) -> SynthesizeMeError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(known)
    return error
