"""A venue on which makers owe quotes, what the detector says of it, and presence by hand."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

from detectors.base import Finding
from detectors.book import Books
from detectors.quoting_obligations import QuotingObligations, QuotingObligationsParams
from ingest.names import Names
from ingest.registry import ALWAYS, FOREVER
from ingest.terms import Obligation, Party, Terms
from tests.support.matching import Venue
from tests.support.vectors import batches, instruments_of, to_batch

SECOND = 10**9
HOUR = 3600 * SECOND
START = 1_763_899_200 * SECOND
"""A full hour."""
ROLES = {"MM": "affiliated_mm", "MM2": "affiliated_mm", "X1": "external_mm", "P1": "client"}
OWNERS = {"MM": "Group", "MM2": "Group", "X1": "X", "P1": "P"}


def agreed(account: str = "MM", **terms: Any) -> Obligation:
    """Return an agreement: 100 lots within 20 bps, 80 % of each hour, unless said otherwise."""
    return Obligation(
        **{
            "account": account,
            "instrument": "X-USD",
            "max_spread_bps": Decimal(20),
            "min_quantity": Decimal(100),
            "min_presence_ratio": Decimal("0.8"),
            "window_s": 3600,
            "valid_from_ns": ALWAYS,
            "valid_to_ns": FOREVER,
            **terms,
        }
    )


class Desk:
    """A venue with one instrument (tick 1, lot 1), and clocks in seconds from a full hour."""

    def __init__(self, *terms: Obligation) -> None:
        self.row = {
            "instrument": "X-USD", "base": "X", "quote": "USD", "kind": "spot",
            "tick_size": "1", "lot_size": "1", "matching": "price_time",
        }  # fmt: skip
        self.terms = terms or (agreed(),)
        self.venue = Venue([self.row], ROLES, OWNERS, stp="off", start_ns=START)
        self.live: dict[str, list[str]] = {}

    def at(self, seconds: float) -> Desk:
        """Let time be so many seconds after the start."""
        self.venue.now_ns = START + round(seconds * SECOND)
        return self

    def enter(self, side: str, price: int, lots: int = 100, account: str = "MM", **options) -> str:
        """Enter an order."""
        id_ = self.venue.new("X-USD", account, side, lots, price, **options)
        self.live.setdefault(account, []).append(id_)
        return id_

    def quote(self, account: str = "MM", lots: int = 100, half: int = 5, middle: int = 10_000):
        """Quote both sides; return both ids. `half` is 5 bps at 10,000."""
        return (
            self.enter("buy", middle - half, lots, account),
            self.enter("sell", middle + half, lots, account),
        )

    def leave(self, account: str = "MM", reason: str = "user") -> None:
        """Cancel all quotes of an account that are live."""
        for id_ in self.live.pop(account, []):
            if id_ in self.venue.books["X-USD"].orders:
                self.venue.cancel("X-USD", id_, reason=reason)

    def phase(self, word: str) -> None:
        """Begin a phase."""
        self.venue.status("X-USD", word)

    def found(self, size: int | None = None, **params: Any) -> list[Finding]:
        """Return what is said by the last record, the feed cut every `size` records."""
        detector = QuotingObligations(
            QuotingObligationsParams(**params), instruments_of([self.row])
        )
        return [f for part in self.batches(size) for f in detector.step(part)]

    def batches(self, size: int | None = None) -> Iterator[Any]:
        """Yield the feed, enriched and with its terms."""
        names, table = Names(), instruments_of([self.row])
        accounts = [{"account": a, "owner": o, "role": ROLES[a]} for a, o in OWNERS.items()]
        batch, books = to_batch(self.venue.records, table, accounts, names), Books(table)
        batch.terms = Terms(self.terms)
        batch.parties = {name: Party(names.code(name)) for name in ("MM", "X1", "owner:Group")}
        for part in batches(batch, size):
            yield books.apply(part)

    def told(self, **params: Any) -> Finding | None:
        """Return the last finding, if any, after an hour more."""
        self.at((self.venue.now_ns - START) // SECOND + 3601).enter("buy", 9_000, 1, "P1")
        return (self.found(**params) or [None])[-1]


def presence_by_hand(
    records: list[dict], account: str, end_ns: int, *, floor: int = 100, bps: int = 20
) -> dict[int, tuple[int, int]]:
    """Return open and present ns by hour, from the records alone: slow and plain."""
    orders: dict[str, list[int]] = {}
    hours: dict[int, tuple[int, int]] = {}
    is_open = True
    for record, following in pairwise([*records, {"engine_ns": end_ns}]):
        if record.get("action") == "status":
            is_open = record["phase"] == "continuous"
        elif "trade_id" in record:
            for id_ in (record["buy_order_id"], record["sell_order_id"]):
                if id_ in orders:
                    orders[id_][2] -= int(record["quantity"])
        elif record["account"] == account:
            orders.pop(record["order_id"], None)
            orders.pop(record.get("replaces") or "", None)
            if record["action"] in ("new", "replace") and record["tif"] not in ("IOC", "FOK"):
                sign = 1 if record["side"] == "buy" else -1
                price, leaves = int(record["price"]), int(record["leaves"])
                orders[record["order_id"]] = [sign, price, leaves]
        at, until = record["engine_ns"], following["engine_ns"]
        there = _is_there(list(orders.values()), floor, bps)
        while at < until:
            edge = min(until, (at // HOUR + 1) * HOUR)
            if is_open:
                opened, present = hours.get(at // HOUR, (0, 0))
                hours[at // HOUR] = opened + edge - at, present + (edge - at if there else 0)
            at = edge
    return hours


def _is_there(orders: list[list[int]], floor: int, bps: int) -> bool:
    reached = {}
    for sign in (1, -1):
        shown = 0
        for _, price, leaves in sorted(
            (o for o in orders if o[0] == sign), key=lambda o: -sign * o[1]
        ):
            shown += max(0, leaves)
            if shown >= floor:
                reached[sign] = price
                break
    if len(reached) < 2:
        return False
    return 20_000 * (reached[-1] - reached[1]) <= bps * (reached[-1] + reached[1])
