"""A simulated market, run from a seed into a tape: the same arguments give the same bytes."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from ingest.errors import UsageError
from ingest.instruments import Instrument, Matching
from market import population
from market.clients import Client, Clients
from market.engine import Engine, Prevention
from market.loop import SECOND, Gate, Loop, Port, stream
from market.makers import Desk, Maker
from market.orders import Order
from market.outside import Outside
from market.schedule import Schedule
from market.wire import Write

START_NS: Final = 1_767_571_200 * SECOND
"""2026-01-05T00:00:00Z, a Monday."""
MAX_INSTRUMENTS: Final = 200
STEP_S: Final = 10.0
"""Simulated time between two calls of the progress."""
GROUP_RATE: Final = 0.01
"""Instructions of the group's other accounts, as a share of the clients'."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a tape is made from; together with the version of this code it gives every byte."""

    seed: int
    hours: float
    instruments: int = 3
    rate: float = 2.0
    """Mean client instructions a second and instrument, before what they bring about."""
    matching: Matching = "price_time"
    prevention: Prevention = "cancel_resting"

    def __post_init__(self) -> None:
        if not 0 < self.hours <= 24 * 366:
            raise UsageError(f"--hours must be above 0 and at most a year, was {self.hours:g}")
        if not 1 <= self.instruments <= MAX_INSTRUMENTS:
            raise UsageError(
                f"--instruments must be 1 to {MAX_INSTRUMENTS}, was {self.instruments}"
            )
        if not 0 < self.rate <= 1000:
            raise UsageError(f"--rate must be above 0 and at most 1000, was {self.rate:g}")


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulation came to."""

    settings: Settings
    records: Mapping[str, int]
    """By instrument."""
    look_alikes: Mapping[str, int]
    """How often each innocent look-alike came about."""


def simulate(
    out: Path, settings: Settings, *, progress: Callable[[int, int | None], None] | None = None
) -> Simulated:
    """Write a clean tape into a folder, which is created, and return what it came to.

    `progress` is called with seconds of simulated time. Memory grows with live orders only.
    """
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        orders, trades, reference = (
            stack.enter_context(
                (out / f"{name}.ndjson").open(
                    "w", encoding="utf-8", newline="\n", buffering=1 << 20
                )
            ).write
            for name in ("orders", "trades", "reference")
        )
        market = Market(settings, orders, trades, reference)
        length = round(settings.hours * 3600)
        end_ns = START_NS + int(settings.hours * 3600 * SECOND)
        step_ns = int(STEP_S * SECOND)
        for until_ns in (*range(START_NS + step_ns, end_ns, step_ns), end_ns):
            market.loop.run(until_ns)
            if progress:
                progress((until_ns - START_NS) // SECOND, length)
    result = Simulated(
        settings=settings,
        records={port.engine.name: port.engine.wire.seq for port in market.ports},
        look_alikes=market.look_alikes(),
    )
    _write_tables(out, market, result)
    return result


class Market:
    """Everything of one simulation, wired.

    Each part draws from a random stream of its own, named, so that a part that is added or taken
    away changes no draw of another.
    """

    def __init__(self, settings: Settings, orders: Write, trades: Write, reference: Write) -> None:
        self.counts: Counter[str] = Counter()
        self.loop = Loop(START_NS)
        seed = settings.seed
        self.instruments = population.instruments(settings.instruments, settings.matching)
        self.members = population.members()
        self._accounts = {m.account: population.account(m) for m in self.members}
        self._gates = {
            name: Gate(name, latency_ns, stream(seed, f"gate/{name}"))
            for name, latency_ns in population.GATES.items()
        }
        self.outsides: dict[str, Outside] = {}
        self.ports: list[Port] = []
        self._desks: dict[tuple[str, str], Desk] = {}
        for number, row in enumerate(self.instruments):
            if row.underlying not in self.outsides:
                price = population.PRICES[number // 2 % len(population.PRICES)]
                random = stream(seed, f"outside/{row.underlying}")
                self.outsides[row.underlying] = Outside(
                    self.loop, row.underlying, float(price), reference, random
                )
            engine = Engine(row, orders, trades, prevention=settings.prevention)
            self.ports.append(Port(self.loop, engine, stream(seed, f"port/{engine.name}")))
        underlying = {row.instrument: row.underlying for row in self.instruments}
        for name in population.MAKERS:
            self._accounts[name].on_fill = self._filled(name, underlying)
        Schedule(
            self.loop,
            self.ports,
            self._makers(seed),
            list(self._gates.values()),
            length_s=settings.hours * 3600,
            rng=stream(seed, "schedule"),
            counts=self.counts,
        )
        self._clients(settings)

    def _makers(self, seed: int) -> Sequence[Desk]:
        for row, port in zip(self.instruments, self.ports, strict=True):
            for name in population.MAKERS:
                desk = self._desks.get((name, row.underlying))
                if desk is None:
                    desk = self._desks[name, row.underlying] = Desk(
                        self.loop,
                        self._accounts[name],
                        self._gates["colo"],
                        population.HEDGE_LOTS[name],
                        self.counts,
                    )
                random = stream(seed, f"maker/{name}/{row.instrument}")
                Maker(desk, port, self.outsides[row.underlying], population.QUOTING[name], random)
        return list(self._desks.values())

    def _clients(self, settings: Settings) -> None:
        flows: dict[str, tuple[list[Client], float]] = {"clients": ([], 1.0)}
        flows["group"] = ([], GROUP_RATE)
        for member in self.members:
            if member.account in population.MAKERS:
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
        for row, port in zip(self.instruments, self.ports, strict=True):
            for name, (clients, share) in flows.items():
                Clients(
                    port,
                    self.outsides[row.underlying],
                    clients,
                    rate_per_s=settings.rate * share,
                    lots=population.CLIENT_LOTS,
                    rng=stream(settings.seed, f"{name}/{row.instrument}"),
                    counts=self.counts,
                )

    def _filled(
        self, name: str, underlying: Mapping[str, str]
    ) -> Callable[[Order, int, int, int], None]:
        def filled(order: Order, lots: int, _: int, now_ns: int) -> None:
            self._desks[name, underlying[order.instrument]].filled(order, lots, now_ns)

        return filled

    def look_alikes(self) -> Mapping[str, int]:
        """Return how often each innocent look-alike came about, by name."""
        counts = self.counts | Counter(
            price_jumps=sum(outside.jumps for outside in self.outsides.values()),
            self_trades_prevented=sum(port.engine.prevented for port in self.ports),
            maker_protection=sum(port.engine.protected for port in self.ports),
        )
        return dict(sorted(counts.items()))


def _write_tables(out: Path, market: Market, result: Simulated) -> None:
    register = [
        {
            "account": m.account,
            "owner": m.owner,
            "legal_entity": m.legal_entity,
            "role": m.role,
            "valid_from": population.VALID_FROM,
            "valid_to": "",
            "linked_to": m.linked_to,
        }
        for m in market.members
    ]
    _write_csv(out / "accounts.csv", register)
    _write_csv(out / "instruments.csv", [_row(row) for row in market.instruments])
    _write_csv(out / "obligations.csv", population.obligations(market.instruments))
    _write_csv(out / "disclosures.csv", population.disclosures())
    (out / "truth.json").write_bytes(b"[]\n")
    (out / "README.md").write_text(_readme(result), encoding="utf-8", newline="\n")


def _row(row: Instrument) -> dict[str, str]:
    return {
        "instrument": row.instrument,
        "base": row.base,
        "quote": row.quote,
        "kind": row.kind,
        "tick_size": f"{row.tick_size:f}",
        "lot_size": f"{row.lot_size:f}",
        "underlying": row.underlying,
        "matching": row.matching,
    }


def _write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _readme(result: Simulated) -> str:
    given = msgspec.to_builtins(result.settings)
    arguments = "".join(f"| {name} | {value} |\n" for name, value in given.items())
    counts = "".join(f"| {name} | {count:,} |\n" for name, count in result.look_alikes.items())
    return f"""# A simulated tape

Everything here is simulated: no person, firm, order or price is real. It was made by
`ringfence simulate`, holds no abuse (`truth.json` is empty) and
{sum(result.records.values()):,} records of orders and trades.

| argument | value |
| --- | --- |
{arguments}
| innocent look-alike | times |
| --- | --- |
{counts}"""
