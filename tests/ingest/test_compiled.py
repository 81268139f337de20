from __future__ import annotations

import ast
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import NumbaError

from detectors import gap_habit, hunt_kernel, rows
from ingest import compiled

ROOMS = ("ingest", "detectors")


@pytest.fixture
def copied(tmp_path):
    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(compiled.ROOT / room, tmp_path / room, ignore=ignored)
    return tmp_path


def test_a_state_is_that_of_the_file_and_of_all_that_it_imports(copied):
    kernel = "detectors/ahead_kernel.py"
    before = compiled.fingerprint(copied / kernel)
    assert before == compiled.fingerprint(compiled.ROOT / kernel)
    assert "from detectors.gap_habit import" in (copied / kernel).read_text()
    # A kernel that it calls; one whose numbers are built in; one that those import.
    for used in (kernel, "detectors/gap_habit.py", "ingest/events.py", "ingest/instruments.py"):
        content = (copied / used).read_text()
        (copied / used).write_text(content + "\n")
        assert compiled.fingerprint(copied / kernel) != before, used
        (copied / used).write_text(content)
    for other in ("ingest/kafka_sinks.py", "detectors/hunt_kernel.py"):
        (copied / other).write_text("# changed")
        assert compiled.fingerprint(copied / kernel) == before, other


def test_each_file_of_kernels_is_cached_in_a_folder_of_its_state():
    for module in (gap_habit, hunt_kernel):
        file = Path(module.__file__)
        kernels = (v for v in vars(module).values() if hasattr(v, "py_func"))
        kernel = next(v for v in kernels if v.py_func.__module__ == module.__name__)
        folder = Path(kernel._cache.cache_path)
        assert compiled.fingerprint(file) in folder.parts
        assert f"detectors.{file.stem}" in folder.parts


def test_no_kernel_goes_round_the_cache():
    for path in (p for room in ROOMS for p in (compiled.ROOT / room).glob("*.py")):
        assert "\nfrom numba import njit" not in path.read_text(), path


def functions():
    """Yield every compiled function of the rooms: its file, its tree, whether it is a kernel."""
    for path in (p for room in ROOMS for p in (compiled.ROOT / room).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                marks = {ast.unparse(mark).partition("(")[0] for mark in node.decorator_list}
                if marks & {"njit", "kernel"}:
                    yield path, node, "kernel" in marks


def hands_out(node):
    """Return whether a function returns arrays, by what it says that it returns.

    One that says nothing does where it returns anything.
    """
    if node.returns is None:
        return any(isinstance(each, ast.Return) and each.value for each in ast.walk(node))
    said = ast.unparse(node.returns)
    return not set(re.findall(r"\w+", said)) <= {"tuple", "int", "float", "bool", "None", "np"} | {
        "int64", "uint64", "float64",
    }  # fmt: skip


def test_a_kernel_neither_returns_arrays_nor_calls_what_does():
    made = {(path, node.name): hands_out(node) for path, node, _ in functions()}
    assert sum(made.values()) > 20
    looked = 0
    for path, node, is_kernel in functions():
        if not is_kernel:
            continue
        looked += 1
        assert not made[path, node.name], (path.name, node.name)
        homes = {
            alias.asname or alias.name: (
                path.parents[1] / f"{each.module.replace('.', '/')}.py",
                alias.name,
            )
            for each in ast.walk(ast.parse(path.read_text()))
            if isinstance(each, ast.ImportFrom) and each.module
            for alias in each.names
        }
        for call in (c for c in ast.walk(node) if isinstance(c, ast.Call)):
            if isinstance(call.func, ast.Attribute):
                # Of modules none but these two is called into.
                owner = call.func.value.id if isinstance(call.func.value, ast.Name) else ""
                assert owner not in homes or owner in {"np", "math"}, (path.name, node.name)
                continue
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            assert not made.get(homes.get(name, (path, name))), (path.name, node.name, name)
    assert looked > 200


def test_a_kernel_leaves_no_count_of_an_array_behind():
    row, values = np.zeros(8, np.int64), np.arange(8)
    before = sys.getrefcount(row), sys.getrefcount(values)
    for _ in range(50):
        rows.write(row, values)
    assert (sys.getrefcount(row), sys.getrefcount(values)) == before
    assert row.tolist() == list(range(8))


def test_a_kernel_that_makes_an_array_does_not_compile():
    @compiled.kernel()
    def makes(count):
        return np.zeros(count).sum()

    with pytest.raises(NumbaError, match="Only accept returning of array passed"):
        makes(3)
