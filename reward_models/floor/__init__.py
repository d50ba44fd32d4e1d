"""The floor of a reward: about 0 for whatever answers its prompt, far below for what is no answer to it.

A reward learned from choices between real answers says nothing reliable about texts that no data set holds,
and an optimiser looks for just those. So

    value(user, prompt, response) = taste(user, prompt, response) + floor(prompt, response)

where the floor is the same for all users. Small experts look at one way each of being no answer (copying,
repetition, form, capitals, script, order, junk, relevance, size, brevity, stance, content); each is believed
above a limit that it hardly passes on real answers to prompts that it was not trained on, and the surest of
them counts. Whether a text is cut off counts little, since many real answers are. Nothing that an expert does
not believe costs anything, so that real answers keep their order.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from reward_models.floor._contract import DEPTH, NOTHING, Floor, Meanings
from synthesizeme.errors import UnknownNameError

if TYPE_CHECKING:
    from reward_models.floor._base_floor import BaseFloor

__all__ = ["DEPTH", "NOTHING", "Floor", "Meanings", "base_floor", "check_name", "open_floor"]

_LANGUAGE_MODEL = "lm:"


def open_floor(name: str, known: Meanings = NOTHING) -> Floor | None:
    """A floor by its name.

    Args:
        name: ``base``, that of the base install; ``none``; ``lm:NAME``, which also asks a language model how
            likely a response is (`reward_models.floor._language_model`).
        known: `BaseFloor.meanings` of prompts to which others' answers are known.

    Raises:
        UnknownNameError: no floor is called so.
        MissingExtraError: torch or transformers is not installed.
        DataError: the language model cannot be read.
    """
    check_name(name)
    if name == "none":
        return None
    base = base_floor().beside(known)
    if name == "base":
        return base
    from reward_models.floor._language_model import LanguageModelFloor

    found: Floor = LanguageModelFloor(base, name.removeprefix(_LANGUAGE_MODEL))
    return found


def check_name(name: str) -> None:
    """Refuse what names no floor, without opening one.

    Raises:
        UnknownNameError: no floor is called so.
    """
    if name not in ("base", "none") and not (name.startswith(_LANGUAGE_MODEL) and name != _LANGUAGE_MODEL):
        raise UnknownNameError("floor", name, ("base", "none", "lm:NAME"))


@lru_cache(maxsize=1)
def base_floor() -> BaseFloor:
    """The floor of the base install, opened once, since it reads its weights and the static vectors."""
    from reward_models.floor._base_floor import BaseFloor

    return BaseFloor()
