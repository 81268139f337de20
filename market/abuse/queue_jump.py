"""queue_jump: an order of the group is served before an older one of a client at its price."""

from __future__ import annotations

from ingest.times import SECOND
from market.abuse.base import Venue
from market.abuse.held import best_level, is_quick, key_of
from market.book import BookSide
from market.case import Case
from market.clients import Entry
from market.draws import unit
from market.loop import Port
from market.orders import Order

HARM_S = 300.0
"""How long a client that was passed over is followed; then what is not filled counts at mid."""


class Jump:
    """Orders of the group that stand behind clients' at the best price, and wait to be let past.

    They are entered by the ordinary way, as anybody might, and taken back after a while. Only what
    the engine does with them when the right order comes in is abuse: it serves them first, once.

    Parameters
    ----------
    venue : Venue
    port : Port
    account : str
        One of the group's.
    side : int
    price : int
        The best, where only clients stand.
    pieces : list of int
        Lots of each order.
    life_s : float
        After which they are taken back.
    """

    def __init__(  # noqa: PLR0917 - what an order is, in its usual order
        self,
        venue: Venue,
        port: Port,
        account: str,
        side: int,
        price: int,
        pieces: list[int],
        *,
        life_s: float,
    ) -> None:
        self.until_ns = venue.loop.now_ns + int((life_s + 1) * SECOND)
        self._venue, self._port, self._account = venue, port, account
        self._side, self._price, self._pieces = side, price, pieces
        self._tag = venue.cases.next_tag()
        self._first_ns = 0
        self._mine: list[Order] = []
        venue.instruct(port, account, self._enter, waits=True)
        venue.after(life_s, self._withdraw)

    @property
    def has_failed(self) -> bool:
        """Whether it has come to nothing."""
        return self._venue.loop.now_ns >= self.until_ns

    def is_due(self, entry: Entry, least: float) -> bool:
        """Return whether an incoming order leaves clients unfilled if the group is served first.

        `least` is the share of the group's orders that has to be at clients' expense.
        """
        port = self._port
        mine = [order for order in self._mine if order.live]
        if not mine or not is_quick(port, entry) or not self._hits(entry):
            return False
        due = self._due(mine)
        if not due or any(order.stp_key == key_of(entry) for order in due):
            return False
        lots = sum(order.leaves for order in mine)
        shown = sum(order.shown for order in due)
        displaced = min(lots, entry.lots, lots + shown - entry.lots)
        return displaced >= max(1.0, least * lots)

    def carry_out(self, case: Case) -> None:
        """Have the group's orders served first by what comes in now."""
        case.tag = self._tag
        case.start_ns = self._first_ns
        mine = [order for order in self._mine if order.live]
        due = self._due(mine)
        for order in reversed(mine):
            self._book.promote(order)
        for order in mine:
            case.act(order.account.name, order)
        self._port.loop.at(self._port.loop.now_ns, lambda _, __: self._settle(case, mine, due))

    @property
    def _book(self) -> BookSide:
        engine = self._port.engine
        return engine.bids if self._side > 0 else engine.asks

    def _settle(self, case: Case, mine: list[Order], due: list[Order]) -> None:
        """Take the promotion back, and see whom it cost."""
        for order in mine:
            if order.queue is not None:
                self._book.demote(order)
        displaced = case.filled_lots
        for order in due:
            if displaced > 0 and order.queue is not None and order.shown > 0:
                case.wrong(order)
                displaced -= order.shown
        case.end(keep=displaced < case.filled_lots)

    def _hits(self, entry: Entry) -> bool:
        price = entry.price
        return (
            entry.side == -self._side
            and "stop_price" not in entry.options
            and entry.options.get("tif") not in ("POST_ONLY", "FOK")
            and self._book.best == self._price
            and (price is None or price * entry.side >= self._price * entry.side)
        )

    def _due(self, mine: list[Order]) -> list[Order]:
        """Return clients' displayed orders that are due before the group's."""
        book = self._book
        return [
            order
            for order in best_level(book)
            if order.account.role == "client"
            and order.display != 0
            and (book.by_class or order.priority < mine[0].priority)
        ]

    def _enter(self, engine_ns: int, received_ns: int, _: object) -> None:
        if self._port.engine.phase != "continuous" or self._book.best != self._price:
            self.until_ns = received_ns
            return
        self._first_ns = received_ns
        for lots in self._pieces:
            order = self._port.engine.new(
                self._venue.accounts[self._account],
                self._side,
                lots,
                self._price,
                now_ns=engine_ns,
                received_ns=received_ns,
                tif="POST_ONLY",
                tag=self._tag,
            )
            self._mine.append(order)

    def _withdraw(self) -> None:
        left = [order for order in self._mine if order.live]
        if not left:
            return
        luck = unit(self._venue.seed, self._tag)

        def act(engine_ns: int, received_ns: int, _: object) -> None:
            for order in left:
                if order.live:
                    self._port.engine.cancel(order, now_ns=engine_ns, received_ns=received_ns)

        self._port.send(self._venue.gates["colo"], act, None, luck, in_group=True)
