"""Makers: quotes in levels around the outside price, re-quoted on a timer, fills hedged."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal

from ingest.times import MILLI, SECOND
from market.draws import normal, unit
from market.loop import Gate, Loop, Port
from market.orders import BUY, SELL, Account, Order
from market.outside import Outside

Style = Literal["replace", "replaces", "cancel_new"]
HYSTERESIS_RATIO: Final = 0.25
"""Share of its half spread by which a quote may be off before it is moved: a quote that follows
every print would lose its place in the queue for nothing."""
TOP_UP_RATIO: Final = 0.4
"""What is left of a quote when it is filled up again."""
BREATH_S: Final = 120.0
"""For how long a maker's appetite stays what it is."""
BREATH_DEVIATION: Final = 0.5
"""Standard deviation of the logarithm of that appetite: books are thin at times."""
STRESS_POWER: Final = -0.5
"""Sizes, and the time between two looks, shrink with volatility to this power: makers step back
from a storm, and keep a closer eye on it."""
EAGER_RATIO: Final = 0.35
"""How much of what it foresees a maker that cheats gives away, to be hit before the price moves."""
WARY_RATIO: Final = 2.0
"""How far beside that it goes out of the way of a move that would cost it: too far is no loss."""
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


@dataclass(slots=True)
class Conduct:
    """How a maker departs from honest quoting: nothing, unless it is abuse."""

    sides: tuple[int, ...] = (BUY, SELL)
    """On which it quotes at all."""
    widen: float = 1.0
    """Multiple of its half spread."""
    shrink: float = 1.0
    """Multiple of its sizes."""
    foresight: float = 0.0
    """Share that it knows of the outside price's next moves."""
    foresight_steps: int = 0
    foresight_sides: tuple[int, ...] = (BUY, SELL)
    """On which it makes use of that."""
    foresight_levels: int = 99
    """Of how many quotes, from the touch, it makes use of that; the others are honest."""
    first_shrink: float = 1.0
    """Multiple of the size of its first level, besides."""
    away: dict[tuple[int, int], int] = field(default_factory=dict)
    """By side and level: until when it leaves a quote as it is, be there one or none, ns."""


