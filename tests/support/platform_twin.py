"""Platform scope three ways on one tape: stepped directly, through the stages, over the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from alerts import handoff
from alerts.archive import Archive
from alerts.fold import AlertBook
from alerts.identity import params_hash
from alerts.record import encode
from alerts.segments import SourceEvent
from alerts.severity import SeverityParams
from detectors.base import Detector, Finding, Params, Ref
from detectors.book import Books
from detectors.catalogue import DETECTORS
from detectors.platform import PlatformStage
from detectors.summaries import Summariser, Summary
from ingest import summary_wire
from ingest.events import NULL, Batch
from ingest.names import Names
from ingest.register import read_register
from ingest.sequence import Sequencer
from ingest.signs import Sign, passed
from ingest.tape import TapeSource


class Rooms:
    """A tape's rooms up to the book, and an alert book; what lies between is the subclass's."""

    def __init__(
        self,
        folder: Path,
        archive: Path,
        *,
        batch_rows: int = 65_536,
        params: Mapping[str, Params] | None = None,
    ) -> None:
        self.names = Names()
        self.source = TapeSource(folder, self.names, batch_rows=batch_rows)
        self.instruments = self.source.instruments
        self.register = read_register(folder / "accounts.csv", self.names)
        self.params = {name: kind.Params() for name, kind in DETECTORS.items()} | (params or {})
        self.archive = Archive(archive, instruments=self.instruments)
        self.alerts = AlertBook(
            self.archive,
            self.names,
            self.instruments,
            params_hashes={name: params_hash(each) for name, each in self.params.items()},
            severity=SeverityParams(),
            topic_names=self.source.topic_names,
        )

    def detectors(self, scope: str) -> list[Detector]:
        return [
            kind(self.params[name], self.instruments)
            for name, kind in DETECTORS.items()
            if kind.spec.scope == scope
        ]

    def lines(self) -> list[bytes]:
        """The alerts file, line by line."""
        return [encode(alert) for alert in self.alerts.alerts()]

    def platform_lines(self) -> list[bytes]:
        ids = [name for name, kind in DETECTORS.items() if kind.spec.scope == "platform"]
        return [encode(a) for a in self.alerts.alerts() if a.detector in ids]


class Direct(Rooms):
    """Every detector is stepped with each enriched batch."""

    def run(self) -> Direct:
        sequencer, books = Sequencer(self.instruments), Books(self.instruments)
        below, above = self.detectors("instrument"), self.detectors("platform")
        waiting: list[Sign] = []
        while (arrivals := self.source.poll(0.0)) is not None:
            tagged = self.register.tag(arrivals.batch)
            released = sequencer.push(tagged, arrivals.idle).batch
            self.archive.append(released)
            enriched = books.apply(released)
            found = [f for detector in below for f in detector.step(enriched)]
            waiting += [sign for detector in below for sign in detector.signs()]
            enriched.signs, waiting = passed(waiting, enriched.watermark_ns)
            found += [f for detector in above for f in detector.step(enriched)]
            self.alerts.apply(found, self.register)
        return self


class Shard:
    """What one worker owns: a share of the instruments, whole."""

    def __init__(self, rooms: Rooms, name: str, codes: Sequence[int]) -> None:
        self.name = name
        self.rooms = rooms
        self.codes = np.array(codes, np.int32)
        self.sequencer = Sequencer(rooms.instruments)
        self.books = Books(rooms.instruments)
        self.detectors = rooms.detectors("instrument")
        self.summariser = Summariser(rooms.instruments, name)
        self.watermark_ns = NULL

    def take(self, tagged: Batch, idle: frozenset) -> tuple[list[Finding], Summary | None]:
        mine = tagged.take(np.isin(tagged["instrument"], self.codes))
        released = self.sequencer.push(mine, idle).batch
        self.rooms.archive.append(released)
        enriched = self.books.apply(released)
        self.watermark_ns = enriched.watermark_ns
        found = [f for detector in self.detectors for f in detector.step(enriched)]
        self.summariser.take(enriched)
        for detector in self.detectors:
            self.summariser.note(detector.signs())
        return found, self.summariser.close(enriched.watermark_ns)

    def rest(self) -> Summary | None:
        return self.summariser.close(self.watermark_ns, idle=True)

    def restart(self) -> None:
        kept = self.summariser.snapshot()
        self.summariser = Summariser(self.rooms.instruments, self.name)
        self.summariser.restore(kept)


class Staged(Rooms):
    """Summaries over the wire to a platform stage; findings and their evidence handed back.

    Every trade that a finding cites must have come with it, as the archive has it; the records that
    signs tell of are in the archive of the shard that has their instrument.
    """

    def run(self, shards: int = 1, *, restart: bool = False, max_bytes: int = 4_000) -> Staged:
        count = len(self.instruments)
        dealt = [Shard(self, f"p{k}", range(k, count, shards)) for k in range(shards)]
        self.stage = self._new_stage(dealt)
        self.wire = summary_wire.Assembler(self.instruments)
        self.max_bytes = max_bytes
        self.handed: list[Finding] = []
        self.summaries: list[Summary] = []
        while (arrivals := self.source.poll(0.0)) is not None:
            tagged = self.register.tag(arrivals.batch)
            for shard in dealt:
                found, summary = shard.take(tagged, arrivals.idle)
                self.alerts.apply(found, self.register)
                self._send(summary)
                if restart:
                    shard.restart()
                    self._restart(dealt)
        if shards > 1:
            for shard in dealt:
                self._send(shard.rest())
        return self

    def _new_stage(self, dealt: Sequence[Shard]) -> PlatformStage:
        names = [shard.name for shard in dealt]
        return PlatformStage(self.detectors("platform"), self.instruments, names)

    def _restart(self, dealt: Sequence[Shard]) -> None:
        kept, pieces = self.stage.snapshot(), self.wire.snapshot()
        told = [detector.snapshot() for detector in self.stage.detectors]
        self.stage = self._new_stage(dealt)
        self.stage.restore(kept)
        for detector, state in zip(self.stage.detectors, told, strict=True):
            detector.restore(state)
        self.wire = summary_wire.Assembler(self.instruments)
        self.wire.restore(pieces)

    def _send(self, summary: Summary | None) -> None:
        if summary is None:
            return
        self.summaries.append(summary)
        messages = summary_wire.encode(summary, max_bytes=self.max_bytes)
        *_, whole = [self.wire.take(message) for message in messages]
        assert whole is not None
        findings, evidence = self.stage.take(whole)
        self._hand_over(findings, handoff.source_events(evidence))

    def _hand_over(self, findings: Sequence[Finding], evidence: Mapping[Ref, SourceEvent]) -> None:
        cited = {ref for finding in findings for ref in finding.evidence_refs}
        archived = self.archive.fetch(cited)
        of_signs = {ref for f in findings if DETECTORS[f.detector].hears for ref in f.evidence_refs}
        missing = archived.keys() - of_signs
        assert evidence == {ref: archived[ref] for ref in missing | evidence.keys()}
        for finding in findings:
            record = handoff.encode(finding, evidence, self.register.version, self.instruments)
            back = handoff.decode(record, self.instruments)
            assert back.finding == finding
            known = [ref for ref in finding.evidence_refs if ref in evidence]
            assert back.evidence == {ref: evidence[ref] for ref in known}
            assert back.registry_version == self.register.version
            self.handed.append(back.finding)
        self.alerts.apply(self.handed[len(self.handed) - len(findings) :], self.register)
