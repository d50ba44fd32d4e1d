"""The house, drawn from the layers that `tests/architecture` holds: each has a floor, each part a room."""

from __future__ import annotations

import ast
from html import escape

from repository import ROOT

FLOORS = (
    "what everything is said in",
    "names, texts and features",
    "data, models and storage",
    "what is looked up, and how it is measured",
    "who answers: judges, and judges by name",
    "the method: pairs in, profile out",
    "the method on one user or on a million, measured and kept",
    "what is made of it",
    "what people look at, and answer",
    "parse, call, print",
)
"""What each layer is about, from the lowest."""
ANNEX = 1
"""The highest layer that the tensor half sees."""


def layers() -> tuple[tuple[str, ...], ...]:
    """The parts of `synthesizeme` by layers, the lowest first, as the test of the architecture has them."""
    tree = ast.parse((ROOT / "tests" / "architecture" / "test_layers.py").read_text(encoding="utf-8"))
    values = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return ast.literal_eval(values["LAYERS"])


def drawn() -> str:
    """The house as HTML: a roof, floors below it, and the tensor half built on to the lowest."""
    roof, *floors = list(zip(layers(), FLOORS, strict=True))[::-1]
    rows = [_floor(len(floors) - 1 - at, parts, about) for at, (parts, about) in enumerate(floors)]
    annex = (
        '<div class="annex"><b>reward_models</b><span>the tensor half: one file a method. It stands on L0 '
        "and L1; comparison, serving and cli visit it.</span></div>"
    )
    return (
        '<div class="house" role="group" aria-label="The layers of synthesizeme">\n'
        f'<div class="roof">{_rooms(roof[0])}<small>{roof[1]}</small></div>\n'
        f'<div class="body"><div class="floors">{"".join(rows)}</div>{annex}</div>\n</div>'
    )


def _floor(number: int, parts: tuple[str, ...], about: str) -> str:
    seen = " seen" if number <= ANNEX else ""
    return f'<div class="floor{seen}"><small>L{number} {about}</small><div>{_rooms(parts)}</div></div>'


def _rooms(parts: tuple[str, ...]) -> str:
    return "".join(f'<span class="room" title="{escape(_about(part))}">{part}</span>' for part in parts)


def _about(part: str) -> str:
    """The first sentence of a part's docstring."""
    folder = ROOT / "synthesizeme" / part
    whole = folder / "__init__.py"
    path = whole if whole.is_file() else folder.with_suffix(".py")
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
