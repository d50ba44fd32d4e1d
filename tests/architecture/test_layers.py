"""The house, held by a walk over the syntax trees: layers, privacy, no circle; sizes and names."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path for package in ("synthesizeme", "reward_models") for path in (ROOT / package).rglob("*.py")
)
MODULES = [path for path in MODULES if "_bundled" not in path.parts]

LAYERS = (
    (
        "errors",
        "static_embedding",
        "files",
        "key_value",
        "hub",
        "pairs",
        "types",
        "feedback",
        "profile",
        "scoring",
        "temperature",
        "version",
        "visible_text",
        "plain_text",
        "progress",
        "display",
        "stylometry",
        "questions",
    ),
    ("discovery", "prompts", "config", "perceived", "taste", "replies"),
    ("datasets", "backends", "profiles"),
    ("retrieval", "evaluation"),
    ("judges",),
    ("personas",),
    ("induction",),
    ("serving", "simulation", "comparison", "lamp", "report_pages"),
    ("page",),
    ("cli",),
)
LAYER = {part: number for number, parts in enumerate(LAYERS) for part in parts}
SIBLINGS = (0, 1)
"""Layers whose parts are single modules of one package and may see each other."""
BENCHMARKS_MAY_SEE = ("datasets", "discovery")
TENSOR_MODULES = ("in_process", "_generation")
"""The backend that runs a transformers model in this process, and its private half; imports inside functions."""
HEAVY = ("torch", "transformers", "trl", "accelerate", "peft", "safetensors", "sentence_transformers", "ray")
FORBIDDEN_NAMES = ("utils", "util", "helpers", "helper", "common", "core", "manager", "misc")


def imports(tree):
    """(full name of what is taken, whether it is put off: in a function or for type checkers) of every import."""
    found = []

    def visit(node, inside):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((alias.name, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, "relative imports hide the layer"
                found.extend((f"{child.module}.{alias.name}", inside) for alias in child.names)
            put_off = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or (
                isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            )
            visit(child, inside or put_off)

    visit(tree, False)
    return found


def part_of(module):
    """The layered part a dotted name belongs to, e.g. ``judges`` for ``synthesizeme.judges.llm_judge``."""
    package, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    return name if package == "synthesizeme" and name in LAYER else None


def seen_from(path, module, put_off):
    """Whether the layer rule lets a module, given by its path, import another."""
    package, *folders = Path(path).with_suffix("").parts
    part, top, seen = folders[0], module.partition(".")[0], part_of(module)
    if top == "safetensors" and part == "static_embedding":
        return put_off
    if top in HEAVY and package != "reward_models":
        spreads = top == "ray" and folders == ["induction", "run"]
        return put_off and (spreads or (part == "backends" and folders[1] in TENSOR_MODULES))
    if top == "dspy":
        return package == "synthesizeme" and part in ("backends", "judges", "personas")
    if top == "reward_models":
        return package == "reward_models" or (
            part in ("comparison", "serving", "induction", "cli") and put_off
        )
    if seen is None or (package == "synthesizeme" and seen == part):
        return True
    if package == "reward_models":
        return LAYER[seen] <= 1
    if part == "evaluation":
        benchmarks = folders[1:] in (["benchmarks"], ["harness"]) and seen in BENCHMARKS_MAY_SEE
        return LAYER[seen] == 0 or benchmarks
    return LAYER[seen] < LAYER[part] or (LAYER[seen] == LAYER[part] and LAYER[part] in SIBLINGS)


def trespasses(path, module):
    """Whether an import takes a name that is private to a folder which the module does not stand in."""
    parts = module.split(".")
    private = (at for at, part in enumerate(parts) if part.startswith("_") and not part.startswith("__"))
    first = next(private, None)
    return first is not None and list(Path(path).parts[:first]) != parts[:first]


def dotted(path):
    return ".".join(Path(path).with_suffix("").parts).removesuffix(".__init__")


def faults(house):
    """Every import of a house, a syntax tree by path, that its three rules forbid.

    Layers: imports point down. Privacy: what begins with ``_`` belongs to the folder that it stands in, and to
    the folders within it. Circles: none, those counted that an import inside a function hides.
    """
    # The public names of the package, each imported on first use, stand above everything.
    taken = {path: imports(tree) for path, tree in house.items() if path != "synthesizeme/__init__.py"}
    found = []
    for path, names in taken.items():
        found += [f"{path} sees {name}" for name, put_off in names if not seen_from(path, name, put_off)]
    for path, names in taken.items():
        found += [f"{path} takes the private {name}" for name, _ in names if trespasses(path, name)]
    modules, below = {dotted(path) for path in taken}, TopologicalSorter()
    for path, names in taken.items():
        of_modules = (name if name in modules else name.rpartition(".")[0] for name, _ in names)
        below.add(dotted(path), *(name for name in of_modules if name in modules and name != dotted(path)))
    try:
        below.prepare()
    except CycleError as error:
        found.append(" -> ".join(reversed(error.args[1])))
    return found


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def named(path):
    return path.relative_to(ROOT).as_posix()


def offenders(found, modules=MODULES):
    """What `found` finds in each module, of those where it finds anything."""
    return {named(path): wrong for path in modules if (wrong := found(path))}


def test_layers_privacy_and_no_circle():
    assert faults({named(path): parsed(path) for path in MODULES}) == []


FORBIDDEN = (
    ("synthesizeme/types.py", "from synthesizeme.prompts import as_data"),
    ("synthesizeme/prompts.py", "import synthesizeme.datasets.jsonl"),
    ("synthesizeme/datasets/x.py", "from synthesizeme.backends import Model"),
    ("synthesizeme/backends/x.py", "def f():\n    from synthesizeme import judges"),
    ("synthesizeme/evaluation/x.py", "from synthesizeme.judges import LLMJudge"),
    ("synthesizeme/judges/x.py", "from synthesizeme.personas import SynthesizeMe"),
    ("synthesizeme/evaluation/harness.py", "from synthesizeme.prompts import as_data"),
    ("synthesizeme/evaluation/intervals.py", "from synthesizeme.datasets import read_pairs"),
    ("synthesizeme/evaluation/benchmarks.py", "from synthesizeme.backends import Session"),
    ("synthesizeme/personas/x.py", "if True:\n    from synthesizeme.cli import main"),
    ("synthesizeme/evaluation/x.py", "import dspy"),
    ("synthesizeme/cli/x.py", "def f():\n    import dspy"),
    ("synthesizeme/datasets/x.py", "import torch"),
    ("synthesizeme/backends/in_process.py", "import torch"),
    ("synthesizeme/backends/_generation.py", "try:\n    import torch\nexcept ImportError:\n    pass"),
    ("synthesizeme/backends/hosted.py", "def f():\n    import transformers"),
    ("synthesizeme/personas/x.py", "import reward_models"),
    ("synthesizeme/evaluation/x.py", "def f():\n    import reward_models"),
    ("synthesizeme/comparison/x.py", "import reward_models"),
    ("synthesizeme/serving/x.py", "import reward_models"),
    ("synthesizeme/serving/x.py", "def f():\n    import torch"),
    ("synthesizeme/induction/x.py", "def f():\n    import ray"),
    ("synthesizeme/induction/run.py", "import ray"),
    ("synthesizeme/induction/x.py", "from synthesizeme.serving import rows"),
    ("synthesizeme/serving/x.py", "from synthesizeme.comparison import runner"),
    ("synthesizeme/comparison/x.py", "from synthesizeme.cli import main"),
    ("reward_models/x.py", "from synthesizeme.judges import LLMJudge"),
    ("reward_models/x.py", "import dspy"),
    ("synthesizeme/serving/x.py", "def f():\n    from synthesizeme.datasets._words import words_of"),
    ("synthesizeme/serving/x.py", "from synthesizeme.datasets import _words"),
    ("synthesizeme/cli/x.py", "def f():\n    from reward_models._types import active"),
    ("synthesizeme/cli/x.py", "from synthesizeme.judges.by_name import _opened"),
    ("synthesizeme/datasets/x.py", "from synthesizeme.datasets.rows._x import f"),
    ("reward_models/x.py", "from reward_models.floor._vectors import Vectors"),
)
ALLOWED = (
    ("synthesizeme/prompts.py", "from synthesizeme.discovery import resource"),
    ("synthesizeme/profile.py", "from synthesizeme.types import Frozen"),
    ("synthesizeme/backends/in_process.py", "def f():\n    import torch"),
    ("synthesizeme/backends/_generation.py", "if TYPE_CHECKING:\n    import torch"),
    ("synthesizeme/evaluation/benchmarks.py", "from synthesizeme.datasets import load_dataset"),
    ("synthesizeme/personas/x.py", "import dspy\nfrom synthesizeme.evaluation import evaluate"),
    ("synthesizeme/cli/x.py", "from synthesizeme.personas import SynthesizeMe"),
    ("reward_models/x.py", "import torch\nfrom synthesizeme.types import PreferencePair"),
    ("synthesizeme/datasets/x.py", "def f():\n    import datasets"),
    ("synthesizeme/comparison/x.py", "def f():\n    from reward_models import method"),
    ("synthesizeme/serving/x.py", "def f():\n    from reward_models import load"),
    ("synthesizeme/induction/run.py", "def f():\n    import ray"),
    ("synthesizeme/datasets/rows/x.py", "from synthesizeme.datasets._words import words_of"),
    (
        "reward_models/floor/x.py",
        "from reward_models._types import Prompt\nfrom reward_models.floor import _texts",
    ),
    ("reward_models/x.py", "from reward_models._x import __version__"),
)
CIRCLE = {
    "synthesizeme/serving/a.py": "def f():\n    from synthesizeme.serving import b",
    "synthesizeme/serving/b.py": "from synthesizeme.serving.c import g",
    "synthesizeme/serving/c.py": "if TYPE_CHECKING:\n    from synthesizeme.serving.a import f",
}


def test_the_walk_sees_every_fault_and_nothing_else():
    def found(house):
        return faults({path: ast.parse(source) for path, source in house.items()})

    assert [fault for fault in FORBIDDEN if not found(dict([fault]))] == []
    assert [case for case in ALLOWED if found(dict([case]))] == []
    (circle,) = found(CIRCLE)
    assert {name[-1] for name in circle.split(" -> ")} == {"a", "b", "c"}
    assert found({path: CIRCLE[path] for path in list(CIRCLE)[:2]}) == []


def test_every_part_of_the_package_has_a_layer():
    parts = {
        path.relative_to(ROOT / "synthesizeme").parts[0] for path in MODULES if "synthesizeme" in named(path)
    }
    assert {Path(part).stem for part in parts} - {"__init__"} <= set(LAYER)
    assert len(MODULES) > 50


def called(path):
    return [
        n.func.id for n in ast.walk(parsed(path)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    ]


def long_functions(path):
    functions = [n for n in ast.walk(parsed(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {f.name: f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno - f.lineno >= 60}


def test_modules_and_functions_are_short():
    lines = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: number for name, number in lines.items() if number > 400} == {}
    assert offenders(long_functions) == {}


def test_no_module_prints_outside_the_command_line():
    quiet = [path for path in MODULES if "cli" not in path.parts]
    assert offenders(lambda path: "print" in called(path), quiet) == {}


def test_no_module_is_called_after_nothing():
    parts = {path: path.relative_to(ROOT).with_suffix("").parts for path in MODULES}
    assert (
        offenders(lambda path: {part.strip("_").lower() for part in parts[path]} & set(FORBIDDEN_NAMES)) == {}
    )


def test_no_module_keeps_state():
    assert (
        offenders(lambda path: [n.lineno for n in ast.walk(parsed(path)) if isinstance(n, ast.Global)]) == {}
    )


def test_no_module_pickles():
    picklers = {"pickle", "dill", "cloudpickle", "shelve"}
    assert (
        offenders(lambda path: picklers & {name.partition(".")[0] for name, _ in imports(parsed(path))}) == {}
    )


def test_the_hub_library_is_imported_on_use_only():
    def at_once(path):
        seen = imports(parsed(path))
        return [name for name, inside in seen if name.partition(".")[0] == "datasets" and not inside]

    assert offenders(at_once) == {}


def test_test_files_have_unique_names():
    counts = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("folder", ["prompts", "data"])
def test_text_and_bytes_are_no_code(folder):
    assert list((ROOT / folder).rglob("*.py")) == []
