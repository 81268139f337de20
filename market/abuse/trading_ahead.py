"""trading_ahead: a client's order could trade and is held, while the group trades on its side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from market.abuse.ahead import AT_ONCE_S, Plan, Wanted, trade_ahead
from market.abuse.base import AtGate
from market.abuse.client_priority import LARGE_LOTS
from market.abuse.held import around, is_quick, joins, later, takes
from market.case import Case
from market.clients import Entry
from market.loop import Port
from market.orders import Order

HOLD_S: Final = (AT_ONCE_S, 12.0)
"""How long an order is held: what a network may explain, to what nothing does."""
SHORT_S: Final = (0.003, 0.06)
"""The same, where the hold is to pass for a slow gateway."""
QUEUED_S: Final = (4.0, 25.0)
"""How long a passive order is held: until somebody has come and hit the group's instead."""
HARM_S: Final = 300.0
LAST_S: Final = (0.002, 0.02)
"""Before the client's order is let go the group takes once more, sooner than makers re-quote."""
WAYS: Final = ("gate", "trigger", "passive")


class TradingAhead(AtGate):
    """The platform holds a client's order that could trade; the group trades first, on its side.

    One of three ways is drawn for each case. *gate*: the gateway keeps a marketable order; the
    group buys (sells) what it would have bought, several times, the last time right before the
    order is let go into what is left. *trigger*: a stop whose stop price the last price has crossed
    is not released, and the group sells (buys) first; on the wire the `trigger` record comes late,
    by the engine's own time, and nothing else tells of it. *passive*: the gateway keeps a limit
    order that would have been the best price; the group rests at that price and is hit.

    A case counts when the group executed at a price that would have satisfied the client while the
    order was held; its ordinary quotes that are hit so meanwhile belong to it. Severity sets how
    long the order is held (log-uniform around 0.2 s when faint, 6 s when blatant), how often the
    group trades and how much beside the client's size.

    Evasions: `sister` trades by the account of another company of the group; `split` cuts each of
    the group's orders into pieces; `other_price` (passive) rests a tick behind the client's price,
    so that no two orders share a price; `short_hold` keeps the order for some ms only, as a slow
    gateway does.
    """

    scenario = "trading_ahead"
    evasions = ("sister", "split", "other_price", "short_hold")
    every_s = 200.0

    def start(self) -> None:
        """Begin to look for occasions, stops included."""
        self._plans: dict[str, Plan] = {}
        super().start()
        for port in self.venue.ports:
            port.engine.guards.append(self._guard(port))

    def attempt(self, port: Port) -> bool:
        """Decide on a way, and wait for an order that it can be done to."""
        if port.engine.name not in self._armed:
            self._plans[port.engine.name] = self._plan()
        return super().attempt(port)

    def seize(self, port: Port, entry: Entry) -> int | None:
        """Hold an order at the gate."""
        engine = port.engine
        own, opposite = (engine.bids, engine.asks)[:: entry.side]
        plan = self._plans[engine.name]
        if not is_quick(port, entry) or entry.options.get("tif") == "FOK":
            return None
        due = {
            "gate": takes(entry, opposite.best),
            "passive": joins(entry, own.best, opposite.best),
        }
        if not due.get(plan.way) or not self.venue.has_time(plan.hold_s + 1):
            return None
        also: tuple[str, ...] = () if plan.evasion == "other_price" else ("client_priority",)
        if entry.parent or entry.lots >= LARGE_LOTS:
            also = (*also, "front_running")
        wanted = Wanted(
            account=entry.client.account.name,
            side=entry.side,
            limit=entry.price,
            lots=entry.lots,
            tag=entry.tag,
        )
        until_ns = later(port, plan.hold_s)
        case = self._begin(port, plan, also)
        if case is None:
            return 0
        trade_ahead(self.venue, port, case, plan, wanted, until_ns=until_ns)
        return until_ns - port.loop.now_ns

    def _guard(self, port: Port) -> Callable[[Order], bool]:
        engine = port.engine

        def guard(stop: Order) -> bool:
            """Withhold a stop that has triggered."""
            plan = self._plans.get(engine.name)
            if plan is None or plan.way != "trigger" or engine.name not in self._armed:
                return False
            if stop.account.role != "client" or not self.venue.is_open(port):
                return False
            if not self.venue.has_time(plan.hold_s + 1):
                return False
            del self._armed[engine.name]
            until_ns = later(port, plan.hold_s)
            case = self._begin(port, plan, ())
            if case is None:
                return False
            case.wrong(stop)
            wanted = Wanted(
                account=stop.account.name,
                side=stop.side,
                limit=stop.price,
                lots=stop.leaves,
                tag=stop.tag,
            )
            trade_ahead(self.venue, port, case, plan, wanted, until_ns=until_ns)
            port.loop.at(
                until_ns, lambda now_ns, _: engine.release(stop, now_ns=port.engine_ns(now_ns))
            )
            return True

        return guard

    def _plan(self) -> Plan:
        rng, evasion = self.rng, self.hide()
        ways = {"other_price": ("passive",), "short_hold": ("gate", "trigger")}
        way = rng.choice(ways.get(evasion, WAYS))
        times = 1 if way == "passive" else max(1, round(self.jitter(self.between(1, 5))))
        pieces = rng.randint(2, 4) if evasion == "split" else 1
        parts: list[tuple[float, int]] = []
        for _ in range(times):
            share = rng.uniform(0.0, 0.1) if way == "passive" else rng.uniform(0.02, 0.75)
            size = 1000 * self.jitter(self.between(0.3, 2.0)) / pieces
            parts += [
                (share + rng.uniform(0, 0.1), int(size * rng.uniform(0.7, 1.3)))
                for _ in range(pieces)
            ]
        bounds = QUEUED_S if way == "passive" else SHORT_S if evasion == "short_hold" else HOLD_S
        return Plan(
            way=way,
            evasion=evasion,
            hold_s=around(rng, bounds, self.severity),
            parts=tuple(sorted(parts)),
            last_s=rng.uniform(*LAST_S),
        )

    def _begin(self, port: Port, plan: Plan, also: tuple[str, ...]) -> Case | None:
        self.venue.reserve(port, plan.hold_s + 5)
        return self.venue.cases.begin(
            self.scenario, port, evasion=plan.evasion, also=also, harm_s=HARM_S
        )
