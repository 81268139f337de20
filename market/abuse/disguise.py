"""By which way the orders of a nominee come: its own, or that of whom it acts for."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Final

from market.abuse.base import Done, Venue
from market.abuse.parties import GATES
from market.case import Case
from market.loop import Port
from market.orders import TimeInForceWord

SESSION: Final = (-0.8, 0.8)
"""Share of its orders that come by the market maker's session; below 0, none."""
GATE: Final = (0.1, 1.0)
"""Share that come by the market maker's gate, if by a session of its own."""


class Disguise:
    """Sends the orders of the nominee.

    Parameters
    ----------
    venue : Venue
    severity : float
        Sets how often it uses the affiliated market maker's gate and session.
    alone : bool
        Whether it never does.
    """

    def __init__(self, venue: Venue, severity: float, *, alone: bool) -> None:
        self._venue = venue
        low, high = SESSION
        self._session = 0.0 if alone else low + (high - low) * severity
        low, high = GATE
        self._gate = 0.0 if alone else low + (high - low) * severity
        own = venue.accounts[venue.nominee]
        theirs = own.text.replace(f"{GATES[own.name]}-{own.name}", f"colo-{venue.afmm}")
        self._guises = (own, replace(own, text=theirs))

    def send(  # noqa: PLR0917 - one order, in the usual order
        self,
        case: Case,
        port: Port,
        rng: Random,
        side: int,
        lots: int,
        price: int,
        done: Done | None = None,
        tif: TimeInForceWord = "IOC",
    ) -> None:
        """Send an order, in continuous trading alone; `done` is told once it was matched."""
        by_session = rng.random() < self._session
        by_gate = rng.random() < self._gate
        guise = self._guises[by_session]
        if port.engine.phase != "continuous":
            return

        def act(engine_ns: int, received_ns: int, _: object) -> None:
            order = port.engine.new(
                guise,
                side,
                max(1, lots),
                max(1, price),
                now_ns=engine_ns,
                received_ns=received_ns,
                tag=case.tag,
                tif=tif,
            )
            case.act(guise.name, order)
            if done is not None:
                done(order, engine_ns)

        gate = "colo" if by_gate or by_session else GATES[guise.name]
        self._venue.instruct(port, guise.name, act, gate=gate)
