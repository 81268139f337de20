"""One episode of spoofing: layers, a small order against them, and how the layers go."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from market.abuse.base import Venue
from market.abuse.held import withdraw
from market.abuse.lure import is_led
from market.case import Case
from market.clients import Entry
from market.loop import Port
from market.orders import Order

WATCH_S: Final = 0.3
"""Between two looks at whether a layer has come to the touch, where it might be filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How an episode goes on."""

    side: int
    """Of the layers."""
    account: str
    """Of the layers; the small order is the maker's."""
    evasion: str
    layers: int
    lots: float
    """Mean size of a layer."""
    cycles: int
    """How many with a fill."""
    stay_s: float
    """From the fill to the withdrawal."""


@dataclass(slots=True, eq=False)
class Episode:
    """One case as it goes on."""

    venue: Venue
    port: Port
    case: Case
    rng: random.Random
    style: Style
    until_ns: int
    """From when on no cycle is begun."""
    filled: int = 0
    """Cycles in which the small order was filled and then layers were withdrawn."""
    tries: int = 0
    layers: list[Order] = field(default_factory=list)
    real: Order | None = None
    hit: bool = False
    """Whether the small order of this cycle was filled, in part at least."""

    def cycle(self) -> None:
        """Layer, and then enter the small order."""
        style, rng, venue = self.style, self.rng, self.venue
        is_open = self.port.engine.phase == "continuous"
        is_late = self.venue.loop.now_ns >= self.until_ns
        if self.filled == style.cycles or is_late or not is_open:
            self._end()
            return
        self.tries += 1
        self.layers, self.real, self.hit = [], None, False
        self.case.on_trade = self._traded
        own, _ = self._touch(style.side)
        away = int(own * rng.uniform(6, 14) * 1e-4) if style.evasion == "far" else 0
        for _ in range(style.layers):
            away += rng.randint(3, 12)
            venue.enter(
                self.case,
                self.port,
                style.account,
                style.side,
                int(style.lots * rng.uniform(0.75, 1.25)),
                own - style.side * away,
                tif="POST_ONLY",
                waits=True,
                done=lambda order, _: self.layers.append(order),
            )
        venue.after(rng.uniform(0.05, 0.6), self._offer)
        tried = self.tries
        venue.after(WATCH_S, lambda: self._keep_away(tried))
        venue.after(rng.uniform(8.0, 16.0), lambda: self._give_up(tried))

    def _touch(self, side: int) -> tuple[int, int]:
        return self.venue.flows[self.port.engine.name].touch(side)

    def _offer(self) -> None:
        """Enter the small order as the best of the other side."""
        side, rng = -self.style.side, self.rng
        own, opposite = self._touch(side)
        room = abs(own - opposite)
        inside = rng.randint(1, max(1, room // 3)) if room > 2 else 0

        def entered(order: Order, _: int) -> None:
            self.real = order
            flow = self.venue.flows[self.port.engine.name]
            if order.live and flow.sway is None:
                flow.sway = self._sway

        self.venue.enter(
            self.case,
            self.port,
            self.venue.afmm,
            side,
            rng.randint(80, 400),
            own + side * inside,
            tif="POST_ONLY",
            waits=True,
            done=entered,
        )

    def _sway(self, entry: Entry) -> None:
        """Have a patient client cross the spread, as likely as the layers weigh in the book."""
        side, real = self.style.side, self.real
        if entry.side != side or entry.price is None or entry.parent or real is None:
            return
        _, opposite = self._touch(side)
        if "stop_price" in entry.options or entry.price * side >= opposite * side:
            return
        if not real.live or not is_led(self.venue, self.port, entry, self.layers):
            return
        entry.price = opposite
        entry.options.pop("tif", None)
        entry.options.pop("display", None)
        self.case.wrong_tags(entry.tag)

    def _traded(self, buy: Order, sell: Order, _: int, __: int) -> bool:
        mine = sell if self.style.side > 0 else buy
        if mine.tag == self.case.tag and not self.hit:
            self.hit = True
            self.venue.after(self.style.stay_s * self.rng.uniform(0.6, 1.4), self._withdraw)
        return False

    def _keep_away(self, tried: int) -> None:
        """Withdraw layers at the touch, as long as this cycle goes on."""
        if tried != self.tries or self.case.is_over:
            return
        own, _ = self._touch(self.style.side)
        near = [layer for layer in self.layers if layer.live and layer.price == own]
        self.venue.cancel(self.case, self.port, *near, waits=True)
        self.venue.after(WATCH_S, lambda: self._keep_away(tried))

    def _give_up(self, tried: int) -> None:
        if tried == self.tries and not self.hit:
            self._withdraw()

    def _withdraw(self) -> None:
        """Take the layers away, one way or another, then what is left of the small order."""
        self._believe_no_more()
        self.filled += self.hit and any(layer.live for layer in self.layers)
        rng, style, venue = self.rng, self.style, self.venue
        after_s = 0.0
        for layer in self.layers:
            if style.evasion == "staggered":
                after_s += rng.uniform(0.05, 0.6)
            venue.after(after_s, self._taker(layer))
        if style.evasion == "partial":
            after_s = rng.uniform(2.0, 5.0)
            venue.after(after_s, lambda: withdraw(venue, self.case, self.port, self.layers))
        venue.after(after_s + 0.2, self._clear)
        venue.after(after_s + rng.uniform(1.0, 8.0), self.cycle)

    def _taker(self, layer: Order) -> Callable[[], None]:
        if self.style.evasion != "partial":
            return lambda: withdraw(self.venue, self.case, self.port, [layer])
        less = self.rng.uniform(0.05, 0.2)

        def shrink(engine_ns: int, received_ns: int, _: object) -> None:
            if layer.live:
                filled = layer.quantity - layer.leaves
                self.port.engine.replace(
                    layer,
                    quantity=filled + max(1, int(layer.leaves * less)),
                    now_ns=engine_ns,
                    received_ns=received_ns,
                )
                self.case.act(layer.account.name)

        return lambda: self.venue.instruct(self.port, layer.account.name, shrink, waits=True)

    def _clear(self) -> None:
        if self.real is not None:
            withdraw(self.venue, self.case, self.port, [self.real])

    def _believe_no_more(self) -> None:
        flow = self.venue.flows[self.port.engine.name]
        if flow.sway == self._sway:
            flow.sway = None

    def _end(self) -> None:
        self._believe_no_more()
        self.case.end(keep=self.filled >= 2)
