"""The outside price of an underlying: diffusion in regimes, jumps, and what large orders leave."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from typing import Final

from market.loop import SECOND, Loop
from market.wire import Write

STEP_NS: Final = SECOND // 4
"""A consolidated price prints a few times a second."""
VOLATILITY: Final = 1.1e-4
"""Standard deviation of a log return of one second in the calm regime: 60 % a year, as bitcoin."""
REGIMES: Final = ((1.0, 1200.0), (2.5, 240.0))
"""Multiple of that volatility, and mean duration in s: long calm, short storms."""
JUMP_S: Final = 600.0
"""Mean time between jumps."""
JUMP_BPS: Final = 12.0
"""Scale of a jump: well beyond a maker's spread, so that quotes are hit before they move."""


class Outside:
    """One underlying's price elsewhere.

    Parameters
    ----------
    loop : Loop
    name : str
    price : float
        At the start, quote currency.
    write : function of a line
        Takes the records of reference.ndjson.
    rng : random.Random
    """

    def __init__(
        self, loop: Loop, name: str, price: float, write: Write, rng: random.Random
    ) -> None:
        self.name = name
        self.price = price
        self.stress = REGIMES[0][0]
        """Multiple of the calm volatility that is in force."""
        self.jumps = 0
        self.on_jump: list[Callable[[int], None]] = []
        self._loop, self._write, self._rng = loop, write, rng
        self._regime = 0
        self._switch_ns = loop.now_ns + self._duration_ns()
        self._jump_ns = loop.now_ns + int(rng.expovariate(1 / JUMP_S) * SECOND)
        self._start = f'{{"underlying":{json.dumps(name)},"source":"simulated","price":"'
        loop.at(loop.now_ns, self._step)

    def push(self, bps: float) -> None:
        """Move the price for good: the lasting impact of a large order."""
        self.price *= 1 + bps * 1e-4

    def _duration_ns(self) -> int:
        return int(self._rng.expovariate(1 / REGIMES[self._regime][1]) * SECOND)

    def _step(self, now_ns: int, _: None) -> None:
        rng = self._rng
        if now_ns >= self._switch_ns:
            self._regime = 1 - self._regime
            self.stress = REGIMES[self._regime][0]
            self._switch_ns = now_ns + self._duration_ns()
        deviation = VOLATILITY * self.stress * math.sqrt(STEP_NS / SECOND)
        self.price *= math.exp(rng.gauss(0, deviation))
        if now_ns >= self._jump_ns:
            self.jumps += 1
            self.push(rng.choice((-1, 1)) * JUMP_BPS * (0.5 + rng.expovariate(1)))
            self._jump_ns = now_ns + int(rng.expovariate(1 / JUMP_S) * SECOND)
            for call in self.on_jump:
                call(now_ns)
        self._write(f'{self._start}{self.price:.6f}","source_ns":{now_ns}}}\n')
        self._loop.at(now_ns + STEP_NS, self._step)
