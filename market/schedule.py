"""What the venue does of itself: auctions, halts, maintenance, and connections that break."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

from ingest.times import SECOND
from market.engine import PhaseWord
from market.loop import Gate, Loop, Port
from market.makers import Desk

AUCTION_S: Final = 20
"""Length of a call, the opening one and the one after each interruption."""
AUCTION_EVERY_S: Final = 3600
"""A short call each hour, at half past."""
HALT_S: Final = 60
HALT_EVERY_S: Final = 2400.0
"""Mean time between the halts of one instrument, after the one that every tape has: more often than
on any venue, so that six hours of four instruments have some thirty."""
CANCEL_ONLY_S: Final = 10
"""Notice before maintenance, in which clients may take their orders away."""
MAINTENANCE_S: Final = 60
MAINTENANCE_EVERY_S: Final = 3000
"""More often than on any venue, for the same reason."""
OFFLINE_EVERY_S: Final = 1800.0
"""Mean time between the disconnections of one maker."""
OFFLINE_S: Final = (3.0, 20.0)
SLOW_EVERY_S: Final = 900.0
"""Mean time between the slow spells of one gate."""
SLOW_S: Final = (5.0, 30.0)


class Schedule:
    """Drives the phases of every instrument and the faults of gates and makers.

    Parameters
    ----------
    loop : Loop
    ports : sequence of Port
    desks : sequence of Desk
    gates : sequence of Gate
    length_s : float
        Of the whole tape: a short one still has a halt, at a third, and maintenance, at 60 %.
    rng : random.Random
    """

    def __init__(
        self,
        loop: Loop,
        ports: Sequence[Port],
        desks: Sequence[Desk],
        gates: Sequence[Gate],
        *,
        length_s: float,
        rng: random.Random,
    ) -> None:
        self._loop, self._ports, self._desks = loop, ports, desks
        self._rng = rng
        start = loop.now_ns
        self._auction(start, ports)
        self._in(AUCTION_EVERY_S / 2, self._hourly)
        self._in(min(length_s / 3, AUCTION_EVERY_S / 3), self._halt, ports[0])
        for port in ports:
            self._in(AUCTION_EVERY_S + rng.expovariate(1 / HALT_EVERY_S), self._halt, port)
        self._in(min(length_s * 0.6, MAINTENANCE_EVERY_S), self._maintain)
        for gate in gates:
            self._in(rng.expovariate(1 / SLOW_EVERY_S), self._slow, gate)
        self._in(min(length_s / 4, 600.0), self._drop)
        self._drop_s = OFFLINE_EVERY_S / max(1, len(desks))

    def _in(self, seconds: float, call: Any, argument: Any = None) -> None:
        self._loop.at(self._loop.now_ns + int(seconds * SECOND), call, argument)

    def _phase(self, now_ns: int, port: Port, phase: PhaseWord, reason: str) -> None:
        port.engine.set_phase(phase, now_ns=port.engine_ns(now_ns), reason=reason)

    def _auction(self, now_ns: int, ports: Sequence[Port]) -> None:
        for port in ports:
            self._phase(now_ns, port, "auction", "call")
            self._in(AUCTION_S, self._open, port)

    def _open(self, now_ns: int, port: Port) -> None:
        if port.engine.phase == "auction":
            self._phase(now_ns, port, "continuous", "uncross")

    def _hourly(self, now_ns: int, _: None) -> None:
        self._auction(now_ns, [p for p in self._ports if p.engine.phase == "continuous"])
        self._in(AUCTION_EVERY_S, self._hourly)

    def _halt(self, now_ns: int, port: Port) -> None:
        if port.engine.phase == "continuous":
            self._phase(now_ns, port, "halt", "volatility")
            self._in(HALT_S, self._resume, port)
        self._in(HALT_S + self._rng.expovariate(1 / HALT_EVERY_S), self._halt, port)

    def _resume(self, now_ns: int, port: Port) -> None:
        if port.engine.phase == "halt":  # Maintenance that came meanwhile ends it.
            self._auction(now_ns, (port,))

    def _maintain(self, now_ns: int, _: None) -> None:
        for port in self._ports:
            self._phase(now_ns, port, "cancel_only", "announced")
        self._in(CANCEL_ONLY_S, self._close)
        self._in(MAINTENANCE_EVERY_S, self._maintain)

    def _close(self, now_ns: int, _: None) -> None:
        """Begin maintenance; the trading day ends with it, and the book is restated after it."""
        for port in self._ports:
            self._phase(now_ns, port, "maintenance", "announced")
            port.engine.end_day(now_ns=port.engine_ns(now_ns))
            self._in(MAINTENANCE_S, self._restate, port)

    def _restate(self, now_ns: int, port: Port) -> None:
        port.engine.restate(now_ns=port.engine_ns(now_ns))
        self._auction(now_ns, (port,))

    def _drop(self, now_ns: int, _: None) -> None:
        """Have one maker lose its connection in every instrument of an underlying."""
        desk = self._rng.choice(self._desks)
        desk.offline_until_ns = now_ns + int(self._rng.uniform(*OFFLINE_S) * SECOND)
        reason = "kill" if self._rng.random() < 0.2 else "disconnect"
        for maker in desk.makers:
            maker.engine.cancel_all(
                desk.account.name, now_ns=maker.port.engine_ns(now_ns), reason=reason
            )
        self._in(self._rng.expovariate(1 / self._drop_s), self._drop)

    def _slow(self, now_ns: int, gate: Gate) -> None:
        gate.slow_until_ns = now_ns + int(self._rng.uniform(*SLOW_S) * SECOND)
        self._in(self._rng.expovariate(1 / SLOW_EVERY_S), self._slow, gate)
