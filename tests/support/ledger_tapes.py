"""Hand-made tapes with one breach each, and the alert that tells of it (simulated data)."""

from __future__ import annotations

from alerts.record import Alert
from tests.support.matching import Venue
from tests.support.venue import ACCOUNT_FIELDS, Tape

NAME = "BTC-USD"
MS = 1_000_000
SECOND = 1_000_000_000
START_NS = 1_763_900_000_000_000_000
ROLES = {
    "A": "client",
    "B": "client",
    "C": "client",
    "D": "client",
    "XM1": "external_mm",
    "XM2": "external_mm",
    "MM1": "affiliated_mm",
}
TICK, LOT = 0.5, 0.01


class Desk:
    """A venue of one instrument on which a test acts by hand.

    An instruction takes 20 µs from gateway to engine unless `received_ns` says otherwise.
    """

    def __init__(self, *, matching="price_time", stp="off"):
        self.instruments = [
            {
                "instrument": NAME,
                "base": "BTC",
                "quote": "USD",
                "kind": "spot",
                "tick_size": str(TICK),
                "lot_size": str(LOT),
                "matching": matching,
            }
        ]
        self.venue = Venue(self.instruments, ROLES, {n: n for n in ROLES}, stp=stp)
        self.venue.now_ns = START_NS

    def wait(self, ns):
        self.venue.now_ns += ns
        return self.venue.now_ns

    def new(self, account, side, lots, ticks=None, *, ms=1, received_ns=None, **options):
        now_ns = self.wait(ms * MS)
        received_ns = now_ns - 20_000 if received_ns is None else received_ns
        kind = "market" if ticks is None else "limit"
        return self.venue.new(
            NAME, account, side, lots, ticks, kind=kind, received_ns=received_ns, **options
        )

    def cancel(self, order, *, ms=1):
        now_ns = self.wait(ms * MS)
        self.venue.cancel(NAME, order, received_ns=now_ns - 20_000)

    def quotes(self, bid=90, ask=110):
        """Have two external makers quote far away, so that there is a mid."""
        return self.new("XM1", "buy", 50, bid), self.new("XM2", "sell", 50, ask)

    @property
    def tape(self):
        accounts = [
            dict.fromkeys(ACCOUNT_FIELDS, "")
            | {"account": name, "owner": f"O-{name}", "legal_entity": name, "role": role}
            for name, role in ROLES.items()
        ]
        return Tape(self.venue.records, accounts, self.instruments)

    @property
    def trades(self):
        return [record["trade_id"] for record in self.venue.records if "trade_id" in record]


def alert(desk, *, orders, trades=None, scenario="client_priority", **fields):
    """Return a proved alert that names orders and, unless told, all trades."""
    proved = scenario == "client_priority"
    return Alert(
        **{
            "alert_id": f"{scenario}-1",
            "revision": 1,
            "detector": scenario,
            "detector_version": 1,
            "scenario": scenario,
            "facets": (),
            "evidence_class": "breach" if proved else "rule",
            "evidence": "proved" if proved else "supported",
            "severity": "high" if proved else "medium",
            "score": 0.6,
            "instrument": NAME,
            "accounts": ("MM1",),
            "owners": ("O-MM1",),
            "roles": ("affiliated_mm",),
            "window_start_ns": START_NS,
            "window_end_ns": desk.venue.now_ns,
            "detected_ns": desk.venue.now_ns,
            "client_harm": None,
            "currency": "USD",
            "counterfactual": "",
            "notify_clock": "none",
            "order_ids": tuple(orders),
            "trade_ids": tuple(desk.trades if trades is None else trades),
            "features": {},
            "params_hash": "",
            "registry_version": "",
            "coverage": "complete",
            "status": "confirmed",
            "source": (),
        }
        | fields
    )


def jumped(desk, *, favoured="MM1", lots=5):
    """Client A stands first at 100 with 8 lots, the maker behind with 5; C takes `lots`."""
    desk.quotes()
    mine = desk.new("A", "sell", 8, 100)
    theirs = desk.new("MM1", "sell", 5, 100)
    desk.venue.favoured = favoured
    came = desk.new("C", "buy", lots, 100, tif="IOC")
    desk.venue.favoured = None
    return mine, theirs, came


def inverted(desk, *, lots=6, first=4, held_ns=9 * MS):
    """Six lots wait at 100, more at 103; B wants six; the maker, who came later, takes first."""
    desk.quotes()
    desk.new("A", "sell", 6, 100)
    desk.new("D", "sell", 20, 103)
    late = desk.wait(20 * MS)
    theirs = desk.venue.new(
        "BTC-USD", "MM1", "buy", first, 100, tif="IOC", received_ns=late - 50_000
    )
    mine = desk.venue.new("BTC-USD", "B", "buy", lots, 103, tif="IOC", received_ns=late - held_ns)
    return theirs, mine
