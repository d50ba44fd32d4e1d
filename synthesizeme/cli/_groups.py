"""Verbs for typer: option groups (one dataclass parameter, its fields become flags) and flowing help."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints


def spread(verb: Callable[..., None]) -> Callable[..., None]:
    """Replace every parameter of `verb` whose type is a dataclass by the fields of that dataclass."""
    hints = get_type_hints(verb, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    parameters = []
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.name not in groups:
            parameters.append(_keyword(parameter.name, parameter.default, hints[parameter.name]))
            continue
        group = groups[parameter.name]
        parameters += _parameters(group)

    def call(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{item.name: values.pop(item.name) for item in fields(group)})
        verb(**values)

    call.__name__, call.__doc__, call.__module__ = verb.__name__, verb.__doc__, verb.__module__
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return call


def flowing(verb: Callable[..., None]) -> str:
    """The docstring of a verb with each paragraph on one line, for the help to wrap."""
    return "\n\n".join(" ".join(part.split()) for part in (verb.__doc__ or "").split("\n\n"))


@cache
def _parameters(group: type[Any]) -> list[inspect.Parameter]:
    """One for every field of a dataclass, which many verbs may have in common."""
    annotations = get_type_hints(group, include_extras=True)
    return [_keyword(item.name, _default(item), annotations[item.name]) for item in fields(group)]


def _keyword(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _default(item: Field[Any]) -> Any:
    return inspect.Parameter.empty if item.default is MISSING else item.default
