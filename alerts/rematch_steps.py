"""Recorded events as a rematch takes them: instructions, each with what the engine did by it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from alerts.rematch_book import Fill
from ingest.events import NULL, Array, Batch, Kind, OrderType, Phase, Reason, Side, TimeInForce

READ: Final = (
    "seq", "clock_ns", "kind", "side", "type", "tif", "price", "stop_price", "quantity", "leaves",
    "display", "reason", "phase_to", "received_ns", "account", "role", "in_complex", "coverage",
    "buy_role", "sell_role", "buy_complex", "sell_complex",
)  # fmt: skip
MATCHING: Final = frozenset({Kind.NEW, Kind.REPLACE, Kind.TRIGGER})
"""Instructions that can trade."""
_IDS: Final = ("order", "replaces", "buy", "sell", "trade", "busts")


class Event(NamedTuple):
    """One record, in the vocabulary's units; ids as whole 128-bit hashes, 0 = none."""

    seq: int
    clock_ns: int
    kind: int
    side: int
    type: int
    tif: int
    price: int
    stop_price: int
    quantity: int
    leaves: int
    display: int
    reason: int
    phase_to: int
    received_ns: int
    account: int
    role: int
    in_complex: int
    coverage: int
    buy_role: int
    sell_role: int
    buy_complex: int
    sell_complex: int
    order: int
    replaces: int
    buy: int
    sell: int
    trade: int
    busts: int

    @property
    def limit(self) -> int | None:
        """Its limit, ticks; None takes any price."""
        return None if self.price == NULL else self.price

    @property
    def is_prevention(self) -> bool:
        """Whether self-trade prevention made it."""
        return self.reason == Reason.STP and self.kind in (Kind.CANCEL, Kind.REPLACE)


def events_of(batch: Batch, rows: Array) -> list[Event]:
    """Return rows of a tagged batch as events, in the order given; without a book, `coverage` 0."""
    there = set(batch.names)
    columns = [batch[name][rows].tolist() if name in there else [0] * len(rows) for name in READ]
    for name in _IDS:
        high, low = batch[f"{name}_hi"][rows].tolist(), batch[f"{name}_lo"][rows].tolist()
        columns.append([(a << 64) | b for a, b in zip(high, low, strict=True)])
    return [Event(*fields) for fields in zip(*columns, strict=True)]


class Step:
    """One instruction with its trades, the trades of an uncross, or a trade that nothing explains.

    `trades` and `prevented` are the records, in order.
    """

    __slots__ = ("event", "hidden_by_class", "phase", "planned", "prevented", "trades")

    def __init__(self, event: Event, phase: int, *, is_trade: bool = False) -> None:
        self.event = event
        """The instruction; of trades without one, the first trade."""
        self.phase = phase
        """In force when it came."""
        self.trades: list[Event] = [event] if is_trade else []
        self.prevented: list[Event] = []
        self.hidden_by_class = False
        """Whether hidden orders, too, come by class; set by the replay."""
        self.planned: list[Fill] = []
        """Its trades by the rules, given the book as it was; set by the replay."""

    @property
    def seq(self) -> int:
        """Seq of its first record."""
        return self.event.seq

    @property
    def is_uncross(self) -> bool:
        """Whether it is trades outside continuous trading."""
        return self.event.kind == Kind.TRADE and self.phase != Phase.CONTINUOUS

    @property
    def can_trade(self) -> bool:
        """Whether it is an instruction that can trade."""
        return self.event.kind in MATCHING

    @property
    def can_match(self) -> bool:
        """Whether it can trade as it comes.

        What comes before an uncross is not what trades there, and what self-trade prevention takes
        there is nothing of it.
        """
        return self.can_trade and self.phase == Phase.CONTINUOUS

    @property
    def recorded(self) -> list[Fill]:
        """Its trades as recorded, the incoming order named; at an uncross, the buyer as such."""
        incoming = self.event.order if self.can_trade else 0
        fills = []
        for trade in self.trades:
            buyer_came = trade.buy == incoming if incoming else True
            one, other = (trade.sell, trade.buy) if buyer_came else (trade.buy, trade.sell)
            fills.append(Fill(one, other, trade.price, trade.quantity))
        return fills

    @property
    def departs(self) -> bool:
        """Whether the engine did something else than the rules give."""
        return self.planned != self.recorded

    def explains(self, trade: Event) -> bool:
        """Return whether a trade is its own."""
        if self.is_uncross:
            return True
        incoming = self.event
        mine = trade.buy if incoming.side == Side.BUY else trade.sell
        return self.can_match and mine == incoming.order and trade.side == incoming.side

    def prevented_lots(self, leaves: int) -> int:
        """Return how many lots of the incoming order self-trade prevention took."""
        lost, left = 0, leaves
        events = sorted([*self.trades, *self.prevented], key=lambda event: event.seq)
        for event in events:
            if event.kind == Kind.TRADE:
                left -= event.quantity
            elif event.order == self.event.order:
                after = event.leaves if event.kind == Kind.REPLACE else 0
                lost += left - after
                left = after
        return lost

    @property
    def barred(self) -> frozenset[int]:
        """Resting orders with which self-trade prevention kept it from trading."""
        return frozenset(e.order for e in self.prevented if e.order != self.event.order)

    @property
    def takes(self) -> bool:
        """Whether it takes at once, or cannot rest.

        One that the rules would have filled and the venue did not was refused, and stays refused.
        """
        if self.departs and not self.trades:
            return False
        at_once = self.event.tif in (TimeInForce.IOC, TimeInForce.FOK)
        return at_once or self.event.type == OrderType.MARKET or bool(self.trades)

    @property
    def never_rests(self) -> bool:
        """Whether the instruction's remainder must not rest."""
        never = self.event.type in (OrderType.MARKET, OrderType.STOP)
        return never or self.event.tif in (TimeInForce.IOC, TimeInForce.FOK)


class Steps:
    """Makes steps of an instrument's records, however they are cut.

    State: the step that may go on.

    Parameters
    ----------
    phase : int
        In force before the first record.
    """

    def __init__(self, phase: int = Phase.CONTINUOUS) -> None:
        self._phase = phase
        self._step: Step | None = None

    @property
    def open_seq(self) -> int | None:
        """Seq of the step that may go on; None when there is none."""
        return None if self._step is None else self._step.seq

    def take(self, events: Iterable[Event]) -> Iterator[Step]:
        """Yield the steps that are over; records come in order of seq."""
        for event in events:
            step = self._step
            if event.kind == Kind.TRADE:
                if event.busts:
                    continue  # A bust never restores the book.
                if step is not None and step.explains(event):
                    step.trades.append(event)
                    continue
            elif event.is_prevention and step is not None and step.can_match:
                step.prevented.append(event)
                continue
            if step is not None:
                yield step
            self._step = Step(event, self._phase, is_trade=event.kind == Kind.TRADE)
            if event.kind == Kind.STATUS:
                self._phase = event.phase_to

    def flush(self) -> Iterator[Step]:
        """Yield the last step: there are no more records."""
        if self._step is not None:
            yield self._step
        self._step = None


def steps_of(events: Iterable[Event], phase: int = Phase.CONTINUOUS) -> Iterator[Step]:
    """Yield all steps of an instrument's records, which come in order of seq."""
    steps = Steps(phase)
    yield from steps.take(events)
    yield from steps.flush()
