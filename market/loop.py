"""Simulated time: what happens next, and the way of an instruction from a sender to the engine."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Final

from market.engine import Engine

SECOND: Final = 1_000_000_000
MILLI: Final = 1_000_000
MICRO: Final = 1_000
Act = Callable[[int, int, Any], None]
"""Called at the engine with engine_ns, received_ns and what the sender handed over."""


def stream(seed: int, name: str) -> random.Random:
    """Return a random source of one part's own: what another part draws never moves it."""
    return random.Random(f"{seed}/{name}")  # noqa: S311 - a simulation, repeated by its seed


class Loop:
    """Calls in order of time, and of scheduling where times are equal.

    State: what is scheduled.
    """

    def __init__(self, start_ns: int) -> None:
        self.now_ns = start_ns
        self._heap: list[tuple[int, int, Callable[[int, Any], None], Any]] = []
        self._count = 0

    def at(self, when_ns: int, call: Callable[[int, Any], None], argument: Any = None) -> None:
        """Have `call(when_ns, argument)` made."""
        self._count += 1
        heappush(self._heap, (when_ns, self._count, call, argument))

    def run(self, end_ns: int) -> None:
        """Make every call that is due before the end."""
        heap = self._heap
        while heap and heap[0][0] < end_ns:
            self.now_ns, _, call, argument = heappop(heap)
            call(self.now_ns, argument)


@dataclass(slots=True, eq=False)
class Gate:
    """A gateway that sessions come in by; now and then it is slow for a while.

    Within one gate instructions stay in order.
    """

    name: str
    latency_ns: int
    """Median way from a sender to the gate's time stamp, ns."""
    rng: random.Random
    slow_until_ns: int = 0
    busy_ns: int = 0

    def way_ns(self) -> int:
        """Return how long an instruction travels to the gate: a floor with an exponential tail."""
        return int(self.latency_ns * (0.7 + self.rng.expovariate(1) * 0.43))

    def hold_ns(self, now_ns: int) -> int:
        """Return how long the gate keeps an instruction that it has stamped: mostly not at all."""
        if now_ns >= self.slow_until_ns and now_ns >= self.busy_ns:
            return 0
        if now_ns < self.slow_until_ns:
            # 15 ms on average: a queue that a person does not feel and a maker does.
            self.busy_ns = max(self.busy_ns, now_ns + int(self.rng.expovariate(1) * 15 * MILLI))
        return self.busy_ns - now_ns


class Port:
    """The one entrance to an instrument's engine: first stamped, first matched.

    A slow gate is overtaken by others, but never by the group: an instruction of the group waits
    until whatever was stamped before it has been matched.

    Parameters
    ----------
    loop : Loop
    engine : Engine
    rng : random.Random
    """

    SERVICE_NS: Final = 8 * MICRO
    """Least time between two instructions at the engine; matching engines take 5 to 20 µs."""

    def __init__(self, loop: Loop, engine: Engine, rng: random.Random) -> None:
        self.engine = engine
        self.loop = loop
        self._rng = rng
        self._busy_ns = 0
        self._held_ns = 0

    def send(self, gate: Gate, act: Act, argument: Any, *, in_group: bool) -> None:
        """Have an instruction carried out after its way and its turn."""
        received_ns = self.loop.now_ns + gate.way_ns()
        self.loop.at(received_ns, self._arrive, (gate, act, argument, in_group))

    def _arrive(self, now_ns: int, sent: tuple[Gate, Act, Any, bool]) -> None:
        gate, act, argument, in_group = sent
        release_ns = now_ns + gate.hold_ns(now_ns)
        if in_group:
            release_ns = max(release_ns, self._held_ns)
        if release_ns > now_ns:
            self._held_ns = max(self._held_ns, release_ns)
            self.loop.at(release_ns, self._release, (now_ns, act, argument))
        else:
            act(self.engine_ns(now_ns), now_ns, argument)

    def _release(self, now_ns: int, held: tuple[int, Act, Any]) -> None:
        received_ns, act, argument = held
        act(self.engine_ns(now_ns), received_ns, argument)

    def engine_ns(self, now_ns: int) -> int:
        """Return when the engine, one thing after the other, gets to what comes now."""
        service = self.SERVICE_NS + int(self._rng.random() * self.SERVICE_NS)
        self._busy_ns = max(self._busy_ns, now_ns) + service
        return self._busy_ns
