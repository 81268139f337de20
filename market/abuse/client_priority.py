"""client_priority: a client was first, and the group is served first."""

from __future__ import annotations

from typing import Final

from market.abuse.arrival_inversion import Aggressive, Passive
from market.abuse.base import AtGate
from market.abuse.held import around, best_level, cut, is_quick, joins, later, moment, takes
from market.abuse.queue_jump import HARM_S, Jump
from market.book import BookSide
from market.clients import Entry
from market.loop import Port
from market.orders import BUY, SELL

HOLD_S: Final = (1.5e-4, 2.0)
"""For how long the gate keeps the client's: from little over the group's way to two seconds."""
WHOLE_S: Final = 45.0
"""Longest course of an inversion."""
STAFF: Final = "STAFF1"
"""Account of an employee."""
LARGE_LOTS: Final = 1_000
"""From when on a client's order is large by itself: six ordinary ones."""


class ClientPriority(AtGate):
    """The group is served before a client who was first, by one of two ways drawn for each case.

    *Queue jump*: clients stand alone at the best price; the group joins them, as it may; when an
    order comes in that cannot fill both, the engine serves the group first and clients are left
    with displayed quantity. Nothing but the order of the fills tells of it.

    *Arrival inversion*: the gate keeps a client's order for a moment; an order of the group for the
    same side, stamped later, is matched first. Either it takes so much of the best level that the
    client, who would have taken it, is filled less or worse; or both join the touch, and the
    group's is hit while the client's waits behind it.

    Severity sets how much of what was the client's the group gets, and how long the gate keeps the
    client's order (log-uniform around 0.7 ms when faint, 0.4 s when blatant).

    Evasions: `sister` uses the account of another company of the group, `staff` that of an
    employee, so that nothing is the maker's; `split` cuts the group's order into pieces, each too
    small to notice.
    """

    scenario = "client_priority"
    evasions = ("sister", "staff", "split")
    every_s = 150.0

    def start(self) -> None:
        """Begin to look for occasions."""
        self._ways: dict[str, bool] = {}
        """Whether the next case is to be a jump, by instrument."""
        self._jumps: dict[str, tuple[Jump, str]] = {}
        self._done: dict[str, None] = {}
        super().start()

    def attempt(self, port: Port) -> bool:
        """Go on until there was a case: wait for an order, or stand behind a client's."""
        name = port.engine.name
        if name in self._done:
            del self._done[name]
            self._ways.pop(name)
            self._armed.pop(name, None)
            return True
        if self._ways.setdefault(name, self.rng.random() < 0.5):
            posed = self._jumps.get(name)
            if posed is None or posed[0].has_failed:
                self._jumps.pop(name, None)
                self._pose(port)
        self._armed[name] = None
        return False

    def seize(self, port: Port, entry: Entry) -> int | None:
        """Make a case of an order at the gate."""
        name = port.engine.name
        if name in self._done:
            return None
        if self._ways[name]:
            posed = self._jumps.get(name)
            return None if posed is None else self._jump(port, entry, *posed)
        return self._invert(port, entry)

    def _account(self, evasion: str) -> str:
        venue = self.venue
        return {"sister": venue.sister, "staff": STAFF}.get(evasion, venue.afmm)

    # --- queue jump ---------------------------------------------------------------------------

    def _pose(self, port: Port) -> None:
        engine = port.engine
        side = self.rng.choice((BUY, SELL))
        book: BookSide = engine.bids if side > 0 else engine.asks
        there = best_level(book)
        if not there or any(order.account.role != "client" for order in there):
            return
        shown = sum(order.shown for order in there)
        if shown < 10 or book.best is None:
            return
        evasion = self.hide()
        lots = max(1, int(shown * self.jitter(self.between(0.04, 1.6))))
        pieces = cut(lots, self.rng.randint(2, 4), self.rng) if evasion == "split" else [lots]
        life_s = self.rng.uniform(8, 25)
        account = self._account(evasion)
        jump = Jump(self.venue, port, account, side, book.best, pieces, life_s=life_s)
        self._jumps[port.engine.name] = jump, evasion

    def _jump(self, port: Port, entry: Entry, jump: Jump, evasion: str) -> int | None:
        if jump.has_failed or not jump.is_due(entry, self.between(0.1, 0.4)):
            return None
        venue, name = self.venue, port.engine.name
        self._done[name] = None
        del self._jumps[name]
        venue.reserve(port, 5.0)
        case = venue.cases.begin(self.scenario, port, evasion=evasion, harm_s=HARM_S)
        if case is not None:
            jump.carry_out(case)
        return 0

    # --- arrival inversion --------------------------------------------------------------------

    def _invert(self, port: Port, entry: Entry) -> int | None:
        engine = port.engine
        own, opposite = (engine.bids, engine.asks)[:: entry.side]
        inversion: Aggressive | Passive | None
        if not is_quick(port, entry) or not self.venue.has_time(WHOLE_S):
            return None
        share = min(1.0, self.jitter(self.between(0.1, 1.0)))
        if takes(entry, opposite.best):
            inversion = Aggressive.of(entry, opposite, share)
        elif joins(entry, own.best, opposite.best):
            inversion = Passive.of(entry, share)
        else:
            return None
        if inversion is None:
            return None
        venue, rng = self.venue, self.rng
        evasion = self.hide()
        hold_s = around(rng, HOLD_S, self.severity)
        pieces = rng.randint(2, 4) if evasion == "split" else 1
        parts = cut(inversion.lots, pieces, rng)
        shares = sorted(rng.uniform(0.0, 0.6) for _ in parts)
        also: tuple[str, ...] = ("trading_ahead",)
        if entry.parent or entry.lots >= LARGE_LOTS:
            also = (*also, "front_running")
        until_ns = later(port, hold_s)
        life_s = rng.uniform(15, 40)
        self._done[port.engine.name] = None
        venue.reserve(port, hold_s + 5)
        case = venue.cases.begin(self.scenario, port, evasion=evasion, also=also, harm_s=HARM_S)
        if case is None:
            return 0
        inversion.carry_out(
            venue,
            case,
            port,
            account=self._account(evasion),
            parts=parts,
            moments=[moment(hold_s, share) for share in shares],
            until_ns=until_ns,
            life_s=life_s,
        )
        return until_ns - port.loop.now_ns
