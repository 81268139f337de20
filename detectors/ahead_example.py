"""A held order written out by hand, for the example of trading_ahead."""

from __future__ import annotations

from typing import Any, Final

from detectors.examples import batch_of
from ingest.events import Batch, Kind, OrderType, Role, Side, TimeInForce
from ingest.instruments import Instruments
from ingest.times import MILLI

QUICK: Final = 250
"""Instructions by which what is usual is known."""


def held(instruments: Instruments, *, group_ms: int = 500) -> Batch:
    """Return a batch in which a client's buy is held for 2 s and the group buys meanwhile.

    The group's instruction comes `group_ms` after the client's and is carried out 600 ms after it;
    another client's passes in between; the client then pays two ticks more.
    """
    start = QUICK * 10 * MILLI
    rows = [_new(1, n * 10 * MILLI, n * 10 * MILLI, Role.CLIENT) for n in range(QUICK)]
    rows.append(_new(9, start + group_ms * MILLI, start + 600 * MILLI, Role.AFFILIATED_MM))
    rows.append(_trade(9, QUICK + 1, 100, start + 600 * MILLI, Role.AFFILIATED_MM))
    rows.append(_new(1, start + 700 * MILLI, start + 700 * MILLI, Role.CLIENT))
    rows.append(_new(2, start, start + 2_000 * MILLI, Role.CLIENT))
    rows.append(_trade(2, QUICK + 4, 102, start + 2_000 * MILLI, Role.CLIENT))
    rows.append(_new(1, start + 2_001 * MILLI, start + 2_001 * MILLI, Role.CLIENT))
    return batch_of(rows, instruments)


def _new(account: int, received_ns: int, engine_ns: int, role: Role) -> dict[str, Any]:
    return {
        "kind": Kind.NEW,
        "account": account,
        "role": role,
        "in_complex": role == Role.AFFILIATED_MM,
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "tif": TimeInForce.IOC,
        "quantity": 10,
        "leaves": 10,
        "received_ns": received_ns,
        "engine_ns": engine_ns,
    }


def _trade(buyer: int, incoming: int, price: int, at_ns: int, role: Role) -> dict[str, Any]:
    return {
        "kind": Kind.TRADE,
        "side": Side.BUY,
        "price": price,
        "quantity": 10,
        "incoming_seq": incoming,
        "buy_account": buyer,
        "buy_role": role,
        "buy_complex": role == Role.AFFILIATED_MM,
        "sell_account": 5,
        "sell_role": Role.CLIENT,
        "engine_ns": at_ns,
    }
