"""What an injector is, and what of the market it can reach."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from ingest.times import SECOND
from market.case import Case
from market.cases import Cases
from market.clients import Client, Clients, Entry
from market.draws import unit
from market.loop import Gate, Loop, Port
from market.makers import Desk, Maker
from market.orders import Account, Order
from market.outside import Outside
from market.parents import Parents

OPENING_S: Final = 90.0
"""Nothing is done in the first moments of a tape, when books are still being built."""
Done = Callable[[Order, int], None]
"""Called at the engine with the order that was entered, and engine_ns."""


@dataclass(slots=True, eq=False, kw_only=True)
class Venue:
    """The market as an injector reaches it."""

    seed: int
    loop: Loop
    end_ns: int
    """Of the tape."""
    cases: Cases
    ports: Sequence[Port]
    outsides: Mapping[str, Outside]
    """By instrument."""
    accounts: Mapping[str, Account]
    """By name: every account that is registered, and unregistered ones."""
    gates: Mapping[str, Gate]
    desks: Mapping[str, Sequence[Desk]]
    """By maker."""
    makers: Mapping[tuple[str, str], Maker]
    """By account and instrument."""
    flows: Mapping[str, Clients]
    """The clients' flow, by instrument."""
    parents: Mapping[str, Parents]
    """The clients' large orders, by instrument."""
    clients: Mapping[str, Client]
    """By account: those of role client."""
    afmm: str
    """The affiliated maker's account."""
    sister: str
    """An account of another company of the group."""
    nominee: str
    """An account that is registered as a client's and does the group's bidding."""
    ghosts: tuple[str, ...]
    """Accounts that can trade and have no row in force: never one, or one that ended."""
    _busy: dict[str, int] = field(default_factory=dict)
    _claims: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def is_open(self, port: Port) -> bool:
        """Return whether an instrument trades continuously and no other case goes on in it."""
        return port.engine.phase == "continuous" and self.loop.now_ns >= self._busy.get(
            port.engine.name, 0
        )

    def reserve(self, port: Port, seconds: float) -> None:
        """Keep other cases out of an instrument for a while, so that each can be told apart."""
        self._busy[port.engine.name] = self.loop.now_ns + int(seconds * SECOND)

    def claim(self, port: Port, from_ns: int, until_ns: int, what: str) -> None:
        """Keep spells that bend the same, such as the maker's quotes, out of an instrument.

        A spell is long: single cases may well come about in it, and are told apart by their orders.
        """
        key = f"{what}/{port.engine.name}"
        self._claims.setdefault(key, []).append((from_ns, until_ns))

    def unclaimed_until(self, port: Port, what: str) -> int:
        """Return until when no spell that bends the same goes on there; now where one does."""
        now_ns, until_ns = self.loop.now_ns, self.end_ns
        for begin_ns, end_ns in self._claims.get(f"{what}/{port.engine.name}", ()):
            if now_ns < end_ns:
                until_ns = min(until_ns, max(now_ns, begin_ns))
        return until_ns

    def has_time(self, seconds: float) -> bool:
        """Return whether the tape goes on for so long: a case is to end on it."""
        return self.loop.now_ns + int(seconds * SECOND) < self.end_ns

    def sibling(self, port: Port) -> Port | None:
        """Return the other instrument on the same underlying, where there is one."""
        underlying = port.engine.instrument.underlying
        for other in self.ports:
            if other is not port and other.engine.instrument.underlying == underlying:
                return other
        return None

    def fair(self, port: Port) -> float:
        """Return the outside price in ticks."""
        tick = float(port.engine.instrument.tick_size)
        return self.outsides[port.engine.name].price / tick

    def enter(  # noqa: PLR0917 - what an order is, in its usual order
        self,
        case: Case,
        port: Port,
        account: str,
        side: int,
        lots: int,
        price: int | None = None,
        *,
        gate: str = "colo",
        done: Done | None = None,
        waits: bool = False,
        **options: Any,
    ) -> None:
        """Send an order of a case, and have `done` told once it was matched.

        It waits for nobody unless `waits`: then it has its turn, as the group's instructions must.
        Options are those of `Engine.new`. The order is entered in whatever phase there is by then.
        """

        def act(engine_ns: int, received_ns: int, _: object) -> None:
            order = port.engine.new(
                self.accounts[account],
                side,
                max(1, lots),
                None if price is None else max(1, price),
                now_ns=engine_ns,
                received_ns=received_ns,
                tag=case.tag,
                **options,
            )
            case.act(account, order)
            if done is not None:
                done(order, engine_ns)

        self.instruct(port, account, act, gate=gate, waits=waits)

    def cancel(
        self, case: Case, port: Port, *orders: Order, gate: str = "colo", waits: bool = False
    ) -> None:
        """Send cancels of those orders of a case that still live."""

        def act(engine_ns: int, received_ns: int, _: object) -> None:
            for order in orders:
                if order.live:
                    port.engine.cancel(order, now_ns=engine_ns, received_ns=received_ns)
                    case.act(order.account.name)

        if any(order.live for order in orders):
            self.instruct(port, orders[0].account.name, act, gate=gate, waits=waits)

    def instruct(
        self,
        port: Port,
        account: str,
        act: Callable[[int, int, object], None],
        *,
        gate: str = "colo",
        waits: bool = False,
    ) -> None:
        """Have something done at the engine after the usual way; it waits for nobody by itself."""
        luck = unit(self.seed, self.loop.now_ns ^ sum(account.encode()))
        port.send(self.gates[gate], act, None, luck, in_group=waits)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Have a call made after a while of simulated time."""
        self.loop.at(self.loop.now_ns + int(seconds * SECOND), lambda _, __: call())


class Injector(ABC):
    """One kind of abuse. It looks for occasions of its own accord and makes cases of some.

    Parameters
    ----------
    venue : Venue
    severity : float
        0, barely there, to 1, blatant.
    evasion : str
        One of `evasions`; "mixed" draws for each case, none half of the time.
    rng : random.Random
        Its own.
    """

    scenario: ClassVar[str]
    """Name in truth.json."""
    evasions: ClassVar[tuple[str, ...]] = ()
    """How it can hide, beside "none"."""
    every_s: ClassVar[float] = 900.0
    """Mean time between two occasions in one instrument, s."""

    def __init__(self, venue: Venue, *, severity: float, evasion: str, rng: random.Random) -> None:
        self.venue = venue
        self.severity = severity
        self.rng = rng
        self._evasion = evasion

    def start(self) -> None:
        """Begin to look for occasions, in every instrument."""
        for port in self.venue.ports:
            self._again(port, OPENING_S)

    @abstractmethod
    def attempt(self, port: Port) -> bool:
        """Make a case here and now; False where there is no occasion: it is called again soon."""

    def between(self, faint: float, blatant: float) -> float:
        """Return the value of a constant at this severity, between two ends."""
        return faint + (blatant - faint) * self.severity

    def jitter(self, value: float, ratio: float = 0.3) -> float:
        """Return a value drawn uniformly around another."""
        return value * self.rng.uniform(1 - ratio, 1 + ratio)

    def hide(self) -> str:
        """Draw how the next case is hidden."""
        if self._evasion != "mixed":
            return self._evasion if self._evasion in self.evasions else "none"
        if not self.evasions or self.rng.random() < 0.5:
            return "none"
        return self.rng.choice(self.evasions)

    def _again(self, port: Port, after_s: float = 0.0) -> None:
        wait = after_s + self.rng.expovariate(1 / self.every_s)
        self.venue.after(wait, lambda: self._try(port))

    def _try(self, port: Port) -> None:
        if self.venue.is_open(port) and self.attempt(port):
            self._again(port)
        else:
            self.venue.after(self.rng.uniform(0.5, 3.0), lambda: self._try(port))


class AtGate(Injector):
    """An injector whose occasion is a client's order at the gate.

    The group knows of it there, and the market does not yet.
    """

    def start(self) -> None:
        """Begin to look for occasions, and to look at what comes in."""
        self._armed: dict[str, None] = {}
        super().start()
        for port in self.venue.ports:
            port.taps.append(self._tap(port))

    def attempt(self, port: Port) -> bool:
        """Wait for the next order that is worth it."""
        self._armed[port.engine.name] = None
        return True

    @abstractmethod
    def seize(self, port: Port, entry: Entry) -> int | None:
        """Make a case of an order at the gate; return for how many ns the gate keeps it.

        None where it is no occasion. In the paired run the gate keeps nothing: 0.
        """

    def _tap(self, port: Port) -> Callable[[Entry], int]:
        name = port.engine.name

        def tap(entry: Entry) -> int:
            if name not in self._armed or not self.venue.is_open(port):
                return 0
            hold_ns = self.seize(port, entry)
            if hold_ns is None:
                return 0
            del self._armed[name]
            return hold_ns

        return tap
