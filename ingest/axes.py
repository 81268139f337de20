"""Kinds of axes: how an array of a snapshot can be keyed by instrument (see `ingest.sections`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import numpy as np

from ingest.errors import SnapshotError
from ingest.events import Array
from ingest.sections import UNWANTED, Axis, Job, Slice
from ingest.state import pack, pack_exact, unpack, unpack_exact

T = TypeVar("T")


class Keyed(Axis, Protocol):
    """An axis along which each row is of one instrument."""

    def rows(self, job: Job) -> Array:
        """Return where each new row stands among the slices' rows; -1 = a new, blank row."""


class ByCode(msgspec.Struct, frozen=True):
    """One row an instrument: the first axis is indexed by code.

    `blank` is the row of an instrument of which nothing has been seen: one value, or one for each
    place of the last axis.
    """

    blank: int | tuple[int, ...] = 0

    def rows(self, job: Job) -> Array:
        """Return where each instrument's row stands among the slices'; -1 = in none."""

        def make() -> Array:
            rows = np.full(len(job.onto.instruments), -1, np.int64)
            start = 0
            for each in job.slices:
                wanted = np.flatnonzero(each.codes >= 0)
                rows[each.codes[wanted]] = start + wanted
                start += len(each.codes)
            return rows

        return job.once(ByCode, make)

    def join(self, name: str, job: Job) -> Array:
        """Return the instruments' rows under their new codes."""
        arrays, rows = job.arrays(name), self.rows(job)
        for each, array in zip(job.slices, arrays, strict=True):
            if len(array) != len(each.codes):
                raise SnapshotError(
                    f"{name}: expected one row for each of {len(each.codes)} instruments, "
                    f"found {len(array)}"
                )
        joined = np.empty((len(rows), *arrays[0].shape[1:]), arrays[0].dtype)
        joined[...] = self.blank
        known = rows >= 0
        joined[known] = np.concatenate(arrays)[rows[known]]
        return joined


class Rows(msgspec.Struct, frozen=True):
    """Rows that each name their instrument; those of one stand together, in their order.

    Parameters
    ----------
    codes : str
        Array that holds the codes: this one, or one of the same length.
    column : int, optional
        Where in a row of `codes` the code stands, when it is 2-D.
    high : bool
        The code plus one is the upper half of a 64-bit key.
    renumber : bool
        Values are numbers that only tell the rows of all instruments apart and in order.
    """

    codes: str
    column: int | None = None
    high: bool = False
    renumber: bool = False

    def _new_codes(self, job: Job) -> Array:
        """Return the new code of each of the slices' rows."""

        def make() -> Array:
            found = [np.empty(0, np.int64)]
            for each in job.slices:
                if self.codes in each.snapshot:
                    held = each.snapshot[self.codes]
                    held = held if self.column is None else held[:, self.column]
                    codes = (held >> 32) - 1 if self.high else held
                    if len(codes) and not 0 <= codes.min() <= codes.max() < len(each.codes):
                        raise SnapshotError(
                            f"{self.codes}: expected codes of {len(each.codes)} instruments, "
                            f"found {codes.min()} to {codes.max()}"
                        )
                    found.append(each.codes[codes])
            return np.concatenate(found)

        return job.once((self.codes, "codes"), make)

    def rows(self, job: Job) -> Array:
        """Return the wanted rows, by new code."""

        def make() -> Array:
            new = self._new_codes(job)
            kept = np.flatnonzero(new >= 0)
            ordered: Array = kept[np.argsort(new[kept], kind="stable")]
            return ordered

        return job.once(self.codes, make)

    def join(self, name: str, job: Job) -> Array:
        """Return the wanted rows, recoded where this array holds the codes."""
        new, rows = self._new_codes(job), self.rows(job)
        held = np.concatenate(job.arrays(name))
        if len(held) != len(new):
            raise SnapshotError(f"{name}: expected {len(new)} rows, as {self.codes}; {len(held)}")
        joined: Array = held[rows]
        if self.renumber and len(job.slices) > 1:
            # Slices of one snapshot get back the order they had in it; of others, interleave.
            joined[np.argsort(joined, kind="stable")] = np.arange(len(joined))
        if name == self.codes:
            codes = new[rows]
            if self.high:
                joined = ((codes + 1) << 32) | (joined & 0xFFFFFFFF)
            elif self.column is not None:
                joined[:, self.column] = codes
            else:
                joined[...] = codes
        return joined


