"""What a shard's pass decided, for the journal; and how a later life takes it over from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from alerts.journal import Decisions, Entry, coded, named, unpacked
from alerts.shards import Claim
from ingest.errors import SnapshotError
from ingest.instruments import Instruments
from ingest.released import Gap
from ingest.source import Position
from monitor.pipeline import Outcome


class Recovery:
    """The journal behind a snapshot, entry by entry, up to the frontier of the last owner.

    State: the entries that the present life has yet to come to.

    Parameters
    ----------
    claim : Claim
        Of the present life.
    entries : iterable of Entry
        Those behind the snapshot, in order.
    after : int
        Number of the last entry that the snapshot includes.

    Raises
    ------
    SnapshotError
        The journal does not reach back to the snapshot.
    """

    def __init__(self, claim: Claim, entries: Iterable[Entry], *, after: int) -> None:
        self._frontier = claim.frontier
        self._entries = list(entries)
        numbers = [entry.number for entry in self._entries]
        if numbers != list(range(after + 1, claim.entry + 1)):
            raise SnapshotError(
                f"the journal of shard {claim.shard} must go on behind entry {after} up to "
                f"{claim.entry}, found {len(numbers)} entries: the snapshots that it was "
                "trimmed for are gone; put them back"
            )

    def lasts(self, at: Mapping[Position, int]) -> bool:
        """Return whether a life that has processed up to these positions has yet to come to it."""
        return bool(self._entries) or not reached(self._frontier, at)

    @property
    def entry(self) -> Entry | None:
        """The next entry; None when only records up to the frontier are left."""
        return self._entries[0] if self._entries else None

    @property
    def target(self) -> Mapping[Position, int]:
        """Positions up to which records are processed before the next entry is taken over."""
        entry = self.entry
        return self._frontier if entry is None else unpacked(entry.positions)

    def gaps(self, instruments: Instruments) -> Sequence[Gap]:
        """Return the next entry's gaps, of instruments that are still listed."""
        entry = self.entry
        gaps = () if entry is None else entry.decisions.gaps
        return [coded(gap, instruments) for gap in gaps if gap.instrument in instruments.codes]

    def take(self) -> int:
        """Take out the next entry, whose decisions were taken over; return its number."""
        return self._entries.pop(0).number


def reached(target: Mapping[Position, int], at: Mapping[Position, int]) -> bool:
    """Return whether positions lie at a target, or behind it.

    >>> from ingest.events import Topic
    >>> reached({(Topic.ORDERS, 0): 2}, {(Topic.ORDERS, 0): 2}), reached({(Topic.ORDERS, 0): 2}, {})
    (True, False)
    """
    return all(at.get(position, 0) >= offset for position, offset in target.items())


def decisions_of(outcome: Outcome, registry: str, instruments: Instruments) -> Decisions:
    """Return what of an outcome records alone do not tell; `registry`: the version it begins with.

    `registry` is empty when the version in force stays.
    """
    return Decisions(
        gaps=tuple(named(gap, instruments) for gap in outcome.gaps),
        conflicts=tuple(
            (int(reject.topic), reject.partition, reject.offset)
            for reject in outcome.rejects
            if reject.reason == "conflict"
        ),
        registry=registry,
        closed_ns=None if outcome.summary is None else outcome.summary.until_ns,
    )
