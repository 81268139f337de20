"""Clients: clustered arrivals, heavy-tailed sizes, every order type, parents worked in children."""

from __future__ import annotations

import math
import random
from bisect import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from market.loop import SECOND, Gate, Port
from market.orders import BUY, SELL, Account, Order
from market.outside import Outside
from market.wire import fields

BRANCHING: Final = 0.6
"""Share of instructions that another one drew: order flow is mostly its own cause (0.5 to 0.9)."""
DECAY_PER_S: Final = 1.5
"""How fast the excitement of one instruction fades."""
TAIL: Final = 1.6
"""Pareto exponent of sizes: traded volume has tails of about 3/2."""
LARGEST: Final = 400.0
"""Largest size as a multiple of the least; beyond it no single order is entered by hand."""
ROUND_RATIO: Final = 0.35
"""Share of sizes that a person typed: round numbers."""
HASTY_RATIO: Final = 0.02
"""Share of orders that a client amends at once, before word of a match can have come back."""
LIFETIME_S: Final = (12.0, 1.6)
"""Median of a resting order's life and the standard deviation of its logarithm."""
PARENT_RATIO: Final = 0.015
"""Share of arrivals that begin a parent order."""
PARENT_CHILDREN: Final = (6, 25)
PARENT_PAUSE_S: Final = 4.0
"""Mean time between two children."""
IMPACT_BPS: Final = 0.25
"""Lasting impact of one aggressive child of a large parent."""


@dataclass(slots=True, eq=False)
class Client:
    """A client account and how it reaches the venue."""

    account: Account
    gate: Gate
    originators: Sequence[str] = ()
    """Who stands behind an omnibus account."""
    keys: dict[str, tuple[str, str]] = field(init=False)
    """By originator: what self-trade prevention compares, and the order's own fields."""

    def __post_init__(self) -> None:
        self.keys = {
            name: (f"{self.account.name}/{name}", fields(originator=name))
            for name in self.originators
        }


@dataclass(slots=True)
class Parent:
    """A large order that is worked in children."""

    client: Client
    side: int
    left: int
    aggressive: bool
    pause_s: float
    extra: dict[str, Any]


