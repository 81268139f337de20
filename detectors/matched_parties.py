"""What parties did in their meetings of the day: the state of the scan, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors import matched_kernel as k
from detectors.kept import Kept
from detectors.matched_blocks import Blocks
from detectors.matched_chance import (
    E_ALIKE,
    E_APART,
    E_EXPECTED,
    E_LATE,
    E_LATE_MOST,
    E_MET,
    E_MOST,
    E_SHARE,
    Chance,
    expected,
)
from detectors.matched_params import MatchedOrdersParams
from detectors.wash_kernel import by_key, filled
from ingest.axes import ByCode, Count, Rows
from ingest.events import Array, Batch
from ingest.sections import Layout
from ingest.state import Snapshot
from ingest.times import SECOND

OUT_ROWS: Final = 1024
FIRST_PARTIES: Final = 8
FIRST_PAIRS: Final = 32
"""Room that an instrument has at first, once an order is taken in it."""
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
    soon: int
    """How surprisingly soon it was entered, in `NATS`."""


class Late(msgspec.Struct, frozen=True):
    """Meetings alike of a set of parties in the last two quarters of an hour."""

    since: int
    """The earlier of the two, of the day's."""
    alike: int
    soon: int
    """What `Met.soon` of them adds up to."""


NEVER: Final = Late(since=k.BINS, alike=0, soon=0)


