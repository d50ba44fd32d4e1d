"""Where shipped text and bytes live: inside the installed package, else in the checkout."""

from __future__ import annotations

from pathlib import Path

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
