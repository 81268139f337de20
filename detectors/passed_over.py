"""Rows of `passed_over` judged: which of them are breaches, which say how the engine matches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np

from detectors.allotment import Claim, incidents
from detectors.displacement import (
    AFFILIATE_UNKNOWN,
    CLIENT_UNKNOWN,
    CLOSE,
    PROVED,
    TIMING,
    UNORDERED,
    Displacement,
    by_arrival,
)
from detectors.overtaking import Overtaking, order_of
from ingest.axes import ByCode, Count, Rows
from ingest.events import (
    NULL,
    Array,
    Batch,
    Kind,
    Phase,
    Reason,
    Role,
)
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot

LATE, HELD = 1, 2
"""Bits of an entry: received_ns after engine_ns; held by a speed bump."""
_CODE, _SEQ, _RECEIVED, _BITS = range(4)
_PRUNE_ABOVE: Final = 4096
_UNKNOWN, _CONTINUOUS, _STATUS = int(Role.UNKNOWN), int(Phase.CONTINUOUS), int(Kind.STATUS)
_SPEED_BUMP: Final = int(Reason.SPEED_BUMP)
_OF_ACCOUNT: Final = ("instrument", "done_seq", "group_account", "price")


class PassedOver:
    """Judges the book's facts.

    State: the last status time of each instrument, and one row of 32 B for each instruction of the
    last `horizon_ns` that was held by a speed bump or whose received_ns is after its engine_ns.

    Parameters
    ----------
    instruments : Instruments
        Tells which match by class.
    delta_ns : int
        Clock uncertainty, ns.
    horizon_ns : int
        Age of an order up to which its entry is known beyond doubt, ns.
    """

    layout: ClassVar[Layout] = {
        "status_ns": ByCode(NULL),
        "late": Rows("late", column=_CODE),
        "not_told": Count(),
    }

    def __init__(self, instruments: Instruments, delta_ns: int, horizon_ns: int) -> None:
        self._delta_ns = delta_ns
        self._horizon_ns = horizon_ns
        self._class_time = np.array(
            [row.matching == "price_class_time" for row in instruments.rows]
        )
        self._status_ns = np.full(len(instruments), NULL, np.int64)
        self._late = np.zeros((0, 4), np.int64)
        self._prune_at = _PRUNE_ABOVE
        self.overflow = 0

    def judge(self, batch: Batch, overtaking: Overtaking) -> tuple[list[Displacement], Array]:
        """Return the breaches among the batch's rows, and the rows of younger clients that are not.

        The latter index `batch.passed_over`: on a price_time venue they say how the engine matches.
        """
        self._note_late(batch)
        table = batch.passed_over
        breaches: list[Displacement] = []
        younger = np.zeros(0, np.int64)
        if len(table["jumped_lots"]):
            code, older = table["instrument"], table["jumped_lots"] > 0
            continuous = table["phase"] == _CONTINUOUS
            by_class = self._class_time[code]
            received, group_received = table["client_received_ns"], table["group_received_ns"]
            timed = (received != NULL) & (group_received != NULL)
            gap = np.where(timed, group_received - np.where(timed, received, 0), 0)
            inverted = (
                ~older & (gap > self._delta_ns)
                & (table["client_entry_seq"] > table["group_entry_seq"])
                & (table["group_entry_seq"] > 0)
            )  # fmt: skip
            claims: dict[tuple[int, int, int], list[Claim]] = {}
            rows = np.flatnonzero(continuous & (older | by_class | inverted))
            gaps = np.where(inverted, gap, 0)[rows].tolist()
            for cell, gap_ns in zip(_cells(table, rows), gaps, strict=True):
                claim = self._claim(batch, cell, gap_ns, overtaking)
                if claim is not None:
                    where = (cell["instrument"], cell["done_seq"], cell["price"])
                    claims.setdefault(where, []).append(claim)
            inversions = set()
            for of_price in claims.values():
                found, cut_short = incidents(of_price)
                self.overflow += cut_short
                breaches.extend(found)
                inversions |= {
                    (f.instrument, f.done_seq, f.group_account, f.dues[0].limit)
                    for f in found
                    if f.arrival_inversions and f.condition in (PROVED, CLOSE, TIMING, UNORDERED)
                }
            stays = continuous & ~older & ~by_class & _front_most_known(table)
            younger = np.flatnonzero(stays)
            if inversions:
                of_row = zip(*(table[name][younger].tolist() for name in _OF_ACCOUNT), strict=True)
                younger = younger[[each not in inversions for each in of_row]]
        self._note_status(batch)
        self._prune(batch)
        return breaches, younger

    def _claim(
        self, batch: Batch, cell: Mapping[str, int], gap_ns: int, overtaking: Overtaking
    ) -> Claim | None:
        """Return what a row's client order can ask for; None when that is nothing."""
        by_class = bool(self._class_time[cell["instrument"]])
        doubt = False
        if gap_ns:
            arrived_first, doubt = self._arrived_first(batch, cell)
            gap_ns = gap_ns if arrived_first else 0
        placed = cell["jumped_lots"] > 0 or by_class
        if not (placed or gap_ns):
            return None
        condition = PROVED
        if cell["client_role"] == _UNKNOWN:
            condition = CLIENT_UNKNOWN
        elif cell["group_role"] == _UNKNOWN:
            condition = AFFILIATE_UNKNOWN
        elif doubt and not placed:
            condition = TIMING
        elif not placed:
            octaves = overtaking.at(batch, cell["instrument"], cell["done_seq"])
            condition = by_arrival(gap_ns, self._delta_ns, order_of(octaves, gap_ns))
        every = by_class or not placed
        return Claim(
            cell=cell,
            reach=cell["group_lots"] if every else cell["jumped_lots"],
            condition=condition,
            arrived=not placed,
            gap_ns=gap_ns,
        )

    def _arrived_first(self, batch: Batch, cell: Mapping[str, int]) -> tuple[bool, bool]:
        """Return whether the client's instruction came first, and whether a clock leaves doubt.

        Not when it was held by a speed bump, or arrived before the last change of phase.
        """
        code, done_ns = cell["instrument"], cell["done_ns"]
        bits = {
            who: self._bits(code, cell[f"{who}_entry_seq"])
            for who in ("client", "group")
            if done_ns - cell[f"{who}_received_ns"] <= self._horizon_ns
        }
        if bits.get("client", 0) & HELD or cell["client_received_ns"] < self._status_at(
            batch, cell
        ):
            return False, False
        return True, len(bits) < 2 or any(bit & LATE for bit in bits.values())

    def _bits(self, code: int, seq: int) -> int:
        late = self._late
        found = np.flatnonzero((late[:, _SEQ] == seq) & (late[:, _CODE] == code))
        return int(late[found[0], _BITS]) if len(found) else 0

    def _status_at(self, batch: Batch, cell: Mapping[str, int]) -> int:
        """Return the clock of the last status record up to the incoming order's last trade."""
        rows = np.flatnonzero(
            (batch["kind"] == _STATUS)
            & (batch["instrument"] == cell["instrument"])
            & (batch["seq"] <= cell["done_seq"])
        )
        if len(rows):
            return int(batch["clock_ns"][rows[-1]])
        return int(self._status_ns[cell["instrument"]])

    def _note_status(self, batch: Batch) -> None:
        rows = np.flatnonzero(batch["kind"] == _STATUS)
        self._status_ns[batch["instrument"][rows]] = batch["clock_ns"][rows]

    def _note_late(self, batch: Batch) -> None:
        received, code = batch["received_ns"], batch["instrument"]
        odd = (received > batch["engine_ns"]) | (batch["reason"] == _SPEED_BUMP)
        if not odd.any():
            return
        rows = np.flatnonzero(odd & np.isin(batch["kind"], (Kind.NEW, Kind.REPLACE)))
        bits = (received[rows] > batch["engine_ns"][rows]) * LATE
        bits += (batch["reason"][rows] == _SPEED_BUMP) * HELD
        noted = np.stack([code[rows], batch["seq"][rows], received[rows], bits], axis=1)
        self._late = np.concatenate([self._late, noted.astype(np.int64)])

    def _prune(self, batch: Batch) -> None:
        """Drop entries beyond the horizon: they are in doubt anyway, so that changes nothing."""
        if len(self._late) <= self._prune_at:
            return
        code = batch["instrument"]
        now_ns = np.full(len(self._status_ns), NULL, np.int64)
        ends = batch.ends
        now_ns[code[ends]] = batch["clock_ns"][ends]
        at_ns = now_ns[self._late[:, _CODE]]
        young = self._late[:, _RECEIVED] >= at_ns - self._horizon_ns
        self._late = self._late[young | (at_ns == NULL)]
        self._prune_at = max(_PRUNE_ABOVE, 2 * len(self._late))

    def snapshot(self) -> Snapshot:
        """Return all state as arrays; rows of one instrument stand together."""
        return {
            "status_ns": self._status_ns.copy(),
            "late": self._late[np.argsort(self._late[:, _CODE], kind="stable")],
            "not_told": np.array([self.overflow], np.int64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        self._status_ns = snapshot["status_ns"].copy()
        self._late = snapshot["late"].copy()
        self.overflow = int(snapshot["not_told"][0])
        self._prune_at = max(_PRUNE_ABOVE, 2 * len(self._late))


def _cells(table: Mapping[str, Array], rows: Array) -> list[dict[str, int]]:
    """Return rows of a table, each by name."""
    columns = [column[rows].tolist() for column in table.values()]
    return [dict(zip(table, row, strict=True)) for row in zip(*columns, strict=True)]


def _front_most_known(table: Mapping[str, Array]) -> Array:
    """Return which rows are of the front-most known client of each known account and price."""
    known = (table["client_role"] != _UNKNOWN) & (table["group_role"] != _UNKNOWN)
    rows = np.flatnonzero(known)
    first = np.zeros(len(known), bool)
    first[rows[:1]] = True
    for name in _OF_ACCOUNT:
        column = table[name][rows]
        first[rows[1:]] |= column[1:] != column[:-1]
    return first