class Runs(msgspec.Struct, frozen=True):
    """Runs of values one after the other; another array tells how long each is, and whose."""

    lengths: str

    def join(self, name: str, job: Job) -> Array:
        """Return the wanted runs, in the new order of their lengths."""
        rows = job.layout[self.lengths].rows(job)  # type: ignore[attr-defined]
        lengths = np.concatenate(job.arrays(self.lengths))
        values = np.concatenate(job.arrays(name))
        ends = np.cumsum(lengths)
        if len(values) != lengths.sum():
            raise SnapshotError(
                f"{name}: expected {lengths.sum()} values, as {self.lengths} tells, "
                f"found {len(values)}"
            )
        runs = [values[ends[row] - lengths[row] : ends[row]] for row in rows[rows >= 0].tolist()]
        return np.concatenate([values[:0], *runs])


class Entries(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A packed list of values, each of one instrument.

    Parameters
    ----------
    kind : type
        Of one value.
    place : callable
        Returns a value's instrument: its code, or its name.
    moved : callable, optional
        Returns the value under another code; not needed where values hold names only.
    exact : bool
        Whether it was packed by `pack_exact`.
    """

    kind: Any
    place: Callable[[T], int | str]
    moved: Callable[[T, int], T] | None = None
    exact: bool = True

    def join(self, name: str, job: Job) -> Array:
        """Return the wanted values, by new code."""
        found = [pair for each in job.slices for pair in self._wanted(name, each, job)]
        found.sort(key=lambda pair: pair[0])
        values = [value for _, value in found]
        return pack_exact(values) if self.exact else pack(values)

    def _wanted(self, name: str, each: Slice, job: Job) -> Iterator[tuple[int, T]]:
        kind = list[self.kind]  # type: ignore[name-defined]
        packed = each.snapshot[name]
        values = unpack_exact(packed, kind) if self.exact else unpack(packed, kind)
        codes, by_name = each.codes.tolist(), job.wanted(each)
        for value in values:
            place = self.place(value)
            if isinstance(place, str):
                code = by_name.get(place, UNWANTED)
            elif 0 <= place < len(codes):
                code = codes[place]
            else:
                raise SnapshotError(
                    f"{name}: expected a code of {len(codes)} instruments, found {place}"
                )
            if code >= 0:
                yield code, self.moved(value, code) if self.moved else value


class Count(msgspec.Struct, frozen=True):
    """A counter of no instrument: goes with one slice, and adds up."""

    def join(self, name: str, job: Job) -> Array:
        """Return the sum over the slices that have it."""
        counts = [s.snapshot[name] for s in job.slices if s.counts]
        zero: Array = np.zeros_like(job.arrays(name)[0])
        return sum(counts, start=zero)


class Least(msgspec.Struct, frozen=True):
    """A value that goes with every slice that an instrument is wanted of; of several, the least."""

    blank: int
    """Where no instrument is wanted."""

    def join(self, name: str, job: Job) -> Array:
        """Return the least of the slices', place by place."""
        values = [each.snapshot[name] for each in job.slices if each.wanting]
        blank: Array = np.full_like(job.arrays(name)[0], self.blank)
        least: Array = np.minimum.reduce(values) if values else blank
        return least


class Whole(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A packed value that goes with every slice that an instrument is wanted of.

    Parameters
    ----------
    kind : type
        Of the value.
    joined : callable
        Returns one value for those of the slices; there may be none.
    """

    kind: Any
    joined: Callable[[Sequence[T]], T]

    def join(self, name: str, job: Job) -> Array:
        """Return the slices' values as one."""
        values = [each.snapshot[name] for each in job.slices if each.wanting]
        return pack(self.joined([unpack(value, self.kind) for value in values]))


class InstrumentNames(msgspec.Struct, frozen=True):
    """The names of the table that a snapshot is over, packed."""

    def join(self, name: str, job: Job) -> Array:  # noqa: ARG002
        """Return the names of the new table."""
        return pack([row.instrument for row in job.onto.instruments.rows])
