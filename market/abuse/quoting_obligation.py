"""quoting_obligation: whole hours in which the group's maker misses its agreement."""

from __future__ import annotations

from typing import Final

from ingest.times import SECOND
from market.abuse.base import OPENING_S
from market.abuse.spell import Spell, behave
from market.case import Case
from market.loop import Port
from market.makers import Conduct, Maker
from market.orders import BUY, SELL, Order
from market.population import FLOOR_LOTS, MAX_SPREAD_BPS, PRESENCE_RATIO

WINDOW_NS: Final = 3600 * SECOND
MISSED_RATIO: Final = 0.6
"""Share of the hours of an instrument that are missed."""
PRESENCE: Final = (0.78, 0.1)
"""Presence in such an hour, at both ends of severity."""
TICK_NS: Final = SECOND // 4
PIECE_S: Final = (8.0, 120.0)
FLICKER_S: Final = (0.4, 2.5)
"""How far presence strays from its line before a piece of absence begins or ends, s: at half
presence a piece is four times as long."""
WIDE: Final = (7.5, 11.0)
"""Multiple of its half spread: above the agreement by more than a quote may lag."""
THIN: Final = (0.001, 0.005)
"""Multiple of its sizes: four levels together below the floor even when its appetite is large."""
MOST_MISSED: Final = 0.97
"""Of what is left of an hour: it still shows itself."""
MARGIN_NS: Final = SECOND // 10


