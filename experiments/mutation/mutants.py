"""One small fault at a time: what may be changed in a module, and the module with one change made.

Left alone is what no test should hold: docstrings, messages (what is raised, logged, or has a blank in it),
types, decorators, and how an object shows itself.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
UNSWAPPED = (
    "min",
    "max",
    "np.minimum",
    "np.maximum",
    "isinstance",
    "issubclass",
    "getattr",
    "hasattr",
    "setattr",
)
"""Calls whose first two arguments stay: their order is nothing, or an error at once."""
SHOWING = ("__repr__", "__str__", "_repr_html_", "__rich__", "__rich_console__")
TYPING = ("Literal", "Annotated", "Callable", "Union", "TypeVar", "NewType", "cast")
MESSAGES = ("description", "title", "help", "cure", "problem", "summary")
LOGGERS = ("_log", "_logger", "logging", "warnings")


@dataclass(frozen=True)
class Mutant:
    """A module with one node changed.

    Attributes:
        file: Of the module, from the root.
        line: Where the node begins, and `last` where it ends.
        scope: The function or class that it stands in, empty at the top.
        before: The node's source.
        after: What stands there instead.
        number: Which of those in the scope that read the same.
        span: Bytes of the module that `after` takes the place of.
    """

    file: str
    line: int
    last: int
    scope: str
    before: str
    after: str
    number: int
    span: tuple[int, int]

    @property
    def name(self):
        return f"{self.file}|{self.scope}|{self.before}|{self.after}|{self.number}"

    def source(self, text):
        raw, (start, end) = text.encode(), self.span
        return (raw[:start] + self.after.encode() + raw[end:]).decode()


def expressions(node):
    """Every changed form of an expression."""

    def changed(**fields):
        other = copy.copy(node)
        for name, value in fields.items():
            setattr(other, name, value)
        return other

    match node:
        case ast.Compare(ops=[only]):
            for other in COMPARISONS[type(only)]:
                yield changed(ops=[other()])
        case ast.BinOp(op=op) if type(op) in ARITHMETIC and not _of_types(node):
            yield changed(op=ARITHMETIC[type(op)]())
        case ast.BoolOp(op=op):
            yield changed(op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.IfExp(body=body, orelse=orelse):
            yield changed(body=orelse, orelse=body)
        case ast.Constant(value=bool() as value):
            yield changed(value=not value)
        case ast.Constant(value=int() as value):
            yield changed(value=value + 1)
        case ast.Constant(value=float() as value):
            yield changed(value=value * 2 if value else 1.0)
        case ast.Constant(value=str() as value) if not any(map(str.isspace, value)):
            yield changed(value=value + "_" if value else "_")
        case ast.Call(func=ast.Name(id=name) as func) if name in NAMES:
            yield changed(func=ast.Name(NAMES[name], func.ctx))
    match node:
        case ast.Call(args=[first, second, *rest]) if ast.unparse(node.func) not in UNSWAPPED:
            if ast.dump(first) != ast.dump(second) and not any(isinstance(a, ast.Starred) for a in node.args):
                yield changed(args=[second, first, *rest])


def statements(node):
    """The source of every changed form of a statement, without what its expressions give."""
    match node:
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign() | ast.Delete():
            yield "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "pass"
        case ast.Continue():
            yield "break"
        case ast.Break():
            yield "continue"
        case ast.Return(value=value) if value is not None and not isinstance(value, ast.Constant):
            yield "return None"


def _of_types(node):
    """Whether a binary operation may be a union of types: ``A | None``."""
    return isinstance(node.op, ast.BitOr) and any(
        (isinstance(side, ast.Name | ast.Attribute) and ast.unparse(side).split(".")[-1][:1].isupper())
        or isinstance(side, ast.Subscript)
        or ast.unparse(side) in ("None", "str", "int", "float", "bool", "list", "dict", "tuple")
        for side in (node.left, node.right)
    )


def _called(node):
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def left_alone(node, parent):
    """Whether neither a node nor what is in it is to be changed."""
    match node:
        case ast.Raise() | ast.Assert() | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name in SHOWING or ast.unparse(node.body[-1]) == "..."
        case ast.ClassDef(bases=bases):
            return any(ast.unparse(base).partition("[")[0] in ("Protocol", "TypedDict") for base in bases)
        case ast.If(test=test) if ast.unparse(test) in ("TYPE_CHECKING", "__name__ == '__main__'"):
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.keyword(arg=arg):
            return arg in MESSAGES
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
    name = _called(node.value if isinstance(node, ast.Expr) else node)
    last, first = name.rpartition(".")[2], name.partition(".")[0]
    if last.endswith("Error") or last == "error" or first in LOGGERS or last in TYPING:
        return True
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) in TYPING:
        return True
    return isinstance(node, ast.expr) and node in (
        *getattr(parent, "decorator_list", ()),
        getattr(parent, "annotation", None),
        getattr(parent, "returns", None),
    )


def mutants_of(file, text):
    """All mutants of a module, in the order of its text."""
    starts, raw = [0], text.encode()
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found, counts = [], {}

    def add(node, scope, after):
        span = (
            starts[node.lineno - 1] + node.col_offset,
            starts[node.end_lineno - 1] + node.end_col_offset,
        )
        before = " ".join(raw[slice(*span)].decode().split())
        number = counts[scope, before, after] = counts.get((scope, before, after), 0) + 1
        found.append(Mutant(file, node.lineno, node.end_lineno, ".".join(scope), before, after, number, span))

    def visit(node, parent, scope):
        if left_alone(node, parent):
            return
        if isinstance(node, ast.stmt):
            for after in statements(node):
                add(node, scope, after)
            test = node.test if isinstance(node, ast.If | ast.While) else None
            if isinstance(test, ast.Name | ast.Attribute | ast.Call):
                add(test, scope, f"(not {ast.unparse(test)})")
        elif isinstance(node, ast.expr):
            for other in expressions(node):
                add(node, scope, f"({ast.unparse(other)})")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scope = (*scope, node.name)
        for child in ast.iter_child_nodes(node):
            visit(child, node, scope)

    visit(ast.parse(text), None, ())
    return found
