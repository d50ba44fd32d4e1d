"""``--methods`` and the arguments of reward models: who takes part in a comparison, and how it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synthesizeme.cli._method_options import PREFIX, assignments, by_method, method_arguments, method_settings
from synthesizeme.errors import ConfigError

if TYPE_CHECKING:
    from reward_models import RewardModel
    from synthesizeme.comparison.runner import Watcher


@dataclass(frozen=True)
class Methods:
    """Who takes part."""

    names: dict[str, bool]
    """Names in their order; True where the name itself was given, not only its group."""
    judges: bool
    """Whether one of them asks a language model."""
    classes: dict[str, type[RewardModel]]
    """The reward models among them that can be opened."""
    arguments: dict[str, dict[str, Any]]
    """Keyword arguments of each of those."""
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


def methods_of(
    items: Sequence[str], params: Sequence[str], table: Sequence[str], backbone: str | None, seed: int
) -> Methods:
    """Everything that the flags say about who takes part.

    Args:
        items: Names with commas between.
        params: ``params.METHOD.NAME=VALUE`` words.
        table: ``METHOD.NAME=VALUE`` of a config file, which may also speak of methods that take no part.
        backbone: Of every method that has one.
        seed: Of every method.

    Raises:
        UnknownNameError: a name is neither an entrant nor a group.
        ConfigError: no name is given, or arguments are wrong; all of them together.
    """
    from reward_models import method_names
    from synthesizeme.comparison.entrants import entrant_names, open_methods
    from synthesizeme.personas.scorer_names import asks_model

    words = [word.strip() for item in items for word in item.split(",") if word.strip()]
    if not words:
        raise ConfigError("--methods names nobody; expected e.g. --methods hierarchical,default,longer")
    names = entrant_names(words)
    classes, missing = open_methods(names)
    others = set(method_names()) - set(names)
    of_these = [entry for entry in table if entry.partition(".")[0] not in others]
    texts = by_method(assignments(params, of_these), [*classes, *missing])
    arguments: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for name, kind in classes.items():
        try:
            given = method_arguments(name, kind, texts[name], prefix=f"{PREFIX}{name}.")
            shared = {"backbone": backbone} if backbone and "backbone" in method_settings(kind) else {}
            arguments[name] = {"seed": seed, **shared, **given}
            kind(**arguments[name])
        except ConfigError as error:
            problems += error.problems
    if backbone and not any("backbone" in method_settings(kind) for kind in classes.values()):
        problems.append("--backbone: none of --methods fine-tunes a backbone; leave it out")
    if problems:
        raise ConfigError(problems)
    return Methods(
        names=names,
        judges=any(map(asks_model, names)),
        classes=classes,
        arguments=arguments,
        failed={name: str(error) for name, error in missing.items() if names[name]},
        left_out={name: str(error) for name, error in missing.items() if not names[name]},
    )
