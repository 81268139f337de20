"""What parties did in their meetings of the day: the state of the scan, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors import matched_kernel as k
from detectors.kept import Kept
from detectors.matched_chance import E_ALIKE, E_EXPECTED, E_MET, E_SHARE, Chance, expected
from detectors.matched_params import MatchedOrdersParams
from detectors.wash_kernel import filled, grown, room_for
from ingest.axes import ByCode, Count, Rows
from ingest.events import Array, Batch
from ingest.sections import Layout
from ingest.state import Snapshot

SECOND: Final = 1_000_000_000
OUT_ROWS: Final = 1024
FIRST_PARTIES: Final = 256
FIRST_PAIRS: Final = 1024
_OF_THE_DAY: Final = (k.H_MET, k.H_ALIKE, k.H_PARTIES, k.H_SELF)
PAIR: Final = 4
"""Of a pair in a snapshot: instrument, keys of both, count."""


class Met(msgspec.Struct, frozen=True):
    """Two orders alike that met."""

    row: int
    rested: int
    """Key of the party whose order rested."""
    took: int
    offered: int
    """Lots of the order that rested, as entered."""
    taken: int
    """Lots of the order that took it, as entered."""


class Parties:
    """Who met whom in each instrument's UTC day.

    State: 16 kB an instrument of fresh offers; 1.3 kB a party that met another that day, at most
    `max_parties`; 16 B a pair that met, times 2 to 4, at most `max_pairs`. What is beyond is
    counted in `overflow`.

    Parameters
    ----------
    instruments : int
        How many the table holds.
    params : MatchedOrdersParams
    """

    layout: ClassVar[Layout] = {
        "head": ByCode(),
        "offers": ByCode(),
        "met": ByCode(),
        "unfollowed": Count(),
        "parties": Rows("parties", column=k.P_CODE),
        "bins": Rows("parties", column=k.P_CODE),
        "sizes": Rows("parties", column=k.P_CODE),
        "partners": Rows("parties", column=k.P_CODE),
        "pairs": Rows("pairs", column=0),
    }

    def __init__(self, instruments: int, params: MatchedOrdersParams) -> None:
        self._params = params
        self._kept = Kept(
            "matched_orders",
            {
                "head": np.zeros((instruments, k.HEAD), np.int64),
                "offers": np.zeros((instruments, k.OFFERS, k.OFFER), np.int64),
                "met": np.zeros((instruments, k.BINS), np.int64),
                "unfollowed": np.zeros(1, np.int64),
            },
        )
        self._counts = np.zeros(k.COUNTS, np.int64)
        self._parties = self._index = np.zeros((0, k.PARTY), np.int64)
        self._bins, self._sizes, self._partners = _blank(0)
        self._take(self._parties, self._bins, self._sizes, self._partners)
        self._pairs = np.zeros(FIRST_PAIRS, np.int64)
        self._pair_counts = np.zeros(FIRST_PAIRS, np.int64)
        self._out = np.zeros((OUT_ROWS, k.ROW), np.int64)  # room only: kept between calls

    @property
    def overflow(self) -> int:
        """Meetings not followed because a bound was reached."""
        return int(self._kept["unfollowed"][0])

    def scan(self, batch: Batch) -> Iterator[Met]:
        """Yield the meetings of orders alike; one with `rested` 0 where a new day begins.

        When one of a pair that did so `joining_meetings` times is yielded, nothing later has been
        counted. The day's parties are forgotten once its end has been taken.
        """
        columns = tuple(batch[name] for name in k.COLUMNS)
        params, kept = self._params, self._kept
        row = 0
        while row < len(batch):
            self._make_room()
            row, written = k.scan(
                columns, row, int(params.within_s * SECOND), params.alike_ratio,
                params.joining_meetings, params.max_parties, params.max_pairs, kept["head"],
                kept["offers"], kept["met"], self._counts, self._parties, self._bins, self._sizes,
                self._partners, self._index, self._pairs, self._pair_counts, self._out,
            )  # fmt: skip
            kept["unfollowed"][0] += self._counts[k.C_LOST]
            self._counts[k.C_LOST] = 0
            for told in self._out[:written].tolist():
                met = Met(*told)
                yield met
                if not met.rested:
                    self._forget(int(batch["instrument"][met.row]))

    def count(self, code: int) -> int:
        """Return how many parties met another in an instrument today."""
        return int(self._kept["head"][code, k.H_PARTIES])

    def chance(self, code: int, keys: Sequence[int], beside: Sequence[int] = ()) -> Chance:
        """Return what chance says of a set of parties; `beside` are no outsiders to them."""
        params, kept = self._params, self._kept
        rows = [k.place_of(self._index, self._parties, code, key) for key in (*keys, *beside)]
        told = expected(
            self._index[rows] - 1, len(keys), params.alike_ratio, float(params.habit_meetings),
            kept["head"][code], kept["met"][code], self._parties, self._bins, self._sizes,
            self._partners, self._pairs, self._pair_counts,
        ).tolist()  # fmt: skip
        return Chance(int(told[E_MET]), int(told[E_ALIKE]), told[E_EXPECTED], told[E_SHARE])

    def _make_room(self) -> None:
        used = int(self._counts[k.C_PARTIES])
        if used + 2 > len(self._parties):
            more = _blank(len(self._parties))
            blank = np.zeros_like(self._parties)
            self._parties = np.concatenate([self._parties, blank])
            self._bins, self._sizes, self._partners = (
                np.concatenate(each)
                for each in zip((self._bins, self._sizes, self._partners), more, strict=True)
            )
            self._index = k.indexed(self._parties, used, room_for(len(self._parties)))
        if 2 * (self._counts[k.C_PAIRS] + 1) > len(self._pairs):
            self._pairs, self._pair_counts = grown(self._pairs, self._pair_counts)

    def _forget(self, code: int) -> None:
        """Begin an instrument's next day."""
        self._kept["head"][code, [k.H_UNTIL, *_OF_THE_DAY]] = 0
        self._kept["met"][code] = 0
        used = int(self._counts[k.C_PARTIES])
        stays = np.flatnonzero(self._parties[:used, k.P_CODE] != code)
        pairs = self._named_pairs()
        bins, sizes, partners = (each[stays] for each in (self._bins, self._sizes, self._partners))
        self._take(self._parties[stays], bins, sizes, partners)
        self._name_pairs(pairs[pairs[:, 0] != code])

    def _take(self, parties: Array, bins: Array, sizes: Array, partners: Array) -> None:
        """Hold so many parties, and room for more."""
        used = len(parties)
        room = max(FIRST_PARTIES, 1 << (used + 2).bit_length())
        more = _blank(room - used)
        self._parties = np.concatenate([parties, np.zeros((room - used, k.PARTY), np.int64)])
        self._bins = np.concatenate([bins, more[0]])
        self._sizes = np.concatenate([sizes, more[1]])
        self._partners = np.concatenate([partners, more[2]])
        self._index = k.indexed(self._parties, used, room_for(room))
        self._counts[k.C_PARTIES] = used

    def _named_pairs(self) -> Array:
        """Return the pairs by what they are called, those of an instrument together."""
        held = np.flatnonzero(self._pairs)
        one, other = (self._pairs[held] >> 32) - 1, (self._pairs[held] & k.ONE) - 1
        named = np.empty((len(held), PAIR), np.int64)
        named[:, 0] = self._parties[one, k.P_CODE]
        named[:, 1], named[:, 2] = self._parties[one, k.P_KEY], self._parties[other, k.P_KEY]
        named[:, 3] = self._pair_counts[held]
        ordered: Array = named[np.argsort(named[:, 0], kind="stable")]
        return ordered

    def _name_pairs(self, named: Array) -> None:
        keys = np.array(
            [
                k.pair_key(
                    int(self._index[k.place_of(self._index, self._parties, code, one)]) - 1,
                    int(self._index[k.place_of(self._index, self._parties, code, other)]) - 1,
                )
                for code, one, other in named[:, :3].tolist()
            ],
            np.int64,
        )
        size = max(FIRST_PAIRS, room_for(len(keys)))
        self._pairs, places = filled(keys, size)
        self._pair_counts = np.zeros(size, np.int64)
        self._pair_counts[places] = named[:, 3]
        self._counts[k.C_PAIRS] = len(keys)

    def snapshot(self) -> Snapshot:
        """Return all state as arrays, rows of an instrument together."""
        used = int(self._counts[k.C_PARTIES])
        rows = np.argsort(self._parties[:used, k.P_CODE], kind="stable")
        return {
            **self._kept.snapshot(),
            "parties": self._parties[rows],
            "bins": self._bins[rows],
            "sizes": self._sizes[rows],
            "partners": self._partners[rows],
            "pairs": self._named_pairs(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
        self._take(*(snapshot[name] for name in ("parties", "bins", "sizes", "partners")))
        self._name_pairs(snapshot["pairs"])


def _blank(rows: int) -> tuple[Array, Array, Array]:
    """Return bins, sizes and partners of parties that did nothing yet."""
    return (
        np.zeros((rows, 2, k.BINS), np.int32),
        np.zeros((rows, k.SIZES), np.int64),
        np.zeros((rows, k.SIZES), np.int64),
    )
