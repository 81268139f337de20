"""The outside price of an underlying: diffusion in regimes, jumps, and what large orders leave."""

from __future__ import annotations

import json
import math
import random
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from ingest.times import SECOND
from market.loop import Loop
from market.wire import Write

STEP_NS: Final = SECOND // 4
"""A consolidated price prints a few times a second."""
VOLATILITY: Final = 1.1e-4
"""Standard deviation of a log return of one second in the calm regime: 60 % a year, as bitcoin."""
REGIMES: Final = ((1.0, 1200.0), (2.5, 240.0))
"""Multiple of that volatility, and mean duration in s: long calm, short storms."""
JUMP_S: Final = 400.0
"""Mean time between jumps."""
AHEAD: Final = 12
"""Steps that are drawn ahead: three seconds."""
JUMP_BPS: Final = 8.0
"""Scale of a jump: twice a maker's spread and more, so that quotes are hit before they move."""


class Outside:
    """One underlying's price elsewhere.

    What it does of itself is drawn some steps ahead, so that one who cheats can be given a view of
    it; what others leave on it (`push`) is not in that view.

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
        self.regimes = 0
        """Changes of regime so far."""
        self.on_jump: list[Callable[[int], None]] = []
        self._loop, self._write, self._rng = loop, write, rng
        self._regime = 0
        self._switch_ns = loop.now_ns + self._duration_ns()
        self._jump_ns = loop.now_ns + int(rng.expovariate(1 / JUMP_S) * SECOND)
        self._start = f'{{"underlying":{json.dumps(name)},"source":"simulated","price":"'
        self._drawn: deque[tuple[float, float, bool]] = deque()
        for step in range(AHEAD):
            self._drawn.append(self._draw(loop.now_ns + step * STEP_NS))
        loop.at(loop.now_ns, self._step)

    def push(self, bps: float) -> None:
        """Move the price for good: the lasting impact of a large order."""
        self.price *= 1 + bps * 1e-4

    def ahead(self, steps: int) -> float:
        """Return the log return of the next steps (at most `AHEAD`), which nobody can know."""
        return sum(move for move, _, _ in islice(self._drawn, steps))

    def _duration_ns(self) -> int:
        return int(self._rng.expovariate(1 / REGIMES[self._regime][1]) * SECOND)

    def _draw(self, at_ns: int) -> tuple[float, float, bool]:
        """Return the log return of the step at a time, the stress from then on, and if it jumps."""
        rng = self._rng
        if at_ns >= self._switch_ns:
            self._regime = 1 - self._regime
            self._switch_ns = at_ns + self._duration_ns()
        stress = REGIMES[self._regime][0]
        move = rng.gauss(0, VOLATILITY * stress * math.sqrt(STEP_NS / SECOND))
        jumps = at_ns >= self._jump_ns
        if jumps:
            bps = rng.choice((-1, 1)) * JUMP_BPS * (0.5 + rng.expovariate(1))
            move += math.log1p(bps * 1e-4)
            self._jump_ns = at_ns + int(rng.expovariate(1 / JUMP_S) * SECOND)
        return move, stress, jumps

    def _step(self, now_ns: int, _: None) -> None:
        move, stress, jumps = self._drawn.popleft()
        self._drawn.append(self._draw(now_ns + AHEAD * STEP_NS))
        self.regimes += stress != self.stress
        self.stress = stress
        self.price *= math.exp(move)
        if jumps:
            self.jumps += 1
            for call in self.on_jump:
                call(now_ns)
        self._write(f'{self._start}{self.price:.6f}","source_ns":{now_ns}}}\n')
        self._loop.at(now_ns + STEP_NS, self._step)
