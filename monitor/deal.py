"""Snapshots dealt out anew: to more or fewer partitions, or over another instruments.csv.

A pure function of snapshots: what becomes of the feed's positions and of the register is the
caller's, who knows the topics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from ingest.errors import SnapshotError
from ingest.events import Array
from ingest.instruments import Instruments
from ingest.sections import UNWANTED, Job, Layout, Onto, Slice, join, recoded
from ingest.state import Sections, Snapshot, pack, unpack
from ingest.summary_axis import SIGNS, SummaryRows
from monitor.pipeline import Totals
from monitor.section_layouts import DETECTOR, closed_ns, detector_of, layouts_of, reopened

REMOVED: Final = "removed_instrument"
"""Reason under which pending records of an instrument that is no longer listed are counted."""


class _Source:
    """One snapshot, and which of its instruments go where."""

    def __init__(self, sections: Sections, now: Instruments) -> None:
        totals = _section(sections, "totals")
        self.sections = sections
        self.then = unpack(totals["instruments"], list[str])
        self.totals = unpack(totals["totals"], Totals)
        self.quarantined = unpack(totals["quarantined"], dict[str, str])
        self.unknown = unpack(totals["unknown"], list[int])
        self.codes = recoded(self.then, now)
        self.seen = _section(sections, "sequencer")["lanes/partition"] >= 0
        if len(self.seen) != len(self.then):
            raise SnapshotError(
                f"a snapshot of {len(self.then)} instruments must have as many in its sequencer, "
                f"had {len(self.seen)}"
            )

    def slice(self, section: str, codes: Array, *, counts: bool) -> Slice:
        """Return a part of a section."""
        return Slice(snapshot=_section(self.sections, section), codes=codes, counts=counts)


def retabled(sections: Sections, now: Instruments) -> Sections:
    """Return a snapshot over another table: its own instruments under their new codes.

    State of an instrument that the table no longer lists is dropped (see `dropped`), its pending
    records are counted as rejects for `removed_instrument`. Sections that do not depend on codes
    are passed on as they are.

    Raises
    ------
    SnapshotError
        It does not hold together, or a detector of it is not of this version.
    """
    source = _Source(sections, now)
    if source.then == [row.instrument for row in now.rows]:
        return sections
    onto = Onto(instruments=now)
    moved = {
        name: join([source.slice(name, source.codes, counts=True)], layout, onto)
        for name, layout in layouts_of(sections).items()
    }
    if "platform" in sections:
        job = Job([source.slice("platform", source.codes, counts=True)], {}, onto)
        moved["platform"] = {
            **sections["platform"],
            "rows": SummaryRows().join("rows", job),
            "signs": SIGNS.join("signs", job),
        }
    totals = _settled(source.totals.copied(), _pending(moved))
    return {**sections, **moved, "totals": _totals(totals, source.quarantined, source.unknown, now)}


def dropped(snapshots: Sequence[Sections], now: Instruments) -> Sequence[str]:
    """Return the instruments that snapshots have seen and a table does not list, by name."""
    sources = [_Source(sections, now) for sections in snapshots]
    return sorted(
        {
            source.then[code]
            for source in sources
            for code in np.flatnonzero(source.seen & (source.codes < 0)).tolist()
        }
    )


def deal(
    snapshots: Sequence[Sections],
    instruments: Instruments,
    partition_of: Callable[[str], int],
    partitions: int,
) -> dict[int, Sections]:
    """Return snapshots by new partition, each with the instruments that now come from it.

    Of a shard's time the new ones keep the least of those that they are made of. Counts that
    belong to no instrument add up into partition 0; the identity of the totals (read = processed
    + rejected + duplicates + late + pending) holds in each. A detector that was put out of use in
    one of the shards is out of use in all that take instruments from it.

    Parameters
    ----------
    snapshots : sequence of sections
        What `Pipeline.snapshot` returned for each of the shards that are dealt out, all of them.
        Other sections (positions, the register) are left to the caller.
    instruments : Instruments
        The table of the new snapshots, which need not be that of any old one.
    partition_of : callable
        Returns the new partition of an instrument, by name.
    partitions : int
        How many there are; each gets a snapshot, that of nothing seen where it has none.

    Raises
    ------
    SnapshotError
        An instrument in two snapshots; shards with different names; a detector of another
        version; a collection of unique items torn apart that a detector of platform scope looks
        at as one.
    """
    if not snapshots or partitions < 1:
        raise ValueError("there must be snapshots to deal out, and partitions to deal them to")
    new = np.array([partition_of(row.instrument) for row in instruments.rows], np.int64)
    if len(new) and not 0 <= new.min() <= new.max() < partitions:
        raise ValueError(f"partitions must be 0 to {partitions - 1}, found {new.max()}")
    sources = [_Source(sections, instruments) for sections in snapshots]
    layouts = layouts_of(name for source in sources for name in source.sections)
    _whole_collections(layouts, instruments, new)
    onto = Onto(instruments=instruments, partition=new)
    names = _names(sources)
    told_ns = closed_ns(
        source.sections["summaries"]["state"]
        for source in sources
        if "summaries" in source.sections
    )
    dealt: dict[int, dict[str, Snapshot]] = {}
    quarantined: dict[int, dict[str, str]] = {}
    for partition in range(partitions):
        wanted = [_wanted(source, new, partition) for source in sources]
        quarantined[partition] = {
            name: why
            for source, codes in zip(sources, wanted, strict=True)
            if (codes >= 0).any()
            for name, why in source.quarantined.items()
        }
        out = {DETECTOR + name for name in quarantined[partition]}
        dealt[partition] = {
            section: join(
                [
                    source.slice(section, codes, counts=partition == 0)
                    for source, codes in zip(sources, wanted, strict=True)
                    if section in source.sections or (codes >= 0).any()
                ],
                layout,
                onto,
            )
            for section, layout in layouts.items()
            if section.rpartition("/")[0] not in out
        }
        if names is not None:
            dealt[partition]["names"] = names
        if "summaries" in dealt[partition]:
            closed = dealt[partition]["summaries"]
            state = reopened(closed["state"], told_ns)
            dealt[partition]["summaries"] = {**closed, "state": state}
    pending = {partition: _pending(sections) for partition, sections in dealt.items()}
    totals = _added(sources, sum(pending.values()))
    unknown = sorted({account for source in sources for account in source.unknown})
    for partition, sections in dealt.items():
        waiting = pending[partition]
        if partition == 0:
            totals.read -= sum(pending.values()) - waiting
            totals.pending = waiting
        here = totals if partition == 0 else Totals(read=waiting, pending=waiting)
        accounts = unknown if partition == 0 else []
        sections["totals"] = _totals(here, quarantined[partition], accounts, instruments)
    return dict(dealt)


def _section(sections: Sections, name: str) -> Snapshot:
    if name not in sections:
        raise SnapshotError(f"a snapshot must have the section {name}, had {', '.join(sections)}")
    return sections[name]


def _wanted(source: _Source, new: Array, partition: int) -> Array:
    """Return the new codes of a snapshot's instruments that go to a partition."""
    here = source.seen & (source.codes >= 0)
    here[here] = new[source.codes[here]] == partition
    wanted: Array = np.where(here, source.codes, UNWANTED)
    return wanted


