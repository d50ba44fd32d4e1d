"""The faults of `make mutate`: each is a fault, and what no test should hold is left alone."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments" / "mutation"))

from mutants import mutants_of

from synthesizeme import temperature

MADE = (
    ("def f(a, b):\n    if a < b:\n        pass", {"(a <= b)", "(a >= b)"}),
    ("x = a + b * 2", {"(a - b * 2)", "(b / 2)", "(3)"}),
    ("x = a and not b", {"(a or not b)", "(b)"}),
    ("x = f(a, b, c)", {"(f(b, a, c))"}),
    ("x = max(a, b)", {"(min(a, b))"}),
    ("x = a if b else c", {"(c if b else a)"}),
    ("def f(it):\n    it.go()\n    return it", {"pass", "return None"}),
    ("for x in y:\n    continue", {"break"}),
    ("x = (True, 0.5, 'é', 1)", {"(False)", "(1.0)", "('é_')", "(2)"}),
)
LEFT_ALONE = (
    "def f():\n    '''One < two.'''",
    "def f():\n    raise DataError('x', line=3)",
    "_log.warning('x', 3)",
    "x: Literal['a'] | None",
    "Kind = Literal['a', 'b']",
    "class A(Protocol):\n    x: int = 3",
    "class A:\n    def __repr__(self):\n        return self.x + 1",
    "if TYPE_CHECKING:\n    x = 1",
    "@cache(3)\ndef f():\n    x: int",
    "x = f'{a + 1}'",
    "x = 'two words'",
)


@pytest.mark.parametrize(("source", "after"), MADE)
def test_what_is_changed(source, after):
    assert {mutant.after for mutant in mutants_of("m.py", source)} == after


@pytest.mark.parametrize("source", LEFT_ALONE)
def test_what_is_left_alone(source):
    assert mutants_of("m.py", source) == []


def test_each_mutant_of_a_module_is_another_program():
    source = Path(temperature.__file__).read_text(encoding="utf-8")
    mutants = mutants_of("m.py", source)
    assert len({mutant.name for mutant in mutants}) == len(mutants) > 5
    programs = [ast.dump(ast.parse(mutant.source(source))) for mutant in mutants]
    assert len({ast.dump(ast.parse(source)), *programs}) == len(mutants) + 1
