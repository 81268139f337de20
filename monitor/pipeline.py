"""The pipeline: arrivals in, changed alerts out; the same for a tape, a replay and a live feed.

One pass over a batch: register (tag) → sequence (order) → archive → book (enrich) → detectors →
alerts. It knows neither files nor brokers, and no clock but the one that it times detectors with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import numpy as np
import structlog

from alerts.archive import Archive
from alerts.fold import AlertBook
from alerts.record import Alert
from detectors.base import Detector, Finding
from detectors.book import Books
from ingest.errors import SnapshotError
from ingest.events import Array, Batch, Conflict, Reject, Role
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.register import Register
from ingest.sequence import Gap, Sequencer
from ingest.source import Arrivals
from ingest.state import pack, unpack
from monitor.checkpoint import Sections

_log = structlog.get_logger()


class Totals(msgspec.Struct, kw_only=True):
    """Counts since the beginning of the feed; they survive restarts with the state they describe.

    Always: read = processed + rejected + duplicates + late + pending.
    """

    read: int = 0
    processed: int = 0
    rejects: dict[str, int] = {}
    duplicates: int = 0
    late: int = 0
    pending: int = 0
    gaps: int = 0
    unknown_account_events: int = 0
    unknown_fields: int = 0
    clock_faults: dict[str, int] = {}
    conflicts: dict[str, int] = {}

    @property
    def rejected(self) -> int:
        """Records that went to the dead letters."""
        return sum(self.rejects.values())

    @property
    def balanced(self) -> bool:
        """Whether every record that was read is accounted for."""
        accounted = self.processed + self.rejected + self.duplicates + self.late + self.pending
        return self.read == accounted


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one pass brought about."""

    batch: Batch
    """The released rows, enriched."""
    alerts: Sequence[Alert]
    """Alerts that changed, each with its last revision."""
    findings: Mapping[str, int]
    """Findings by detector."""
    rejects: Sequence[Reject]
    gaps: Sequence[Gap]
    seconds: Mapping[str, float]
    """Time spent, by detector."""


