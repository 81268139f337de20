"""Simulated time: what happens next, and the way of an instruction from a sender to the engine."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Final

from ingest.times import MICRO, MILLI
from market.engine import Engine

Act = Callable[[int, int, Any], None]
"""Called at the engine with engine_ns, received_ns and what the sender handed over."""
Tap = Callable[[Any], int]
"""Called with a client's new order as it is stamped; returns for how many ns the gate keeps it."""


class Loop:
    """Calls in order of time, and of scheduling where times are equal.

    State: what is scheduled.
    """

    def __init__(self, start_ns: int) -> None:
        self.now_ns = start_ns
        self.end_ns = start_ns
        self.last_words: Callable[[], None] | None = None
        """Set in a paired run: called at its end, in place of a return."""
        self._heap: list[tuple[int, int, Callable[[int, Any], None], Any]] = []
        self._count = 0

    def at(self, when_ns: int, call: Callable[[int, Any], None], argument: Any = None) -> None:
        """Have `call(when_ns, argument)` made."""
        self._count += 1
        heappush(self._heap, (when_ns, self._count, call, argument))

    def run(self, end_ns: int) -> None:
        """Make every call that is due before the end; a paired run ends here, process and all."""
        heap = self._heap
        self.end_ns = end_ns
        try:
            while heap and heap[0][0] < self.end_ns:
                self.now_ns, _, call, argument = heappop(heap)
                call(self.now_ns, argument)
            if self.last_words:
                self.last_words()
        finally:
            # A child process must never run on into what its parent does after a simulation.
            if self.last_words:
                os._exit(1)


@dataclass(slots=True, eq=False)
class Gate:
    """A gateway that sessions come in by; now and then it is slow for a while.

    Within one gate instructions stay in order.
    """

    name: str
    latency_ns: int
    """Median way from a sender to the gate's time stamp, ns."""
    slow_until_ns: int = 0
    busy_ns: int = 0

    def way_ns(self, luck: float) -> int:
        """Return how long an instruction travels to the gate: a floor with an exponential tail."""
        return int(self.latency_ns * (0.7 - math.log1p(-luck) * 0.43))

    def hold_ns(self, now_ns: int, luck: float) -> int:
        """Return how long the gate keeps an instruction that it has stamped: mostly not at all."""
        if now_ns >= self.slow_until_ns and now_ns >= self.busy_ns:
            return 0
        if now_ns < self.slow_until_ns:
            # 15 ms on average: a queue that a person does not feel and a maker does. The last
            # bits of the luck that decided on the way decide on this.
            again = luck * 65_536 % 1
            self.busy_ns = max(self.busy_ns, now_ns - int(math.log1p(-again) * 15 * MILLI))
        return self.busy_ns - now_ns


@dataclass(slots=True, eq=False)
class _Sent:
    """An instruction on its way."""

    gate: Gate
    act: Act
    argument: Any
    luck: float
    in_group: bool
    tapped: bool
    received_ns: int = field(default=0)


class Port:
    """The one entrance to an instrument's engine: first stamped, first matched.

    A slow gate is overtaken by others, but never by the group: an instruction of the group waits
    until whatever was stamped before it has been matched.

    Parameters
    ----------
    loop : Loop
    engine : Engine
    """

    SERVICE_NS: Final = 8 * MICRO
    """Least time between two instructions at the engine; matching engines take 5 to 20 µs."""

    def __init__(self, loop: Loop, engine: Engine) -> None:
        self.engine = engine
        self.loop = loop
        self.taps: list[Tap] = []
        """Who sees a client's new order at the gate: abuse alone."""
        self.toll: Callable[[float], int] | None = None
        """Extra ns, by luck, that all but the group wait: abuse alone."""
        self.busy_ns = 0
        """Until when the engine is at work on what came last."""
        self._held_ns = 0
        self._tolled_ns = 0

    def send(
        self,
        gate: Gate,
        act: Act,
        argument: Any,
        luck: float,
        *,
        in_group: bool,
        tapped: bool = False,
    ) -> None:
        """Have an instruction carried out after its way and its turn.

        `luck`, in [0, 1), decides how long the way is; `tapped` marks a client's new order.
        """
        sent = _Sent(gate, act, argument, luck, in_group, tapped)
        self.loop.at(self.loop.now_ns + gate.way_ns(luck), self._arrive, sent)

    def _arrive(self, now_ns: int, sent: _Sent) -> None:
        sent.received_ns = now_ns
        release_ns = now_ns + sent.gate.hold_ns(now_ns, sent.luck)
        if sent.in_group:
            release_ns = max(release_ns, self._held_ns)
        if release_ns > now_ns:
            self._held_ns = max(self._held_ns, release_ns)
        # What is kept on purpose is kept from nobody's knowledge: the group does not wait for it.
        if sent.tapped:
            for tap in self.taps:
                release_ns = max(release_ns, now_ns + tap(sent.argument))
        if self.toll is not None and not sent.in_group:
            self._tolled_ns = max(self._tolled_ns, now_ns + self.toll(sent.luck))
            release_ns = max(release_ns, self._tolled_ns)
        if release_ns > now_ns:
            self.loop.at(release_ns, self._release, sent)
        else:
            sent.act(self.engine_ns(now_ns), now_ns, sent.argument)

    def _release(self, now_ns: int, sent: _Sent) -> None:
        sent.act(self.engine_ns(now_ns), sent.received_ns, sent.argument)

    def mid(self) -> float | None:
        """Return the mid of the best prices, ticks; the one there is; None in an empty book."""
        bid, ask = self.engine.bids.best, self.engine.asks.best
        if bid is None or ask is None:
            one = ask if bid is None else bid
            return None if one is None else float(one)
        return (bid + ask) / 2

    def engine_ns(self, now_ns: int) -> int:
        """Return when the engine, one thing after the other, gets to what comes now.

        How long it takes is drawn by the time itself (Knuth's multiplicative hash).
        """
        begin = max(self.busy_ns, now_ns)
        service = self.SERVICE_NS + (begin * 2_654_435_761 >> 12) % self.SERVICE_NS
        self.busy_ns = begin + service
        return self.busy_ns
