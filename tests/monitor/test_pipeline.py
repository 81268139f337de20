from __future__ import annotations

import shutil
import time

import pytest

from alerts.record import encode
from detectors.catalogue import DETECTORS
from ingest.errors import SnapshotError
from ingest.names import Names
from ingest.register import read_register
from ingest.state import decode, unpack
from ingest.state import encode as freeze
from ingest.tape import Tape, TapeSource
from monitor.assembly import build_pipeline
from monitor.config import default_config
from monitor.deal import retabled


class Life:
    """One life of a worker on a tape: from nothing, or from a checkpoint's bytes."""

    def __init__(self, tape, archive, rows, frozen=None, positions=None):
        sections = decode(frozen, "frozen") if frozen else None
        self.names = Names(unpack(sections["names"]["known"], list[str]) if sections else ())
        self.source = TapeSource(tape, self.names, batch_rows=rows)
        self.register = read_register(Tape(tape).accounts_path, self.names)
        self.pipeline = build_pipeline(
            default_config(archive),
            instruments=self.source.instruments,
            names=self.names,
            topic_names=self.source.topic_names,
            archive_dir=archive,
            store=None,
        )
        if sections:
            self.pipeline.restore(retabled(sections, self.source.instruments))
            self.source.seek(positions)

    def step(self):
        arrivals = self.source.poll(0.0)
        if arrivals is not None:
            self.pipeline.take(arrivals, self.register)
            assert self.pipeline.totals.balanced
        return arrivals

    def freeze(self):
        return freeze(self.pipeline.snapshot()), dict(self.source.positions())

    def alerts(self):
        return [encode(alert) for alert in self.pipeline.alerts.alerts()]


def straight(tape, folder, rows=997):
    life = Life(tape, folder, rows)
    while life.step() is not None:
        pass
    return life


@pytest.mark.parametrize("which", ["tape", "gappy_tape"])
def test_a_worker_restarted_after_every_batch_says_the_same(which, request, tmp_path):
    tape = request.getfixturevalue(which)
    whole = straight(tape, tmp_path / "whole")
    life = Life(tape, tmp_path / "cut", 997)
    lives = 1
    while life.step() is not None:
        life = Life(tape, tmp_path / "cut", 997, *life.freeze())
        lives += 1
    assert lives > 5
    assert life.alerts() == whole.alerts()
    assert life.pipeline.totals == whole.pipeline.totals


def test_a_batch_processed_twice_after_a_crash_changes_nothing_but_duplicates(tape, tmp_path):
    whole = straight(tape, tmp_path / "whole")
    life = Life(tape, tmp_path / "cut", 997)
    for _ in range(4):
        life.step()
    frozen = life.freeze()
    for _ in range(3):  # processed, and lost with the process
        life.step()
    life = Life(tape, tmp_path / "cut", 997, *frozen)
    while life.step() is not None:
        pass
    assert life.alerts() == whole.alerts()


class Broken:
    """Stands in for a detector's step; breaks at the third batch."""

    def __init__(self, step):
        self.step, self.calls = step, 0

    def __call__(self, batch):
        self.calls += 1
        if self.calls == 3:
            raise ZeroDivisionError("a fault of this detector")
        return self.step(batch)


def test_a_failing_detector_is_quarantined_and_the_others_go_on(tape, tmp_path, monkeypatch):
    kind = DETECTORS["tag_integrity"]
    life = Life(tape, tmp_path, 997)
    monkeypatch.setattr(kind, "step", Broken(kind.step).__call__)
    while life.step() is not None:
        pass
    assert life.pipeline.quarantined.keys() == {"tag_integrity"}
    assert life.pipeline.totals.balanced
    assert any(b'"wash_trading"' in alert for alert in life.alerts())
    frozen, positions = life.freeze()
    again = Life(tape, tmp_path, 997, frozen, positions)
    assert again.pipeline.quarantined.keys() == {"tag_integrity"}


def test_a_checkpoint_of_another_version_is_refused_in_one_line(tape, tmp_path, monkeypatch):
    life = Life(tape, tmp_path, 997)
    life.step()
    frozen, positions = life.freeze()
    monkeypatch.setattr("monitor.pipeline.section_of", lambda d: f"detector/{d.spec.id}/999")
    with pytest.raises(SnapshotError, match="written by another version"):
        Life(tape, tmp_path, 997, frozen, positions)


def test_a_table_with_another_instrument_first_changes_nothing_after_a_restart(tape, tmp_path):
    whole = straight(tape, tmp_path / "whole").alerts()
    life = Life(tape, tmp_path / "a", 997)
    for _ in range(5):
        life.step()
    frozen, positions = life.freeze()
    other = shutil.copytree(tape, tmp_path / "other")
    header, *rows = (other / "instruments.csv").read_text().splitlines(keepends=True)
    table = [header, table_row("AAA-USD", other), *reversed(rows)]
    (other / "instruments.csv").write_text("".join(table))
    life = Life(other, tmp_path / "a", 997, frozen, positions)
    while life.step() is not None:
        pass
    assert life.alerts() == whole


def table_row(name, folder):
    last = (folder / "instruments.csv").read_text().splitlines()[-1].split(",")
    return ",".join([name, *last[1:]]) + "\n"


def test_the_clock_of_the_machine_changes_nothing(tape, tmp_path, monkeypatch):
    whole = straight(tape, tmp_path / "a").alerts()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert straight(tape, tmp_path / "b").alerts() == whole
