"""Wire records as text: rendered by hand, since this is half of what a simulation costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest.instruments import Instrument
    from market.orders import Order

Write = Callable[[str], object]
"""Takes one record with its newline."""


def fields(**values: str | int) -> str:
    """Return fields as they are appended to a record.

    >>> fields(session="S1", source="api")
    ',"session":"S1","source":"api"'
    """
    return "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in values.items())


def trade_id(instrument: str, seq: int) -> str:
    """Return the id of the trade of a record: no other instrument has it.

    >>> trade_id("SIMA-USD", 7)
    'SIMA-USD-T7'
    """
    return f"{instrument}-T{seq}"


class Recorder:
    """Numbers and writes the records of one instrument.

    State: the text of every price and quantity that occurred; a few thousand short strings.

    Parameters
    ----------
    instrument : Instrument
    orders, trades : functions of a line
    """

    def __init__(self, instrument: Instrument, orders: Write, trades: Write) -> None:
        self.seq = 0
        self.name = instrument.instrument
        self._start = f'{{"v":1,"instrument":{json.dumps(instrument.instrument)},"seq":'
        self._tick, self._lot = instrument.tick_size, instrument.lot_size
        self._bps = float(self._tick * self._lot) * 1e-4
        self.rebate: Callable[[Order], float] | None = None
        """Returns what share of its fee an order pays: abuse alone."""
        self.mistag: Callable[[Order, Order, str, int], str] | None = None
        """Returns what flag a trade gets in place of the true one: buy, sell, flag, engine_ns;
        abuse alone."""
        self._orders, self._trades = orders, trades
        self._prices: dict[int, str] = {}
        self._quantities: dict[int, str] = {}

    def price(self, ticks: int) -> str:
        """Return a price in display units."""
        text = self._prices.get(ticks)
        if text is None:
            text = self._prices[ticks] = f"{self._tick * ticks:f}"
        return text

    def quantity(self, lots: int) -> str:
        """Return a quantity in display units."""
        text = self._quantities.get(lots)
        if text is None:
            text = self._quantities[lots] = f"{self._lot * lots:f}"
        return text

    def order(  # noqa: PLR0917 - called for every record
        self,
        action: str,
        order: Order,
        leaves: int,
        engine_ns: int,
        received_ns: int | None,
        tail: str = "",
    ) -> None:
        """Write an order record; `tail` holds rendered fields that this record alone has."""
        self.seq += 1
        known = self._quantities
        quantity = known.get(order.quantity) or self.quantity(order.quantity)
        left = known.get(leaves) or self.quantity(leaves)
        price = "null" if order.price is None else f'"{self.price(order.price)}"'
        if order.stop_price is not None:
            tail = f',"stop_price":"{self.price(order.stop_price)}"{tail}'
        if order.display is not None:
            tail = f',"display":"{self.quantity(order.display)}"{tail}'
        received = "null" if received_ns is None else received_ns
        self._orders(
            f'{self._start}{self.seq},"action":"{action}",{order.head},"type":"{order.type}",'
            f'"tif":"{order.tif}","price":{price},"quantity":"{quantity}","leaves":"{left}",'
            f'"received_ns":{received},"engine_ns":{engine_ns}'
            f"{tail}{order.text}{order.account.text}}}\n"
        )

    def trade(  # noqa: PLR0917 - called for every fill
        self, buy: Order, sell: Order, price: int, lots: int, ns: int, side: int
    ) -> None:
        """Write a trade; `side` is the aggressor's, 0 at an uncross."""
        self.seq += 1
        flag = "buy" if buy.account.is_afmm else "none"
        if sell.account.is_afmm:
            flag = "both" if flag == "buy" else "sell"
        if self.mistag is not None:
            flag = self.mistag(buy, sell, flag, ns)
        aggressor = '"buy"' if side > 0 else '"sell"' if side < 0 else "null"
        id_ = trade_id(self.name, self.seq)
        self._trades(
            f'{self._start}{self.seq},"trade_id":"{id_}","price":"{self.price(price)}",'
            f'"quantity":"{self.quantity(lots)}","aggressor":{aggressor},'
            f'"buy_order_id":"{buy.id}","sell_order_id":"{sell.id}",'
            f'"buy_account":"{buy.account.name}","sell_account":"{sell.account.name}",'
            f'"engine_ns":{ns},"afmm_flag":"{flag}"'
            f"{self._fee('buy', buy, price * lots, takes=side > 0)}"
            f"{self._fee('sell', sell, price * lots, takes=side < 0)}}}\n"
        )

    def _fee(self, word: str, order: Order, notional: int, *, takes: bool) -> str:
        """Return the field that tells a side's fee; at an uncross both sides are makers."""
        if order.account.fees_bps is None:
            return ""
        fee = notional * order.account.fees_bps[takes] * self._bps
        if self.rebate is not None:
            fee *= self.rebate(order)
        return f',"{word}_fee":"{fee:.9f}"'

    def status(self, phase: str, engine_ns: int, reason: str, actor: str) -> None:
        """Write the begin of a phase."""
        self.seq += 1
        tail = fields(phase=phase, reason=reason, actor=actor)
        self._orders(f'{self._start}{self.seq},"action":"status","engine_ns":{engine_ns}{tail}}}\n')

    def book_end(self, engine_ns: int) -> None:
        """Write the end of a restated book."""
        self.seq += 1
        self._orders(f'{self._start}{self.seq},"action":"book_end","engine_ns":{engine_ns}}}\n')
