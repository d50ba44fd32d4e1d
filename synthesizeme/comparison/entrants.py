"""Entrants of a comparison by name: reward models, judges, and the references they are held against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from synthesizeme.comparison._entrant import Entrant
from synthesizeme.comparison._model_entrant import ModelEntrant
from synthesizeme.comparison._scorer_entrants import JudgeEntrant, ReferenceEntrant, ScorerPool
from synthesizeme.errors import MissingExtraError, UnknownNameError
from synthesizeme.personas.retrieving import retrieval_judges
from synthesizeme.personas.scorers import JUDGES, REFERENCES

if TYPE_CHECKING:
    from reward_models import RewardModel

__all__ = [
    "GROUPS",
    "Entrant",
    "ModelEntrant",
    "ScorerPool",
    "entrant_names",
    "make_entrants",
    "open_methods",
]

GROUPS = ("all", "models", "judges", "retrieval", "references")
"""Names that stand for several entrants."""
USUAL_RETRIEVAL = ("retrieval-bm25", "retrieval-bm25+persona")
"""The retrieval-augmented judges among ``judges`` and ``all``; ``retrieval`` stands for every one."""


def entrant_names(words: Iterable[str]) -> dict[str, bool]:
    """Names in the order given, groups resolved; True where the name itself was given, not only its group.

    Raises:
        UnknownNameError: a word is neither a name nor a group; lists all there are.
    """
    from reward_models import method_names

    models = tuple(method_names())
    judges, retrieving = (*JUDGES, *USUAL_RETRIEVAL), retrieval_judges()
    members = {"models": models, "judges": judges, "retrieval": retrieving, "references": REFERENCES}
    members["all"] = (*models, *judges, *REFERENCES)
    known = {*members["all"], *retrieving}
    found: dict[str, bool] = {}
    for word in words:
        if word not in members and word not in known:
            raise UnknownNameError("method", word, (*GROUPS, *known))
        for name in members.get(word, (word,)):
            found[name] = found.get(name, False) or word not in members
    return found


def open_methods(names: Iterable[str]) -> tuple[dict[str, type[RewardModel]], dict[str, MissingExtraError]]:
    """Classes of the reward models among `names`, and those whose extra is not installed."""
    from reward_models import method, method_names

    known = set(method_names())
    found: dict[str, type[RewardModel]] = {}
    missing: dict[str, MissingExtraError] = {}
    for name in names:
        if name not in known:
            continue
        try:
            found[name] = method(name)
        except MissingExtraError as error:
            missing[name] = error
    return found, missing


def make_entrants(
    names: Iterable[str],
    methods: Mapping[str, type[RewardModel]],
    arguments: Mapping[str, Mapping[str, Any]],
    pool: ScorerPool,
) -> list[Entrant]:
    """Entrants in the order of `names`; a reward model that is not among `methods` is left out."""
    made: dict[str, Callable[[str], Entrant]] = {
        **{name: lambda name: ModelEntrant(name, methods[name], arguments.get(name, {})) for name in methods},
        **{name: lambda name: JudgeEntrant(name, pool) for name in (*JUDGES, *retrieval_judges())},
        **{name: lambda name: ReferenceEntrant(name, pool) for name in REFERENCES},
    }
    return [made[name](name) for name in names if name in made]
