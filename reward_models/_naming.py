"""Names and arguments of methods, as their modules and constructors have them."""

from __future__ import annotations

import inspect


def method_name(method: type) -> str:
    """Name of a method: that of its module, with dashes."""
    return method.__module__.rpartition(".")[2].replace("_", "-")


def method_parameters(method: type) -> dict[str, inspect.Parameter]:
    """Keyword arguments of a method by name, its own first and those of its bases after them."""
    found: dict[str, inspect.Parameter] = {}
    for owner in method.__mro__:
        if "__init__" not in vars(owner) or owner is object:
            continue
        signature = inspect.signature(vars(owner)["__init__"], eval_str=True)
        for name, parameter in signature.parameters.items():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                found.setdefault(name, parameter)
    return found
