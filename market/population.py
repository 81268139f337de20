"""Who and what there is in a simulated market: instruments, accounts, gates, agreements."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from ingest.instruments import Instrument, Matching
from ingest.times import MICRO, MILLI
from market.makers import Quoting
from market.orders import Account
from market.wire import fields

VALID_FROM: Final = "2025-01-01T00:00:00Z"
COMPLEX: Final = "complex"
"""Self-trade prevention key of the whole group: its accounts never trade with each other."""
CLOSED: Final = "C-CLOSED"
"""An account whose row has ended: nobody trades by it, unless it is abuse."""
CLIENTS: Final = 80
SHARED_OWNERS: Final = 3
"""Owners with two client accounts each: self-trade prevention has to look at owners."""
OMNIBUS: Final = ("OMNI1", "OMNI2")
ORIGINATORS: Final = tuple(f"P{n}" for n in range(1, 9))
MAKERS: Final = ("MM1", "XM1", "XM2", "XM3")
"""MM1 is the affiliated one."""
PRICES: Final = (60_000, 3_000, 150, 12)
"""Outside prices at the start, by underlying: four orders of magnitude of tick and lot."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A row of accounts.csv with the gate that the account comes in by."""

    account: str
    owner: str
    role: str
    legal_entity: str
    gate: str
    fee_tier: str
    linked_to: str = ""
    valid_to: str = ""


QUOTING: Final = {
    # The affiliate is neither the widest nor the tightest, and no quicker than the others.
    "MM1": Quoting(
        levels=4,
        half_spread_bps=1.9,
        spacing_bps=1.6,
        lots=900,
        interval_ns=450 * MILLI,
        style="replace",
        post_only=True,
        inventory_lots=9_000,
    ),
    "XM1": Quoting(
        levels=5,
        half_spread_bps=1.95,
        spacing_bps=1.3,
        lots=600,
        interval_ns=350 * MILLI,
        style="replace",
        post_only=False,
        inventory_lots=6_000,
    ),
    "XM2": Quoting(
        levels=3,
        half_spread_bps=2.6,
        spacing_bps=2.5,
        lots=1_500,
        interval_ns=800 * MILLI,
        style="replaces",
        post_only=True,
        inventory_lots=15_000,
    ),
    "XM3": Quoting(
        levels=3,
        half_spread_bps=1.85,
        spacing_bps=1.8,
        lots=400,
        interval_ns=600 * MILLI,
        style="cancel_new",
        post_only=False,
        inventory_lots=4_000,
    ),
}
"""How each maker quotes."""
HEDGE_LOTS: Final = {"MM1": 7_000, "XM1": 5_000, "XM2": 12_000, "XM3": 3_000}
"""Net position above which a maker hedges: some eight fills of its first level."""
PROTECTION: Final = {"MM1": 4_500, "XM1": 3_500, "XM2": 6_000}
"""Lots hit within `PROTECTION_NS` that take a maker's quotes away: both first levels and more."""
PROTECTION_NS: Final = 500 * MILLI
MAX_SPREAD_BPS: Final = 20
"""Of the agreement: twice the widest quote of the stressed regime."""
FLOOR_LOTS: Final = 100
"""Of the agreement, each side: a half-filled quote of a maker with little appetite holds it."""
PRESENCE_RATIO: Final = 0.8
"""Of the agreement."""
CLIENT_LOTS: Final = 60
"""Least size of an ordinary client order: a fifteenth of a maker's first level."""
FEES_BPS: Final = {
    "maker": (0.5, 2.5),
    "broker": (1.0, 3.0),
    "vip": (1.5, 3.5),
    "standard": (2.0, 5.0),
}
"""What each fee tier pays as a maker and as a taker."""
GATES: Final = {"colo": 60 * MICRO, "api": 2 * MILLI, "gui": 60 * MILLI}
"""Median way to each gate: a rack, the internet, a browser."""