class Parties:
    """Who met whom in each instrument's UTC day.

    State: 17 kB an instrument of fresh offers and gaps; and of each instrument's last day 1.6 kB,
    times 1 to 2, a party that met another, at most `max_parties`, and 16 B, times 2 to 4, a pair
    that met, at most `max_pairs`. No instrument's tables bear on another's. What is beyond is
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
        "latest": ByCode(),
        "met": ByCode(),
        "unfollowed": Count(),
        "parties": Rows("parties", column=k.P_CODE),
        "bins": Rows("parties", column=k.P_CODE),
        "sizes": Rows("parties", column=k.P_CODE),
        "partners": Rows("parties", column=k.P_CODE),
        "gaps": Rows("parties", column=k.P_CODE),
        "pairs": Rows("pairs", column=0),
    }

    def __init__(self, instruments: int, params: MatchedOrdersParams) -> None:
        self._params = params
        self._kept = Kept(
            "matched_orders",
            {
                "head": np.zeros((instruments, k.HEAD), np.int64),
                "offers": np.zeros((instruments, k.OFFERS, k.OFFER), np.int64),
                "latest": np.zeros((instruments, k.GAPS), np.int64),
                "met": np.zeros((instruments, k.BINS), np.int64),
                "unfollowed": np.zeros(1, np.int64),
            },
        )
        self._empty()
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
            self._make_room(int(batch["instrument"][row]))
            parties, bins, sizes, partners, gaps, index = self._parties.arrays
            pairs, pair_counts = self._pairs.arrays
            row, written = k.scan(
                columns, row, int(params.within_s * SECOND), params.alike_ratio,
                float(params.habit_meetings), params.joining_meetings, params.max_parties,
                params.max_pairs, kept["head"], kept["offers"], kept["latest"], kept["met"],
                self._tables, parties, bins, sizes, partners, gaps, index.reshape(-1), pairs,
                pair_counts, kept["unfollowed"], self._out,
            )  # fmt: skip
            for told in self._out[:written].tolist():
                met = Met(*told)
                yield met
                if not met.rested:
                    self._forget(int(batch["instrument"][met.row]))

    def count(self, code: int) -> int:
        """Return how many parties met another in an instrument today."""
        return int(self._kept["head"][code, k.H_PARTIES])

    def chance(
        self, code: int, keys: Sequence[int], beside: Sequence[int] = (), soon: int = 0,
        late: Late = NEVER,
    ) -> Chance:  # fmt: skip
        """Return what chance says of a set of parties; `beside` are no outsiders to them.

        `soon` is what `Met.soon` of their meetings adds up to; `late` those of late.
        """
        params, kept = self._params, self._kept
        parties, bins, sizes, partners, _, index = self._parties_of(code)
        rows = [k.place_of(index, parties, key) for key in (*keys, *beside)]
        pairs, pair_counts = self._pairs_of(code)
        told = expected(
            index[rows] - 1, len(keys), params.alike_ratio, float(params.habit_meetings),
            kept["head"][code], kept["met"][code], parties, bins, sizes, partners,
            pairs, pair_counts, late.since,
        ).tolist()  # fmt: skip
        return Chance(
            meetings=int(told[E_MET]),
            alike=int(told[E_ALIKE]),
            expected=told[E_EXPECTED],
            share=told[E_SHARE],
            most=int(told[E_MOST]),
            apart=int(told[E_APART]),
            soon=soon / k.NATS,
            late=late.alike,
            late_expected=told[E_LATE],
            late_most=int(told[E_LATE_MOST]),
            late_soon=late.soon / k.NATS,
        )

    def _empty(self) -> None:
        """Hold no party."""
        instruments = len(self._kept["head"])
        self._tables = np.zeros((instruments, k.TABLE), np.int64)
        self._parties = Blocks(
            [
                np.zeros((0, k.PARTY), np.int64),
                np.zeros((0, 2, k.BINS), np.int32),
                *(np.zeros((0, k.SIZES), np.int64) for _ in range(3)),
                np.zeros((0, k.PLACES), np.int64),
            ]
        )
        self._pairs = Blocks([np.zeros(0, np.int64), np.zeros(0, np.int64)])

    def _parties_of(self, code: int) -> list[Array]:
        """Return an instrument's parties, bins, sizes, partners, gaps and index."""
        at, room = self._tables[code, [k.T_AT, k.T_ROOM]].tolist()
        *rows, index = (each[at : at + room] for each in self._parties.arrays)
        return [*rows, index.reshape(-1)]

    def _pairs_of(self, code: int) -> list[Array]:
        """Return an instrument's pairs and their counts."""
        at, room = self._tables[code, [k.T_PAIRS_AT, k.T_PAIRS_ROOM]].tolist()
        return [each[at : at + room] for each in self._pairs.arrays]

    def _make_room(self, code: int) -> None:
        """Let an instrument have two more parties and a pair of them."""
        table, used = self._tables[code], self.count(code)
        if not k.full(self._kept["head"][code], table):
            return
        if used + 2 > table[k.T_ROOM]:
            self._take_parties(code, [each[:used] for each in self._parties_of(code)[:-1]])
        if 2 * (table[k.T_PAIRS] + 1) > table[k.T_PAIRS_ROOM]:
            keys, counts = self._pairs_of(code)
            held = np.flatnonzero(keys)
            self._take_pairs(code, keys[held], counts[held])

    def _take_parties(self, code: int, held: Sequence[Array]) -> None:
        """Hold these parties of an instrument, and have room for more."""
        used = len(held[0])
        room = max(FIRST_PARTIES, 1 << (used + 1).bit_length())
        at, table = self._parties.take(room), self._tables[code]
        for each, rows in zip(self._parties.arrays, held, strict=False):
            each[at : at + used] = rows
        self._parties.give_back(int(table[k.T_AT]), int(table[k.T_ROOM]))
        table[[k.T_AT, k.T_ROOM]] = at, room
        parties, *_, index = self._parties_of(code)
        k.index_of(parties, used, index)

    def _take_pairs(self, code: int, keys: Array, counts: Array) -> None:
        """Hold these pairs of an instrument, and have room for more."""
        room = max(FIRST_PAIRS, 1 << (2 * len(keys) + 1).bit_length())
        at, table = self._pairs.take(room), self._tables[code]
        self._pairs.give_back(int(table[k.T_PAIRS_AT]), int(table[k.T_PAIRS_ROOM]))
        table[[k.T_PAIRS_AT, k.T_PAIRS_ROOM, k.T_PAIRS]] = at, room, len(keys)
        mine, its_counts = self._pairs_of(code)
        mine[:], places = filled(keys, room)
        its_counts[places] = counts

    def _forget(self, code: int) -> None:
        """Begin an instrument's next day."""
        self._kept["head"][code, [k.H_UNTIL, *_OF_THE_DAY]] = 0
        self._kept["met"][code] = 0
        self._kept["latest"][code] = 0
        table = self._tables[code]
        self._parties.give_back(int(table[k.T_AT]), int(table[k.T_ROOM]))
        self._pairs.give_back(int(table[k.T_PAIRS_AT]), int(table[k.T_PAIRS_ROOM]))
        table[:] = 0

    def _named_pairs(self, code: int) -> Array:
        """Return an instrument's pairs by what they are called, in the order of their parties."""
        keys, counts = self._pairs_of(code)
        held = by_key(keys)
        parties = self._parties_of(code)[0]
        named = np.empty((len(held), PAIR), np.int64)
        named[:, 0] = code
        named[:, 1] = parties[(keys[held] >> 32) - 1, k.P_KEY]
        named[:, 2] = parties[(keys[held] & k.ONE) - 1, k.P_KEY]
        named[:, 3] = counts[held]
        return named

    def snapshot(self) -> Snapshot:
        """Return all state as arrays, rows of an instrument together."""
        codes = np.flatnonzero(self._tables[:, k.T_ROOM]).tolist()
        starts = self._tables[:, k.T_AT].tolist()
        places = [np.arange(starts[code], starts[code] + self.count(code)) for code in codes]
        rows = np.concatenate([np.zeros(0, np.int64), *places])
        pairs = [self._named_pairs(code) for code in codes]
        parties, bins, sizes, partners, gaps, _ = self._parties.arrays
        return {
            **self._kept.snapshot(),
            "parties": parties[rows],
            "bins": bins[rows],
            "sizes": sizes[rows],
            "partners": partners[rows],
            "gaps": gaps[rows],
            "pairs": np.concatenate([np.zeros((0, PAIR), np.int64), *pairs]),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
        self._empty()
        held = [snapshot[name] for name in ("parties", "bins", "sizes", "partners", "gaps")]
        for code, part in _parts(held[0][:, k.P_CODE]):
            self._take_parties(code, [each[part] for each in held])
        for code, part in _parts(snapshot["pairs"][:, 0]):
            named = snapshot["pairs"][part]
            parties, *_, index = self._parties_of(code)
            self._take_pairs(code, k.pair_keys(index, parties, named[:, 1:3]), named[:, 3])


def _parts(codes: Array) -> Iterator[tuple[int, slice]]:
    """Yield each instrument, and where its rows are, which stand together."""
    found, starts, counts = np.unique(codes, return_index=True, return_counts=True)
    for code, start, count in zip(found.tolist(), starts.tolist(), counts.tolist(), strict=True):
        yield code, slice(start, start + count)
