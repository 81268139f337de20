"""The order book, replayed from the feed: what every detector needs to know of each event.

`Books.apply` takes rows grouped by instrument, each instrument's in seq order, and adds the `BOOK`
columns and the `passed_over` table. It is a function of the events alone: cutting them into batches
elsewhere, or restoring a snapshot between two of them, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np

from detectors import book_layout as layout
from detectors.book_kernel import replay
from detectors.book_layout import Added, Rows, book_at, new_memory
from detectors.book_state import LAYOUT, live_orders, load, room_for, save
from detectors.book_table import give_back
from ingest.events import BOOK, PASSED_OVER, Array, Batch, empty
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot

_HASHES: Final = ("order", "replaces", "busts", "buy", "sell")
_READ: Final = tuple(
    (name, name.endswith(("_hi", "_lo")) and name[:-3] in _HASHES) for name in Rows._fields
)
_NOBODY: Final[Mapping[str, Array]] = empty(PASSED_OVER)


class Books:
    """The books of all instruments of a table.

    State is 24 words of 8 bytes a live order and 2 to 4 of index, 16 a price level, 16 a fill of an
    order still in flight, 112 an instrument; it grows with the orders that are live at once.

    Parameters
    ----------
    instruments : Instruments
        The table that `instrument` codes index.
    capacity : int
        First size of the tables, in orders; they double when full.

    Notes
    -----
    Of an order record, `entry_seq`, `entry_received_ns`, `lifetime_ns` and `leaves_before` describe
    the order as it stood before the record (for a `new`: the order it replaces, else itself), and
    `queue_ahead` and `client_at_price` the queue that it leaves, keeps its place in, or joins.
    A further tranche of an iceberg takes priority from its trade; `entry_seq` stays that of the
    order's own record. Queues are in order of time on every venue, whatever its `matching`.
    An order with `display` 0 is hidden: it is in no best price and no queue ahead of a shown one.
    A gap is doubted until `book`…`book_end` restates the book, or every order known from before it
    is gone; where none was known, only a restatement ends it.

    Examples
    --------
    An order stands alone; the next one at its price finds three lots ahead.

    >>> from decimal import Decimal
    >>> import numpy as np
    >>> from ingest.events import ORDERED, TAGS, WIRE, Batch, empty
    >>> from ingest.instruments import Instrument
    >>> table = Instruments([Instrument(instrument="BTC-USD", base="BTC", quote="USD", kind="spot",
    ...     tick_size=Decimal(1), lot_size=Decimal(1))])
    >>> columns = empty({**WIRE, **TAGS, **ORDERED}, 2)
    >>> columns |= {"instrument": np.zeros(2, np.int32), "seq": np.array([1, 2]),
    ...     "order_lo": np.array([7, 8], np.uint64), "side": np.ones(2, np.int8),
    ...     "type": np.ones(2, np.int8), "tif": np.ones(2, np.int8),
    ...     "price": np.array([100, 100]), "quantity": np.array([3, 5]), "leaves": np.array([3, 5])}
    >>> seen = Books(table).apply(Batch(columns, table))
    >>> seen["queue_ahead"].tolist(), seen["best_bid"].tolist()[1], seen["bid_lots"].tolist()[1]
    ([0, 3], 100, 3)
    """

    layout: ClassVar[Layout] = LAYOUT

    def __init__(self, instruments: Instruments, *, capacity: int = 1024) -> None:
        self._instruments = instruments
        self._memory = new_memory(len(instruments), capacity)

    def apply(self, batch: Batch) -> Batch:
        """Return the batch with the `BOOK` columns and the `passed_over` table filled."""
        rows = _rows(batch)
        columns = {name: np.empty(len(batch), dtype=column.dtype) for name, column in BOOK.items()}
        added = Added(*(columns[name] for name in BOOK))
        done = 0
        while (done := replay(self._memory, rows, added, done)) < len(batch):
            self._memory = room_for(self._memory, book_at(int(rows.instrument[done])))
        return batch.with_columns(columns, passed_over=self._passed_over())

    def _passed_over(self) -> Mapping[str, Array]:
        m, first, width = self._memory, layout.PASSED_COLUMNS, len(PASSED_OVER)
        found = []
        at = int(m[layout.PASSED_FIRST])
        if at == layout.NONE:
            return _NOBODY
        while at != layout.NONE:
            found.append(m[at + first : at + first + width].copy())
            after = int(m[at + layout.PASSED_NEXT])
            give_back(m, layout.PASSED_FREE, at)
            at = after
        m[layout.PASSED_FIRST] = m[layout.PASSED_LAST] = layout.NONE
        table = np.array(found, dtype=np.int64).reshape(-1, width)
        return {
            name: table[:, at].astype(column.dtype)
            for at, (name, column) in enumerate(PASSED_OVER.items())
        }

    def __len__(self) -> int:
        """Return how many orders are live, over all instruments."""
        return int(self._memory[layout.ORDERS_LIVE])

    def snapshot(self) -> Snapshot:
        """Return all state as arrays; rows of one instrument stand together in each."""
        return save(self._memory, len(self._instruments))

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raise SnapshotError when it does not fit the instruments."""
        self._memory = load(snapshot, len(self._instruments))

    def live(self, instrument: int) -> Mapping[str, Array]:
        """Return the live orders of an instrument as arrays, in order of joining.

        `state` is 0 in the book, 1 outside it (a stop, a market order in an auction), 2 in flight;
        `side`, `type`, `price`, `leaves`, `shown`, `display`, `entry_seq`, `account`, `role`,
        `owner` as in the vocabulary; `order_hi`, `order_lo` the id's hash.
        """
        found = live_orders(self._memory)
        found = found[found[:, layout.BOOK] == instrument]
        fields = {
            "state": layout.LEVEL,
            "side": layout.SIDE,
            "type": layout.TYPE,
            "price": layout.PRICE,
            "leaves": layout.LEAVES,
            "shown": layout.SHOWN,
            "display": layout.DISPLAY,
            "entry_seq": layout.ENTRY_SEQ,
            "account": layout.ACCOUNT,
            "role": layout.ROLE,
            "owner": layout.OWNER,
        }
        hashes = {
            "order_hi": np.ascontiguousarray(found[:, layout.HI]).view(np.uint64),
            "order_lo": np.ascontiguousarray(found[:, layout.LO]).view(np.uint64),
        }
        return {name: found[:, at].copy() for name, at in fields.items()} | hashes

    def levels(self, instrument: int) -> Mapping[str, Array]:
        """Return the displayed price levels of an instrument as arrays, best bid first, then asks.

        `side`, `price` (ticks), `lots` and `client_lots` shown, `orders` (count).
        """
        m, rows = self._memory, []
        for list_, side in ((layout.LISTS, 1), (layout.LISTS + layout.SMALL, -1)):
            level = m[book_at(instrument) + list_ + layout.LINKS]
            while level != layout.NONE:
                fields = (layout.LOTS, layout.CLIENT_LOTS, layout.ORDERS)
                rows.append((side, -side * m[level + layout.KEY], *(m[level + f] for f in fields)))
                level = m[level + layout.LINKS]
        table = np.array(rows, dtype=np.int64).reshape(-1, 5)
        names = ("side", "price", "lots", "client_lots", "orders")
        return {name: table[:, at].copy() for at, name in enumerate(names)}


def _rows(batch: Batch) -> Rows:
    """Return what the replay reads; hashes are seen as int64, nothing is copied."""
    columns = ((np.ascontiguousarray(batch[name]), hashed) for name, hashed in _READ)
    return Rows(*(column.view(np.int64) if hashed else column for column, hashed in columns))
