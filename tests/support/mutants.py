"""Changed copies of the book's kernels, run as plain Python: faults that a test must notice."""

from __future__ import annotations

import ast
import copy
import signal
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import detectors.book as original

FOLDER = Path(original.__file__).parent
MODULES = ("layout", "table", "passed", "flight", "orders", "trades", "kernel", "state")
MUTATED = ("table", "passed", "flight", "orders", "trades", "kernel", "state")
_COMPARE = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add}


def source(module: str) -> str:
    return (FOLDER / f"book_{module}.py").read_text(encoding="utf-8")


def mutants() -> Iterator[tuple[str, str, ast.Module]]:
    """Yield (name, module, changed tree) of every mutation of the compiled functions."""
    for module in MUTATED:
        tree = ast.parse(source(module))
        seen: dict[str, int] = {}
        for path, change, what in _sites(tree):
            function, line = path[0], ast.unparse(what).splitlines()[0]
            name = f"{module}.{function}: {change}: {line}"
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                name += f" #{seen[name]}"
            mutated = copy.deepcopy(tree)
            _apply(mutated, path, change)
            yield name, module, ast.fix_missing_locations(mutated)


def _sites(tree):
    for function in tree.body:
        compiled = isinstance(function, ast.FunctionDef) and function.decorator_list
        if compiled:
            for index, node in enumerate(ast.walk(function)):
                for change in _changes(node, function):
                    yield (function.name, index), change, node


def _changes(node, function):
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            if type(op) in _COMPARE:
                yield f"compare {place}"
    elif isinstance(node, ast.BoolOp):
        yield "and for or"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield "no sign"
    elif isinstance(node, ast.AugAssign):
        yield "drop"
        if type(node.op) in _ARITHMETIC:
            yield "minus for plus"
    elif (
        isinstance(node, ast.Assign)
        and any(
            isinstance(part, ast.Subscript) for target in node.targets for part in ast.walk(target)
        )
    ) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield "drop"
    elif isinstance(node, ast.IfExp):
        yield "other branch"
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        addresses = any(
            inner is node
            for outer in ast.walk(function)
            if isinstance(outer, ast.Subscript)
            for inner in ast.walk(outer.slice)
        )
        if not addresses:
            yield "minus for plus"


def _apply(tree, path, change):
    name, index = path
    function = next(f for f in tree.body if isinstance(f, ast.FunctionDef) and f.name == name)
    node = list(ast.walk(function))[index]
    if change.startswith("compare"):
        place = int(change.split()[1])
        node.ops[place] = _COMPARE[type(node.ops[place])]()
    elif change == "and for or":
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif change == "minus for plus":
        node.op = _ARITHMETIC[type(node.op)]()
    elif change == "other branch":
        node.body, node.orelse = node.orelse, node.body
    else:
        _Swap(node, ast.Pass() if change == "drop" else node.operand).visit(function)


class _Swap(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else super().visit(node)


@contextmanager
def uncompiled(module: str | None = None, tree: ast.Module | None = None):
    """Give the class `Books` built on plain-Python kernels, one module of them replaced."""
    made = {}
    try:
        compile_ = types.ModuleType("mutant.book_compile")
        compile_.compiled = compile_.compiled_apart = lambda function: function
        package = types.ModuleType("mutant")
        made |= {"mutant": package, "mutant.book_compile": compile_}
        sys.modules.update(made)
        for name in (*MODULES, ""):
            full = f"book_{name}" if name else "book"
            text = (FOLDER / f"{full}.py").read_text(encoding="utf-8")
            parsed = tree if name == module and tree is not None else ast.parse(text)
            code = _Redirect().visit(copy.deepcopy(parsed))
            one = types.ModuleType(f"mutant.{full}")
            made[one.__name__] = sys.modules[one.__name__] = one
            setattr(package, full, one)
            exec(compile(code, f"mutant/{full}.py", "exec"), one.__dict__)
        yield one.Books
    finally:
        for name in made:
            sys.modules.pop(name, None)


class _Redirect(ast.NodeTransformer):
    def visit_ImportFrom(self, node):
        if node.module and node.module.startswith("detectors.book"):
            node.module = node.module.replace("detectors.", "mutant.")
        elif node.module == "detectors":
            node.module = "mutant"
        return node


class OutOfTimeError(Exception):
    """A mutant ran in circles."""


@contextmanager
def limit(seconds: float):
    """Raise OutOfTimeError in the body after so much processor time, however busy the machine."""

    def ring(*_):
        raise OutOfTimeError

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
