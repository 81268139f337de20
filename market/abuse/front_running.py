"""front_running: a large client order is known at the gate, and the group trades before it."""

from __future__ import annotations

import math

from ingest.times import SECOND
from market.abuse.base import AtGate
from market.case import Case
from market.clients import Entry
from market.loop import Port
from market.orders import BUY, Order
from market.parents import MEAN_LOTS, Parent

HOLD_S = (2e-4, 2.0)
"""For how long the gate keeps the first child: from what nobody notices to what everybody does."""
REACH_BPS = 6.0
"""How far through the touch the group pays to get in or out."""
FOLLOWED_S = 300.0


class FrontRunning(AtGate):
    """The gate keeps the first child of a large client order while the group takes its side.

    It gets out once the client has moved the price. Severity sets its size beside the parent's
    and how long the gate keeps the child.
    """

    scenario = "front_running"
    evasions = (
        "split",
        "sister",
        "nominee",
        "passive",
        "delayed_unwind",
        "no_unwind",
        "hedge_cover",
        "perpetual",
    )
    every_s = 300.0

    def seize(self, port: Port, entry: Entry) -> int | None:
        """Run in front of the first child of a parent."""
        venue, rng = self.venue, self.rng
        parent = venue.parents[port.engine.name].live.get(entry.parent)
        if parent is None or len(parent.entries) != 1 or not parent.aggressive:
            return None
        evasion = self.hide()
        traded = venue.sibling(port) if evasion == "perpetual" else port
        if traded is None or not venue.is_open(traded):
            return None
        if evasion == "hedge_cover" and not self._looks_like_a_hedge(port, parent.side):
            return None
        account = {"sister": venue.sister, "nominee": venue.nominee}.get(evasion, venue.afmm)
        size = int(self.jitter(self.between(0.06, 0.5)) * parent.children * MEAN_LOTS)
        low, high = (math.log(bound) for bound in HOLD_S)
        middle = self.between(low, high)
        hold_s = math.exp(min(high, max(low, rng.gauss(middle, 1.0))))
        unwind_s = rng.uniform(150, 400) if evasion == "delayed_unwind" else rng.uniform(15, 100)
        pieces = [size // 4] * 4 if evasion == "split" else [size]
        moments = sorted(hold_s * rng.uniform(0.15, 0.6) for _ in pieces)
        touching = traded is port and evasion not in ("passive", "nominee")
        case = venue.cases.begin(
            self.scenario,
            port,
            evasion=evasion,
            also=("client_priority",) if touching else (),
            further=[traded] if traded is not port else (),
            harm_s=FOLLOWED_S,
        )
        if case is None:
            return 0
        venue.reserve(port, unwind_s + 20)
        venue.reserve(traded, unwind_s + 20)
        case.wrong_tags(entry.tag)
        parent.on_child.append(case.wrong_tags)
        for lots, moment in zip(pieces, moments, strict=True):
            self._get_in(traded, case, account, parent, lots, moment, passive=evasion == "passive")
        venue.after(
            unwind_s, lambda: self._get_out(traded, case, parent, stays=evasion == "no_unwind")
        )
        return int(hold_s * SECOND)

    def _looks_like_a_hedge(self, port: Port, side: int) -> bool:
        desk = self.venue.makers[self.venue.afmm, port.engine.name].desk
        return desk.net_lots * side < -desk.limit_lots / 4

    def _get_in(  # noqa: PLR0917 - one order of a case
        self,
        port: Port,
        case: Case,
        account: str,
        parent: Parent,
        lots: int,
        after_s: float,
        *,
        passive: bool,
    ) -> None:
        venue, side = self.venue, parent.side

        def go() -> None:
            own, opposite = venue.flows[port.engine.name].touch(side)
            price = own if passive else reach(opposite, side)
            tif = "GTC" if passive else "IOC"
            venue.enter(case, port, account, side, lots, price, tif=tif, done=entered)

        def entered(order: Order, _: int) -> None:
            if passive:
                venue.after(self.rng.uniform(5, 15), lambda: venue.cancel(case, port, order))

        venue.after(after_s, go)

    def _get_out(self, port: Port, case: Case, parent: Parent, *, stays: bool) -> None:
        venue, side = self.venue, -parent.side
        lots = sum(order.quantity - order.leaves for order in case.own)
        parent.on_child.remove(case.wrong_tags)
        if not lots or stays:
            case.end(keep=bool(lots))
            return
        first = case.own[0]
        own, opposite = venue.flows[port.engine.name].touch(side)
        passive = first.tif == "GTC"
        price = own if passive else reach(opposite, side)

        def left(order: Order, _: int) -> None:
            venue.after(10.0, lambda: venue.cancel(case, port, order))
            venue.after(10.1, case.end)

        venue.enter(case, port, first.account.name, side, lots, price, tif=first.tif, done=left)


def reach(opposite: int, side: int) -> int:
    """Return a price that goes some way through the opposite touch, ticks."""
    return int(opposite * (1 + (1 if side == BUY else -1) * REACH_BPS * 1e-4))
