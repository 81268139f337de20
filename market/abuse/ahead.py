"""What the group does while a client's order is held: it trades on the client's side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ingest.times import MILLI
from market.abuse.base import Venue
from market.abuse.front_running import reach
from market.abuse.held import Held, moment, withdraw
from market.case import Case
from market.loop import Port
from market.orders import Order

AT_ONCE_S: Final = 0.1
"""A client whose order was held for so long was not filled at once, at whatever price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the client wants."""

    account: str
    side: int
    limit: int | None
    """Its price, ticks; None takes any."""
    lots: int
    tag: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done next in an instrument."""

    way: str
    evasion: str
    hold_s: float
    parts: tuple[tuple[float, int], ...]
    """Of each of the group's orders: when, as a share of the hold, and its thousandths of what the
    client wants."""
    last_s: float
    """Before the order is let go the last of them is sent."""


def trade_ahead(
    venue: Venue, port: Port, case: Case, plan: Plan, wanted: Wanted, *, until_ns: int
) -> None:
    """Carry a plan out against what a client wants, whose order is let go at a time; end the case.

    It counts when the group got something at a price that would have satisfied the client, who was
    not filled at once at that price or better.
    """
    account = venue.sister if plan.evasion == "sister" else venue.afmm
    side, limit = wanted.side, wanted.limit
    held = Held(
        venue,
        case,
        port,
        side=side,
        limit=limit,
        tag=wanted.tag,
        until_ns=until_ns,
        quotes=True,
    )
    resting: list[Order] = []

    def send(lots: int) -> None:
        price, tif = _price(venue, port, plan, wanted), "IOC"
        if plan.way == "passive":
            tif = "POST_ONLY"
        venue.enter(
            case,
            port,
            account,
            side,
            lots,
            price,
            tif=tif,
            waits=True,
            done=lambda order, _: resting.append(order),
        )

    def sender(lots: int) -> Callable[[], None]:
        return lambda: send(lots)

    def look(_: int, __: object) -> None:
        order = held.order(wanted.account)
        if order is not None:
            case.wrong(order)
        withdraw(venue, case, port, resting)
        case.end(keep=_counts(plan, held, wanted))

    for number, (share, thousandths) in enumerate(plan.parts):
        after_s = moment(plan.hold_s, share)
        if plan.way != "passive" and number == len(plan.parts) - 1:
            after_s = max(after_s, moment(plan.hold_s, 1 - plan.last_s / plan.hold_s))
        venue.after(after_s, sender(max(1, wanted.lots * thousandths // 1000)))
    port.loop.at(until_ns + MILLI, look)


def _price(venue: Venue, port: Port, plan: Plan, wanted: Wanted) -> int:
    side, limit = wanted.side, wanted.limit
    if plan.way == "passive":
        assert limit is not None  # noqa: S101 - it would have rested
        return limit - (side if plan.evasion == "other_price" else 0)
    through = reach(venue.flows[port.engine.name].touch(side)[1], side)
    return through if limit is None else side * min(side * limit, side * through)


def _counts(plan: Plan, held: Held, wanted: Wanted) -> bool:
    if not held.taken:
        return False
    best = min(price * wanted.side for price, _ in held.taken) * wanted.side
    return plan.hold_s >= AT_ONCE_S or held.lots_at(held.got, best) < wanted.lots
