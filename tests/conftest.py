"""Shared fixtures; puts the repository root on the path so that tests can share support code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.broker import KafkaBroker

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

SHARED = ROOT.parent / "shared"


LONG = (
    "detectors/test_conformance.py", "detectors/test_sections.py", "monitor/test_evaluate.py",
    "kafka/test_exactness.py", "kafka/test_service.py", "detectors/test_matched_orders.py",
    "kafka/test_archive_replay.py", "detectors/test_unequal_access.py", "monitor/test_cli.py",
    "detectors/test_ring_circles.py", "detectors/test_leak_bets.py", "kafka/test_migration.py",
    "kafka/test_relay.py", "detectors/test_platform_twin.py", "test_benchmarks.py",
    "ingest/test_sequence.py", "market/test_abuse.py", "detectors/test_stop_hunting.py",
)  # fmt: skip
"""Files that take most of the time, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin long files first, so that none is left to one process while the others have none."""
    place = {f"tests/{name}": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(LONG)))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one process more than cores: tests of real parts wait two fifths of their time."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data beside the checkout; tests that need it skip when it is absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"real data folder {folder.parent.name}/data is not beside the checkout")
    return folder


@contextmanager
def left_as_it_was(folder: Path) -> Iterator[Path]:
    """Lend a folder to tests; AssertionError at the end when one of them has changed it.

    What one test writes beside a shared tape is input to the next, in whatever order they run.
    """
    from tests.support.digests import digests

    before = digests(folder)
    yield folder
    assert digests(folder) == before, f"a test wrote into the shared {folder.name}: copy it"


@pytest.fixture(scope="session")
def tape(tmp_path_factory) -> Iterator[Path]:
    """Simulated, 12,000 records on two instruments, one of each scenario about every 500."""
    from tests.support.venue import ABUSES, random_tape

    folder = tmp_path_factory.mktemp("tapes") / "abuse"
    with left_as_it_was(random_tape(11, 12_000, abuse=ABUSES).write(folder)) as lent:
        yield lent


@pytest.fixture(scope="session")
def gappy_tape(tmp_path_factory) -> Iterator[Path]:
    """Simulated, with records lost and the book restated after each loss."""
    from tests.support.venue import ABUSES, random_tape

    folder = tmp_path_factory.mktemp("tapes") / "gaps"
    with left_as_it_was(random_tape(12, 8_000, abuse=ABUSES, gaps=3).write(folder)) as lent:
        yield lent


@pytest.fixture(scope="session")
def broker(tmp_path_factory) -> Iterator[KafkaBroker]:
    """One real Kafka broker for all tests; ended when they are."""
    from tests.support.broker import open_broker

    broker = open_broker(tmp_path_factory.mktemp("broker") / "kafka")
    try:
        yield broker
    finally:
        broker.stop()
