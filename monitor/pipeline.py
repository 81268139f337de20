"""The pipeline: arrivals in, changed alerts out; the same for a tape, a replay and a live feed.

One pass over a batch: register (tag) → sequence (order) → archive → book (enrich) → detectors →
alerts, and trades → summaries → detectors of platform scope where these run in the same process.
It knows neither files nor brokers, and no clock but the one that it times detectors with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import numpy as np
import polars as pl
import structlog

from alerts.archive import Archive
from alerts.coverage import CoverageRecord
from alerts.fold import AlertBook
from alerts.record import Alert
from alerts.segments import SourceEvent
from detectors.base import Detector, Finding, Ref
from detectors.book import Books
from detectors.platform import PlatformStage
from detectors.summaries import Summariser
from ingest.errors import SnapshotError
from ingest.events import NULL, WIRE, Array, Batch, Conflict, Reject, Role, Topic, empty
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.register import Register
from ingest.released import Gap
from ingest.sequence import Sequencer
from ingest.source import Arrivals
from ingest.state import Sections, pack, unpack
from ingest.summary import Summary
from monitor.detecting import Detecting, section_of
from monitor.doubts import Doubts

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

    def copied(self) -> Totals:
        """Return the counts as they are now."""
        return msgspec.structs.replace(
            self,
            rejects=dict(self.rejects),
            clock_faults=dict(self.clock_faults),
            conflicts=dict(self.conflicts),
        )


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
    coverage: Sequence[CoverageRecord]
    """Gaps that opened, then those that closed."""
    summary: Summary | None
    """Trades up to a boundary that was closed."""
    seconds: Mapping[str, float]
    """Time spent, by detector."""


class Pipeline:
    """The rooms in a row, with their state.

    Parameters
    ----------
    names : Names
        Codes of accounts, owners and sessions; shared with the source's decoder.
    detectors : sequence of Detector
        One of each that is to run; those of platform scope are stepped by `platform`.
    summariser : Summariser
        Of this shard.
    platform : PlatformStage, optional
        The stage of platform scope, where it runs in this process: for a tape.
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
        summariser: Summariser,
        platform: PlatformStage | None = None,
        archive: Archive,
        alerts: AlertBook,
        tick: Callable[[], float],
        instruments: Instruments,
    ) -> None:
        self.totals = Totals()
        self.alerts = alerts
        self.archive = archive
        self.names = names
        self._unknown: set[int] = set()
        self._sequencer = sequencer
        self._books = books
        self._detecting = Detecting(detectors, tick)
        self._summariser = summariser
        self._platform = platform
        self._doubts = Doubts(instruments)
        self._instruments = instruments

    @property
    def unknown_accounts(self) -> int:
        """Distinct accounts seen without a registry row in force."""
        return len(self._unknown)

    @property
    def nothing(self) -> Batch:
        """A batch of no records."""
        return Batch(empty(WIRE), self._instruments, raw=pl.Series("raw", [], dtype=pl.Binary))

    @property
    def open_gaps(self) -> int:
        """Instruments that wait for a missing seq."""
        return self._sequencer.open_gaps

    @property
    def sequencer(self) -> Sequencer:
        """The sequencer, for what a journal says of its gaps."""
        return self._sequencer

    @property
    def quarantined(self) -> dict[str, str]:
        """Detectors that failed, with the error: see `Detecting`."""
        return self._detecting.quarantined

    def overflow(self, detector: str) -> int:
        """Return how many facts a detector did not keep because a bound was reached."""
        return self._detecting.overflow(detector)

    def take(
        self,
        arrivals: Arrivals,
        register: Register,
        *,
        changes: Mapping[str, Array] | None = None,
        closes: bool = True,
        boundary_ns: int | None = None,
    ) -> Outcome:
        """Run arrivals through every room under a registry version.

        Parameters
        ----------
        arrivals : Arrivals
        register : Register
        changes : mapping of str to Array, optional
            The `REGISTRY_CHANGES` table when that version is new.
        closes : bool
            Whether the watermark may close a boundary of the platform's time.
        boundary_ns : int, optional
            Boundary to close instead: one that a journal tells of.
        """
        totals = self.totals
        totals.read += len(arrivals.batch) + len(arrivals.rejects)
        totals.unknown_fields += arrivals.unknown_fields
        released = self._sequencer.push(register.tag(arrivals.batch), arrivals.idle)
        # Not of what arrived: a recovery leaves out rows that an earlier life found in conflict.
        self._count_unknown(released.batch)
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
        enriched.terms, enriched.parties = register.terms, register.parties
        if changes is not None:
            enriched.registry_changes = dict(changes)
        self._summariser.take(enriched)
        detecting = self._detecting
        found = {d.spec.id: detecting.step(d, enriched) for d in detecting.running("instrument")}
        for detector in detecting.running("instrument"):
            self._summariser.note(detector.signs())
        summary = self._close(arrivals, closes=closes, boundary_ns=boundary_ns)
        if summary is not None and self._platform is not None:
            of_platform, _ = self._platform.take(summary, step=detecting.step)
            for finding in of_platform:
                found[finding.detector] = [*found.get(finding.detector, ()), finding]
        changed = self.alerts.apply([f for each in found.values() for f in each], register)
        return Outcome(
            batch=enriched,
            alerts=changed,
            findings={name: len(each) for name, each in found.items()},
            rejects=rejects,
            gaps=released.gaps,
            coverage=self._doubts.follow(released.gaps, enriched),
            summary=summary,
            seconds=detecting.spent(),
        )

    def hand(
        self,
        findings: Sequence[Finding],
        register: Register,
        evidence: Mapping[Ref, SourceEvent],
    ) -> Sequence[Alert]:
        """Fold findings that were made elsewhere; return the alerts that changed."""
        return self.alerts.apply(findings, register, evidence)

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
            "summaries": self._summariser.snapshot(),
            "coverage": self._doubts.snapshot(),
            **({} if self._platform is None else {"platform": self._platform.snapshot()}),
            **self._detecting.snapshot(),
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
            self._summariser.restore(sections["summaries"])
            self._doubts.restore(sections["coverage"])
            if self._platform is not None:
                self._platform.restore(sections["platform"])
            self._detecting.quarantined = unpack(sections["totals"]["quarantined"], dict[str, str])
            self._unknown = set(unpack(sections["totals"]["unknown"], list[int]))
            for detector in self._detecting.running():
                detector.restore(sections[section_of(detector)])
        except KeyError as error:
            raise SnapshotError(
                f"the checkpoint has no section {error.args[0]!r}: "
                "it was written by another version of Ringfence"
            ) from error

    def _same_instruments(self, then: Sequence[str]) -> None:
        now = [row.instrument for row in self._instruments.rows]
        if now != then:
            raise SnapshotError(
                f"state must be of the same instruments.csv: {len(now)} instruments, was of "
                f"{len(then)} others (`monitor.deal.retabled` puts one over)"
            )

    def _close(
        self, arrivals: Arrivals, *, closes: bool, boundary_ns: int | None
    ) -> Summary | None:
        if boundary_ns is not None:
            return self._summariser.close_at(boundary_ns)
        if not closes:
            return None
        watermark_ns = self._sequencer.watermark_ns
        # Both topics of a partition from which nothing ever came are idle, too.
        quiet = arrivals.idle and self._sequencer.positions <= arrivals.idle
        idle = bool(quiet) and len(arrivals.idle) % len(Topic) == 0 and not self._sequencer.pending
        if watermark_ns == NULL and not idle:
            return None
        return self._summariser.close(watermark_ns, idle=idle)

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


def _add(counts: dict[str, int], reasons: Iterable[str]) -> None:
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
