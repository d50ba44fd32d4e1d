"""Standard output for JSON alone: what libraries and processes print meanwhile goes to standard error."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True)
class _Reserved:
    """Standard output as it was, and where JSON goes."""

    before: TextIO
    descriptor: int
    output: TextIO


_STANDARD_OUTPUT = 1
"""What code in C and other processes print to, whatever `sys.stdout` is."""
_reserved: _Reserved | None = None


def reserve() -> None:
    """From now on only `stream` leads to standard output, for this process and those it begins.

    Does nothing where standard output is no file of the system, as in a notebook.
    """
    global _reserved
    if _reserved is not None:
        return
    with suppress(OSError, ValueError):
        before = sys.stdout
        before.flush()
        errors, copy = sys.stderr.fileno(), os.dup(before.fileno())
        output = os.fdopen(copy, "w", encoding=before.encoding, errors="backslashreplace")
        _reserved = _Reserved(before, os.dup(_STANDARD_OUTPUT), output)
        os.dup2(errors, _STANDARD_OUTPUT)
        sys.stdout = sys.stderr


def stream() -> TextIO:
    """Where JSON is written."""
    return sys.stdout if _reserved is None else _reserved.output


def release() -> None:
    """Give standard output back; what can no longer be written is let go."""
    global _reserved
    kept, _reserved = _reserved, None
    if kept is None:
        return
    sys.stdout = kept.before
    with suppress(OSError, ValueError):
        os.dup2(kept.descriptor, _STANDARD_OUTPUT)
        os.close(kept.descriptor)
    with suppress(OSError, ValueError):
        kept.output.close()
