"""A simulated tape with abuse, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.venue import ABUSES, random_tape


@pytest.fixture(scope="session")
def tape(tmp_path_factory) -> Path:
    """Simulated, 12,000 records on two instruments, one of each scenario about every 500."""
    folder = tmp_path_factory.mktemp("tapes") / "abuse"
    return random_tape(11, 12_000, abuse=ABUSES).write(folder)


@pytest.fixture(scope="session")
def gappy_tape(tmp_path_factory) -> Path:
    """Simulated, with records lost and the book restated after each loss."""
    folder = tmp_path_factory.mktemp("tapes") / "gaps"
    return random_tape(12, 8_000, abuse=ABUSES, gaps=3).write(folder)
