"""How each section of a shard's snapshot is keyed by instrument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from alerts.coverage import CoverageRecord
from alerts.fold import AlertBook
from detectors.base import Detector
from detectors.book import Books
from detectors.catalogue import DETECTORS
from ingest.axes import Whole
from ingest.errors import SnapshotError
from ingest.events import NULL, Array
from ingest.sections import Job, Layout
from ingest.sequence import Sequencer
from ingest.state import pack, unpack
from ingest.summary_axis import SIGNS, SummaryRows

DETECTOR: Final = "detector/"
"""What the name of a detector's section begins with: then its id, a slash and its version."""


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a shard's trades have been summed up."""

    last_ns: int
    idle: bool


class _Doubts(msgspec.Struct, frozen=True):
    """Open gaps, packed by seq and instrument name."""

    def join(self, name: str, job: Job) -> Array:
        """Return the gaps of the wanted instruments."""
        found: dict[str, CoverageRecord] = {}
        for each in job.slices:
            doubts = unpack(each.snapshot[name], dict[str, CoverageRecord])
            wanted = job.wanted(each)
            found |= {key: gap for key, gap in doubts.items() if gap.instrument in wanted}
        return pack(found)


def _least(closed: Sequence[_Closed]) -> _Closed:
    return _Closed(
        min((each.last_ns for each in closed), default=NULL),
        idle=bool(closed) and all(each.idle for each in closed),
    )


def closed_ns(states: Iterable[Array]) -> int:
    """Return the time, ns, up to which all summarisers of these states have told everything."""
    return _least([unpack(state, _Closed) for state in states]).last_ns


def reopened(state: Array, floor_ns: int) -> Array:
    """Return the state of a summariser that has not said whether its shard is idle.

    Whatever it says next lies behind `floor_ns`: what was told before would count as a repeat.
    """
    closed = unpack(state, _Closed)
    return pack(_Closed(max(closed.last_ns, floor_ns), idle=False))


_LAYOUTS: Final[Mapping[str, Layout]] = {
    "sequencer": Sequencer.layout,
    "book": Books.layout,
    "alerts": AlertBook.layout,
    "summaries": {
        "rows": SummaryRows(),
        "signs": SIGNS,
        "state": Whole(kind=_Closed, joined=_least),
    },
    "coverage": {"doubts": _Doubts()},
}
"""Of the sections that every snapshot of a shard has, beside totals and names."""


def layouts_of(sections: Iterable[str]) -> Mapping[str, Layout]:
    """Return the layout of each section that every shard has, and of the detectors' among these."""
    detectors = {name: detector_of(name).layout for name in sections if name.startswith(DETECTOR)}
    return {**_LAYOUTS, **detectors}


def detector_of(section: str) -> type[Detector]:
    """Return whose state a section holds; SnapshotError where it is not of this version."""
    _, name, version = section.split("/")
    kind = DETECTORS.get(name)
    if kind is None or str(kind.spec.version) != version:
        raise SnapshotError(
            f"state of {name} must be of version {kind.spec.version if kind else 'none'}, "
            f"was of {version}"
        )
    return kind
