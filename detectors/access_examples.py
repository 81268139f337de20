"""A hand-written batch for the example of unequal_access: what makers pay."""

from __future__ import annotations

from typing import Any, Final

from detectors.examples import batch_of
from ingest.events import Batch, Kind, OrderType, Role, Side
from ingest.instruments import Instruments
from ingest.registry import ALWAYS, FOREVER
from ingest.terms import Disclosure, Party, Terms
from ingest.times import SECOND

START_NS: Final = 1_763_900_100 * SECOND
"""A full five minutes."""
MAKERS: Final = {1: Role.AFFILIATED_MM, 2: Role.EXTERNAL_MM, 3: Role.EXTERNAL_MM}


def told(
    kind: Any, value: str, unit: str, document: str = "terms of every maker", instrument: str = ""
) -> Disclosure:
    """Return one thing that clients were told of the account `MM`."""
    return Disclosure(
        subject="MM", kind=kind, instrument=instrument, value=value, unit=unit, document=document,
        valid_from_ns=ALWAYS, valid_to_ns=FOREVER,
    )  # fmt: skip


def with_terms(batch: Batch, *disclosures: Disclosure) -> Batch:
    """Return the batch with what clients were told; `MM` is account 1."""
    batch.terms, batch.parties = Terms((), disclosures), {"MM": Party(1, (1,))}
    return batch


def charged(instruments: Instruments, *, bps: float) -> Batch:
    """Return trades in which the affiliate pays so much and others 0.5, as was disclosed."""
    rows: list[dict[str, Any]] = []
    for number in range(12):
        maker = 1 + number % 3
        at_ns = START_NS + number * SECOND
        # 100 ticks of 0.5 and 2,000 lots of 0.001: a notional of 100.
        fee = 100 * 1e-4 * (bps if maker == 1 else 0.5)
        rows += [
            {
                "kind": Kind.NEW, "engine_ns": at_ns, "received_ns": at_ns - 10_000,
                "account": maker, "role": MAKERS[maker], "side": Side.SELL, "price": 100,
                "quantity": 2_000, "type": OrderType.LIMIT, "fee_tier": 9, "order_lo": number,
            },
            {
                "kind": Kind.TRADE, "engine_ns": at_ns + SECOND // 2, "side": Side.BUY,
                "price": 100, "quantity": 2_000, "buy_account": 8, "buy_role": Role.CLIENT,
                "sell_account": maker, "sell_role": MAKERS[maker], "sell_fee": round(fee * 1e9),
            },
        ]  # fmt: skip
    rows.append({"kind": Kind.STATUS, "engine_ns": START_NS + 300 * SECOND})
    return with_terms(batch_of(rows, instruments), told("fee", "0.5", "maker_bps"))