class Clients:
    """The client flow of one instrument.

    State: nothing of its own but what is scheduled: the life of each resting order, and parents.

    Parameters
    ----------
    port : Port
    outside : Outside
    clients : sequence of Client
        The first trade the most, each in proportion to one over its rank.
    rate_per_s : float
        Mean instructions a second that arrive, before what they bring about.
    lots : int
        Least size of an ordinary order.
    rng : random.Random
    counts : Counter
        Of what look-alikes have come about.
    """

    def __init__(
        self,
        port: Port,
        outside: Outside,
        clients: Sequence[Client],
        *,
        rate_per_s: float,
        lots: int,
        rng: random.Random,
        counts: Counter[str],
    ) -> None:
        self._port, self._engine, self._outside = port, port.engine, outside
        self._loop, self._clients, self._lots = port.loop, clients, lots
        self._rng, self._counts = rng, counts
        self._weights = list(accumulate(1 / (rank + 3) for rank in range(len(clients))))
        self._base = rate_per_s * (1 - BRANCHING)
        self._excited = 0.0
        self._at_ns = self._loop.now_ns
        self._tick = float(port.engine.instrument.tick_size)
        self._parents = 0
        self._loop.at(self._next_ns(), self._arrive)

    # --- arrivals -----------------------------------------------------------------------------

    def _next_ns(self) -> int:
        """Return the next arrival of a Hawkes process with an exponential kernel, by thinning."""
        rng, at = self._rng, 0.0
        excited = self._excited
        while True:
            bound = self._base + excited
            pause = rng.expovariate(bound)
            at += pause
            excited *= math.exp(-DECAY_PER_S * pause)
            if rng.random() * bound <= self._base + excited:
                break
        self._excited = excited + BRANCHING * DECAY_PER_S
        self._at_ns += max(1, int(at * SECOND))
        return self._at_ns

    def _arrive(self, _: int, __: None) -> None:
        rng = self._rng
        client = self._clients[bisect(self._weights, rng.random() * self._weights[-1])]
        side = BUY if rng.random() < 0.5 else SELL
        if rng.random() < PARENT_RATIO:
            self._begin_parent(client, side)
        else:
            self._order(client, side, self._size())
        self._loop.at(self._next_ns(), self._arrive)

    def _size(self) -> int:
        rng = self._rng
        size = self._lots * min(LARGEST, rng.paretovariate(TAIL))
        if rng.random() < ROUND_RATIO:
            unit: int = 10 ** max(1, int(math.log10(size)))
            return int(max(unit, round(size / unit) * unit))
        return max(1, int(size))

    def _owner(self, client: Client) -> dict[str, Any]:
        if not client.originators:
            return {}
        key, text = client.keys[self._rng.choice(client.originators)]
        return {"stp_key": key, "text": text}

    # --- what is sent -------------------------------------------------------------------------

    def _touch(self, side: int) -> tuple[int, int]:
        """Return the best price of the own and of the opposite side, ticks; the outside's else."""
        engine = self._engine
        fair = max(2, round(self._outside.price / self._tick))
        bid = engine.bids.best or fair - 1
        ask = engine.asks.best or fair + 1
        return (bid, ask) if side == BUY else (ask, bid)

    def _order(self, client: Client, side: int, lots: int) -> None:
        rng = self._rng
        own, opposite = self._touch(side)
        wide = max(1, abs(opposite - own))
        # Depth is placed with a heavy tail: near the touch mostly, some far away.
        behind = own - side * int(wide * (rng.paretovariate(1.2) - 1))
        plan: dict[str, Any] = self._owner(client)
        draw = rng.random()
        price: int | None = max(1, behind)
        if draw < 0.16:
            plan |= {"type_": "market", "tif": "IOC"}
            price = None
        elif draw < 0.32:
            plan["tif"] = "IOC" if rng.random() < 0.8 else "FOK"
            price = opposite + side * rng.randrange(0, 1 + wide)
        elif draw < 0.40:
            price = opposite  # Marketable, and what is not filled stays.
        elif draw < 0.46:
            # Inside the spread, where there is room.
            price = own + side * rng.randrange(0, wide)
            plan["tif"] = "POST_ONLY"
        elif draw < 0.53:
            plan["display"] = max(1, lots // rng.randrange(4, 12))
            lots *= 4
        elif draw < 0.54:
            plan["display"] = 0
        elif draw < 0.58:
            stop = opposite + side * (wide + int(wide * rng.paretovariate(1.3)))
            plan["stop_price"] = max(1, stop)
            plan["type_"] = "stop"
            price = None
            if rng.random() < 0.4:
                plan["type_"] = "stop_limit"
                price = max(1, stop + side * wide)
        elif draw < 0.65:
            plan["tif"] = "DAY"
        self._send(client, side, lots, price, plan)

    def _send(
        self, client: Client, side: int, lots: int, price: int | None, plan: dict[str, Any]
    ) -> None:
        if client.originators:
            self._counts["omnibus_orders"] += 1
        self._port.send(
            client.gate,
            self._enter,
            (client, side, lots, price, plan),
            in_group=client.account.in_group,
        )

    def _enter(
        self,
        engine_ns: int,
        received_ns: int,
        plan: tuple[Client, int, int, int | None, dict[str, Any]],
    ) -> None:
        client, side, lots, price, options = plan
        order = self._engine.new(
            client.account, side, lots, price, now_ns=engine_ns, received_ns=received_ns, **options
        )
        if self._rng.random() < HASTY_RATIO:
            group = client.account.in_group
            self._port.send(client.gate, self._amend, (client, order), in_group=group)
        elif order.live:
            self._loop.at(self._end_of_life(engine_ns, order), self._tire, (client, order))

    def _end_of_life(self, now_ns: int, order: Order) -> int:
        median, deviation = LIFETIME_S
        if order.is_stop:
            median *= 50  # A stop is a protection, not an offer.
        return now_ns + int(self._rng.lognormvariate(math.log(median), deviation) * SECOND)

    # --- second thoughts ----------------------------------------------------------------------

    def _tire(self, _: int, kept: tuple[Client, Order]) -> None:
        client, order = kept
        if order.live:
            act = self._amend if self._rng.random() < 0.3 and not order.is_stop else self._cancel
            self._port.send(client.gate, act, kept, in_group=client.account.in_group)

    def _cancel(self, engine_ns: int, received_ns: int, kept: tuple[Client, Order]) -> None:
        order = kept[1]
        if not order.live:
            self._counts["too_late_to_cancel"] += 1
        self._engine.cancel(order, now_ns=engine_ns, received_ns=received_ns)

    def _amend(self, engine_ns: int, received_ns: int, kept: tuple[Client, Order]) -> None:
        order = kept[1]
        now = {"now_ns": engine_ns, "received_ns": received_ns}
        if not order.live:
            self._counts["amended_after_match"] += 1
            self._engine.replace(order, **now)
            return
        if self._rng.random() < 0.4:
            self._engine.replace(order, quantity=order.quantity - order.leaves // 2, **now)
        else:
            self._engine.replace(order, price=self._touch(order.side)[0], **now)
        if order.live:
            self._loop.at(self._end_of_life(engine_ns, order), self._tire, kept)

    # --- parents ------------------------------------------------------------------------------

    def _begin_parent(self, client: Client, side: int) -> None:
        self._parents += 1
        self._counts["parents"] += 1
        owner = self._owner(client)
        name = f"{self._engine.name}-P{self._parents}"
        text = owner.get("text", "") + fields(parent_order_id=name, algo_id="slicer")
        parent = Parent(
            client,
            side,
            self._rng.randrange(*PARENT_CHILDREN),
            self._rng.random() < 0.6,
            PARENT_PAUSE_S * self._rng.uniform(0.3, 2),
            owner | {"text": text},
        )
        self._child(self._loop.now_ns, parent)

    def _child(self, now_ns: int, parent: Parent) -> None:
        own, opposite = self._touch(parent.side)
        lots = 2 * self._size()
        if parent.aggressive:
            plan = parent.extra | {"tif": "IOC"}
            self._send(parent.client, parent.side, lots, opposite, plan)
            self._outside.push(parent.side * IMPACT_BPS)
        else:
            self._send(parent.client, parent.side, lots, own, parent.extra)
        parent.left -= 1
        if parent.left:
            pause = self._rng.expovariate(1 / parent.pause_s)
            self._loop.at(now_ns + int(pause * SECOND), self._child, parent)