def instruments(count: int, matching: Matching) -> list[Instrument]:
    """Return spot and perpetual by turns, two an underlying.

    >>> [row.instrument for row in instruments(3, "price_time")]
    ['SIMA-USD', 'SIMA-USD-PERP', 'SIMB-USD']
    """
    rows = []
    for number in range(count):
        base = f"SIM{chr(65 + number // 2)}" if number < 52 else f"SIM{number // 2}"
        price = PRICES[number // 2 % len(PRICES)]
        # A tick of a fifteenth of a basis point: fine, as digital assets have it.
        tick = Decimal(price) / 150_000
        rows.append(
            Instrument(
                instrument=f"{base}-USD" + ("-PERP" if number % 2 else ""),
                base=base,
                quote="USD",
                kind="perpetual" if number % 2 else "spot",
                tick_size=tick.normalize() + Decimal(0),
                lot_size=Decimal("0.001"),
                underlying=base,
                matching=matching,
            )
        )
    return rows


def members() -> list[Member]:
    """Return the accounts: makers, the group's others, clients with two that share an owner."""
    rows = [
        Member(
            account=name,
            owner="GROUP-MM" if name == "MM1" else f"{name} Ltd",
            role="affiliated_mm" if name == "MM1" else "external_mm",
            legal_entity="Simulated Group Markets" if name == "MM1" else f"{name} Ltd",
            gate="colo",
            fee_tier="maker",
        )
        for name in MAKERS
    ]
    for name, role in (("AFF1", "affiliated"), ("HOUSE1", "house"), ("STAFF1", "staff")):
        rows.append(
            Member(
                account=name,
                owner=f"GROUP-{name}",
                role=role,
                legal_entity="Simulated Group",
                gate="gui",
                fee_tier="standard",
            )
        )
    for number in range(1, CLIENTS + 1):
        name = f"C{number:03}"
        # The last few are two accounts of one person each.
        first = CLIENTS - 2 * SHARED_OWNERS
        owner = f"O-C{number if number <= first else number - (number - first + 1) % 2:03}"
        gate = "gui" if number % 3 == 0 else "api"
        rows.append(
            Member(
                account=name,
                owner=owner,
                role="client",
                legal_entity=owner,
                gate=gate,
                fee_tier="vip" if number <= 5 else "standard",
            )
        )
    rows += [
        Member(
            account=name,
            owner=f"{name} Broker",
            role="client",
            legal_entity=f"{name} Broker",
            gate="api",
            fee_tier="broker",
        )
        for name in OMNIBUS
    ]
    closed = Member(
        account=CLOSED,
        owner="O-CLOSED",
        role="client",
        legal_entity="O-CLOSED",
        gate="api",
        fee_tier="standard",
        valid_to="2026-01-01T00:00:00Z",
    )
    return [*rows, closed]


def account(member: Member) -> Account:
    """Return a member as the engine sees it."""
    maker = member.account in MAKERS
    text = fields(
        session=f"{member.gate}-{member.account}",
        source="gui" if member.gate == "gui" else "api",
        fee_tier=member.fee_tier,
    )
    grouped = member.role not in ("client", "external_mm")
    return Account(
        member.account,
        member.role,
        COMPLEX if grouped else member.owner,
        text + (fields(algo_id=f"quoter-{member.account}") if maker else ""),
        PROTECTION.get(member.account, 0),
        PROTECTION_NS,
        fees_bps=FEES_BPS[member.fee_tier],
    )


def obligations(rows: list[Instrument]) -> list[dict[str, str]]:
    """Return the market-making agreements: the same for the affiliate and the first outsider."""
    return [
        {
            "account": name,
            "instrument": row.instrument,
            "max_spread_bps": str(MAX_SPREAD_BPS),
            "min_quantity": str(row.lot_size * FLOOR_LOTS),
            "min_presence_ratio": str(PRESENCE_RATIO),
            "window_s": "3600",
            "valid_from": VALID_FROM,
            "valid_to": "",
        }
        for row in rows
        for name in ("MM1", "XM1")
    ]


def disclosures() -> list[dict[str, str]]:
    """Return what clients were told of the affiliate's treatment: none that others lack."""
    common = {"subject": "MM1", "instrument": "", "valid_from": VALID_FROM, "valid_to": ""}
    said = (
        ("latency", str(GATES["colo"]), "ns", "rack space on the terms of every maker"),
        ("fee", "maker", "tier", "fee tier of every maker"),
        ("fee", str(FEES_BPS["maker"][0]), "maker_bps", "what every maker pays on its quotes"),
        ("fee", str(FEES_BPS["maker"][1]), "taker_bps", "what every maker pays when it takes"),
        ("protection", str(PROTECTION["MM1"]), "lots", "maker protection on every maker's terms"),
    )
    return [
        common | {"kind": kind, "value": value, "unit": unit, "document": f"simulated: {document}"}
        for kind, value, unit, document in said
    ]
