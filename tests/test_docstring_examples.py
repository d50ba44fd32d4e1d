"""Worked examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def dotted(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_every_worked_example_holds():
    paths = [path for path in (ROOT / "synthesizeme").rglob("*.py") if ">>> " in path.read_text("utf-8")]
    modules = [importlib.import_module(dotted(path)) for path in sorted(paths)]
    found = {module.__name__: doctest.testmod(module) for module in modules}
    assert {name: result.failed for name, result in found.items() if result.failed} == {}
    assert sum(result.attempted for result in found.values()) > 20
