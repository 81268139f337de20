from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from detectors import gap_habit, hunt_kernel
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
