"""The command line: each verb is one file that parses, calls one library function and prints.

Importing this package loads typer and nothing heavier; what a verb needs is imported when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["induce_persona_main", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The `synthesizeme` command.

    Args:
        arguments: What follows the command's name; those of the process by default.

    Returns:
        Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    from synthesizeme.cli._apps import app_for, full_app
    from synthesizeme.cli._run import run

    words = sys.argv[1:] if arguments is None else arguments
    return run(app_for(words[0] if words else None), "synthesizeme", words, whole=full_app())


def induce_persona_main(arguments: Sequence[str] | None = None) -> int:
    """The `induce-persona` command: the same as `synthesizeme induce-persona`. See `main`."""
    from synthesizeme.cli._apps import full_app, induce_persona_app
    from synthesizeme.cli._run import run

    return run(induce_persona_app(), "induce-persona", arguments, whole=full_app())
