"""What a run over many users is to do, and what became of them: plain values, to be handed to any process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import Field

from synthesizeme.backends import SessionSettings
from synthesizeme.errors import ConfigError
from synthesizeme.induction.one_user import InductionSettings, added
from synthesizeme.profiles import ProfileStore, open_store
from synthesizeme.prompts import load_prompt
from synthesizeme.types import Frozen, Usage


@dataclass(frozen=True)
class Shard:
    """The users whose id hashes to `index` modulo `count`; the shards of one count are disjoint and complete.

    Raises:
        ConfigError: `index` is not in 0 .. `count` - 1.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ConfigError(f"shard {self.index}/{self.count}: expected I/N with I from 0 to N - 1")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard called ``I/N``.

        Raises:
            ConfigError: the text is something else.
        """
        index, _, count = text.partition("/")
        if not (index.isascii() and index.isdigit() and count.isascii() and count.isdigit()):
            raise ConfigError(f"shard {text[:40]!r}: expected I/N with I from 0 to N - 1, such as 0/4")
        return cls(int(index), int(count))

    def holds(self, user_id: str) -> bool:
        """Whether the user is of this shard."""
        if self.count == 1:
            return True
        digest = hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index

    def divided(self, parts: int) -> tuple[Shard, ...]:
        """Shards that together are this one."""
        return tuple(Shard(self.index + self.count * part, self.count * parts) for part in range(parts))


@dataclass(frozen=True)
class InductionJob(SessionSettings):
    """A run over the users of a store, and the session that all of them share."""

    store: str
    """Where the pairs are and the profiles go; see `open_store`."""
    key_file: Path | None = None
    """Key of an encrypted store."""
    settings: InductionSettings = field(default_factory=InductionSettings)
    """How users are induced and measured."""
    shard: Shard = field(default_factory=Shard)
    """Which users."""
    user: str | None = None
    """This user alone."""
    min_new_pairs: int = 1
    """A user with a finished profile is taken up again when so many pairs have come since."""

    def __post_init__(self) -> None:
        if self.min_new_pairs < 1:
            raise ConfigError(f"min_new_pairs is {self.min_new_pairs}; expected 1 or more")

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what a profile depends on beside the pairs: a user with another one is induced anew.

        The address of a server and how the profile is measured are not in it.
        """
        asked, how = self.model_settings, self.settings
        parts = [
            self.model, asked.temperature_of(0), asked.max_tokens, asked.structure,
            sorted(asked.extra_body.items()), how.effort, how.search, how.seed,
            load_prompt(how.judge_prompt).prompt_id, load_prompt(how.theta).prompt_id,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def divided(self, parts: int, *, at_once: int) -> tuple[InductionJob, ...]:
        """Jobs for disjoint users that together do and spend what this one may, `at_once` at a time."""
        concurrency = max(1, self.concurrency // at_once)
        caps = self.caps.divided(parts)
        return tuple(
            replace(self, shard=shard, caps=caps, concurrency=concurrency)
            for shard in self.shard.divided(parts)
        )

    def open_store(self) -> ProfileStore:
        """The store; close it when done."""
        return open_store(self.store, key_file=self.key_file, create=False)


EXAMPLES = 20
"""Users named at most."""


class NamedUser(Frozen):
    """A user to look at, and why."""

    user_id: str
    """The user."""
    why: str
    """What failed, or how far the pairs are from the profile."""


def _first(named: Iterable[NamedUser]) -> tuple[NamedUser, ...]:
    """The first users by their ids: the same ones in whatever order parts of a run are added."""
    return tuple(sorted(named, key=lambda it: it.user_id)[:EXAMPLES])


class Pooled(Frozen):
    """How one judge did on the test pairs of all users; values add with ``+``."""

    correct: float = 0.0
    """Pairs that it got right; a tie, or one of two orders, is a half."""
    pairs: int = 0
    """Pairs that it answered in both orders."""

    def __add__(self, other: Pooled) -> Pooled:
        return Pooled(correct=self.correct + other.correct, pairs=self.pairs + other.pairs)


class RunSummary(Frozen):
    """A run, or a part of one; values add with ``+``."""

    done: int = 0
    """Users whose profile was made or updated."""
    unchanged: int = 0
    """Users whose profile was finished before and whose pairs are the same."""
    failed: int = 0
    """Users whose induction failed; the next run tries them again."""
    drifted: int = 0
    """Of those done, users whose new pairs contradicted their profile."""
    usage: Usage = Usage()
    """What all calls took, evaluation and checks for drift included."""
    unanswered: dict[str, int] = Field(default_factory=dict)
    """Questions without a usable answer, by kind, retries notwithstanding."""
    accuracy: dict[str, Pooled] = Field(default_factory=dict)
    """By judge."""
    failures: tuple[NamedUser, ...] = ()
    """The first users that failed."""
    drifts: tuple[NamedUser, ...] = ()
    """The first users that drifted."""
    cautioned: int = 0
    """Of those done, users whose profile has a caution."""
    cautions: tuple[NamedUser, ...] = ()
    """The first users whose profile has one."""
    stopped: str | None = None
    """Why users were left for another run, if any were."""

    def __add__(self, other: RunSummary) -> RunSummary:
        counts = ("done", "unchanged", "failed", "drifted", "cautioned", "usage")
        named = ("failures", "drifts", "cautions")
        judges = dict.fromkeys([*self.accuracy, *other.accuracy])
        return RunSummary(
            **{name: getattr(self, name) + getattr(other, name) for name in counts},
            **{name: _first((*getattr(self, name), *getattr(other, name))) for name in named},
            unanswered=added(self.unanswered, other.unanswered),
            accuracy={
                name: self.accuracy.get(name, Pooled()) + other.accuracy.get(name, Pooled())
                for name in judges
            },
            stopped=self.stopped or other.stopped,
        )

    @property
    def users(self) -> int:
        """Users that were looked at."""
        return self.done + self.unchanged + self.failed
