"""Who is measured, by name: reward models, checkpoints, judges and references, and groups of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthesizeme.comparison.systems import (
    CheckpointSystem,
    JudgeSystem,
    ModelSystem,
    ReferenceSystem,
    ScorerPool,
    System,
)
from synthesizeme.errors import ConfigError, MissingExtraError, UnknownNameError
from synthesizeme.judges.names import JUDGES, REFERENCES, retrieval_judges

if TYPE_CHECKING:
    from reward_models import RewardModel

GROUPS = ("all", "models", "judges", "retrieval", "references")
"""Names that stand for several systems."""
USUAL_RETRIEVAL = ("retrieval-bm25", "retrieval-bm25+persona")
"""The retrieval-augmented judges among ``judges`` and ``all``; ``retrieval`` stands for every one."""


@dataclass(frozen=True)
class Participants:
    """Who takes part, as `participants` finds them."""

    names: dict[str, bool]
    """Names in their order; True where the name itself was given, not only its group."""
    classes: dict[str, type[RewardModel]]
    """The reward models among them that can be opened; a variant has the class of its method."""
    checkpoints: dict[str, CheckpointSystem]
    """The checkpoints among them, by path."""
    missing: dict[str, MissingExtraError]
    """Reward models whose extra is not installed."""

    @property
    def asking(self) -> bool:
        """Whether one of them asks a language model."""
        return any(name in JUDGES or name in retrieval_judges() for name in self.names)

    def systems(
        self, arguments: Mapping[str, Mapping[str, Any]], pool: ScorerPool, max_error: float | None = None
    ) -> list[System]:
        """Those that can be measured, in their order.

        Args:
            arguments: Keyword arguments of each reward model.
            pool: What runs judges and references.
            max_error: The largest error that models and checkpoints may promise, if they are to abstain.
        """
        made: list[System] = []
        for name in self.names:
            if name in self.classes:
                made.append(ModelSystem(name, self.classes[name], arguments.get(name, {}), max_error))
            elif name in self.checkpoints:
                made.append(replace(self.checkpoints[name], max_error=max_error))
            elif name in REFERENCES:
                made.append(ReferenceSystem(name, pool))
            elif name not in self.missing:
                made.append(JudgeSystem(name, pool))
        return made


def participants(
    words: Iterable[str], variants: Mapping[str, str] | None = None, floor: str | None = None
) -> Participants:
    """Who takes part by these names.

    Args:
        words: Names and groups; the folder of a checkpoint is a name.
        variants: The method of each further name of a reward model.
        floor: What checkpoints are to stand on; None leaves each its own floor.

    Raises:
        UnknownNameError: a word is neither a name nor a group, or no floor is called so.
        DataError: a checkpoint cannot be read.
        ConfigError: two checkpoints have the same name.
    """
    from reward_models import method, method_names

    names = system_names(words, variants or ())
    methods = {name: name for name in method_names()} | dict(variants or {})
    classes: dict[str, type[RewardModel]] = {}
    missing: dict[str, MissingExtraError] = {}
    for name in names:
        if name in methods:
            try:
                classes[name] = method(methods[name])
            except MissingExtraError as error:
                missing[name] = error
    return Participants(names, classes, _checkpoints(names, floor), missing)


def system_names(words: Iterable[str], variants: Iterable[str] = ()) -> dict[str, bool]:
    """Names in the order given, groups resolved; True where the name itself was given, not only its group.

    Args:
        words: See `participants`.
        variants: Further names of reward models, which the group ``models`` then also holds.

    Raises:
        UnknownNameError: a word is neither a name nor a group; lists all there are.
    """
    from reward_models import method_names

    models = (*method_names(), *variants)
    judges, retrieving = (*JUDGES, *USUAL_RETRIEVAL), retrieval_judges()
    members = {"models": models, "judges": judges, "retrieval": retrieving, "references": REFERENCES}
    members["all"] = (*models, *judges, *REFERENCES)
    known = {*members["all"], *retrieving}
    found: dict[str, bool] = {}
    for word in words:
        if word not in members and word not in known and not is_checkpoint(word):
            raise UnknownNameError("scorer", word, (*GROUPS, *known))
        for name in members.get(word, (word,)):
            found[name] = found.get(name, False) or word not in members
    return found


def is_checkpoint(name: str) -> bool:
    """Whether a name is a path, which nothing else here is: a checkpoint's folder."""
    return os.sep in name or Path(name, "model.json").is_file()


def _checkpoints(names: Iterable[str], floor: str | None) -> dict[str, CheckpointSystem]:
    """The checkpoints among `names`, by path; each is called ``FOLDER (METHOD)``."""
    import reward_models

    found: dict[str, CheckpointSystem] = {}
    for path in filter(is_checkpoint, names):
        model = reward_models.load(path)
        if floor is not None:
            model.stand_on(floor)
        name = f"{Path(path).resolve().name} ({model.name})"
        if name in {it.name for it in found.values()}:
            raise ConfigError(f"two checkpoints are called {name!r}; give the folders different names")
        digest = hashlib.sha256(Path(path, "model.json").read_bytes()).hexdigest()
        found[path] = CheckpointSystem(name, model, digest)
    return found
