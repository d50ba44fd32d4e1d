"""The file is the registration: one module of a package is one named thing."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from synthesizeme.errors import UnknownNameError


def names(package: str) -> list[str]:
    """Public module names of `package`, as they appear on the command line (dashes for underscores)."""
    path = importlib.import_module(package).__path__
    found = (module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_"))
    return sorted(name.replace("_", "-") for name in found)


def load(package: str, name: str, *, kind: str) -> ModuleType:
    """Import the module of `package` registered as `name`.

    Raises:
        UnknownNameError: there is none; lists the names there are.
    """
    known = names(package)
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return importlib.import_module(f"{package}.{name.replace('-', '_')}")
