"""matching_configuration: one alert an instrument and UTC day, however many fills it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from detectors.base import Feature, Finding, Ref
from ingest.axes import ByCode
from ingest.events import NULL, Array, Batch, Coverage
from ingest.sections import Layout
from ingest.state import Snapshot
from ingest.times import DAY

ON_DAY, COUNT, FIRST_SEQ, FIRST_NS, LAST_NS, GROUP, CLIENT, INCOMPLETE, FIELDS = range(9)


class ConfigurationDays:
    """Days on which the engine filled the group before a younger client, by price and time.

    State: one row of 64 B an instrument.
    """

    layout: ClassVar[Layout] = {"days": ByCode(NULL)}

    def __init__(self, detector: str, version: int, instruments: int) -> None:
        self._detector = detector
        self._version = version
        self._days = np.full((instruments, FIELDS), NULL, np.int64)

    def step(self, batch: Batch, rows: Array) -> Iterator[Finding]:
        """Yield each day's first fact when it comes, and its count when the day is over.

        Parameters
        ----------
        rows : array of int
            Rows of `batch.passed_over` that tell it.
        """
        table, days = batch.passed_over, self._days
        code, done = table["instrument"][rows], table["done_ns"][rows]
        day = done // DAY
        while len(rows):
            same = days[code, ON_DAY] == day
            self._count(table, rows[same], code[same])
            rows, code, day = rows[~same], code[~same], day[~same]
            if not len(rows):
                break
            firsts = np.unique(code, return_index=True)[1]
            for at in np.sort(firsts):
                yield from self._over(int(code[at]))
                yield self._open(table, int(rows[at]), int(code[at]), int(day[at]))
        codes, clock = batch["instrument"], batch["clock_ns"]
        if len(codes) and (days[:, ON_DAY] != NULL).any():
            ends = batch.ends
            held = days[codes[ends], ON_DAY]
            for end in ends[(held != NULL) & (clock[ends] // DAY > held)]:
                yield from self._over(int(codes[end]))

    def _count(self, table: dict[str, Array], rows: Array, code: Array) -> None:
        np.add.at(self._days[:, COUNT], code, 1)
        np.maximum.at(self._days[:, LAST_NS], code, table["done_ns"][rows])
        doubt = (table["coverage"][rows] == Coverage.INCOMPLETE).astype(np.int64)
        np.maximum.at(self._days[:, INCOMPLETE], code, doubt)

    def _open(self, table: dict[str, Array], row: int, code: int, day: int) -> Finding:
        held = self._days[code]
        done_ns = int(table["done_ns"][row])
        # Its count stays 0 here: the row is counted with the others of the day.
        held[ON_DAY], held[COUNT], held[FIRST_SEQ] = day, 0, table["group_trade_seq"][row]
        held[FIRST_NS], held[LAST_NS] = done_ns, done_ns
        held[GROUP], held[CLIENT] = table["group_account"][row], table["client_account"][row]
        held[INCOMPLETE] = table["coverage"][row] == Coverage.INCOMPLETE
        refs = {int(table[name][row]) for name in ("group_trade_seq", "group_entry_seq",
                "client_entry_seq", "done_seq")} - {0}  # fmt: skip
        return self._finding(code, 1, 1, done_ns, tuple(Ref(code, seq) for seq in sorted(refs)))

    def _over(self, code: int) -> Iterator[Finding]:
        held = self._days[code]
        if held[ON_DAY] != NULL:
            yield self._finding(code, 2, int(held[COUNT]), (int(held[ON_DAY]) + 1) * DAY, ())
            held[ON_DAY] = NULL

    def _finding(
        self, code: int, revision: int, count: int, at_ns: int, refs: tuple[Ref, ...]
    ) -> Finding:
        held = [int(value) for value in self._days[code]]
        accounts = (held[GROUP], held[CLIENT])
        incomplete = bool(held[INCOMPLETE])
        return Finding(
            detector=self._detector,
            detector_version=self._version,
            scenario="matching_configuration",
            evidence_class="indicator",
            evidence="supported",
            instrument=code,
            first_seq=held[FIRST_SEQ],
            first_accounts=accounts,
            revision=revision,
            accounts=accounts,
            window_start_ns=held[FIRST_NS],
            window_end_ns=held[LAST_NS],
            detected_ns=at_ns,
            evidence_refs=refs,
            features={
                "younger": Feature(count, "count"),
                "matching": Feature("price_time", "text", "price_class_time"),
            },
            score=0.1,
            coverage="incomplete" if incomplete else "complete",
            status="confirmed" if revision == 2 and not incomplete else "provisional",
        )

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return {"days": self._days.copy()}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        self._days = snapshot["days"].copy()
