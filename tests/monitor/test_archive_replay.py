"""What was archived of a feed, written as a window and replayed, says the same again."""

from __future__ import annotations

import shutil

import msgspec
import pytest

from alerts.archive_ranges import end_of
from alerts.archive_reader import ArchiveReader
from alerts.record import decode, encode
from alerts.window import BEGINNING, export_window
from ingest.tape import Tape
from monitor.config import default_config
from monitor.replay import replay
from tests.support.archived import archive_tape


@pytest.fixture(scope="module")
def archived(tape, tmp_path_factory):
    """A tape's archive, as a worker leaves it, and the alerts that it found."""
    folder = tmp_path_factory.mktemp("archived")
    return folder, *archive_tape(tape, folder)


def without_source(alert):
    """Records stand at other offsets in a window than in the feed."""
    return encode(msgspec.structs.replace(alert, source=()))


def replayed(archived, out, to_ns):
    folder, instruments, register, _ = archived
    window = export_window(
        folder,
        out / "tape",
        instruments.rows,
        from_ns=BEGINNING,
        to_ns=to_ns,
        accounts=register.rows,
    )
    assert window.complete
    replay(out / "tape", out / "found", default_config(out))
    found = (out / "found" / "alerts.ndjson").read_bytes().splitlines()
    return {without_source(decode(line)) for line in found}


def test_the_whole_archive_replayed_finds_every_alert_again(archived, tape, tmp_path):
    *_, alerts = archived
    found = replayed(archived, tmp_path, 2**63 - 1)
    assert found == {without_source(alert) for alert in alerts}
    assert len(alerts) > 20
    assert Tape(tmp_path / "tape").record_count() == Tape(tape).record_count()


def test_a_window_to_the_record_behind_an_alert_finds_that_alert_byte_for_byte(archived, tmp_path):
    folder, *_, alerts = archived
    by_detector = {}
    for alert in alerts:
        by_detector.setdefault(alert.detector, alert)
    assert len(by_detector) > 2
    for name, alert in by_detector.items():
        found = replayed(archived, tmp_path / name, end_of(ArchiveReader(folder), alert))
        assert without_source(alert) in found, name
        shutil.rmtree(tmp_path / name)
