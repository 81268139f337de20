"""A tape of sales through the real decoder, register, sequencer and book into wash_rings."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from alerts.record import Severity
from alerts.severity import SeverityParams, severity_of
from detectors.base import Finding
from detectors.book import Books
from detectors.wash_rings import WashRings, WashRingsParams
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.register import read_register
from ingest.sequence import Sequencer
from ingest.tape import TapeSource

ROOT = Path(__file__).resolve().parents[2]


class Outcome(NamedTuple):
    """What came of a tape."""

    findings: list[Finding]
    instruments: Instruments
    names: Names
    rows: int


def wash_rings_on(folder: Path, *, batch_rows: int = 65_536) -> Outcome:
    """Findings of wash_rings on a tape, everything before it being the real thing."""
    names = Names()
    source = TapeSource(folder, names, batch_rows=batch_rows)
    register = read_register(folder / "accounts.csv", names)
    sequencer, books = Sequencer(source.instruments), Books(source.instruments)
    detector = WashRings(WashRingsParams(), source.instruments)
    findings: list[Finding] = []
    rows = 0
    while (arrivals := source.poll(0.0)) is not None:
        assert not arrivals.rejects
        released = sequencer.push(register.tag(arrivals.batch), arrivals.idle).batch
        rows += len(released)
        findings += detector.step(books.apply(released))
    return Outcome(findings, source.instruments, names, rows)


def cited(findings: Iterable[Finding], instruments: Instruments) -> set[tuple[str, int]]:
    """(instrument, seq) of every sale that lies inside an alert."""
    return {
        (instruments[ref.instrument].instrument, ref.seq)
        for finding in findings
        for ref in finding.evidence_refs
    }


def severity(finding: Finding) -> Severity:
    """The severity that the alerts room gives a finding."""
    return severity_of(
        SeverityParams(),
        evidence_class=finding.evidence_class,
        evidence=finding.evidence,
        client_harm=finding.client_harm,
        currency="",
        systematic=finding.systematic,
        all_legs=finding.all_legs,
        significant=finding.significant,
    )


def converter() -> ModuleType:
    """The committed converter, which is a script and no part of a package."""
    path = ROOT / "samples" / "convert_terraforms.py"
    spec = importlib.util.spec_from_file_location("convert_terraforms", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