class Desk:
    """A maker's net position in one underlying over its instruments, and its hedging.

    Parameters
    ----------
    loop : Loop
    account : Account
    gate : Gate
    limit_lots : int
        Net position above which the excess is hedged.
    seed : int
        Of its draws.
    """

    def __init__(
        self,
        loop: Loop,
        account: Account,
        gate: Gate,
        limit_lots: int,
        *,
        seed: int,
    ) -> None:
        self.account, self.gate, self.seed = account, gate, seed
        self.net_lots = 0
        self.offline_until_ns = 0
        self.makers: list[Maker] = []
        self.limit_lots = limit_lots
        self._loop = loop
        self._hedging = False

    def filled(self, order: Order, lots: int, now_ns: int) -> None:
        """Count a fill; schedule a hedge when the position is over the limit."""
        self.net_lots += order.side * lots
        if abs(self.net_lots) > self.limit_lots and not self._hedging:
            self._hedging = True
            self._loop.at(now_ns + HEDGE_REACTION_NS, self._hedge, order.instrument)

    def _hedge(self, now_ns: int, filled_in: str) -> None:
        others = [maker for maker in self.makers if maker.engine.name != filled_in]
        if others and now_ns >= self.offline_until_ns:
            luck = unit(self.seed, now_ns)
            others[0].port.send(
                self.gate, self._take, others[0], luck, in_group=self.account.in_group
            )
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
        self, desk: Desk, port: Port, outside: Outside, quoting: Quoting, *, number: int
    ) -> None:
        self.port, self.engine, self.outside = port, port.engine, outside
        self.tick = float(port.engine.instrument.tick_size)
        self.desk, self.quoting = desk, quoting
        self.conduct = Conduct()
        self.quotes: dict[tuple[int, int], Order] = {}
        """By side and level."""
        self._loop, self._seed = port.loop, int(unit(desk.seed, number) * 2**62)
        self._looks = self._jumps = 0
        desk.makers.append(self)
        outside.on_jump.append(self._react)
        first = unit(self._seed, 0)
        self._loop.at(self._loop.now_ns + int(first * SECOND), self._wake)

    def _react(self, now_ns: int) -> None:
        self._jumps += 1
        wait = (1 + 29 * unit(self._seed, -1 - self._jumps)) * MILLI
        self._loop.at(now_ns + int(wait), self._look)

    def _wake(self, now_ns: int, _: None) -> None:
        self._look(now_ns, None)
        pause = self.quoting.interval_ns * (0.8 + 0.4 * unit(self._seed, self._looks << 6 | 1))
        pause *= math.pow(self.outside.stress, STRESS_POWER)
        self._loop.at(now_ns + int(pause), self._wake)

    def _look(self, now_ns: int, _: None) -> None:
        self._looks += 1
        if now_ns < self.desk.offline_until_ns or self.engine.phase not in (
            "continuous",
            "auction",
        ):
            return
        targets = self._targets(now_ns)
        if targets:
            plan = _Plan(self._looks, targets)
            luck = unit(self._seed, self._looks << 6 | 2)
            group = self.desk.account.in_group
            self.port.send(self.desk.gate, self._quote, plan, luck, in_group=group)

    def _targets(self, now_ns: int) -> list[tuple[int, int, int]]:
        """Return (side, level, price in ticks) of each quote that has to be set or moved.

        A price of 0 takes the quote away.
        """
        quoting, conduct = self.quoting, self.conduct
        stress = self.outside.stress
        half = quoting.half_spread_bps * conduct.widen * (stress**0.7) * 1e-4
        skew = half * max(-2.0, min(2.0, self.desk.net_lots / quoting.inventory_lots))
        fair = self.outside.price * (1 - skew) / self.tick
        ahead = 0.0
        if conduct.foresight:
            ahead = conduct.foresight * self.outside.ahead(conduct.foresight_steps)
        slack = fair * half * HYSTERESIS_RATIO
        targets = []
        for side in (BUY, SELL):
            quoted = side in conduct.sides
            for level in range(quoting.levels):
                away = half + level * quoting.spacing_bps * 1e-4
                wanted = fair * (1 - side * away)
                if ahead and side in conduct.foresight_sides and level < conduct.foresight_levels:
                    wanted *= 1 + ahead * (WARY_RATIO if ahead * side < 0 else EAGER_RATIO)
                if conduct.away and now_ns < conduct.away.get((side, level), 0):
                    continue
                order = self.quotes.get((side, level))
                if order is not None and order.live:
                    if not quoted:
                        targets.append((side, level, 0))
                        continue
                    assert order.price is not None  # noqa: S101 - a quote is a limit order
                    if (
                        abs(order.price - wanted) <= slack
                        and order.leaves > order.quantity * TOP_UP_RATIO
                    ):
                        continue
                elif not quoted:
                    continue
                # Away from the mid to the next tick, so that no rounding narrows the spread.
                price = int(wanted) if side == BUY else -int(-wanted // 1)
                targets.append((side, level, max(1, price)))
        return targets

    def _appetite(self, now_ns: int) -> float:
        """Return the multiple of its sizes that a maker offers at a time."""
        breath = int(now_ns / (BREATH_S * SECOND))
        draw = normal(unit(self._seed, breath << 6 | 3))
        return math.exp(BREATH_DEVIATION * draw) * math.pow(self.outside.stress, STRESS_POWER)

    def _quote(self, engine_ns: int, received_ns: int, plan: _Plan) -> None:
        engine, quoting, quotes = self.engine, self.quoting, self.quotes
        scale = quoting.lots * self.conduct.shrink * self._appetite(engine_ns)
        luck = unit(self._seed, plan.look << 6 | 32)
        away = self.conduct.away
        for side, level, price in plan.targets:
            if away and engine_ns < away.get((side, level), 0):
                continue
            old = quotes.get((side, level))
            if not price:
                if old is not None and old.live:
                    engine.cancel(old, now_ns=engine_ns, received_ns=received_ns)
                continue
            # One draw a look, spread over its quotes by the golden ratio.
            luck = (luck + 0.618_033_988_749_895) % 1
            lots = int(scale * (1 + level / 2) * (0.85 + 0.3 * luck)) or 1
            if not level:
                lots = int(lots * self.conduct.first_shrink) or 1
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
                self.desk.account,
                side,
                lots,
                price,
                now_ns=engine_ns,
                received_ns=received_ns,
                tif="POST_ONLY" if quoting.post_only else "GTC",
                replaces=old,
            )


@dataclass(slots=True, eq=False)
class _Plan:
    """What one look at the quotes came to."""

    look: int
    targets: list[tuple[int, int, int]] = field(default_factory=list)
