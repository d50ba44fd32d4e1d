"""``--scorers`` and the arguments of reward models: who takes part in a comparison, and how it is made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synthesizeme.cli._method_options import PREFIX, assignments, by_method, method_arguments, method_settings
from synthesizeme.errors import ConfigError, UnknownNameError
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from reward_models import RewardModel
    from synthesizeme.comparison.entrants import CheckpointEntrant
    from synthesizeme.comparison.runner import Watcher

_ROW_NAME = re.compile(r"[\w+-]+")


@dataclass(frozen=True)
class Participants:
    """Who takes part."""

    names: dict[str, bool]
    """Names in their order; True where the name itself was given, not only its group."""
    judges: bool
    """Whether one of them asks a language model."""
    classes: dict[str, type[RewardModel]]
    """The reward models among them that can be opened; a variant has the class of its method."""
    arguments: dict[str, dict[str, Any]]
    """Keyword arguments of each of those."""
    checkpoints: dict[str, CheckpointEntrant] = field(default_factory=dict)
    """The checkpoints among them, by path."""
    failed: dict[str, str] = field(default_factory=dict)
    """Reward models asked for by name whose extra is missing."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Others whose extra is missing."""

    def report_missing(self, watcher: Watcher) -> None:
        """Tell of those that cannot be opened."""
        for name, reason in self.failed.items():
            watcher.failed(name, reason)
        for name, reason in self.left_out.items():
            watcher.left_out(name, reason)


def participants(
    items: Sequence[str],
    params: Sequence[str],
    table: Sequence[str],
    variants: Sequence[str],
    backbone: str | None,
    seed: int,
    floor: str | None = None,
) -> Participants:
    """Everything that the flags say about who takes part.

    Args:
        items: Names with commas between.
        params: ``params.SCORER.NAME=VALUE`` words, SCORER being a method or a variant.
        table: ``SCORER.NAME=VALUE`` of a config file, which may also speak of methods that take no part.
        variants: ``NAME=METHOD``.
        backbone: Of every method that has one.
        seed: Of every method.
        floor: Of every method and checkpoint; None leaves each its own.

    Raises:
        UnknownNameError: a name is neither an entrant nor a group, or a variant's method is none.
        ConfigError: no name is given, or arguments are wrong; all of them together.
        DataError: a checkpoint cannot be read.
    """
    from reward_models import method_names
    from synthesizeme.comparison.entrants import entrant_names, open_checkpoints, open_methods
    from synthesizeme.judges.names import asks_model

    words = [word.strip() for item in items for word in item.split(",") if word.strip()]
    if not words:
        raise ConfigError("--scorers names nobody; expected e.g. --scorers hierarchical,default,longer")
    methods = _variants(variants)
    names = entrant_names(words, methods)
    classes, missing = open_methods(names, methods)
    others = {*method_names(), *methods} - set(names)
    of_these = [entry for entry in table if entry.partition(".")[0] not in others]
    texts = by_method(assignments(params, of_these), [*classes, *missing])
    arguments: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for name, kind in classes.items():
        try:
            given = method_arguments(name, kind, texts[name], prefix=f"{PREFIX}{name}.")
            shared = {"backbone": backbone} if backbone and "backbone" in method_settings(kind) else {}
            shared |= {} if floor is None else {"floor": floor}
            arguments[name] = {"seed": seed, **shared, **given}
            kind(**arguments[name])
        except ConfigError as error:
            problems += error.problems
    if backbone and not any("backbone" in method_settings(kind) for kind in classes.values()):
        problems.append("--backbone: none of --scorers fine-tunes a backbone; leave it out")
    if problems:
        raise ConfigError(problems)
    return Participants(
        names=names,
        judges=any(map(asks_model, names)),
        classes=classes,
        arguments=arguments,
        checkpoints=open_checkpoints(names, floor),
        failed={name: str(error) for name, error in missing.items() if names[name]},
        left_out={name: str(error) for name, error in missing.items() if not names[name]},
    )


def _variants(items: Sequence[str]) -> Mapping[str, str]:
    """Method by name of the variant.

    Raises:
        ConfigError: an item is not NAME=METHOD, or its name is taken or cannot be the name of a file.
        UnknownNameError: a method is none.
    """
    from reward_models import method_names
    from synthesizeme.comparison.entrants import GROUPS, entrant_names

    found: dict[str, str] = {}
    taken = {*GROUPS, *entrant_names(["all", "retrieval"])}
    problems = []
    for item in items:
        name, _, method = (part.strip() for part in item.partition("="))
        if not _ROW_NAME.fullmatch(name) or not method:
            problems.append(
                f"--variants {printable(item, 60)!r}: expected NAME=METHOD, NAME of letters, digits, + - _"
            )
        elif name in taken or name in found:
            problems.append(f"--variants {name}: something else is called so; give it another name")
        elif method not in method_names():
            raise UnknownNameError("reward model", method, method_names())
        found[name] = method
    if problems:
        raise ConfigError(problems)
    return found
