"""Two orders that are to meet: what wash trades, matched orders and rings are made of."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Final

from ingest.times import SECOND
from market.abuse.base import Venue
from market.abuse.parties import Party
from market.case import Case
from market.loop import Port
from market.orders import Order

WAIT_S: Final = 2.0
"""Until the next look, while an instrument does not trade continuously."""
PATIENCE: Final = 15
"""Looks for room inside the spread before an order is put at the touch, behind others."""
MARGIN_S: Final = 30.0
"""Before the end of the tape no meeting is begun, so that each can be brought to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """An order of one party that rests, and one or more of another that take it."""

    case: Case
    port: Port
    first: Party
    second: Party
    side: int
    """The first's."""
    lots: int
    pieces: tuple[int, ...]
    """Lots of the second's orders."""
    pause_s: float
    """Wait before the first order."""
    gap_s: float
    """From the first order's match until the second is sent, and between the second's pieces."""
    within: float
    """How far into the spread the price lies, in (0, 1)."""
    unprevented: bool = False
    """Whether self-trade prevention is kept from seeing that the two belong together."""
    second_tif: str = "IOC"


class Arranged:
    """Carries meetings out, one after the other, and ends by itself.

    Nothing is entered outside continuous trading; what is left of an order is taken back before
    the next meeting.

    Parameters
    ----------
    venue : Venue
    plan : generator of Meeting
        Is sent how many lots of the last meeting the two traded with each other.
    until_ns : int
        From when on no meeting is begun.
    over : function
        Called at the end.
    """

    def __init__(
        self,
        venue: Venue,
        plan: Generator[Meeting, int, None],
        until_ns: int,
        over: Callable[[], None],
    ) -> None:
        self._venue, self._plan, self._over = venue, plan, over
        self._until_ns = until_ns
        self._begin(lambda: next(plan))

    def _begin(self, following: Callable[[], Meeting]) -> None:
        try:
            meeting = following()
        except StopIteration:
            self._over()
            return
        if self._venue.loop.now_ns + int(meeting.pause_s * SECOND) >= self._until_ns:
            self._stop()
        else:
            self._venue.after(meeting.pause_s, lambda: self._enter_first(meeting))

    def _stop(self) -> None:
        self._plan.close()
        self._over()

    def _enter_first(self, meeting: Meeting, waits: int = 0) -> None:
        venue, port, first = self._venue, meeting.port, meeting.first
        if venue.loop.now_ns >= self._until_ns:
            self._stop()
            return
        if port.engine.phase != "continuous":
            venue.after(WAIT_S, lambda: self._enter_first(meeting))
            return
        own, opposite = venue.flows[port.engine.name].touch(meeting.side)
        room = abs(opposite - own)
        if room < 2 and waits < PATIENCE:
            venue.after(0.3 + meeting.gap_s, lambda: self._enter_first(meeting, waits + 1))
            return
        inside = min(max(1, int(meeting.within * room)), room - 1) if room > 1 else 0
        before = meeting.case.crossed_lots

        def entered(order: Order, _: int) -> None:
            state = _State(meeting, order, before)
            venue.after(meeting.gap_s, lambda: self._enter_second(state, 0))

        venue.enter(
            meeting.case,
            port,
            first.account,
            meeting.side,
            meeting.lots,
            own + meeting.side * inside,
            gate=first.gate,
            waits=first.waits,
            done=entered,
            **first.options,
        )

    def _enter_second(self, state: _State, piece: int) -> None:
        venue, meeting, first = self._venue, state.meeting, state.first
        port, second = meeting.port, meeting.second
        if not first.live or port.engine.phase != "continuous" or piece == len(meeting.pieces):
            self._clear(state)
            return

        if meeting.unprevented:
            # Not before: while it rests it meets nobody else of its owner's.
            first.stp_key = f"{first.account.name}/{venue.loop.now_ns}"

        def entered(order: Order, _: int) -> None:
            state.seconds.append(order)
            venue.after(meeting.gap_s, lambda: self._enter_second(state, piece + 1))

        venue.enter(
            meeting.case,
            port,
            second.account,
            -meeting.side,
            meeting.pieces[piece],
            first.price,
            gate=second.gate,
            waits=second.waits,
            done=entered,
            tif=meeting.second_tif,
            **second.options,
        )

    def _clear(self, state: _State) -> None:
        """Take back what is left, however long the venue takes no cancel, and go on."""
        venue, meeting = self._venue, state.meeting
        left = [order for order in (state.first, *state.seconds) if order.live]
        if not left:
            self._begin(lambda: self._plan.send(meeting.case.crossed_lots - state.before))
            return
        closed = meeting.port.engine.phase == "maintenance"
        for who in () if closed else (meeting.first, meeting.second):
            mine = [order for order in left if order.account.name == who.account]
            venue.cancel(meeting.case, meeting.port, *mine, gate=who.gate, waits=who.waits)
        venue.after(WAIT_S if closed else 0.2 + meeting.gap_s, lambda: self._clear(state))


@dataclass(slots=True, eq=False)
class _State:
    """How far a meeting has come."""

    meeting: Meeting
    first: Order
    before: int
    """Lots that had crossed in the case before it."""
    seconds: list[Order] = field(default_factory=list)
