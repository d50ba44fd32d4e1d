"""Who can answer LaMP, by name, and what is changed of what they know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from synthesizeme.datasets.lamp import LampTask
from synthesizeme.errors import ConfigError, UnknownNameError
from synthesizeme.judges.names import JUDGES, asks_model, retrieval_judges
from synthesizeme.retrieval import retriever_names

VOTE, DIRECT = "vote-", "direct-"
REFERENCES = ("longer", "random")
"""References that can choose among any texts."""
Knowledge = Literal["own", "no_user", "wrong_user", "swapped_labels"]


def voters() -> tuple[str, ...]:
    """Names of those who answer with the label that the retrieved items have."""
    return tuple(f"{VOTE}{name}" for name in retriever_names() if name != "none")


def writers() -> tuple[str, ...]:
    """Names of those who let a language model answer in its own words, as in the paper."""
    return tuple(f"{DIRECT}{name}" for name in retriever_names())


def check_names(names: Iterable[str], task: LampTask, models: Sequence[str]) -> None:
    """Refuse names that cannot answer.

    Args:
        names: Names of scorers.
        task: What is answered.
        models: Names of the reward models there are.

    Raises:
        UnknownNameError: a name is nobody's; lists those there are.
        ConfigError: a vote is asked for in a task whose items carry no label.
    """
    known = (*JUDGES, *retrieval_judges(), *writers(), *voters(), *REFERENCES, *models)
    for name in names:
        if name not in known:
            raise UnknownNameError("scorer", name, known)
        if name in voters() and task.kind not in ("label", "score"):
            raise ConfigError(f"{name} answers tasks 2 and 3 alone: the items of {task.name} carry no label")


def asks(name: str) -> bool:
    """Whether a language model is asked."""
    return asks_model(name) or name in writers()


def controls_of(name: str) -> tuple[Knowledge, ...]:
    """What can be changed of what a scorer knows of the user."""
    if name in ("default", f"{DIRECT}none", *REFERENCES):
        return ()
    if name in voters():
        return ("wrong_user",)
    if name in writers():
        return ("no_user", "wrong_user")
    return ("no_user", "wrong_user", "swapped_labels")
