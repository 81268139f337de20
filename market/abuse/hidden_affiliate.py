"""hidden_affiliate: an account that is registered as a client's does the group's bidding."""

from __future__ import annotations

import math
from functools import partial
from random import Random
from typing import Final

from ingest.times import SECOND
from market.abuse.base import OPENING_S, Injector
from market.abuse.disguise import Disguise
from market.abuse.front_running import reach
from market.abuse.parties import GATES
from market.case import Case
from market.draws import stream
from market.loop import Port
from market.orders import BUY, SELL, Order
from market.parents import MEAN_LOTS, Parent

SHARE: Final = (0.025, 0.8)
"""Of the occasions that it takes, on a scale of logarithms."""
PART: Final = (0.05, 0.6)
"""Of the market maker's position, or quote, that it takes over."""
LARGEST_LOTS: Final = 2000
THRESHOLD: Final = 0.15
"""Of the position at which the market maker hedges: from there on it is relieved of some."""
LAG_S: Final = (12.0, 0.3)
LATER: Final = 5.0
"""Multiple of the lag where it is hidden by one."""
NOISE: Final = 0.15
"""Chance of an order of its own at each look, where it hides among its own."""
AHEAD: Final = (0.03, 0.4)
"""Share of the clients' large orders that it knows of and trades before."""
AHEAD_PART: Final = (0.03, 0.2)
"""Its size beside such an order's."""
STANDS_IN_S: Final = 40.0
HARM_S: Final = 240.0


