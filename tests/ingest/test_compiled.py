from __future__ import annotations

import shutil
from pathlib import Path

from ingest import compiled

ROOT = Path(__file__).resolve().parents[2]


def test_the_cache_changes_with_any_kernel_file_and_with_no_other(tmp_path):
    for room in compiled.ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    before = compiled.fingerprint(tmp_path)
    assert before == compiled.fingerprint(ROOT)
    (tmp_path / "ingest/kafka_sinks.py").write_text("# changed")
    assert compiled.fingerprint(tmp_path) == before
    used = "ingest/events.py"  # declares no kernel; its numbers are built into many
    for kernel in ("ingest/hashing.py", "detectors/book_table.py", used):
        path = tmp_path / kernel
        content = path.read_text()
        path.write_text(content + "\n")
        assert compiled.fingerprint(tmp_path) != before, kernel
        path.write_text(content)


def test_every_kernel_is_cached_where_the_fingerprint_says():
    for path in (p for room in compiled.ROOMS for p in (ROOT / room).glob("*.py")):
        assert "from numba import njit" not in path.read_text() or path.name == "compiled.py", path