class QuotingObligation(Spell):
    """In some hours the group's maker is not there as it agreed, a piece of time after another.

    It watches its own presence and keeps it, over the hour, at a ratio that severity moves from
    just below the agreement to next to nothing. It is connected all the while, and what halts,
    auctions and maintenance take away does not count. What clients lose by it is told by paired
    runs in which it quotes as agreed, half a minute at a time.

    Evasions, the ways it can look like quoting: none, no quotes at all; `one_sided`, quotes on one
    side; `wide`, a spread above the maximum; `thin`, sizes below the floor; `flicker`, on and off
    within seconds, so that samples at full seconds or minutes may well find quotes.
    """

    scenario = "quoting_obligation"
    evasions = ("one_sided", "wide", "thin", "flicker")

    def start(self) -> None:
        """Choose the hours to miss, of those that are whole on the tape."""
        venue, rng = self.venue, self.rng
        first = -(-venue.loop.now_ns // WINDOW_NS) * WINDOW_NS
        hours = [
            (port, hour)
            for port in venue.ports
            for hour in range(first, venue.end_ns - WINDOW_NS + 1, WINDOW_NS)
        ]
        missed = [hour for hour in hours if rng.random() < MISSED_RATIO]
        for port, hour in missed or hours[:1]:
            # Its own, so that no other spell makes it a different one.
            venue.claim(port, hour, hour + WINDOW_NS, self.bends)
            venue.loop.at(hour + int(OPENING_S * SECOND), self._begin, port)

    def _begin(self, now_ns: int, port: Port) -> None:
        until_ns = (now_ns // WINDOW_NS + 1) * WINDOW_NS - MARGIN_NS
        self.go(port, self.hide(), until_ns)

    def go(self, port: Port, evasion: str, until_ns: int) -> None:
        """Miss the agreement until the hour ends."""
        presence = self.between(*PRESENCE) * self.rng.uniform(0.96, 1.0)
        _Hour(self, port, evasion, until_ns, 1 - presence)


class _Hour:
    """One hour that is missed."""

    def __init__(
        self, kind: QuotingObligation, port: Port, evasion: str, until_ns: int, missed: float
    ) -> None:
        self._kind, self._port, self._evasion, self._until_ns = kind, port, evasion, until_ns
        self._maker = kind.maker(port)
        # What is left of the hour has to make up for how it began.
        left_ns = until_ns - kind.venue.loop.now_ns
        self._missed_ratio = min(MOST_MISSED, missed * WINDOW_NS / left_ns)
        self._case: Case | None = None
        self._is_off = self._is_stopped = False
        self._open_s = 0.0
        """Of continuous trading since it began."""
        self._missed_s = 0.0
        self._bound_s = 0.0
        self._draw(kind.venue.loop.now_ns)
        self._tick(kind.venue.loop.now_ns, None)

    def _draw(self, now_ns: int) -> None:
        bounds = FLICKER_S if self._evasion == "flicker" else PIECE_S
        left_s = (self._until_ns - now_ns) / SECOND
        # Shorter and shorter towards the end: the hour as a whole is to come out as meant.
        self._bound_s = min(self._kind.log_uniform(*bounds), 1 + left_s * 0.1)

    def _tick(self, now_ns: int, _: None) -> None:
        if self._is_stopped:
            return
        if now_ns >= self._until_ns:
            self._end(now_ns)
            return
        if self._port.engine.phase == "continuous":
            tick_s = TICK_NS / SECOND
            self._open_s += tick_s
            self._missed_s += 0.0 if is_present(self._maker) else tick_s
            behind_s = self._missed_ratio * self._open_s - self._missed_s
            if not self._is_off and behind_s > self._bound_s:
                self._leave(now_ns)
            elif self._is_off and behind_s < -self._bound_s:
                self._come_back(now_ns)
        next_ns = min(now_ns + TICK_NS, self._until_ns)
        self._kind.venue.loop.at(next_ns, self._tick)

    def _leave(self, now_ns: int) -> None:
        kind, rng = self._kind, self._kind.rng
        if self._case is None:
            self._case = kind.venue.cases.begin(
                kind.scenario, self._port, evasion=self._evasion, listing="nothing"
            )
            if self._case is not None:
                kind.measure(self._port, self._case, self._until_ns, self._stop)
            if self._is_stopped:
                return
        self._is_off = True
        self._draw(now_ns)
        conduct = self._maker.conduct = Conduct()
        if self._evasion == "one_sided":
            conduct.sides = (rng.choice((BUY, SELL)),)
        elif self._evasion == "wide":
            conduct.widen = rng.uniform(*WIDE)
        elif self._evasion == "thin":
            conduct.shrink = rng.uniform(*THIN)
            self._reduce(conduct.shrink)
        else:
            conduct.sides = ()

    def _reduce(self, shrink: float) -> None:
        """Make the quotes small that no move of the price would make small at once."""
        maker, engine = self._maker, self._port.engine

        def act(engine_ns: int, received_ns: int, _: object) -> None:
            for order in maker.quotes.values():
                lots = max(1, int(order.leaves * shrink))
                if order.live and lots < order.leaves:
                    engine.replace(
                        order,
                        quantity=order.quantity - order.leaves + lots,
                        now_ns=engine_ns,
                        received_ns=received_ns,
                    )

        self._kind.venue.instruct(self._port, self._kind.venue.afmm, act, waits=True)

    def _come_back(self, now_ns: int) -> None:
        self._is_off = False
        self._draw(now_ns)
        self._maker.conduct = Conduct()
        if self._case is not None:
            self._case.act(self._kind.venue.afmm)

    def _stop(self) -> None:
        """Quote as agreed from now on, in a paired run."""
        self._is_stopped = True
        behave(self._maker)

    def _end(self, now_ns: int) -> None:
        if self._is_off:
            self._come_back(now_ns)
        if self._case is not None:
            open_s = OPENING_S + self._open_s
            self._case.end(keep=self._missed_s > (1 - PRESENCE_RATIO) * open_s)


def is_present(maker: Maker) -> bool:
    """Return whether a maker quotes both sides within the agreed spread and above the floor.

    All its quotes within half the spread of its own mid count together: whoever asks for more at
    the best price alone finds no more presence than this.
    """
    live = [order for order in maker.quotes.values() if order.live]
    bid = max((_price(o) for o in live if o.side == BUY), default=0)
    ask = min((_price(o) for o in live if o.side == SELL), default=0)
    if not bid or not ask:
        return False
    mid = (bid + ask) / 2
    reach = mid * MAX_SPREAD_BPS / 2 * 1e-4
    return all(
        sum(o.leaves for o in live if o.side == side and abs(_price(o) - mid) <= reach)
        >= FLOOR_LOTS
        for side in (BUY, SELL)
    )


def _price(order: Order) -> int:
    assert order.price is not None  # noqa: S101 - a quote is a limit order
    return order.price