class HiddenAffiliate(Injector):
    """A client's account acts for the group from the opening to the end of the tape.

    It relieves the affiliated market maker of positions (it sells what the maker has bought, and
    the maker need not hedge that), quotes in its place as long as the maker's quotes are gone, and
    trades before some of the clients' large orders, of which it is told while they are planned. It
    goes on to trade on its own account like any client. Severity sets the share of occasions that
    it takes, how much of a position it takes over, how soon, and how often its orders come by the
    maker's gate and session (the session only above the middle).

    Evasions. lagged: it acts five times as long after the maker. own_noise: many small orders of
    its own, on either side, in between. other_gate: it never uses the maker's gate or session.
    """

    scenario = "hidden_affiliate"
    evasions = ("lagged", "own_noise", "other_gate")
    every_s = 4.0

    def start(self) -> None:
        """Draw how it hides, and begin with the opening."""
        venue = self.venue
        self._evasion_now, self._seed = self.hide(), self.rng.getrandbits(48)
        self._looks = 0
        self._case: Case | None = None
        self._standing: dict[str, list[Order]] = {}
        """Its quotes in the market maker's place, by instrument."""
        self._way = Disguise(venue, self.severity, alone=self._evasion_now == "other_gate")
        venue.after(OPENING_S, self._open)
        for port in venue.ports:
            venue.parents[port.engine.name].on_plan.append(partial(self._told, port))
        super().start()

    def _open(self) -> None:
        self._case = self.venue.cases.begin(
            self.scenario,
            further=self.venue.ports,
            evasion=self._evasion_now,
            listing="nothing",
        )
        if self._case is not None:
            self._case.act(self.venue.nominee)

    def attempt(self, port: Port) -> bool:
        """Look whether the market maker needs somebody, by draws that are this look's own."""
        case = self._case
        if case is None:
            return True
        self._looks += 1
        rng = stream(self._seed, f"{port.engine.name}/{self._looks}")
        maker = self.venue.makers[self.venue.afmm, port.engine.name]
        desk, flow = maker.desk, self.venue.flows[port.engine.name]
        if self._evasion_now == "own_noise" and rng.random() < NOISE:
            side = rng.choice((BUY, SELL))
            self._way.send(case, port, rng, side, flow.size(rng), flow.touch(side)[1])
        takes = rng.random() < math.exp(self.between(*map(math.log, SHARE)))
        lag_s, part = self._lag(rng), self.between(*PART) * rng.uniform(0.6, 1.4)
        if not takes:
            return True
        if not any(order.live for order in maker.quotes.values()):
            self._stand_in(port, rng, lag_s, int(part * maker.quoting.lots))
        elif abs(desk.net_lots) > THRESHOLD * desk.limit_lots:
            side = SELL if desk.net_lots > 0 else BUY
            lots = min(LARGEST_LOTS, int(part * abs(desk.net_lots)))

            def relieved(order: Order, _: int) -> None:
                desk.net_lots += side * (order.quantity - order.leaves)

            def go() -> None:
                price = reach(flow.touch(side)[1], side)
                self._way.send(case, port, rng, side, lots, price, done=relieved)

            self.venue.after(lag_s, go)
        return True

    def _lag(self, rng: Random) -> float:
        slow, quick = map(math.log, LAG_S)
        lag_s = math.exp(self.between(slow, quick)) * rng.expovariate(1.0) + 0.05
        return min(90.0, lag_s * (LATER if self._evasion_now == "lagged" else 1.0))

    # --- in the market maker's place ------------------------------------------------------------

    def _stand_in(self, port: Port, rng: Random, lag_s: float, lots: int) -> None:
        """Quote where the market maker would, until it is back."""
        name, venue = port.engine.name, self.venue
        if name in self._standing:
            return
        quotes = self._standing[name] = []
        until_ns = venue.loop.now_ns + int(STANDS_IN_S * SECOND)
        maker, case = venue.makers[venue.afmm, name], self._case
        assert case is not None  # noqa: S101 - looks begin after the opening

        def go() -> None:
            away = maker.quoting.half_spread_bps * 1e-4 * rng.uniform(0.9, 1.3)
            for side in (BUY, SELL):
                price = int(venue.fair(port) * (1 - side * away))
                self._way.send(
                    case, port, rng, side, lots, price, lambda o, _: quotes.append(o), "POST_ONLY"
                )
            venue.after(1.0, watch)

        def watch() -> None:
            back = any(order.live for order in maker.quotes.values())
            if not back and venue.loop.now_ns < until_ns:
                venue.after(0.5, watch)
            elif any(order.live for order in quotes):
                if port.engine.phase != "maintenance":
                    venue.cancel(case, port, *quotes, gate=GATES[venue.nominee])
                venue.after(2.0, watch)
            else:
                del self._standing[name]

        venue.after(min(lag_s, 3.0), go)

    # --- ahead of clients -----------------------------------------------------------------------

    def _told(self, port: Port, parent: Parent, _: int) -> None:
        """Hear of a client's large order while it is planned."""
        venue, case = self.venue, self._case
        rng = stream(self._seed, parent.name)
        if case is None or rng.random() > self.between(*AHEAD) or not parent.aggressive:
            return
        left_s = (parent.begins_ns - venue.loop.now_ns) / SECOND
        part = self.between(*AHEAD_PART) * rng.uniform(0.6, 1.4)
        lots = min(LARGEST_LOTS, int(part * parent.children * MEAN_LOTS))
        flow, side = venue.flows[port.engine.name], parent.side
        out_s = left_s + rng.uniform(20.0, 120.0)

        def get_in() -> None:
            part = venue.cases.part(case, HARM_S)
            if part is None:
                return
            case.also = ("information_leak",)
            parent.on_child.append(part.wrong_tags)
            price = reach(flow.touch(side)[1], side)
            self._way.send(case, port, rng, side, lots, price, lambda o, _: taken.append(o))

        def get_out() -> None:
            filled = sum(order.quantity - order.leaves for order in taken)
            if filled:
                price = reach(flow.touch(-side)[1], -side)
                self._way.send(case, port, rng, -side, filled, price)

        taken: list[Order] = []
        venue.after(left_s * rng.uniform(0.5, 0.98), get_in)
        venue.after(out_s, get_out)
