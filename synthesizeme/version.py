"""The version, in a module that imports nothing, so that whoever writes it down depends on nothing else."""

from __future__ import annotations

__version__ = "0.1.0"
