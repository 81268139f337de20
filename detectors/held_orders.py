"""Held orders and what the group executed meanwhile: the kernel's state, and a case it finds.

A case is a fact of records, no judgement: the order, how long it was held and how long is usual,
the group's executions at prices within its limit, and what the order itself was filled at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors import ahead_state as k
from detectors.ahead_kernel import COLUMNS, scan
from detectors.gap_habit import CLASSES, GAP_FIELDS
from detectors.kept import Kept
from detectors.size_habit import SIZE_FIELDS
from ingest.axes import ByCode, Count
from ingest.events import Batch
from ingest.sections import Layout
from ingest.state import Snapshot


class Execution(msgspec.Struct, frozen=True, array_like=True):
    """What one group order executed against one other order at one price."""

    seq: int
    at_ns: int
    side: int
    price: int
    lots: int
    account: int
    group: int
    entry_seq: int
    """Seq of the instruction; 0 = unknown."""
    received_ns: int
    aggressive: int
    late: int
    taken_from: int
    incoming_seq: int
    since_ns: int
    """When its order first came, ns, before it was moved; NULL = not known."""
    later: int
    """1 when its instruction came after the held order's."""


class Fill(msgspec.Struct, frozen=True, array_like=True):
    """What the held order got in the end."""

    price: int
    lots: int


class Hold(msgspec.Struct, frozen=True, array_like=True):
    """One order that was held unusually long, in the kernel's order of fields."""

    instrument: int
    seq: int
    """Of the record with which it came out."""
    entry_seq: int
    account: int
    role: int
    side: int
    limit: int
    """NULL = a market order."""
    from_ns: int
    """When the gateway had it; of a stop, when the last price reached its stop price."""
    released_ns: int
    lots: int
    open: int
    """Lots left when its own fills were done."""
    done_seq: int
    done_ns: int
    fills_kept: int
    fok: int
    incomplete: int
    late: int
    way: int
    usual_ns: int
    clear: int
    passed: int
    """Instructions of its kind that came later and were matched before it."""
    expected: int
    """How many would by their usual rate, thousandths; -1 = not known."""
    origin: int
    crossed_seq: int
    """Seq of the trade that reached the stop price; 0 = no stop."""
    at_once_ns: int
    """How long a client of this instrument may wait without being clearly held."""
    clear_of_size: int
    """1 when the hold is clear beside those of clients' orders as large, too."""
    holds: int
    overtaken: int
    makers: int
    tests: int
    stalled: int
    expected_group: int
    """Sum over holds of the chance of an aggressive execution by habit, millionths."""
    expected_makers: int
    net: int
    """Of the complex within the hold, in the client's direction, lots."""
    executions: tuple[Execution, ...]
    fills: tuple[Fill, ...]

    @property
    def held_ns(self) -> int:
        """How long it was held."""
        return self.released_ns - self.from_ns

    @property
    def later(self) -> Sequence[Execution]:
        """Executions of instructions that came after the held order."""
        return [each for each in self.executions if each.later]


class HeldOrders:
    """What is usual, what was executed and what came, an instrument each.

    State: about 80 kB an instrument, whatever the traffic. A hold whose executions reach back
    beyond the ring is counted in `overflow`.

    Parameters
    ----------
    instruments : int
        How many the table holds.
    delta_ns : int
        Clock uncertainty, ns; what took up to twice as long was not held.
    clear_ratio : int
        Times the usual from which a hold is clear.
    stall_expected : float
        Expected passers-by of whom none came: a stall for everybody.
    """

    layout: ClassVar[Layout] = {
        "ahead_state": ByCode(k.UNSEEN),
        "ahead_executions": ByCode(),
        "ahead_prices": ByCode(),
        "ahead_moved": ByCode(),
        "ahead_came": ByCode(),
        "ahead_fills": ByCode(),
        "ahead_gaps": ByCode(),
        "ahead_sizes": ByCode(),
        "ahead_rates": ByCode(),
        "ahead_lost": Count(),
    }

    def __init__(
        self,
        instruments: int,
        delta_ns: int,
        clear_ratio: int,
        stall_expected: float,
    ) -> None:
        self._limits = (delta_ns, clear_ratio, int(1_000 * stall_expected))
        shapes: dict[str, tuple[int, ...]] = {
            "ahead_executions": (k.EXECUTIONS, k.EXECUTION_FIELDS),
            "ahead_prices": (k.PRICES_KEPT, 4),
            "ahead_moved": (k.MOVED_KEPT, 2),
            "ahead_came": (2, k.CAME_KEPT, 2),
            "ahead_fills": (k.FILLS_KEPT, 2),
            "ahead_gaps": (CLASSES, GAP_FIELDS),
            "ahead_sizes": (SIZE_FIELDS,),
        }
        arrays = {
            "ahead_state": np.full((instruments, k.FIELDS), k.UNSEEN, np.int64),
            **{name: np.zeros((instruments, *shape), np.int64) for name, shape in shapes.items()},
            "ahead_rates": np.zeros((instruments, k.RATES), np.float64),
            "ahead_lost": np.zeros(1, np.int64),
        }
        self._kept = Kept("held orders", arrays)
        self._out = np.zeros((k.OUT_ROWS, k.OUT_FIELDS), np.int64)  # room only

    @property
    def overflow(self) -> int:
        """Holds longer than their executions are known, and fills not kept."""
        return int(self._kept["ahead_lost"][0])

    def scan(self, batch: Batch) -> Iterator[Hold]:
        """Yield the holds in which the group executed and that the batch completes, in order."""
        columns = tuple(batch[name] for name in COLUMNS)
        kept, out, row = self._kept, self._out, 0
        while row < len(batch):
            row, written = scan(
                columns, row, *self._limits, kept["ahead_state"], kept["ahead_executions"],
                kept["ahead_prices"], kept["ahead_moved"], kept["ahead_came"],
                kept["ahead_fills"], kept["ahead_gaps"], kept["ahead_sizes"],
                kept["ahead_rates"], kept["ahead_lost"], out,
            )  # fmt: skip
            yield from _holds(out[:written].tolist())

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return self._kept.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)


HEAD_FIELDS: Final = len(Hold.__struct_fields__) - 2
EXECUTION_FIELDS: Final = len(Execution.__struct_fields__)


def _holds(rows: Sequence[list[int]]) -> Iterator[Hold]:
    """Yield a hold for each head row with the rows that follow it."""
    at = 0
    while at < len(rows):
        head = rows[at]
        executions: list[list[int]] = []
        fills: list[list[int]] = []
        at += 1
        while at < len(rows) and rows[at][0] != k.HEAD:
            kind, *cells = rows[at]
            if kind == k.EXECUTION:
                executions.append(cells[:EXECUTION_FIELDS])
            else:
                fills.append(cells[:2])
            at += 1
        yield msgspec.convert([*head[1 : 1 + HEAD_FIELDS], executions, fills], Hold)
