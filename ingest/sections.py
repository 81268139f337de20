"""State in sections by instrument: cut out, joined, moved to another table of instruments.

A part that keeps state declares, next to its `snapshot`, how each array is keyed by instrument: its
`layout` (kinds of axes: `ingest.axes`). With that the state of any instruments can be taken out of
snapshots and put together in a new one, over another table (rows added, removed, in another order)
or for other partitions. Instruments are told by name; accounts, owners and sessions have one code
everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec
import numpy as np

from ingest.errors import SnapshotError
from ingest.events import Array
from ingest.instruments import Instruments
from ingest.state import Snapshot

T = TypeVar("T")
UNWANTED: Final = -1


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of one snapshot."""

    snapshot: Snapshot
    codes: Array
    """New code by the snapshot's code; -1 = not wanted."""
    counts: bool = True
    """Whether counters that belong to no instrument come along; of a snapshot that is dealt out,
    one slice takes them."""

    @property
    def wanting(self) -> bool:
        """Whether any instrument is wanted; where none is, only counters may be."""
        return bool((self.codes >= 0).any())


class Onto(msgspec.Struct, frozen=True, kw_only=True):
    """Where state is moved to."""

    instruments: Instruments
    """The table that the new snapshot is over."""
    partition: Array | None = None
    """Feed partition by new code; None = as it was."""


class Axis(Protocol):
    """How one array of a snapshot is keyed by instrument."""

    def join(self, name: str, job: Job) -> Array:
        """Return the array of the new snapshot."""


Layout = Mapping[str, Axis]
"""The axis of each array of a snapshot, by name."""


class Job:
    """Slices on their way into one snapshot; what several arrays need is worked out once."""

    def __init__(self, slices: Sequence[Slice], layout: Layout, onto: Onto) -> None:
        self.slices = slices
        self.layout = layout
        self.onto = onto
        self._made: dict[Any, Any] = {}

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """Return what was made before under this key, else make it."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def arrays(self, name: str) -> list[Array]:
        """Return each slice's array; where a slice has none, an empty one of the same kind."""
        known = next(s.snapshot[name] for s in self.slices if name in s.snapshot)
        return [s.snapshot.get(name, known[:0]) for s in self.slices]

    def wanted(self, each: Slice) -> Mapping[str, int]:
        """Return the new code of each wanted instrument, by name."""
        rows = self.onto.instruments.rows
        return {rows[code].instrument: code for code in each.codes.tolist() if code >= 0}


def undeclared(snapshot: Snapshot, layout: Layout) -> Sequence[str]:
    """Return the arrays of a snapshot that its layout does not tell of."""
    return sorted(snapshot.keys() - layout.keys())


def join(slices: Sequence[Slice], layout: Layout, onto: Onto) -> dict[str, Array]:
    """Return one snapshot with the wanted part of each, sectioned by instrument.

    Instruments that no slice has are as if nothing had been seen of them. Nothing is shared with
    the slices' arrays.

    Raises
    ------
    SnapshotError
        An array that the layout does not tell of, or that does not fit it; an instrument in two
        slices.
    """
    codes = np.concatenate([each.codes[each.codes >= 0] for each in slices])
    if len(np.unique(codes)) < len(codes):
        twice = np.flatnonzero(np.bincount(codes) > 1)
        names = ", ".join(onto.instruments[code].instrument for code in twice[:3].tolist())
        raise SnapshotError(f"state of {len(twice)} instruments is in two snapshots: {names}")
    for each in slices:
        if unknown := undeclared(each.snapshot, layout):
            raise SnapshotError(f"arrays without a layout: {', '.join(unknown)}")
    job = Job(slices, layout, onto)
    held = [name for name in layout if any(name in each.snapshot for each in slices)]
    return {name: layout[name].join(name, job) for name in held}


def select(
    snapshot: Snapshot, layout: Layout, codes: Array, onto: Onto, *, counts: bool = True
) -> dict[str, Array]:
    """Return the state of some instruments under their new codes (see `Slice`)."""
    return join([Slice(snapshot=snapshot, codes=codes, counts=counts)], layout, onto)


def merge(
    snapshots: Sequence[Snapshot], layout: Layout, owner: Array, onto: Onto
) -> dict[str, Array]:
    """Return one snapshot of several over one table; `owner` has each code's snapshot, -1 = none.

    Examples
    --------
    >>> from decimal import Decimal
    >>> from ingest.axes import ByCode, Count
    >>> from ingest.instruments import Instrument
    >>> table = Instruments([Instrument(instrument=name, base=name, quote="USD", kind="spot",
    ...     tick_size=Decimal(1), lot_size=Decimal(1)) for name in ("BTC", "ETH")])
    >>> layout = {"volume": ByCode(), "lost": Count()}
    >>> whole = {"volume": np.array([7, 5]), "lost": np.array([1])}
    >>> one = select(whole, layout, np.array([0, -1]), Onto(instruments=table))
    >>> other = select(whole, layout, np.array([-1, 1]), Onto(instruments=table), counts=False)
    >>> one["volume"].tolist(), other["lost"].tolist()
    ([7, 0], [0])
    >>> merge([one, other], layout, np.array([0, 1]), Onto(instruments=table))
    {'volume': array([7, 5]), 'lost': array([1])}
    """
    codes = np.arange(len(owner))
    slices = [
        Slice(snapshot=snapshot, codes=np.where(owner == place, codes, UNWANTED))
        for place, snapshot in enumerate(snapshots)
    ]
    return join(slices, layout, onto)


def recoded(then: Sequence[str], now: Instruments) -> Array:
    """Return the code in a table by code of an earlier one, from its names; -1 = no longer there.

    Examples
    --------
    >>> recoded(["ETH", "BTC"], Instruments([]))
    array([-1, -1])
    """
    return np.array([now.codes.get(name, UNWANTED) for name in then], np.int64)