def _whole_collections(layouts: Mapping[str, Layout], now: Instruments, new: Array) -> None:
    kinds = [detector_of(section) for section in layouts if section.startswith(DETECTOR)]
    together = [kind.spec.id for kind in kinds if kind.spec.scope == "platform"]
    if not together:
        return
    home: dict[str, int] = {}
    for row, partition in zip(now.rows, new.tolist(), strict=True):
        if row.kind == "unique" and home.setdefault(row.collection, partition) != partition:
            raise SnapshotError(
                f"the items of the collection {row.collection} must stay in one partition for "
                f"{', '.join(together)}, found {home[row.collection]} and {partition}"
            )


def _names(sources: Sequence[_Source]) -> Snapshot | None:
    """Return the longest list of names, of which all others must be the beginning."""
    known = [
        unpack(source.sections["names"]["known"], list[str])
        for source in sources
        if "names" in source.sections
    ]
    if not known:
        return None
    longest = max(known, key=len)
    if any(names != longest[: len(names)] for names in known):
        raise SnapshotError("snapshots must have one code for each name, found different ones")
    return {"known": pack(longest)}


def _pending(sections: Mapping[str, Snapshot]) -> int:
    return len(sections["sequencer"]["pending/seq"])


def _settled(totals: Totals, pending: int) -> Totals:
    """Count the pending records that are no longer there as rejects."""
    if lost := totals.pending - pending:
        totals.rejects[REMOVED] = totals.rejects.get(REMOVED, 0) + lost
    totals.pending = pending
    return totals


def _added(sources: Sequence[_Source], pending: int) -> Totals:
    added = Totals(rejects={}, clock_faults={}, conflicts={})
    for source in sources:
        for name in Totals.__struct_fields__:
            value = getattr(source.totals, name)
            if isinstance(value, dict):
                sums = getattr(added, name)
                for reason, count in value.items():
                    sums[reason] = sums.get(reason, 0) + count
            else:
                setattr(added, name, getattr(added, name) + value)
    return _settled(added, pending)


def _totals(
    totals: Totals, quarantined: Mapping[str, str], unknown: Sequence[int], now: Instruments
) -> Snapshot:
    return {
        "totals": pack(totals),
        "quarantined": pack(quarantined),
        "unknown": pack(unknown),
        "instruments": pack([row.instrument for row in now.rows]),
    }
