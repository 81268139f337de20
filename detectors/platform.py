"""The platform stage: summaries of all shards in, findings of platform scope out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec
import numpy as np

from detectors.base import Detector, Finding
from detectors.raw_store import RawStore
from ingest.errors import SnapshotError, SourceError
from ingest.events import NULL, Batch, concatenate, empty
from ingest.instruments import Instruments
from ingest.signs import Sign, passed
from ingest.state import Snapshot, pack, pack_exact, unpack, unpack_exact
from ingest.summary import SUMMARY, Summary, decode_rows, encode_rows

Step = Callable[[Detector, Batch], Sequence[Finding]]
RAW_BYTES: Final = 256_000_000
"""Compressed raw records of 2.2 million rows; they are part of every snapshot."""


class _Mark(msgspec.Struct, frozen=True):
    until_ns: int
    idle: bool


class _State(msgspec.Struct, frozen=True, kw_only=True):
    marks: dict[str, _Mark]
    boundary_ns: int
    repeated: int
    late: int


def _plain_step(detector: Detector, batch: Batch) -> Sequence[Finding]:
    return detector.step(batch)


class PlatformStage:
    """Steps the detectors of platform scope once every shard has passed a boundary.

    They get the rows of all shards before it as one batch of the `SUMMARY` columns, each
    instrument's together in seq order, with the boundary as its `watermark_ns`, and the signs
    before it, by event time. In whatever order
    shards' summaries come, each shard's own in order, findings are the same, but for rows that
    are late: those that lie before a boundary that has been stepped already. They are counted
    here and handed on with their true clock; a detector knows them by the watermark of its last
    batch, and marks coverage where it has judged their time.

    State: rows that wait for the slowest shard (`len`; bounded by nothing but how far it is
    behind, so who feeds the stage must look at it), one mark a shard, and raw records of what
    detectors may still cite (`RawStore`). The detectors' own state is not in its snapshots: each
    has a section of its own, as everywhere.

    Parameters
    ----------
    detectors : sequence of Detector
        Of platform scope.
    instruments : Instruments
    shards : collection of str
        All that are waited for, until they say that they are idle.
    raw_bytes : int
        Bound of the raw records that are kept, compressed, B. 0 where evidence is taken from an
        archive, as in one process.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        instruments: Instruments,
        shards: Collection[str],
        *,
        raw_bytes: int = RAW_BYTES,
    ) -> None:
        if not shards:
            raise ValueError("at least one shard must be expected")
        wrong = [d.spec.id for d in detectors if d.spec.scope != "platform"]
        if wrong:
            raise ValueError(f"detectors must be of platform scope, {', '.join(wrong)} is not")
        self.detectors = tuple(detectors)
        self._instruments = instruments
        self._marks = {shard: _Mark(NULL, idle=False) for shard in shards}
        self._boundary_ns = NULL
        self._waiting: list[Batch] = []
        self._signs: list[Sign] = []
        self.raw = RawStore(instruments, max_bytes=raw_bytes)
        self.dealt_anew = False
        """Whether the state restored was of other shards: of another number of partitions."""
        self.repeated = 0
        """Summaries that had been taken before."""
        self.late = 0
        """Trades that came after a boundary that they lie before had been stepped."""

    def __len__(self) -> int:
        """Return how many rows and signs wait for a boundary that every shard has passed."""
        return sum(len(rows) for rows in self._waiting) + len(self._signs)

    @property
    def boundary_ns(self) -> int:
        """The boundary up to which detectors have been stepped, ns; `NULL` = none yet."""
        return self._boundary_ns

    @property
    def waits_for(self) -> Sequence[str]:
        """Shards that hold time back, by name: those furthest behind that are not idle."""
        awaited = {shard: mark.until_ns for shard, mark in self._marks.items() if not mark.idle}
        furthest = min(awaited.values(), default=NULL)
        return sorted(shard for shard, until in awaited.items() if until == furthest)

    def take(
        self, summary: Summary, *, step: Step = _plain_step
    ) -> tuple[Sequence[Finding], Batch]:
        """Take a summary; return the findings that it lets out, and the rows that they cite.

        Parameters
        ----------
        summary : Summary
            The next of its shard; one that was taken before changes nothing and is counted.
        step : callable
            How a detector is stepped: where faults are caught and time is taken.

        Returns
        -------
        findings : sequence of Finding
            By detector, in the order of `detectors`; of each in event order.
        evidence : Batch
            `CITED` columns and `raw` of the cited rows that are (still) here, each once.

        Raises
        ------
        SourceError
            The summary is of a shard that is not expected.
        """
        mark = self._marks.get(summary.shard)
        if mark is None:
            raise SourceError(
                f"a summary must be of one of {', '.join(sorted(self._marks))}, "
                f"was of {summary.shard}"
            )
        if summary.until_ns <= mark.until_ns:
            self.repeated += 1
            return [], self.raw.find(())
        self._marks[summary.shard] = _Mark(summary.until_ns, summary.idle)
        if len(summary.rows):
            self.late += int(np.count_nonzero(summary.rows["clock_ns"] < self._boundary_ns))
            self._waiting.append(summary.rows)
        self.late += sum(each.clock_ns < self._boundary_ns for each in summary.signs)
        self._signs.extend(summary.signs)
        boundary_ns = self._passed()
        if boundary_ns <= self._boundary_ns:
            return [], self.raw.find(())
        return self._step(boundary_ns, step)

    def _passed(self) -> int:
        """Return the boundary that every shard has passed; when all are idle, how far time came."""
        awaited = [mark.until_ns for mark in self._marks.values() if not mark.idle]
        return min(awaited) if awaited else max(mark.until_ns for mark in self._marks.values()) - 1

    def _step(self, boundary_ns: int, step: Step) -> tuple[Sequence[Finding], Batch]:
        batch = self._before(boundary_ns)
        batch.signs, self._signs = passed(self._signs, boundary_ns)
        self.raw.add(batch)
        findings = [f for detector in self.detectors for f in step(detector, batch)]
        evidence = self.raw.find(ref for finding in findings for ref in finding.all_refs)
        self._boundary_ns = boundary_ns
        self.raw.forget(boundary_ns - max((d.reach_ns for d in self.detectors), default=0))
        return findings, evidence

    def _before(self, boundary_ns: int) -> Batch:
        """Remove and return the rows before a boundary, by instrument and seq."""
        if not self._waiting:
            return Batch(empty(SUMMARY), self._instruments, watermark_ns=boundary_ns)
        rows = concatenate(self._waiting)
        before = rows["clock_ns"] < boundary_ns
        later = rows.take(~before)
        self._waiting = [later] if len(later) else []
        # An instrument has one shard and a clock that never falls: what is taken of it is whole.
        order = np.lexsort((rows["seq"], rows["instrument"]))
        taken = rows.take(order[before[order]])
        taken.watermark_ns = boundary_ns
        return taken

    def snapshot(self) -> Snapshot:
        """Return marks, waiting rows and raw records; instruments are named."""
        nothing = Batch(empty(SUMMARY), self._instruments)
        rows = encode_rows(concatenate(self._waiting) if self._waiting else nothing)
        state = _State(
            marks=self._marks, boundary_ns=self._boundary_ns, repeated=self.repeated, late=self.late
        )
        return {
            "rows": np.frombuffer(rows, np.uint8),
            "signs": pack_exact(self._signs),
            "state": pack(state),
            **{f"raw/{name}": array for name, array in self.raw.snapshot().items()},
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over what `snapshot` returned.

        Raises
        ------
        SnapshotError
            It was taken with other shards or another table of instruments, or is damaged.
        """
        state = unpack(snapshot["state"], _State)
        try:
            rows = decode_rows(snapshot["rows"].tobytes(), self._instruments)
        except SourceError as error:
            raise SnapshotError(f"platform state: {error}") from error
        self._waiting = [rows] if len(rows) else []
        self._signs = unpack_exact(snapshot["signs"], list[Sign])
        self.dealt_anew = state.marks.keys() != self._marks.keys()
        if self.dealt_anew:
            # Every shard begins again from what all had passed, and says anew whether it is idle.
            least = min((mark.until_ns for mark in state.marks.values()), default=NULL)
            self._marks = dict.fromkeys(self._marks, _Mark(least, idle=False))
        else:
            self._marks = dict(state.marks)
        self._boundary_ns = state.boundary_ns
        self.repeated, self.late = state.repeated, state.late
        raw = {n.removeprefix("raw/"): a for n, a in snapshot.items() if n.startswith("raw/")}
        self.raw.restore(raw)
