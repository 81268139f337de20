"""Clients: clustered arrivals, heavy-tailed sizes, every order type, second thoughts."""

from __future__ import annotations

import math
import random
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from ingest.times import SECOND
from market.draws import normal, unit
from market.loop import Gate, Port
from market.orders import BUY, SELL, Account, Order
from market.outside import Outside
from market.wire import fields

BRANCHING: Final = 0.6
"""Share of instructions that another one drew: order flow is mostly its own cause (0.5 to 0.9)."""
DECAY_PER_S: Final = 1.5
"""How fast the excitement of one instruction fades."""
STRESS_POWER: Final = 0.6
"""Arrivals grow with volatility to this power: a stormy market draws clients as well as makers."""
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
FORGOTTEN: Final = (0.12, 40.0)
"""Share of resting orders that are forgotten, and how many times longer those live."""
PARENT_RATIO: Final = 0.015
"""Share of arrivals that begin a parent order."""


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


@dataclass(slots=True, eq=False)
class Entry:
    """A client's new order on its way."""

    client: Client
    side: int
    lots: int
    price: int | None
    options: dict[str, Any]
    tag: int
    parent: str = ""
    """Of a parent order: its name."""
    impact_bps: float = 0.0
    """How far its match moves the outside price for good."""


class Clients:
    """The client flow of one instrument.

    State: nothing of its own but what is scheduled: the life of each resting order.

    Parameters
    ----------
    port : Port
    outside : Outside
    clients : sequence of Client
        The first trade the most, each in proportion to one over its rank.
    number : int
        Of this flow among all; the first part of each order's tag.
    rate_per_s : float
        Mean instructions a second that arrive, before what they bring about.
    lots : int
        Least size of an ordinary order.
    rng : random.Random
        Drawn from at arrivals alone, whatever the market does.
    """

    def __init__(
        self,
        port: Port,
        outside: Outside,
        clients: Sequence[Client],
        *,
        number: int,
        rate_per_s: float,
        lots: int,
        rng: random.Random,
    ) -> None:
        self.port, self.engine, self.outside = port, port.engine, outside
        self.on_parent: Callable[[Client, int, random.Random], None] | None = None
        """Works the parent orders; called with client, side and a random source of its own."""
        self.sway: Callable[[Entry], None] | None = None
        """May change a decision as it is sent, by what a client is led to believe: abuse alone."""
        self._loop, self._clients, self._lots = port.loop, clients, lots
        self._rng = rng
        self._seed = rng.getrandbits(62)
        self._weights = list(accumulate(1 / (rank + 3) for rank in range(len(clients))))
        self._base = rate_per_s * (1 - BRANCHING)
        self._excited = 0.0
        self._at_ns = self._loop.now_ns
        self._tick = float(port.engine.instrument.tick_size)
        self._tags = (number + 1) << 40
        self._loop.at(self._next_ns(), self._arrive)

    # --- arrivals -----------------------------------------------------------------------------

    def _next_ns(self) -> int:
        """Return the next arrival of a Hawkes process with an exponential kernel, by thinning."""
        rng, at = self._rng, 0.0
        base = self._base * self.outside.stress**STRESS_POWER
        excited = self._excited
        while True:
            bound = base + excited
            pause = rng.expovariate(bound)
            at += pause
            excited *= math.exp(-DECAY_PER_S * pause)
            if rng.random() * bound <= base + excited:
                break
        self._excited = excited + BRANCHING * DECAY_PER_S
        self._at_ns += max(1, int(at * SECOND))
        return self._at_ns

    def _arrive(self, _: int, __: None) -> None:
        rng = self._rng
        client = self._clients[bisect(self._weights, rng.random() * self._weights[-1])]
        side = BUY if rng.random() < 0.5 else SELL
        if rng.random() < PARENT_RATIO and self.on_parent is not None:
            self.on_parent(client, side, random.Random(rng.getrandbits(64)))  # noqa: S311
        else:
            self._order(client, side, self.size(rng))
        self._loop.at(self._next_ns(), self._arrive)

    def size(self, rng: random.Random) -> int:
        """Return the size of an ordinary order, lots."""
        size = self._lots * min(LARGEST, rng.paretovariate(TAIL))
        if rng.random() < ROUND_RATIO:
            unit_: int = 10 ** max(1, int(math.log10(size)))
            return int(max(unit_, round(size / unit_) * unit_))
        return max(1, int(size))

    def owner(self, client: Client, rng: random.Random) -> dict[str, Any]:
        """Return the options that name who stands behind an order of an omnibus account."""
        if not client.originators:
            return {}
        key, text = client.keys[rng.choice(client.originators)]
        return {"stp_key": key, "text": text}

    # --- what is sent -------------------------------------------------------------------------

    def touch(self, side: int) -> tuple[int, int]:
        """Return the best price of the own and of the opposite side, ticks; the outside's else."""
        engine = self.engine
        fair = max(2, round(self.outside.price / self._tick))
        bid = engine.bids.best or fair - 1
        ask = engine.asks.best or fair + 1
        return (bid, ask) if side == BUY else (ask, bid)

    def _order(self, client: Client, side: int, lots: int) -> None:
        rng = self._rng
        own, opposite = self.touch(side)
        wide = max(1, abs(opposite - own))
        # Depth is placed with a heavy tail: near the touch mostly, some far away.
        behind = own - side * int(wide * (rng.paretovariate(1.2) - 1))
        plan: dict[str, Any] = self.owner(client, rng)
        # Each is drawn whether it is used or not, and scaled: what is drawn next must not depend
        # on how wide the market is.
        draw, within, kind = rng.random(), rng.random(), rng.random()
        price: int | None = max(1, behind)
        if draw < 0.10:
            plan |= {"type_": "market", "tif": "IOC"}
            price = None
        elif draw < 0.20:
            plan["tif"] = "IOC" if kind < 0.8 else "FOK"
            price = max(1, opposite + side * int(within * (1 + wide)))
        elif draw < 0.24:
            price = opposite  # Marketable, and what is not filled stays.
        elif draw < 0.34:
            # Inside the spread, where there is room; a call crosses the book as far as it likes.
            price = max(1, own + side * int(within * wide))
            plan["tif"] = "POST_ONLY"
        elif draw < 0.41:
            plan["display"] = max(1, lots // int(4 + 8 * within))
            lots *= 4
        elif draw < 0.43:
            plan["display"] = 0
        elif draw < 0.49:
            stop = opposite + side * (wide + int(wide * (1 - within) ** (-1 / 1.3)))
            plan["stop_price"] = max(1, stop)
            plan["type_"] = "stop"
            price = None
            if kind < 0.4:
                plan["type_"] = "stop_limit"
                price = max(1, stop + side * wide)
        elif draw < 0.56:
            plan["tif"] = "DAY"
        self.send(Entry(client, side, lots, price, plan, self.tag()))

    def tag(self) -> int:
        """Return the next tag of this flow."""
        self._tags += 1
        return self._tags

    def _luck(self, tag: int, what: int) -> float:
        return unit(self._seed, tag << 16 | what)

    def send(self, entry: Entry) -> None:
        """Send a new order on its way."""
        client = entry.client
        if self.sway is not None:
            self.sway(entry)
        self.port.send(
            client.gate,
            self._enter,
            entry,
            self._luck(entry.tag, 0),
            in_group=client.account.in_group,
            tapped=client.account.role == "client",
        )

    def _enter(self, engine_ns: int, received_ns: int, entry: Entry) -> None:
        order = self.engine.new(
            entry.client.account,
            entry.side,
            entry.lots,
            entry.price,
            now_ns=engine_ns,
            received_ns=received_ns,
            tag=entry.tag,
            **entry.options,
        )
        if entry.impact_bps:
            self.outside.push(entry.side * entry.impact_bps)
        kept = _Kept(entry.client, order)
        if self._luck(entry.tag, 1) < HASTY_RATIO:
            self._act(self._amend, kept)
        elif order.live:
            self._outlive(engine_ns, kept)

    # --- second thoughts ----------------------------------------------------------------------

    def _act(self, act: Callable[[int, int, _Kept], None], kept: _Kept) -> None:
        kept.thoughts += 1
        luck = self._luck(kept.order.tag, kept.thoughts * 8)
        self.port.send(kept.client.gate, act, kept, luck, in_group=kept.client.account.in_group)

    def _outlive(self, now_ns: int, kept: _Kept) -> None:
        median, deviation = LIFETIME_S
        share, longer = FORGOTTEN
        if kept.order.is_stop:
            median *= 50  # A stop is a protection, not an offer.
        elif self._luck(kept.order.tag, kept.thoughts * 8 + 5) < share:
            median *= longer
        draw = normal(self._luck(kept.order.tag, kept.thoughts * 8 + 2))
        self._loop.at(now_ns + int(median * math.exp(deviation * draw) * SECOND), self._tire, kept)

    def _tire(self, _: int, kept: _Kept) -> None:
        order = kept.order
        if order.live:
            amends = self._luck(order.tag, kept.thoughts * 8 + 3) < 0.3 and not order.is_stop
            self._act(self._amend if amends else self._cancel, kept)

    def _cancel(self, engine_ns: int, received_ns: int, kept: _Kept) -> None:
        self.engine.cancel(kept.order, now_ns=engine_ns, received_ns=received_ns)

    def _amend(self, engine_ns: int, received_ns: int, kept: _Kept) -> None:
        order = kept.order
        now = {"now_ns": engine_ns, "received_ns": received_ns}
        if not order.live:
            self.engine.replace(order, **now)
            return
        if self._luck(order.tag, kept.thoughts * 8 + 4) < 0.4:
            self.engine.replace(order, quantity=order.quantity - order.leaves // 2, **now)
        else:
            self.engine.replace(order, price=self.touch(order.side)[0], **now)
        if order.live:
            self._outlive(engine_ns, kept)


@dataclass(slots=True, eq=False)
class _Kept:
    """An order that a client keeps an eye on."""

    client: Client
    order: Order
    thoughts: int = 0
    """How often it was thought about."""
