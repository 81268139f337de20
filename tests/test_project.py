from __future__ import annotations

import re
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

from tests.conftest import LONG

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {"ingest", "detectors", "alerts", "dashboards", "market", "monitor"}


def test_ringfence_alone_provides_its_top_level_names():
    providers = packages_distributions()
    assert {room: set(providers.get(room, ())) for room in ROOMS} == {
        room: {"ringfence"} for room in ROOMS
    }


def test_no_other_installed_distribution_ships_files_under_our_names():
    intruders = [
        (dist.metadata["Name"], str(file))
        for dist in distributions()
        if dist.metadata["Name"] != "ringfence"
        for file in dist.files or ()
        if file.parts and file.parts[0] in ROOMS
    ]
    assert intruders == []


def test_lock_files_record_hashes_and_no_download_address():
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "--hash=sha256:" in text
        assert not re.search(r"https?://|--index-url|--find-links", text)


def test_files_that_are_begun_first_are_there():
    assert [name for name in LONG if not (ROOT / "tests" / name).is_file()] == []
    assert len(set(LONG)) == len(LONG)


def test_every_room_has_its_one_line():
    for room in ROOMS:
        assert (ROOT / room / "__init__.py").read_text().startswith('"""')
