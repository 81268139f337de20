"""arrival_inversion: an order of the group, stamped after a client's, is matched before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ingest.times import MILLI
from market.abuse.base import Venue
from market.abuse.held import Held, key_of, withdraw
from market.book import BookSide
from market.case import Case
from market.clients import Entry
from market.loop import Port
from market.orders import Order

MOST: Final = 4.0
"""The group takes at most so many times what the client wanted: more would be another case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggressive:
    """The client would have taken from the best level; the group takes from it first."""

    entry: Entry
    price: int
    """Best on the opposite side."""
    lots: int
    """What the group takes."""
    due: int
    """What the client would have got at that price."""

    @classmethod
    def of(cls, entry: Entry, book: BookSide, share: float) -> Aggressive | None:
        """Return what leaves a client a share less at the best price; None: nothing sensible."""
        level = book.levels[book.keys[-1]]
        there = [*level.front, *level.behind, *level.hidden]
        key = key_of(entry)
        if any(order.account.in_group or order.stp_key == key for order in there):
            return None
        if entry.options.get("tif") == "FOK" or "display" in entry.options:
            return None
        resting = sum(order.leaves for order in there)
        due = min(entry.lots, resting)
        less = max(1, round(share * due))
        lots = max(0, resting - entry.lots) + less
        if lots > MOST * entry.lots:
            return None
        assert book.best is not None  # noqa: S101 - a level is there
        return cls(entry=entry, price=book.best, lots=lots, due=due)

    def carry_out(
        self,
        venue: Venue,
        case: Case,
        port: Port,
        *,
        account: str,
        parts: Sequence[int],
        moments: Sequence[float],
        until_ns: int,
        life_s: float,  # noqa: ARG002 - as the other kind
    ) -> None:
        """Send the group's orders, and see what either got."""
        entry = self.entry
        held = Held(
            venue,
            case,
            port,
            side=entry.side,
            limit=entry.price,
            tag=entry.tag,
            until_ns=until_ns,
        )

        def send(lots: int) -> None:
            venue.enter(case, port, account, entry.side, lots, self.price, tif="IOC", waits=True)

        def look(_: int, __: object) -> None:
            taken = held.lots_at(held.taken, self.price)
            missed = self.due - held.lots_at(held.got, self.price)
            order = held.order(entry.client.account.name)
            if order is not None:
                case.wrong(order)
            case.end(keep=min(taken, missed) > 0)

        for lots, moment in zip(parts, moments, strict=True):
            venue.after(moment, lambda lots=lots: send(lots))  # type: ignore[misc]
        port.loop.at(until_ns + MILLI, look)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passive:
    """The client would have stood at the touch; the group stands there first, and is hit."""

    entry: Entry
    lots: int

    @classmethod
    def of(cls, entry: Entry, share: float) -> Passive:
        """Return an order that stands before a client's, of a share of its size."""
        return cls(entry=entry, lots=max(1, round(share * entry.lots)))

    def carry_out(
        self,
        venue: Venue,
        case: Case,
        port: Port,
        *,
        account: str,
        parts: Sequence[int],
        moments: Sequence[float],
        until_ns: int,
        life_s: float,
    ) -> None:
        """Send the group's orders, and wait until one is hit while the client's is not filled."""
        entry, price = self.entry, self.entry.price
        held = Held(
            venue, case, port, side=entry.side, limit=price, tag=entry.tag, until_ns=until_ns
        )
        first: list[Order] = []
        trade = held.trade

        def traded(buy: Order, sell: Order, at: int, lots: int) -> bool:
            if case.tag in (buy.tag, sell.tag):
                # Once the incoming order is done: what is left to the client then counts.
                port.loop.at(port.loop.now_ns, look)
            return trade(buy, sell, at, lots)

        def look(now_ns: int, _: object) -> None:
            order = held.order(entry.client.account.name)
            if held.is_held or (
                order is not None and order.price == price and order.queue is not None
            ):
                port.loop.at(max(now_ns, until_ns) + MILLI, close)
                case.on_trade = trade

        def close(_: int, __: object) -> None:
            if case.is_over:
                return
            order = held.order(entry.client.account.name)
            if order is not None:
                case.wrong(order)
            withdraw(venue, case, port, first)
            case.end()

        def give_up() -> None:
            if not case.is_over:
                withdraw(venue, case, port, first)
                case.end(keep=False)

        case.on_trade = traded
        for lots, moment in zip(parts, moments, strict=True):
            venue.after(
                moment,
                lambda lots=lots: venue.enter(  # type: ignore[misc]
                    case,
                    port,
                    account,
                    entry.side,
                    lots,
                    price,
                    tif="POST_ONLY",
                    waits=True,
                    done=lambda order, _: first.append(order),
                ),
            )
        venue.after(life_s + moments[-1], give_up)
