"""What is done ahead of one large client order that is planned yet, and after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from ingest.times import SECOND
from market.abuse.base import Venue
from market.abuse.front_running import reach
from market.case import Case
from market.loop import Port
from market.orders import Order
from market.parents import IMPACT_BPS, MEAN_LOTS, Parent

BEFORE_S: Final = 0.5
"""Least time before the first child is sent: no way is as long, and what comes later would be
front-running."""
RESTS_S: Final = 20.0
"""For how long a passive order to get out waits."""
AFTER_S: Final = (2.0, 15.0)
DELAYED_S: Final = (150.0, 400.0)
"""From the client's last child to getting out."""
LOOK_S: Final = 2.0
TAIL_S: Final = 15.0
"""For how long losses are followed beyond what the client's order should take."""


@dataclass(slots=True, eq=False)
class Leak:
    """A spell in one instrument."""

    scenario: str
    port: Port
    traded: Port
    account: str
    evasion: str
    rate: float
    case: Case | None = None
    going: int = 0
    """Orders that are being traded ahead of."""
    is_over: bool = False

    def settle(self) -> None:
        """End the case once the spell is over and all is done."""
        if self.is_over and not self.going and self.case is not None:
            self.case.end()


@dataclass(slots=True, eq=False)
class Ahead:
    """What is done ahead of one order, and after it."""

    venue: Venue
    spell: Leak
    parent: Parent
    lots: int
    rng: Random
    own: list[Order] = field(default_factory=list)
    """What it got in by."""

    def begin(self, delays_s: list[float]) -> None:
        """Get in, an order at a time, and out once the client's order is done."""
        venue, spell, parent = self.venue, self.spell, self.parent
        before_s = (parent.begins_ns - venue.loop.now_ns) / SECOND
        is_open = {port.engine.phase for port in (spell.port, spell.traded)} == {"continuous"}
        if is_open and spell.case is None:
            further = [spell.traded] if spell.traded is not spell.port else []
            spell.case = venue.cases.begin(
                spell.scenario, spell.port, evasion=spell.evasion, further=further
            )
        if not is_open or spell.case is None:
            self._finish()
            return
        works_s = parent.children * parent.pause_s
        part = venue.cases.part(spell.case, before_s + works_s * 1.5 + TAIL_S)
        if part is None:
            return
        parent.on_child.append(part.wrong_tags)
        for delay_s in delays_s:
            venue.after(delay_s, self._get_in)
        venue.after(before_s, self._wait)

    def _get_in(self) -> None:
        spell, side = self.spell, self.parent.side
        passive = spell.evasion == "passive"
        own, opposite = self.venue.flows[spell.traded.engine.name].touch(side)
        self._enter(side, self.lots, own if passive else reach(opposite, side), self.own.append)
        if passive:
            left_s = (self.parent.begins_ns - self.venue.loop.now_ns) / SECOND
            self.venue.after(left_s - BEFORE_S / 2, lambda: self._cancel(*self.own))

    def _wait(self) -> None:
        """Wait for the client's last child, and then for what it does to the price."""
        if self.parent.name in self.venue.parents[self.spell.port.engine.name].live:
            self.venue.after(LOOK_S, self._wait)
            return
        delayed = self.spell.evasion == "delayed_unwind"
        self.venue.after(self.rng.uniform(*(DELAYED_S if delayed else AFTER_S)), self._get_out)

    def _get_out(self) -> None:
        spell, side = self.spell, -self.parent.side
        lots = sum(order.quantity - order.leaves for order in self.own)
        if not lots or spell.evasion == "no_unwind":
            self._finish()
        elif spell.traded.engine.phase != "continuous":
            self.venue.after(LOOK_S, self._get_out)
        else:
            passive = spell.evasion == "passive"
            own, opposite = self.venue.flows[spell.traded.engine.name].touch(side)
            self._enter(side, lots, own if passive else reach(opposite, side), self._left)

    def _left(self, order: Order) -> None:
        self.venue.after(RESTS_S, lambda: self._cancel(order))
        self.venue.after(RESTS_S + 1, self._finish)

    def _enter(self, side: int, lots: int, price: int, done: Callable[[Order], object]) -> None:
        spell = self.spell
        assert spell.case is not None  # noqa: S101 - begun

        def entered(order: Order, _: int) -> None:
            if order.tif == "IOC":
                # The market tells no one order that takes from another: both leave their mark.
                filled = (order.quantity - order.leaves) / MEAN_LOTS
                outside = self.venue.outsides[spell.traded.engine.name]
                outside.push(side * IMPACT_BPS * filled)
            done(order)

        self.venue.enter(
            spell.case,
            spell.traded,
            spell.account,
            side,
            lots,
            price,
            tif="GTC" if spell.evasion == "passive" else "IOC",
            done=entered,
        )

    def _cancel(self, *orders: Order) -> None:
        if self.spell.case is not None:
            self.venue.cancel(self.spell.case, self.spell.traded, *orders)

    def _finish(self) -> None:
        self.spell.going -= 1
        self.spell.settle()
