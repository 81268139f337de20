"""Paired runs: the market forked at the first act of a case, and run on without it.

Both runs have the same seed and the same past. What they differ in is the case and what follows
from it; what a client's orders cost in one and in the other is what the case cost the client.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from ingest.errors import RingfenceError
from market.loop import Loop, Port
from market.orders import Order

AT_ONCE: Final = 2
"""Paired runs that go on beside the simulation; a further one waits for the oldest to end."""


class Came(msgspec.Struct, array_like=True):
    """What a client's order came to since the fork."""

    account: str
    side: int
    unit: float
    """One tick times one lot of its instrument, quote currency."""
    cash: int = 0
    """Paid, ticks times lots, whichever the side."""
    lots: int = 0
    """Filled."""
    left: int = 0
    """Not filled."""
    mark: float | None = None
    """Mid when it ended, or at the end of the run, ticks."""
    withdrawn: int = 0
    """Taken out by its owner before it ended, where there was a mid."""
    withdrawn_marks: float = 0.0
    """These, each valued at the mid when it was taken out, ticks times lots."""


class Ledger:
    """What clients' orders in some instruments come to from now on.

    State: the orders that were matched or ended since.
    """

    def __init__(self, ports: Sequence[Port]) -> None:
        self._ports = {port.engine.name: port for port in ports}
        self._came: dict[int, Came] = {}

    def traded(self, buy: Order, sell: Order, price: int, lots: int) -> None:
        """Take in a trade."""
        for order in (buy, sell):
            if order.tag > 0 and order.instrument in self._ports:
                came = self._of(order)
                came.cash += price * lots
                came.lots += lots

    def reduced(self, order: Order, lots: int) -> None:
        """Take in that an order is about to be made smaller by its owner."""
        if order.tag > 0 and order.instrument in self._ports:
            mid = self._ports[order.instrument].mid()
            if mid is not None:
                came = self._of(order)
                came.withdrawn += lots
                came.withdrawn_marks += lots * mid

    def gone(self, order: Order) -> None:
        """Take in that an order is gone."""
        if order.tag > 0 and order.instrument in self._ports:
            self._mark(order)

    def close(self) -> dict[int, Came]:
        """Return what each order came to, those that live valued at the mid of now."""
        for port in self._ports.values():
            for order in port.engine.live_orders():
                if order.tag > 0:
                    self._mark(order)
        return self._came

    def _of(self, order: Order) -> Came:
        came = self._came.get(order.tag)
        if came is None:
            row = self._ports[order.instrument].engine.instrument
            unit = float(row.tick_size * row.lot_size)
            came = self._came[order.tag] = Came(order.account.name, order.side, unit)
        return came

    def _mark(self, order: Order) -> None:
        came = self._of(order)
        came.left = order.leaves
        came.mark = self._ports[order.instrument].mid()


class Twin:
    """A paired run in a process of its own.

    Parameters
    ----------
    loop : Loop
    ports : sequence of Port
        The instruments in which orders are compared.
    until_ns : int
        How far both are followed.
    mute : function
        Called in the paired run, so that it writes nothing.
    """

    def __init__(
        self, loop: Loop, ports: Sequence[Port], until_ns: int, mute: Callable[[], None]
    ) -> None:
        self.ledger = Ledger(ports)
        self.until_ns = until_ns
        reader, writer = os.pipe()
        self._pid = os.fork()
        self.is_here = not self._pid
        """Whether this process is the paired run."""
        self._result: bytes | None = None
        if self.is_here:
            os.close(reader)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            mute()
            loop.end_ns = until_ns
            loop.last_words = lambda: self._tell(writer)
        else:
            os.close(writer)
            self._reader = reader

    def _tell(self, writer: int) -> None:
        with os.fdopen(writer, "wb") as file:
            file.write(msgspec.msgpack.encode(self.ledger.close()))
        os._exit(0)

    @property
    def is_running(self) -> bool:
        """Whether nobody has waited for it yet."""
        return self._result is None

    def wait(self) -> None:
        """Wait for the paired run to end, and keep what it says.

        Raises
        ------
        RingfenceError
            It failed.
        """
        if self._result is None:
            with os.fdopen(self._reader, "rb") as file:
                self._result = file.read()
            _, status = os.waitpid(self._pid, 0)
            if status:
                raise RingfenceError(f"a paired run failed with status {status}")

    def drop(self) -> None:
        """End the paired run: nobody wants to know."""
        if self._result is None:
            os.kill(self._pid, signal.SIGKILL)
            os.close(self._reader)
            os.waitpid(self._pid, 0)
            self._result = b""

    def losses(self) -> Mapping[int, tuple[str, float]]:
        """Return by tag whose order it was and what it lost by the case, quote currency.

        Call once, when this run has come as far. An order that one run does not know is left out.
        """
        self.wait()
        assert self._result is not None  # noqa: S101 - waited for
        twin = msgspec.msgpack.decode(self._result, type=dict[int, Came])
        here = self.ledger.close()
        lost = {}
        for tag in here.keys() & twin.keys():
            cost, without = costs(here[tag], twin[tag])
            lost[tag] = (here[tag].account, (cost - without) * here[tag].unit)
        return lost


def costs(here: Came, twin: Came) -> tuple[float, float]:
    """Return what an order cost in both runs, what is not filled valued at its mark.

    The same quantity is compared: an order that was made smaller in one run alone counts as not
    filled for the rest, at the mid when that was taken out.
    """
    wanted = max(one.lots + one.left + one.withdrawn for one in (here, twin))

    def cost(one: Came, other: Came) -> float:
        mark = one.mark if one.mark is not None else other.mark
        rest = wanted - one.lots - one.withdrawn
        return here.side * (one.cash + one.withdrawn_marks + rest * (mark or 0.0))

    return cost(here, twin), cost(twin, here)
