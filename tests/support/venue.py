"""Random tapes for tests: a small simulated market, labelled as simulated.

`random_tape(seed, events)` gives the same tape for the same arguments. It is no simulator of the
product: it exists so that every path of the contract occurs, in the proportions of a market.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ingest.events import Batch
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.terms import Obligation, Terms
from tests.support.matching import Venue
from tests.support.vectors import batches, id_hash, instruments_of, to_batch

__all__ = ["ABUSES", "Tape", "Venue", "batches", "id_hash", "random_tape", "to_batch"]

ABUSES = (
    "wash_self",
    "wash_common_owner",
    "wash_affiliate",
    "queue_jump",
    "arrival_inversion",
    "tag_error",
)
"""What `random_tape(abuse=…)` can mix in."""
START_NS = 1_763_900_000_000_000_000
ACCOUNT_FIELDS = ("account", "owner", "legal_entity", "role", "valid_from", "valid_to", "linked_to")
STP = ("cancel_resting", "cancel_incoming", "decrement", "off")


@dataclass
class Tape:
    """Records in the contract's form, in the order in which the venue wrote them (simulated)."""

    records: list[dict]
    accounts: list[dict]
    instruments: list[dict]
    injected: list[dict] = field(default_factory=list)
    """Abuse that was put in: scenario, instrument, accounts and the first and last seq."""
    obligations: list[Obligation] = field(default_factory=list)
    venue: Venue | None = None
    """The venue as the last record left it."""

    @property
    def orders(self) -> list[dict]:
        return [record for record in self.records if "trade_id" not in record]

    @property
    def trades(self) -> list[dict]:
        return [record for record in self.records if "trade_id" in record]

    @property
    def table(self) -> Instruments:
        return instruments_of(self.instruments)

    @cached_property
    def terms(self) -> Terms:
        return Terms(tuple(self.obligations))

    def batch(self, names: Names | None = None) -> Batch:
        """Return the whole tape as one batch, rows in arrival order (not grouped)."""
        return to_batch(self.records, self.table, self.accounts, names)

    def batches(self, size: int | None = None, names: Names | None = None) -> Iterator[Batch]:
        """Yield the tape in released batches: cut every `size` records, grouped by instrument."""
        return batches(self.batch(names), size)

    def write(self, folder: Path) -> Path:
        """Write the tape folder: two ndjson files, accounts.csv and instruments.csv."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, records in (("orders", self.orders), ("trades", self.trades)):
            text = "".join(json.dumps(record) + "\n" for record in records)
            (folder / f"{name}.ndjson").write_text(text, encoding="utf-8")
        for name, rows in (("accounts", self.accounts), ("instruments", self.instruments)):
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, rows[0].keys())
                writer.writeheader()
                writer.writerows(rows)
        return folder


def random_tape(
    seed: int,
    events: int,
    instruments: int = 2,
    accounts: int = 20,
    abuse: Collection[str] = (),
    *,
    stp: str | None = None,
    phases: float | bool = True,
    gaps: int = 0,
    busts: bool = True,
    matching: str | None = None,
) -> Tape:
    """Return a simulated tape of at least `events` records.

    Parameters
    ----------
    accounts : int
        Client accounts; the last two share an owner. The group's (`MM1`, `AFF1`, `HOUSE1`,
        `STAFF1`), two external makers (`XM1`, `XM2`) and an unregistered `GHOST1` come on top.
    abuse : collection of str
        Members of `ABUSES`; each is put in about once per 500 records and listed in `injected`.
    stp : str
        Self-trade prevention; by default one of `STP` by seed.
    phases : float
        Chance, at each step, that an instrument's auction, halt or cancel-only phase begins;
        True is 0.002, False never.
    gaps : int
        How many times a few records are lost; each is followed by a restated book.
    matching : str
        For every instrument; by default alternately price_time and price_class_time.
    """
    phases = 0.002 if phases is True else float(phases)
    return _Market(
        random.Random(seed), instruments, accounts, STP[seed % 4] if stp is None else stp, matching
    ).run(events, abuse, phases=phases, gaps=gaps, busts=busts)


class _Market:
    def __init__(self, rng, instruments, clients, stp, matching):
        self.rng = rng
        sizes = (("0.5", "0.001"), ("0.01", "0.1"), ("0.0001", "1"))
        modes = ("price_time", "price_class_time")
        self.instruments = [
            {
                "instrument": f"SIM{i}-USD",
                "base": f"SIM{i}",
                "quote": "USD",
                "kind": "spot",
                "tick_size": sizes[i % 3][0],
                "lot_size": sizes[i % 3][1],
                "matching": matching or modes[i % 2],
            }
            for i in range(instruments)
        ]
        self.clients = [f"C{i}" for i in range(clients)]
        self.makers = ["MM1", "XM1", "XM2"]
        group = [("MM1", "affiliated_mm"), ("AFF1", "affiliated"), ("HOUSE1", "house")]
        roles = [*group, ("STAFF1", "staff"), ("XM1", "external_mm"), ("XM2", "external_mm")]
        roles += [(name, "client") for name in self.clients]
        self.owners = {name: f"O-{name}" for name, _ in roles}
        if clients > 1:
            self.owners[self.clients[-1]] = self.owners[self.clients[-2]]
        self.accounts = [
            dict.fromkeys(ACCOUNT_FIELDS, "")
            | {"account": name, "owner": self.owners[name], "legal_entity": name, "role": role}
            | {"valid_from": "2020-01-01T00:00:00Z"}
            for name, role in roles
        ]
        self.venue = Venue(self.instruments, dict(roles), self.owners, stp=stp, start_ns=START_NS)
        self.names = [row["instrument"] for row in self.instruments]
        self.fair = dict.fromkeys(self.names, 2_000)
        self.quotes = {}
        self.left = dict.fromkeys(self.names, 0)
        self.injected = []

    def run(self, events, abuse, *, phases, gaps, busts):
        rng, venue = self.rng, self.venue
        lose_at = sorted(rng.randrange(events // 10, events) for _ in range(gaps))
        restate_at = {}
        wanted = sorted(abuse)
        while len(venue.records) < events:
            name = rng.choice(self.names)
            self._tick()
            at = len(venue.records)
            if lose_at and at >= lose_at[0]:
                lose_at.pop(0)
                venue.lose(name, rng.randrange(1, 6))
                restate_at[name] = at + rng.randrange(20, 200)
            if at >= restate_at.get(name, events + 1):
                del restate_at[name]
                venue.restate(name)
            if phases and self.left[name] <= 0 and rng.random() < phases:
                venue.status(name, rng.choice(("auction", "auction", "halt", "cancel_only")))
                self.left[name] = rng.randrange(5, 40)
            elif self.left[name] > 0:
                self.left[name] -= 1
                if not self.left[name]:
                    venue.status(name, "continuous")
            if busts and rng.random() < 0.001 and venue.records:
                recent = [r for r in venue.records[-50:] if "trade_id" in r and "busts" not in r]
                if recent:
                    venue.bust(rng.choice(recent))
            if wanted and rng.random() < len(wanted) / 250 and self._open(name):
                self._abuse(name, rng.choice(wanted))
            self._step(name)
        return Tape(venue.records, self.accounts, self.instruments, self.injected, [], venue)

    def _tick(self):
        self.venue.now_ns += 1 + int(self.rng.expovariate(1 / 20_000_000))

    def _open(self, name):
        return self.venue.books[name].phase == "continuous"

    def _received(self):
        return self.venue.now_ns - self.rng.randrange(20_000, 400_000)

    def _step(self, name):
        rng, phase = self.rng, self.venue.books[name].phase
        draw = rng.random()
        if phase in ("halt", "cancel_only"):
            self._cancel_some(name)
        elif draw < 0.25:
            self.fair[name] += rng.choice((-1, 0, 0, 1))
            self._quote(name, rng.choice(self.makers))
        elif draw < 0.27:
            reason = rng.choice(("mmp", "disconnect", "kill"))
            self._pull(name, rng.choice(self.makers), reason)
        elif draw < 0.55:
            self._cancel_some(name)
        else:
            self._client(name)

    def _quote(self, name, maker):
        """Put two or three levels a side at the maker's own view of the price."""
        rng, venue = self.rng, self.venue
        orders = venue.books[name].orders
        style = rng.random()
        for side, sign in (("buy", -1), ("sell", 1)):
            for level in range(rng.randrange(2, 4)):
                price = self.fair[name] + sign * (1 + level + (rng.random() < 0.3))
                old = self.quotes.get((name, maker, side, level))
                now, size = self._received(), rng.randrange(1, 30)
                if old in orders and style < 0.6:
                    if orders[old].price != price or rng.random() < 0.1:
                        filled = orders[old].quantity - orders[old].leaves
                        venue.replace(
                            name, old, price=price, quantity=filled + size, received_ns=now
                        )
                    continue
                if old in orders and style < 0.8:
                    venue.cancel(name, old, received_ns=now)
                    old = None
                self.quotes[name, maker, side, level] = venue.new(
                    name,
                    maker,
                    side,
                    size,
                    price,
                    tif="POST_ONLY" if rng.random() < 0.5 else "GTC",
                    replaces=old if old in orders else None,
                    received_ns=now,
                    source="api",
                )

    def _pull(self, name, maker, reason):
        for order in [o for o in self.venue.books[name].orders.values() if o.account == maker]:
            self.venue.cancel(name, order.id, reason=reason)

    def _cancel_some(self, name):
        rng, orders = self.rng, self.venue.books[name].orders
        if not orders:
            return
        keys = list(orders)
        order = orders[keys[min(int(rng.expovariate(0.05)), len(keys) - 1)]]
        draw = rng.random()
        if draw < 0.2 and order.leaves > 1 and order.type != "market":
            quantity = order.quantity - rng.randrange(1, order.leaves)
            self.venue.replace(name, order.id, quantity=quantity, received_ns=self._received())
        elif draw < 0.3 and order.price is not None:
            price = order.price + rng.choice((-2, -1, 0, 1, 2))
            quantity = order.quantity + rng.choice((0, 0, 5))
            self.venue.replace(
                name, order.id, price=price, quantity=quantity, received_ns=self._received()
            )
        elif draw < 0.33:
            self.venue.cancel(name, order.id, action="expire", reason="expiry")
        else:
            self.venue.cancel(name, order.id, received_ns=self._received())

    def _client(self, name):
        rng = self.rng
        others = ("AFF1", "HOUSE1", "STAFF1", "GHOST1", "MM1")
        account = rng.choice(self.clients) if rng.random() < 0.85 else rng.choice(others)
        side = rng.choice(("buy", "sell"))
        size = max(1, int(rng.lognormvariate(2, 1)))
        away = 1 if side == "buy" else -1
        near = self.fair[name] + away * rng.choice((-6, -4, -3, -2, -2, -1, -1, 0, 1, 2))
        draw = rng.random()
        options = {"received_ns": self._received(), "source": rng.choice(("api", "gui"))}
        if account.startswith("C") and rng.random() < 0.2:
            options |= {"originator": f"P{rng.randrange(5)}", "session": f"S-{account}"}
        if draw < 0.12 and self._open(name):
            self.venue.new(name, account, side, size, kind="market", tif="IOC", **options)
        elif draw < 0.3:
            tif = rng.choice(("IOC", "IOC", "FOK"))
            self.venue.new(name, account, side, size, near + 2 * away, tif=tif, **options)
        elif draw < 0.36:
            stop = self.fair[name] + away * rng.randrange(1, 5)
            kind = rng.choice(("stop", "stop_limit"))
            price = stop + away if kind == "stop_limit" else None
            options |= {"kind": kind, "stop_price": stop}
            self.venue.new(name, account, side, size, price, **options)
        elif draw < 0.44:
            show = rng.choice((0, 1, 2, 5))
            self.venue.new(name, account, side, size + 5, near, display=show, **options)
        else:
            tif = rng.choice(("GTC", "GTC", "DAY", "POST_ONLY"))
            self.venue.new(name, account, side, size, near, tif=tif, **options)

    def _abuse(self, name, scenario):
        rng, venue = self.rng, self.venue
        bid, ask = venue.touch(name)
        if bid is None or ask is None or ask - bid < 2:
            return  # no free price inside the spread: strangers would trade instead
        first = venue.books[name].seq + 1
        accounts = ("C0", "C0")
        stp, venue.stp = venue.stp, "off"
        if scenario.startswith("wash"):
            if scenario == "wash_common_owner":
                accounts = tuple(self.clients[-2:])
            elif scenario == "wash_affiliate":
                accounts = ("MM1", "HOUSE1")
            size = rng.randrange(1, 9)
            # Above every bid and at the front of the asks, so that the two meet each other.
            at = bid + 1
            venue.new(name, accounts[0], "sell", size, at, received_ns=self._received())
            venue.new(name, accounts[1], "buy", size, at, tif="IOC", received_ns=self._received())
        elif scenario == "queue_jump":
            accounts = ("MM1", "C1")
            at = ask - 1
            venue.new(name, "C1", "sell", 20, at, received_ns=self._received())
            self._tick()
            venue.new(name, "MM1", "sell", 5, at, received_ns=self._received())
            self._tick()
            venue.favoured = "MM1"
            venue.new(name, "C2", "buy", 5, at, tif="IOC", received_ns=self._received())
            venue.favoured = None
        elif scenario == "arrival_inversion":
            accounts = ("MM1", "C3")
            size = rng.randrange(5, 15)
            venue.new(name, "C4", "sell", size, ask, received_ns=self._received())
            self._tick()
            late = venue.now_ns
            venue.new(name, "MM1", "buy", size, ask, tif="IOC", received_ns=late - 50_000)
            venue.new(name, "C3", "buy", size, ask, tif="IOC", received_ns=late - 9_000_000)
        elif scenario == "tag_error":
            accounts = ("MM1",)
            venue.new(name, "C5", "buy", 3, ask, tif="IOC", received_ns=self._received())
            flags = {"none": "buy", "buy": "none", "sell": "none", "both": "none"}
            for record in venue.records[-4:]:
                if "trade_id" in record and record["seq"] >= first:
                    record["afmm_flag"] = flags[record["afmm_flag"]]
        venue.stp = stp
        self.injected.append(
            {"scenario": scenario, "instrument": name, "accounts": accounts}
            | {"first_seq": first, "last_seq": venue.books[name].seq}
        )
