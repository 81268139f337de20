"""Everything of one simulation, wired: the venue, who trades on it, and what abuse there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from ingest.errors import UsageError
from ingest.instruments import Matching
from ingest.times import SECOND
from market import population
from market.abuse.base import Venue
from market.abuse.catalogue import INJECTORS
from market.cases import Cases
from market.clients import Client, Clients
from market.draws import stream
from market.engine import Engine
from market.loop import Gate, Loop, Port
from market.makers import Desk, Maker
from market.orders import Account, Order
from market.outside import Outside
from market.parents import Parents
from market.schedule import Schedule
from market.trading import Prevention
from market.truth import SCENARIOS, Truth
from market.wire import Write

START_NS: Final = 1_767_571_200 * SECOND
"""2026-01-05T00:00:00Z, a Monday."""
MAX_INSTRUMENTS: Final = 200
GROUP_RATE: Final = 0.01
"""Instructions of the group's other accounts, as a share of the clients'."""
SISTER: Final = "AFF1"
NOMINEES: Final = range(20, 60)
"""Ranks of clients one of whom may be a nominee: they neither trade most nor least."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a tape is made from; together with the version of this code it gives every byte."""

    seed: int
    hours: float
    instruments: int = 3
    rate: float = 2.0
    """Mean client instructions a second and instrument, before what they bring about."""
    matching: Matching = "price_time"
    prevention: Prevention = "cancel_resting"
    scenarios: tuple[str, ...] = ()
    """Kinds of abuse; none leaves a clean tape."""
    severity: float = 0.5
    """0, barely there, to 1, blatant."""
    evasion: str = "mixed"
    """How cases are hidden: one way where a kind has it, "none", or "mixed"."""
    harm: bool = True
    """Whether what cases cost clients is measured, by a paired run each."""

    def __post_init__(self) -> None:
        if not 0 < self.hours <= 24 * 366:
            raise UsageError(f"--hours must be above 0 and at most a year, was {self.hours:g}")
        if not 1 <= self.instruments <= MAX_INSTRUMENTS:
            raise UsageError(
                f"--instruments must be 1 to {MAX_INSTRUMENTS}, was {self.instruments}"
            )
        if not 0 < self.rate <= 1000:
            raise UsageError(f"--rate must be above 0 and at most 1000, was {self.rate:g}")
        if not 0 <= self.severity <= 1:
            raise UsageError(f"--severity must be 0 to 1, was {self.severity:g}")
        for name in self.scenarios:
            if name not in SCENARIOS:
                raise UsageError(f"--scenario must be one of {', '.join(SCENARIOS)}, was {name}")
        kinds = self.scenarios or INJECTORS
        ways = {"mixed", "none"}.union(*(INJECTORS[name].evasions for name in kinds))
        if self.evasion not in ways:
            known = ", ".join(sorted(ways))
            raise UsageError(f"--evasion must be one of {known}, was {self.evasion}")