class Pipeline:
    """The rooms in a row, with their state.

    Parameters
    ----------
    names : Names
        Codes of accounts, owners and sessions; shared with the source's decoder.
    detectors : sequence of Detector
        One of each that is to run.
    tick : callable
        Seconds of a monotonic clock; used for cost figures only.
    """

    def __init__(
        self,
        *,
        names: Names,
        sequencer: Sequencer,
        books: Books,
        detectors: Sequence[Detector],
        archive: Archive,
        alerts: AlertBook,
        tick: Callable[[], float],
        instruments: Instruments,
    ) -> None:
        self.totals = Totals()
        self.alerts = alerts
        self.archive = archive
        self.quarantined: dict[str, str] = {}
        """Detectors that failed, with the error. Their state is lost with the event that broke
        them, so they stay out, across restarts, until their version or the checkpoint changes."""
        self.names = names
        self._unknown: set[int] = set()
        self._sequencer = sequencer
        self._books = books
        self._detectors = detectors
        self._tick = tick
        self._instruments = instruments

    @property
    def unknown_accounts(self) -> int:
        """Distinct accounts seen without a registry row in force."""
        return len(self._unknown)

    @property
    def open_gaps(self) -> int:
        """Instruments that wait for a missing seq."""
        return self._sequencer.open_gaps

    def overflow(self, detector: str) -> int:
        """Return how many facts a detector did not keep because a bound was reached."""
        return next((d.overflow for d in self._detectors if d.spec.id == detector), 0)

    def take(
        self,
        arrivals: Arrivals,
        register: Register,
        *,
        changes: Mapping[str, Array] | None = None,
    ) -> Outcome:
        """Run arrivals through every room under a registry version.

        `changes` is the `REGISTRY_CHANGES` table when that version is new.
        """
        totals = self.totals
        totals.read += len(arrivals.batch) + len(arrivals.rejects)
        totals.unknown_fields += arrivals.unknown_fields
        tagged = register.tag(arrivals.batch)
        self._count_unknown(tagged)
        released = self._sequencer.push(tagged, arrivals.idle)
        rejects = (*arrivals.rejects, *released.rejects)
        _add(totals.rejects, (reject.reason for reject in rejects))
        totals.processed += len(released.batch)
        totals.duplicates += released.duplicates
        totals.late += released.late
        totals.gaps += len(released.gaps)
        totals.pending = self._sequencer.pending
        for reason, count in released.clock_faults.items():
            totals.clock_faults[reason] = totals.clock_faults.get(reason, 0) + count
        self.archive.append(released.batch)
        if len(released.late_batch):
            self.archive.append(released.late_batch)
        enriched = self._books.apply(released.batch)
        self._count_conflicts(enriched["conflict"])
        if changes is not None:
            enriched.registry_changes = dict(changes)
        findings, seconds = self._detect(enriched)
        changed = self.alerts.apply([f for found in findings.values() for f in found], register)
        return Outcome(
            batch=enriched,
            alerts=changed,
            findings={name: len(found) for name, found in findings.items()},
            rejects=rejects,
            gaps=released.gaps,
            seconds=seconds,
        )

    def snapshot(self) -> Sections:
        """Return the state of every room, ready for a checkpoint."""
        self.archive.flush()
        return {
            "totals": {
                "totals": pack(self.totals),
                "quarantined": pack(self.quarantined),
                "unknown": pack(sorted(self._unknown)),
                "instruments": pack([row.instrument for row in self._instruments.rows]),
            },
            "names": {"known": pack(self.names.known)},
            "sequencer": self._sequencer.snapshot(),
            "book": self._books.snapshot(),
            "alerts": self.alerts.snapshot(),
            **{_section(d): d.snapshot() for d in self._running()},
        }

    def restore(self, sections: Sections) -> None:
        """Take over the state of a checkpoint; `names` must have been restored before.

        Raises
        ------
        SnapshotError
            A room or a detector of this version has no section there.
        """
        try:
            self._same_instruments(unpack(sections["totals"]["instruments"], list[str]))
            self.totals = unpack(sections["totals"]["totals"], Totals)
            self._sequencer.restore(sections["sequencer"])
            self._books.restore(sections["book"])
            self.alerts.restore(sections["alerts"])
            self.quarantined = unpack(sections["totals"]["quarantined"], dict[str, str])
            self._unknown = set(unpack(sections["totals"]["unknown"], list[int]))
            for detector in self._running():
                detector.restore(sections[_section(detector)])
        except KeyError as error:
            raise SnapshotError(
                f"the checkpoint has no section {error.args[0]!r}: "
                "it was written by another version of Ringfence"
            ) from error

    def _same_instruments(self, then: Sequence[str]) -> None:
        now = [row.instrument for row in self._instruments.rows]
        if now == then:
            return
        added, removed = sorted(set(now) - set(then)), sorted(set(then) - set(now))
        raise SnapshotError(
            f"instruments.csv must be the checkpoint's: {len(added)} added "
            f"({', '.join(added[:3]) or '-'}), {len(removed)} removed "
            f"({', '.join(removed[:3]) or '-'}); put the old table back, or move the checkpoints "
            "away to read the feed from its beginning"
        )

    def _running(self) -> Sequence[Detector]:
        return [d for d in self._detectors if d.spec.id not in self.quarantined]

    def _detect(self, batch: Batch) -> tuple[dict[str, Sequence[Finding]], dict[str, float]]:
        findings: dict[str, Sequence[Finding]] = {}
        seconds: dict[str, float] = {}
        for detector in self._running():
            name = detector.spec.id
            begun = self._tick()
            try:
                findings[name] = detector.step(batch)
            except Exception as error:  # noqa: BLE001 (one fault must not blind the rest)
                self.quarantined[name] = f"{type(error).__name__}: {error}"
                _log.exception("detector quarantined", detector=name)
            seconds[name] = self._tick() - begun
        return findings, seconds

    def _count_unknown(self, batch: Batch) -> None:
        """Count rows that name an account which no registry row covers, and those accounts."""
        unknown = np.zeros(len(batch), dtype=np.bool_)
        for role, account in (
            ("role", "account"),
            ("buy_role", "buy_account"),
            ("sell_role", "sell_account"),
        ):
            rows = batch[role] == Role.UNKNOWN
            if rows.any():
                unknown |= rows
                self._unknown.update(np.unique(batch[account][rows]).tolist())
        self.totals.unknown_account_events += int(np.count_nonzero(unknown))

    def _count_conflicts(self, conflicts: Array) -> None:
        counts = np.bincount(conflicts, minlength=len(Conflict))
        for conflict in Conflict:
            if conflict is not Conflict.NONE and counts[conflict]:
                name = conflict.name.lower()
                self.totals.conflicts[name] = self.totals.conflicts.get(name, 0) + int(
                    counts[conflict]
                )


def _section(detector: Detector) -> str:
    return f"detector/{detector.spec.id}/{detector.spec.version}"


def _add(counts: dict[str, int], reasons: Iterable[str]) -> None:
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
