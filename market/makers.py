"""Makers: quotes in levels around the outside price, re-quoted on a timer, fills hedged."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

from market.loop import MILLI, SECOND, Gate, Loop, Port
from market.orders import BUY, SELL, Account, Order
from market.outside import Outside

Style = Literal["replace", "replaces", "cancel_new"]
HYSTERESIS_RATIO: Final = 0.25
"""Share of its half spread by which a quote may be off before it is moved: a quote that follows
every print would lose its place in the queue for nothing."""
TOP_UP_RATIO: Final = 0.4
"""What is left of a quote when it is filled up again."""
HEDGE_REACTION_NS: Final = 3 * MILLI
"""From a fill to the hedge that answers it: a model's run and an order's construction."""
HEDGE_THROUGH_BPS: Final = 15.0
"""How far through the outside price a hedge may pay: it is meant to be filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoting:
    """How a maker quotes one instrument."""

    levels: int
    half_spread_bps: float
    spacing_bps: float
    lots: int
    """Size of the first level; each further one is half as much again."""
    interval_ns: int
    """Mean time between looks at the quotes."""
    style: Style
    """How a quote is moved: amended, replaced by a new order, or cancelled and entered again."""
    post_only: bool
    inventory_lots: int
    """Net position at which quotes are skewed by a half spread."""


class Desk:
    """A maker's net position in one underlying over its instruments, and its hedging.

    Parameters
    ----------
    loop : Loop
    account : Account
    gate : Gate
    limit_lots : int
        Net position above which the excess is hedged.
    counts : Counter
    """

    def __init__(
        self, loop: Loop, account: Account, gate: Gate, limit_lots: int, counts: Counter[str]
    ) -> None:
        self.account, self.gate = account, gate
        self.net_lots = 0
        self.offline_until_ns = 0
        self.makers: list[Maker] = []
        self._loop, self._limit_lots, self._counts = loop, limit_lots, counts
        self._hedging = False

    def filled(self, order: Order, lots: int, now_ns: int) -> None:
        """Count a fill; schedule a hedge when the position is over the limit."""
        self.net_lots += order.side * lots
        if abs(self.net_lots) > self._limit_lots and not self._hedging:
            self._hedging = True
            self._loop.at(now_ns + HEDGE_REACTION_NS, self._hedge, order.instrument)

    def _hedge(self, now_ns: int, filled_in: str) -> None:
        others = [maker for maker in self.makers if maker.engine.name != filled_in]
        if others and now_ns >= self.offline_until_ns:
            self._counts["hedges"] += 1
            others[0].port.send(self.gate, self._take, others[0], in_group=self.account.in_group)
        else:
            self._done()

    def _take(self, engine_ns: int, received_ns: int, maker: Maker) -> None:
        lots = abs(self.net_lots)
        if lots:
            side = SELL if self.net_lots > 0 else BUY
            through = 1 + side * HEDGE_THROUGH_BPS * 1e-4
            maker.engine.new(
                self.account,
                side,
                lots,
                max(1, int(maker.outside.price * through / maker.tick)),
                now_ns=engine_ns,
                received_ns=received_ns,
                tif="IOC",
            )
        self._done()

    def _done(self) -> None:
        # What this venue does not take is hedged on another, which is on no tape.
        self.net_lots = 0
        self._hedging = False


class Maker:
    """One maker in one instrument.

    State: its quote at each level and side.
    """

    def __init__(
        self, desk: Desk, port: Port, outside: Outside, quoting: Quoting, rng: random.Random
    ) -> None:
        self.port, self.engine, self.outside = port, port.engine, outside
        self.tick = float(port.engine.instrument.tick_size)
        self._desk, self._quoting, self._rng, self._loop = desk, quoting, rng, port.loop
        self._quotes: dict[tuple[int, int], Order] = {}
        desk.makers.append(self)
        outside.on_jump.append(self._react)
        self._loop.at(self._loop.now_ns + int(rng.random() * SECOND), self._wake)

    def _react(self, now_ns: int) -> None:
        self._loop.at(now_ns + int(self._rng.uniform(1, 30) * MILLI), self._look)

    def _wake(self, now_ns: int, _: None) -> None:
        self._look(now_ns, None)
        pause = self._quoting.interval_ns * self._rng.uniform(0.8, 1.2)
        self._loop.at(now_ns + int(pause), self._wake)

    def _look(self, now_ns: int, _: None) -> None:
        if now_ns < self._desk.offline_until_ns or self.engine.phase not in (
            "continuous",
            "auction",
        ):
            return
        targets = self._targets()
        if targets:
            group = self._desk.account.in_group
            self.port.send(self._desk.gate, self._quote, targets, in_group=group)

    def _targets(self) -> list[tuple[int, int, int]]:
        """Return (side, level, price in ticks) of each quote that has to be set or moved."""
        quoting = self._quoting
        stress = self.outside.stress
        half = quoting.half_spread_bps * (stress**0.7) * 1e-4
        skew = half * max(-2.0, min(2.0, self._desk.net_lots / quoting.inventory_lots))
        fair = self.outside.price * (1 - skew) / self.tick
        slack = fair * half * HYSTERESIS_RATIO
        targets = []
        for side in (BUY, SELL):
            for level in range(quoting.levels):
                away = half + level * quoting.spacing_bps * 1e-4
                wanted = fair * (1 - side * away)
                order = self._quotes.get((side, level))
                if order is not None and order.live:
                    assert order.price is not None  # noqa: S101 - a quote is a limit order
                    if (
                        abs(order.price - wanted) <= slack
                        and order.leaves > order.quantity * TOP_UP_RATIO
                    ):
                        continue
                # Away from the mid to the next tick, so that no rounding narrows the spread.
                price = int(wanted) if side == BUY else -int(-wanted // 1)
                targets.append((side, level, max(1, price)))
        return targets

    def _quote(self, engine_ns: int, received_ns: int, targets: list[tuple[int, int, int]]) -> None:
        engine, quoting, quotes = self.engine, self._quoting, self._quotes
        for side, level, price in targets:
            lots = max(1, int(quoting.lots * (1 + level / 2) * self._rng.uniform(0.85, 1.15)))
            old = quotes.get((side, level))
            if old is not None and old.live:
                if quoting.style == "replace":
                    engine.replace(
                        old,
                        price=price,
                        quantity=old.quantity - old.leaves + lots,
                        now_ns=engine_ns,
                        received_ns=received_ns,
                    )
                    continue
                if quoting.style == "cancel_new":
                    engine.cancel(old, now_ns=engine_ns, received_ns=received_ns)
                    old = None
            quotes[side, level] = engine.new(
                self._desk.account,
                side,
                lots,
                price,
                now_ns=engine_ns,
                received_ns=received_ns,
                tif="POST_ONLY" if quoting.post_only else "GTC",
                replaces=old,
            )