class Market:
    """One simulation.

    Each part draws from a random stream of its own, named, so that a part that is added or taken
    away changes no draw of another.

    Parameters
    ----------
    settings : Settings
    orders, trades, reference : functions of a line
        Take the records.
    """

    def __init__(self, settings: Settings, orders: Write, trades: Write, reference: Write) -> None:
        self.settings = settings
        self.loop = Loop(START_NS)
        self.end_ns = START_NS + int(settings.hours * 3600 * SECOND)
        self._sinks = {"orders": orders, "trades": trades, "reference": reference}
        seed = settings.seed
        self.instruments = population.instruments(settings.instruments, settings.matching)
        self.members = population.members()
        self._accounts = {m.account: population.account(m) for m in self.members}
        self._gates = {
            name: Gate(name, latency_ns) for name, latency_ns in population.GATES.items()
        }
        self._outsides: dict[str, Outside] = {}
        """By instrument: those of one underlying have one."""
        self.ports: list[Port] = []
        self._desks: dict[tuple[str, str], Desk] = {}
        by_underlying: dict[str, Outside] = {}
        for number, row in enumerate(self.instruments):
            outside = by_underlying.get(row.underlying)
            if outside is None:
                price = population.PRICES[number // 2 % len(population.PRICES)]
                outside = by_underlying[row.underlying] = Outside(
                    self.loop,
                    row.underlying,
                    float(price),
                    self._writer("reference"),
                    stream(seed, f"outside/{row.underlying}"),
                )
            self._outsides[row.instrument] = outside
            engine = Engine(
                row,
                self._writer("orders"),
                self._writer("trades"),
                prevention=settings.prevention,
            )
            self.ports.append(Port(self.loop, engine))
        self._makers = dict(self._quoting(seed))
        for name in population.MAKERS:
            self._accounts[name].on_fill = self._filled(name)
        Schedule(
            self.loop,
            self.ports,
            list(self._desks.values()),
            list(self._gates.values()),
            length_s=settings.hours * 3600,
            rng=stream(seed, "schedule"),
        )
        self._flows: dict[str, Clients] = {}
        self._parents: dict[str, Parents] = {}
        self._clients = self._flow(settings)
        self._cases = self._abuse(settings) if settings.scenarios else None

    def run(self, progress: Callable[[int], None] | None = None, *, step_s: float = 10.0) -> None:
        """Run to the end of the tape; `progress` is called with the seconds that are done."""
        step_ns = int(step_s * SECOND)
        for until_ns in (*range(START_NS + step_ns, self.end_ns, step_ns), self.end_ns):
            self.loop.run(until_ns)
            if progress:
                progress((until_ns - START_NS) // SECOND)
        if self._cases is not None:
            self._cases.finish()

    @property
    def truths(self) -> list[Truth]:
        """What abuse there was, once the run has ended."""
        return self._cases.truths if self._cases is not None else []

    @property
    def attempts(self) -> list[Truth]:
        """What of it was begun and came to nothing."""
        return self._cases.attempts if self._cases is not None else []

    def _writer(self, name: str) -> Write:
        sinks = self._sinks

        def write(line: str) -> object:
            return sinks[name](line)  # Looked up each time: a paired run writes nothing.

        return write

    def _mute(self) -> None:
        for name in self._sinks:
            self._sinks[name] = len

    # --- who trades ---------------------------------------------------------------------------

    def _quoting(self, seed: int) -> Iterator[tuple[tuple[str, str], Maker]]:
        for number, (row, port) in enumerate(zip(self.instruments, self.ports, strict=True)):
            for name in population.MAKERS:
                desk = self._desks.get((name, row.underlying))
                if desk is None:
                    desk = self._desks[name, row.underlying] = Desk(
                        self.loop,
                        self._accounts[name],
                        self._gates["colo"],
                        population.HEDGE_LOTS[name],
                        seed=stream(seed, f"desk/{name}/{row.underlying}").getrandbits(48),
                    )
                outside = self._outsides[row.instrument]
                maker = Maker(desk, port, outside, population.QUOTING[name], number=number)
                yield (name, row.instrument), maker

    def _flow(self, settings: Settings) -> dict[str, Client]:
        flows: dict[str, tuple[list[Client], float]] = {"clients": ([], 1.0)}
        flows["group"] = ([], GROUP_RATE)
        clients: dict[str, Client] = {}
        for member in self.members:
            if member.account in population.MAKERS or member.valid_to:
                continue
            omnibus = member.account in population.OMNIBUS
            flow = flows["clients" if member.role == "client" else "group"][0]
            client = Client(
                self._accounts[member.account],
                self._gates[member.gate],
                population.ORIGINATORS if omnibus else (),
            )
            # An omnibus account stands for many people and trades like one of the largest.
            flow.insert(0 if omnibus else len(flow), client)
            if member.role == "client" and not omnibus:
                clients[member.account] = client
        number = 0
        for row, port in zip(self.instruments, self.ports, strict=True):
            for name, (who, share) in flows.items():
                made = Clients(
                    port,
                    self._outsides[row.instrument],
                    who,
                    number=number,
                    rate_per_s=settings.rate * share,
                    lots=population.CLIENT_LOTS,
                    rng=stream(settings.seed, f"{name}/{row.instrument}"),
                )
                number += 1
                if name == "clients":
                    self._flows[row.instrument] = made
                    self._parents[row.instrument] = Parents(made)
        return clients

    def _filled(self, name: str) -> Callable[[Order, int, int, int], None]:
        underlying = {row.instrument: row.underlying for row in self.instruments}

        def filled(order: Order, lots: int, _: int, now_ns: int) -> None:
            # What is no quote is not the desk's to hedge.
            if order.tag >= 0:
                self._desks[name, underlying[order.instrument]].filled(order, lots, now_ns)

        return filled

    # --- abuse --------------------------------------------------------------------------------

    def _abuse(self, settings: Settings) -> Cases:
        cases = Cases(
            self.loop,
            self.ports,
            severity=settings.severity,
            end_ns=self.end_ns,
            harm=settings.harm,
            mute=self._mute,
        )
        ghost = Account("GHOST1", "client", "GHOST1")
        nominee = f"C{stream(settings.seed, 'nominee').choice(NOMINEES):03}"
        venue = Venue(
            seed=settings.seed,
            loop=self.loop,
            end_ns=self.end_ns,
            cases=cases,
            ports=self.ports,
            outsides=self._outsides,
            accounts=self._accounts | {ghost.name: ghost},
            gates=self._gates,
            desks={
                name: [desk for (who, _), desk in self._desks.items() if who == name]
                for name in population.MAKERS
            },
            makers=self._makers,
            flows=self._flows,
            parents=self._parents,
            clients=self._clients,
            afmm=population.MAKERS[0],
            sister=SISTER,
            nominee=nominee,
            ghosts=(ghost.name, population.CLOSED),
        )
        for name in settings.scenarios:
            INJECTORS[name](
                venue,
                severity=settings.severity,
                evasion=settings.evasion,
                rng=stream(settings.seed, f"abuse/{name}"),
            ).start()
        return cases
