"""What is found by its name: modules whose file is their registration, and shipped text and bytes."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from synthesizeme.errors import UnknownNameError


def names(package: str, *, folders: bool = True) -> list[str]:
    """Public module names of `package`, as they appear on the command line (dashes for underscores).

    Args:
        package: Dotted name.
        folders: Whether a sub-package is a named thing too.
    """
    path = importlib.import_module(package).__path__
    found = (
        module.name
        for module in pkgutil.iter_modules(path)
        if not module.name.startswith("_") and (folders or not module.ispkg)
    )
    return sorted(name.replace("_", "-") for name in found)


def load(package: str, name: str, *, kind: str, folders: bool = True) -> ModuleType:
    """Import the module of `package` registered as `name`.

    Raises:
        UnknownNameError: there is none; lists the names there are.
    """
    known = names(package, folders=folders)
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return importlib.import_module(f"{package}.{name.replace('-', '_')}")


_PACKAGE = Path(__file__).resolve().parent


def resource(relative: str) -> Path:
    """Path of a shipped file or folder, e.g. ``prompts/judge`` or ``data/sample``.

    Raises:
        FileNotFoundError: neither the wheel nor the checkout has it; the installation is broken.
    """
    for root in (_PACKAGE / "_bundled", _PACKAGE.parent):
        path = root / relative
        if path.exists():
            return path
    raise FileNotFoundError(f"{relative} is neither bundled with the package nor beside it; reinstall it")
