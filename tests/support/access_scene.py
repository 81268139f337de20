"""Scenes of unequal_access: makers' instructions and trades by hand, and what is found in them."""

from __future__ import annotations

import random

from detectors.access_examples import with_terms
from detectors.access_params import UnequalAccessParams
from detectors.examples import batch_of, example_instruments
from detectors.unequal_access import UnequalAccess
from ingest.events import Kind, OrderType, Phase, Role, Side, TimeInForce
from tests.support.vectors import batches

SECOND, MS, US = 10**9, 10**6, 10**3
START = 1_763_900_100 * SECOND
"""A full five minutes."""
TABLE = example_instruments()
MM, X1, X2, X3, AFF, C1, C2, C3 = 1, 2, 3, 4, 5, 11, 12, 13
ROLES = {MM: Role.AFFILIATED_MM, X1: Role.EXTERNAL_MM, X2: Role.EXTERNAL_MM, X3: Role.EXTERNAL_MM,
         AFF: Role.AFFILIATED}  # fmt: skip
PARAMS = UnequalAccessParams()


class Scene:
    """Rows of one instrument, as the book hands them on, from a full five minutes on."""

    def __init__(self, roles=ROLES):
        self.rows, self.now_ns, self.roles, self.ids = [], START, roles, 0
        self.rng = random.Random(5)

    def wait(self, ms):
        self.now_ns += int(ms * MS)

    def act(self, account, kind=Kind.NEW, *, wait_us=12, fresh=True, **columns):
        """Have an account's instruction reach the engine after a wait; return its id."""
        if fresh:
            self.ids += 1
        role = self.roles.get(account, Role.CLIENT)
        row = {
            "kind": kind, "engine_ns": self.now_ns, "account": account, "role": role,
            "in_complex": int(role in (Role.AFFILIATED_MM, Role.AFFILIATED)),
            "received_ns": self.now_ns - int(wait_us * US), "side": Side.BUY, "price": 100,
            "quantity": 10, "leaves": 10, "type": OrderType.LIMIT, "tif": TimeInForce.GTC,
            "order_lo": self.ids, "best_bid": 100, "best_ask": 104, "fee_tier": 9,
        }  # fmt: skip
        self.rows.append({**row, **columns})
        return row["order_lo"]

    def engine(self, account, kind, reason, **columns):
        """Have the engine act by itself on an account's order."""
        self.act(account, kind, reason=reason, **{"received_ns": -(2**63), **columns})

    def trade(self, buyer, seller, lots=10, *, aggressor=Side.BUY, **columns):
        """Have two accounts trade."""
        roles = {"buy": self.roles.get(buyer, Role.CLIENT)}
        roles["sell"] = self.roles.get(seller, Role.CLIENT)
        self.rows.append(
            {
                "kind": Kind.TRADE, "engine_ns": self.now_ns, "side": aggressor, "price": 100,
                "quantity": lots, "buy_account": buyer, "sell_account": seller,
                "buy_role": roles["buy"], "sell_role": roles["sell"], **columns,
            }
        )  # fmt: skip

    def races(self, waits_us, count=60, *, apart_ms=10, every_ms=1_000, kind=Kind.NEW, **columns):
        """Have accounts give an instruction each, in an order of chance, round by round."""
        for _ in range(count):
            for account in self.rng.sample(sorted(waits_us), len(waits_us)):
                wait_us = waits_us[account]
                noise = self.rng.uniform(8, 16)
                self.act(account, kind, wait_us=wait_us() if callable(wait_us) else wait_us + noise,
                         **columns)  # fmt: skip
                self.wait(apart_ms)
            self.wait(every_ms)
        return self

    def found(self, *disclosures, size=None, until_s=300, params=PARAMS):
        """Let the tests fall due; return findings over the feed cut every `size` rows."""
        ends_ns = START + until_s * SECOND
        assert self.now_ns < ends_ns
        rows = [*self.rows, {"kind": Kind.STATUS, "engine_ns": ends_ns, "phase": Phase.CONTINUOUS}]
        batch = with_terms(batch_of(rows, TABLE), *disclosures)
        detector = UnequalAccess(params, TABLE)
        return [f for part in batches(batch, size) for f in detector.step(part)]


def way_of(finding):
    return finding.features["way"].value
