"""Entrants of a comparison by name: reward models, judges, and the references they are held against."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthesizeme.comparison._entrant import Entrant
from synthesizeme.comparison._model_entrant import CheckpointEntrant, ModelEntrant
from synthesizeme.comparison._scorer_entrants import JudgeEntrant, ReferenceEntrant, ScorerPool
from synthesizeme.errors import ConfigError, MissingExtraError, UnknownNameError
from synthesizeme.judges.names import JUDGES, REFERENCES, retrieval_judges

if TYPE_CHECKING:
    from reward_models import RewardModel

__all__ = [
    "GROUPS",
    "CheckpointEntrant",
    "Entrant",
    "ModelEntrant",
    "ScorerPool",
    "entrant_names",
    "is_checkpoint",
    "make_entrants",
    "open_checkpoints",
    "open_methods",
]

GROUPS = ("all", "models", "judges", "retrieval", "references")
"""Names that stand for several entrants."""
USUAL_RETRIEVAL = ("retrieval-bm25", "retrieval-bm25+persona")
"""The retrieval-augmented judges among ``judges`` and ``all``; ``retrieval`` stands for every one."""


def entrant_names(words: Iterable[str], variants: Iterable[str] = ()) -> dict[str, bool]:
    """Names in the order given, groups resolved; True where the name itself was given, not only its group.

    Args:
        words: Names and groups; the folder of a checkpoint is a name.
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


def open_checkpoints(names: Iterable[str], floor: str | None = None) -> dict[str, CheckpointEntrant]:
    """The checkpoints among `names`, by path; each is called ``FOLDER (METHOD)``.

    Args:
        names: Names; those that are no checkpoint are passed over.
        floor: What all of them are to stand on; None leaves each its own floor.

    Raises:
        UnknownNameError: no floor is called so.
        DataError: a folder is no checkpoint, is damaged or of another version.
        ConfigError: two of them have the same name.
    """
    import reward_models

    found: dict[str, CheckpointEntrant] = {}
    for path in filter(is_checkpoint, names):
        model = reward_models.load(path)
        if floor is not None:
            model.stand_on(floor)
        name = f"{Path(path).resolve().name} ({model.name})"
        if name in {it.name for it in found.values()}:
            raise ConfigError(f"two checkpoints are called {name!r}; give the folders different names")
        digest = hashlib.sha256(Path(path, "model.json").read_bytes()).hexdigest()
        found[path] = CheckpointEntrant(name, model, digest)
    return found


def open_methods(
    names: Iterable[str], variants: Mapping[str, str] | None = None
) -> tuple[dict[str, type[RewardModel]], dict[str, MissingExtraError]]:
    """Classes of the reward models among `names`, and those whose extra is not installed.

    Args:
        names: Names of methods and of variants; others are passed over.
        variants: The method of each variant.
    """
    from reward_models import method, method_names

    methods = {name: name for name in method_names()} | dict(variants or {})
    found: dict[str, type[RewardModel]] = {}
    missing: dict[str, MissingExtraError] = {}
    for name in names:
        if name not in methods:
            continue
        try:
            found[name] = method(methods[name])
        except MissingExtraError as error:
            missing[name] = error
    return found, missing


def make_entrants(
    names: Iterable[str],
    methods: Mapping[str, type[RewardModel]],
    arguments: Mapping[str, Mapping[str, Any]],
    pool: ScorerPool,
    checkpoints: Mapping[str, CheckpointEntrant] | None = None,
    max_error: float | None = None,
) -> list[Entrant]:
    """Entrants in the order of `names`; a reward model that is not among `methods` is left out.

    Reward models and checkpoints are told the largest error that they may promise, if there is one.
    """
    saved = {name: replace(it, max_error=max_error) for name, it in (checkpoints or {}).items()}
    made: dict[str, Callable[[str], Entrant]] = {
        **{
            name: lambda name: ModelEntrant(name, methods[name], arguments.get(name, {}), max_error=max_error)
            for name in methods
        },
        **{name: lambda name: JudgeEntrant(name, pool) for name in (*JUDGES, *retrieval_judges())},
        **{name: lambda name: ReferenceEntrant(name, pool) for name in REFERENCES},
        **{name: lambda name: saved[name] for name in saved},
    }
    return [made[name](name) for name in names if name in made]
