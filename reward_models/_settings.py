"""What can be set of a method, or of anything that learns: its arguments by name, and their limits."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

POSITIVE, SHARE, PART = "more than 0", "a share in [0, 1]", "more than 0 and less than 1"
"""What the ``limits`` of a class may ask of an argument, beside a least value."""
_FITS: dict[Any, Callable[[Any], bool]] = {
    POSITIVE: lambda value: value > 0,
    SHARE: lambda value: 0 <= value <= 1,
    PART: lambda value: 0 < value < 1,
}


def method_parameters(method: type) -> dict[str, inspect.Parameter]:
    """Arguments of a method by name, its own first and those of its bases after them."""
    kinds, known = get_type_hints(method), inspect.signature(method).parameters
    names = dict.fromkeys(name for owner in method.__mro__ for name in inspect.get_annotations(owner))
    return {name: known[name].replace(annotation=kinds[name]) for name in names if name in known}


def wrong_settings(of: object) -> list[str]:
    """What is out of the ``limits`` of a class and its bases, and which words are none of a `Literal`.

    ``limits`` is a mapping from names to a least value, `POSITIVE`, `SHARE` or `PART`.
    """
    found = []
    for name, limit in _limits(type(of)).items():
        value = getattr(of, name)
        if not (_FITS[limit](value) if limit in _FITS else value >= limit):
            found.append(f"{name} is {value}; expected {limit if limit in _FITS else f'at least {limit}'}")
    for name, parameter in method_parameters(type(of)).items():
        words = get_args(parameter.annotation) if get_origin(parameter.annotation) is Literal else ()
        value = getattr(of, name)
        if words and value not in words:
            found.append(f"{name} is {value!r}; expected {' or '.join(words)}; leave it out for the default")
    return found


def _limits(kind: type) -> dict[str, Any]:
    return {name: limit for owner in kind.__mro__ for name, limit in vars(owner).get("limits", {}).items()}
