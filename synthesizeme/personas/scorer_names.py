"""Names of scorers, and what each needs and knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from synthesizeme.errors import UnknownNameError
from synthesizeme.personas.retrieving import retrieval_judges, takes_persona

JUDGES = ("default", "memory", "persona", "demonstrations", "both")
"""Scorers that ask a model; `retrieval_judges` are the others."""
REFERENCES = ("longer", "random", "oracle", "majority", "gpt4", "gpt3")
"""Scorers that ask nobody."""
Knowledge = Literal["own", "wrong_user", "swapped_labels"]
CONTROLS: tuple[Knowledge, ...] = ("wrong_user", "swapped_labels")


def check_scorers(names: Sequence[str]) -> None:
    """Refuse names that are no scorer.

    Raises:
        UnknownNameError: one of them is none; lists the names there are.
    """
    known = (*JUDGES, *retrieval_judges(), *REFERENCES)
    for name in names:
        if name not in known:
            raise UnknownNameError("scorer", name, known)


def asks_model(name: str) -> bool:
    """Whether a scorer asks a language model."""
    return name in JUDGES or name in retrieval_judges()


def needs_profiles(name: str) -> bool:
    """Whether a scorer knows an induced profile."""
    return name in ("persona", "demonstrations", "both") or takes_persona(name)


def knows_users(name: str) -> bool:
    """Whether a scorer knows something of the user."""
    return asks_model(name) and name != "default"


def has_controls(name: str) -> bool:
    """Whether `Scorers.report` can change what a scorer knows of the user."""
    return knows_users(name) and name != "memory"
