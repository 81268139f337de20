"""What a rematch needs of a feed: the book at its begin, and the records from there on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np
import polars as pl

from alerts.rematch import Replay
from alerts.rematch_book import Book, Order
from alerts.rematch_fork import Repair
from alerts.rematch_steps import Event, Steps, events_of
from alerts.restitution_breaches import is_client
from detectors.book import Books
from ingest.events import CLIENT_ROLES, GROUP_ROLES, NULL, Array, Batch, Kind, OrderType

HORIZON_NS: Final = 300 * 1_000_000_000
"""An unfilled client is marked to mid at its cancel, or after so long."""
_WAITING, _FLYING = 1, 2
_STOPS: Final = (OrderType.STOP, OrderType.STOP_LIMIT)


class Window:
    """One instrument's stretch of a feed around its breaches, while it is read.

    State: the book, a copy of it for each breach that is followed, and what their orders came to.

    Parameters
    ----------
    instrument : int
    repairs : sequence of Repair
        Of the instrument, in order.
    books : Books
        As they stood before the first batch that the window takes.
    by_class : bool
        Whether the instrument's `matching` is price_class_time.
    in_complex : callable
        Whether an account code belongs to the complex.
    roots : dict of order to order
        Of orders that replaced others, the first of the chain.
    busted : collection of int
        Trades, by id, that the venue took back later.
    """

    def __init__(
        self,
        instrument: int,
        repairs: Sequence[Repair],
        books: Books,
        *,
        by_class: bool,
        in_complex: Callable[[int], bool],
        roots: dict[int, int],
        busted: Collection[int],
    ) -> None:
        self.raw_of: dict[int, bytes] = {}
        """Raw record of each trade of an order that is followed, by seq."""
        self.clock_of: dict[int, int] = {}
        """Event time of each record at which one came to something, by seq."""
        self._instrument = instrument
        self._book = Book(by_class=by_class)
        self._clients: dict[int, tuple[int, int]] = {}
        self._flying: Order | None = None
        self._steps: Steps | None = None
        self._held: list[tuple[Batch, Array]] = []
        self._begin(books, in_complex)
        self.replay = Replay(
            self._book,
            repairs,
            horizon_ns=HORIZON_NS,
            is_client=is_client,
            clients=self._clients,
            roots=roots,
            busted=busted,
        )

    def _begin(self, books: Books, in_complex: Callable[[int], bool]) -> None:
        live = {name: column.tolist() for name, column in books.live(self._instrument).items()}
        for at in range(len(live["side"])):
            cell = {name: column[at] for name, column in live.items()}
            key = (cell["order_hi"] << 64) | cell["order_lo"]
            stop = cell["state"] == _WAITING and cell["type"] in _STOPS
            order = Order(
                key,
                cell["side"],
                None if cell["price"] == NULL else cell["price"],
                cell["leaves"],
                display=None if cell["display"] == NULL else cell["display"],
                in_group=cell["role"] in GROUP_ROLES,
                is_stop=stop,
            )
            if cell["role"] in CLIENT_ROLES and not in_complex(cell["account"]):
                self._clients[key] = (cell["account"], cell["side"])
            if cell["state"] == _FLYING:
                self._flying = order
            elif cell["state"] == _WAITING or order.price is None:
                self._book.park(order)
            else:
                self._book.join(order)
                order.shown = cell["shown"]

    def take(self, batch: Batch, rows: Array) -> None:
        """Take the next rows of the instrument, in order of seq."""
        events = events_of(batch, rows)
        if self._steps is None:
            self._steps = Steps(int(batch["phase"][rows[0]]))
            events = self._settle_flight(events)
        self.replay.take(self._steps.take(events))
        # A step that ends here may have begun batches before.
        self._held.append((batch, rows))
        self._keep_held()
        begun = self._steps.open_seq
        if begun is None:
            self._held = []
        else:
            self._held = [each for each in self._held if each[0]["seq"][each[1][-1]] >= begun]

    def close(self) -> None:
        """Take what is left: the feed ends here."""
        if self._steps is not None:
            self.replay.take(self._steps.flush())
        self.replay.close()
        self._keep_held()

    def _keep_held(self) -> None:
        for source in self._held:
            self._keep(*source)

    def _keep(self, batch: Batch, rows: Array) -> None:
        """Keep time and raw record of what was noted."""
        raw: pl.Series | None = batch.raw
        noted = self.replay.noted
        for row in rows[np.isin(batch["seq"][rows], np.array(sorted(noted), np.int64))].tolist():
            seq = int(batch["seq"][row])
            self.clock_of[seq] = int(batch["clock_ns"][row])
            if raw is not None and batch["kind"][row] == Kind.TRADE:
                self.raw_of[seq] = raw[row]
            noted.discard(seq)

    def _settle_flight(self, events: list[Event]) -> list[Event]:
        """Carry out the trades of an instruction from before the first record; return the rest."""
        flying = self._flying
        end = next((i for i, e in enumerate(events) if e.kind != Kind.TRADE), 0)
        for trade in events[:end]:
            for key in (trade.buy, trade.sell):
                order = flying if flying and key == flying.key else self._book.orders.get(key)
                if order is not None:
                    self._book.fill(order, trade.quantity)
        if flying is not None and flying.leaves > 0 and flying.price is not None:
            self._book.join(flying)
        return events[end:]
