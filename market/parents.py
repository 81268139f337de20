"""Large client orders: planned for a while, then worked in children that move the price."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ingest.times import SECOND
from market.clients import Client, Clients, Entry
from market.wire import fields

CHILDREN: Final = (6, 25)
PAUSE_S: Final = 4.0
"""Mean time between two children."""
PLANNED_S: Final = (5.0, 90.0)
"""From the decision, which a broker or a sales desk may know of, to the first child."""
AGGRESSIVE_RATIO: Final = 0.6
MEAN_LOTS: Final = 320
"""Rough mean size of a child: twice an ordinary order of some 160 lots."""
THROUGH_BPS: Final = 4.0
"""How far through the touch an aggressive child may pay: two half spreads; it is to be filled."""
IMPACT_BPS: Final = 0.25
"""Lasting impact of one aggressive child."""


@dataclass(slots=True, eq=False)
class Parent:
    """A large order that is worked in children."""

    name: str
    client: Client
    side: int
    children: int
    left: int
    aggressive: bool
    pause_s: float
    begins_ns: int
    """When the first child is sent."""
    extra: dict[str, Any]
    rng: random.Random
    entries: list[Entry] = field(default_factory=list)
    """The children sent so far."""
    on_child: list[Callable[[int], object]] = field(default_factory=list)
    """Who hears of each child's tag: abuse alone."""


class Parents:
    """The parent orders of one client flow.

    Parameters
    ----------
    flow : Clients
    """

    def __init__(self, flow: Clients) -> None:
        self.live: dict[str, Parent] = {}
        self.on_plan: list[Callable[[Parent, int], None]] = []
        """Who hears of a parent before its first child: abuse alone."""
        self._flow, self._loop = flow, flow.port.loop
        self._count = 0
        flow.on_parent = self.plan

    def plan(self, client: Client, side: int, rng: random.Random) -> None:
        """Take in a client's decision."""
        self._count += 1
        owner = self._flow.owner(client, rng)
        name = f"{self._flow.engine.name}-P{self._count}"
        text = owner.get("text", "") + fields(parent_order_id=name, algo_id="slicer")
        children = rng.randrange(*CHILDREN)
        now_ns = self._loop.now_ns
        parent = Parent(
            name,
            client,
            side,
            children,
            children,
            rng.random() < AGGRESSIVE_RATIO,
            PAUSE_S * rng.uniform(0.3, 2),
            now_ns + int(rng.uniform(*PLANNED_S) * SECOND),
            owner | {"text": text},
            rng,
        )
        self.live[name] = parent
        for call in self.on_plan:
            call(parent, now_ns)
        self._loop.at(parent.begins_ns, self._child, parent)

    def _child(self, now_ns: int, parent: Parent) -> None:
        flow = self._flow
        own, opposite = flow.touch(parent.side)
        lots = 2 * flow.size(parent.rng)
        plan, price, impact_bps = parent.extra, own, 0.0
        if parent.aggressive:
            through = opposite * (1 + parent.side * THROUGH_BPS * 1e-4)
            plan, price, impact_bps = plan | {"tif": "IOC"}, max(1, int(through)), IMPACT_BPS
        entry = Entry(
            parent.client, parent.side, lots, price, plan, flow.tag(), parent.name, impact_bps
        )
        parent.entries.append(entry)
        for call in parent.on_child:
            call(entry.tag)
        flow.send(entry)
        parent.left -= 1
        pause = int(parent.rng.expovariate(1 / parent.pause_s) * SECOND)
        if parent.left:
            self._loop.at(now_ns + pause, self._child, parent)
        else:
            del self.live[parent.name]
