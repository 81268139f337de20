"""Random instructions to the product's matching engine, and its books read back from the wire."""

from __future__ import annotations

import json
import random
from decimal import Decimal

from ingest.instruments import Instrument
from market.engine import Engine
from market.orders import BUY, SELL, Account

ROLES = {
    "MM1": "affiliated_mm",
    "H1": "house",
    "X1": "external_mm",
    "C1": "client",
    "C2": "client",
    "C3": "client",
}
OWNERS = {name: f"O-{name}" for name in ROLES} | {"C3": "O-C2", "MM1": "G", "H1": "G"}


def accounts(**changed):
    return {
        name: Account(name, role, OWNERS[name], **changed.get(name, {}))
        for name, role in ROLES.items()
    }


def instrument(matching="price_time", name="SIM-USD"):
    return Instrument(
        instrument=name,
        base="SIM",
        quote="USD",
        kind="spot",
        tick_size=Decimal("0.5"),
        lot_size=Decimal("0.001"),
        matching=matching,
    )


def register():
    return [
        {"account": name, "owner": OWNERS[name], "legal_entity": name, "role": role}
        | {"valid_from": "2020-01-01T00:00:00Z", "valid_to": ""}
        for name, role in ROLES.items()
    ]


class Desk:
    """An engine with its records and a clock that a test moves by hand."""

    def __init__(self, matching="price_time", prevention="cancel_resting", **changed):
        self.lines = []
        self.accounts = accounts(**changed)
        self.engine = Engine(
            instrument(matching), self.lines.append, self.lines.append, prevention=prevention
        )
        self.now = 1_763_900_000_000_000_000

    @property
    def records(self):
        return [json.loads(line) for line in self.lines]

    def told(self):
        """Return, record by record, the action (or `trade`) and the order it names."""
        return [
            ("trade", r["buy_order_id"], r["sell_order_id"])
            if "trade_id" in r
            else (r["action"], r.get("order_id"))
            for r in self.records
        ]

    def send(self, account, side, quantity, price=None, **options):
        self.now += 1_000
        return self.engine.new(
            self.accounts[account],
            side,
            quantity,
            price,
            now_ns=self.now,
            received_ns=self.now - 500,
            **options,
        )


def drive(seed, steps, matching, prevention):
    """Return a desk after random instructions of every kind in every phase."""
    rng = random.Random(seed)
    shield = {"protection_lots": 12, "protection_ns": 50_000}
    desk = Desk(matching, prevention, X1=shield, MM1=shield)
    engine = desk.engine
    for _ in range(steps):
        draw, live = rng.random(), list(engine.live_orders())
        options = {"now_ns": desk.now + 1_000, "received_ns": desk.now}
        if draw < 0.02:
            phases = ("auction", "halt", "cancel_only", "maintenance", "continuous")
            phase = "continuous" if rng.random() < 0.6 else rng.choice(phases)
            engine.set_phase(phase, now_ns=options["now_ns"])
        elif draw < 0.025:
            engine.restate(now_ns=options["now_ns"])
        elif draw < 0.03:
            engine.end_day(now_ns=options["now_ns"])
        elif draw < 0.04:
            reason = rng.choice(("disconnect", "kill"))
            engine.cancel_all(rng.choice(list(ROLES)), now_ns=options["now_ns"], reason=reason)
        elif live and draw < 0.16:
            engine.cancel(rng.choice(live), **options)
        elif live and draw < 0.34:
            order = rng.choice(live)
            price = None if order.price is None else order.price + rng.choice((-1, 0, 0, 1))
            quantity = max(1, order.quantity + rng.choice((-3, -1, 0, 2)))
            stop = order.stop_price and order.stop_price + rng.choice((-1, 0, 1))
            engine.replace(order, price=price, quantity=quantity, stop_price=stop, **options)
        else:
            side = rng.choice((BUY, SELL))
            price = 100 + rng.choice((-3, -2, -1, 0, 1)) * side
            wanted = {"tif": rng.choice(("GTC", "GTC", "DAY", "IOC", "FOK", "POST_ONLY"))}
            wanted["display"] = rng.choice((None, None, None, 0, 1, 2))
            if draw < 0.44:
                wanted, price = {"type_": "market", "tif": "IOC"}, None
            elif draw < 0.5:
                wanted, price = {"type_": "stop", "stop_price": price}, None
            elif draw < 0.56:
                wanted = {"type_": "stop_limit", "stop_price": price}
            elif draw < 0.66 and live:
                wanted["replaces"] = rng.choice(live)
            desk.send(rng.choice(list(ROLES)), side, rng.randrange(1, 12), price, **wanted)
        desk.now += rng.randrange(1, 20_000)
    return desk


def write_tape(desk, folder):
    """Write a desk's records as a tape, without a README: it is a test's."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, wanted in (("orders", False), ("trades", True)):
        lines = [line for line in desk.lines if ('"trade_id"' in line) == wanted]
        (folder / f"{name}.ndjson").write_text("".join(lines))
    row = desk.engine.instrument
    (folder / "instruments.csv").write_text(
        "instrument,base,quote,kind,tick_size,lot_size,matching\n"
        f"{row.instrument},SIM,USD,spot,0.5,0.001,{row.matching}\n"
    )
    rows = "".join(f"{r['account']},{r['owner']},{r['role']}\n" for r in register())
    (folder / "accounts.csv").write_text("account,owner,role\n" + rows)
    return folder
