"""Platform scope in a worker: summaries of all shards in, findings handed to the shards out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import structlog

from alerts.commit import Found, Ledger
from alerts.handoff import encode, source_events
from alerts.journal import Decisions, Entry, packed, unpacked
from alerts.shards import Claim, Progress
from detectors.base import Detector, Finding
from detectors.platform import PlatformStage
from ingest.errors import SnapshotError, SourceError
from ingest.events import Batch, Topic
from ingest.instruments import Instruments
from ingest.sections import Onto, Slice, join, recoded
from ingest.source import Position
from ingest.state import Sections, pack, unpack
from ingest.summary_wire import Assembler
from monitor.boundaries import Reach
from monitor.detecting import Detecting, section_of
from monitor.registers import Registers
from monitor.snapshots import STATE, ShardState, Snapshots, state_of

PLATFORM = "platform"
PLACE: Position = (Topic.TRADES, 0)
"""What the summaries topic's one partition is called in positions: it carries trades."""

_log = structlog.get_logger()


class PlatformShard:
    """The shard that sees all instruments: one worker's at a time.

    Its findings are written for the shards that own their instruments, in the transaction that
    moves its frontier; up to the frontier of its last owner it only rebuilds its state.

    Parameters
    ----------
    claim : Claim
    stage : PlatformStage
        Without state.
    detectors : sequence of Detector
        Those that the stage steps.
    ledger : Ledger
    snapshots : Snapshots
    registers : Registers
    instruments : Instruments
    reach : callable
        Called with the names of `monitor.boundaries.BOUNDARIES`.
    """

    def __init__(
        self,
        claim: Claim,
        stage: PlatformStage,
        detectors: Sequence[Detector],
        *,
        ledger: Ledger,
        snapshots: Snapshots,
        registers: Registers,
        instruments: Instruments,
        reach: Reach,
    ) -> None:
        self.claim = claim
        self.stage = stage
        self.refused = 0
        """Messages that are no summary, or not one that can be used here."""
        self.detecting = Detecting(detectors, time.perf_counter)
        self.found: dict[str, int] = {}
        """Findings since the last look, by detector."""
        self._ledger = ledger
        self._snapshots = snapshots
        self._registers = registers
        self._instruments = instruments
        self._assembler = Assembler(instruments)
        self._bindings: Mapping[str, str] = {}
        self._reach = reach
        self.at = 0
        """Next offset to be processed."""
        self._entry = 0
        self._registry = ""
        sections = snapshots.latest(PLATFORM)
        if sections is not None:
            self._restore(sections)
        self._entries: list[Entry] = list(ledger.shards.journal(PLATFORM, after=self._entry))
        self._frontier = claim.frontier.get(PLACE, 0)

    @property
    def recovering(self) -> bool:
        """Whether it has yet to come to its last owner's frontier."""
        return self.at < self._frontier

    def begin(self) -> None:
        """Do what there is to do before any message comes; to be called once."""
        self._follow(self.at)
        self.reload()

    def take(self, messages: Sequence[tuple[int, bytes]]) -> None:
        """Take messages of the summaries topic.

        Raises
        ------
        FencedError
            Another worker owns the platform's shard.
        """
        for offset, message in messages:
            self._follow(offset)
            findings, evidence = self._step(offset, message)
            self.at = offset + 1
            if findings and offset >= self._frontier:
                self._hand_over(findings, evidence)
        self._follow(self.at)
        self.reload()

    def reload(self) -> None:
        """Journal the register's current version, when it is another."""
        new = self._registers.current
        if self.recovering or new.version == self._registry:
            return
        done = Progress(positions={PLACE: self.at}, decisions=Decisions(registry=new.version))
        found = Found(register=(new.version, new.said))
        self._entry, _ = self._ledger.commit(self.claim, self._entry, done, found)
        self._registry = new.version

    def snapshot(self) -> int | None:
        """Keep a snapshot; return its size, B, or None when there is nothing to be kept now."""
        if self.recovering:
            return None
        state = ShardState(
            shard=PLATFORM,
            positions=packed({PLACE: self.at}),
            entry=self._entry,
            registry=self._registry,
        )
        sections = {
            STATE: {"state": pack(state)},
            "quarantined": {"quarantined": pack(self.detecting.quarantined)},
            "instruments": {"names": pack([r.instrument for r in self._instruments.rows])},
            "platform": self.stage.snapshot(),
            "messages": self._assembler.snapshot(),
            **self.detecting.snapshot(),
        }
        size = self._snapshots.save(self.claim, sections)
        self._reach("snapshot kept")
        return size

    def _restore(self, sections: Sections) -> None:
        state = state_of(sections)
        then = unpack(sections["instruments"]["names"], list[str])
        codes = recoded(then, self._instruments)
        onto = Onto(instruments=self._instruments)
        self._entry, self._registry = state.entry, state.registry
        self.at = unpacked(state.positions).get(PLACE, 0)
        self.detecting.quarantined = unpack(sections["quarantined"]["quarantined"], dict[str, str])
        try:
            self.stage.restore(sections["platform"])
            self._assembler.restore(sections["messages"])
            if self.stage.dealt_anew:
                self._assembler.forget()
            for detector in self.detecting.running():
                mine = Slice(snapshot=sections[section_of(detector)], codes=codes, counts=True)
                detector.restore(join([mine], detector.layout, onto))
        except KeyError as error:
            raise SnapshotError(
                f"the platform's snapshot has no section {error.args[0]!r}: "
                "it was written by another version of Ringfence"
            ) from error

    def _follow(self, offset: int) -> None:
        """Take over what the journal decided up to an offset."""
        while self._entries and unpacked(self._entries[0].positions).get(PLACE, 0) <= offset:
            entry = self._entries.pop(0)
            self._entry = entry.number
            self._registry = entry.decisions.registry or self._registry

    def _step(self, offset: int, message: bytes) -> tuple[Sequence[Finding], Batch | None]:
        try:
            summary = self._assembler.take(message)
            if summary is None:
                return (), None
            return self.stage.take(summary, step=self._counted)
        except SourceError as error:
            self.refused += 1
            _log.error("summary refused", offset=offset, error=str(error))
            return (), None

    def _counted(self, detector: Detector, batch: Batch) -> Sequence[Finding]:
        findings = self.detecting.step(detector, batch)
        name = detector.spec.id
        self.found[name] = self.found.get(name, 0) + len(findings)
        return findings

    def _hand_over(self, findings: Sequence[Finding], evidence: Batch | None) -> None:
        events = {} if evidence is None else source_events(evidence)
        records = [
            (
                self._owner_of(finding),
                encode(finding, events, self._registry, self._instruments),
            )
            for finding in findings
        ]
        done = Progress(positions={PLACE: self.at})
        self._entry, _ = self._ledger.commit(self.claim, self._entry, done, Found(handoffs=records))
        self._reach("handed over")

    def _owner_of(self, finding: Finding) -> str:
        name = self._instruments[finding.instrument].instrument
        if name not in self._bindings:
            self._bindings = self._ledger.shards.bindings()
        return self._bindings[name]
