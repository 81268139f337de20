"""Shared fixtures; puts the repository root on the path so that tests can share support code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data beside the checkout; tests that need it skip when it is absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"real data folder {folder.parent.name}/data is not beside the checkout")
    return folder


@pytest.fixture(scope="session")
def tape(tmp_path_factory) -> Path:
    """Simulated, 12,000 records on two instruments, one of each scenario about every 500."""
    from tests.support.venue import ABUSES, random_tape

    folder = tmp_path_factory.mktemp("tapes") / "abuse"
    return random_tape(11, 12_000, abuse=ABUSES).write(folder)


@pytest.fixture(scope="session")
def gappy_tape(tmp_path_factory) -> Path:
    """Simulated, with records lost and the book restated after each loss."""
    from tests.support.venue import ABUSES, random_tape

    folder = tmp_path_factory.mktemp("tapes") / "gaps"
    return random_tape(12, 8_000, abuse=ABUSES, gaps=3).write(folder)
