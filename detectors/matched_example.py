"""A small enriched batch on which two accounts' orders meet, for the example of matched_orders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from detectors.examples import batch_of
from ingest.events import Batch, Kind, OrderType, Side, TimeInForce
from ingest.instruments import Instruments
from ingest.times import MILLI

Rows = list[dict[str, Any]]
PAUSE_NS: Final = 5_000 * MILLI
CROWD: Final = 24
"""Accounts from 100 on that trade with each other, each with sizes of its own."""


def meeting(rested: int, took: int, lots: int, taken: int | None = None, **of: Any) -> Rows:
    """Return an order that betters the best bid, one that takes it, and their trade.

    `of` are columns of the trade, and: `gap_ns` between the orders, `at_ns` of the first, `seq` of
    the first, `price` of it.
    """
    at_ns, seq = of.pop("at_ns", 0), of.pop("seq")
    gap_ns, price = of.pop("gap_ns", 50 * MILLI), of.pop("price", 102)
    taken = lots if taken is None else taken
    touch = {"best_bid": 100, "best_ask": 105}
    order: dict[str, Any] = {"kind": Kind.NEW, "type": OrderType.LIMIT, "tif": TimeInForce.GTC}
    first = {**order, **touch, "account": rested, "side": Side.BUY, "price": price, "seq": seq}
    first |= {"quantity": lots, "leaves": lots, "engine_ns": at_ns}
    found = {"best_bid": price, "best_ask": 105, "bid_lots": lots, "ask_lots": 7}
    second = {**order, **found, "account": took, "side": Side.SELL, "price": price, "seq": seq + 1}
    second |= {"quantity": taken, "leaves": taken, "engine_ns": at_ns + gap_ns}
    trade = {**found, "kind": Kind.TRADE, "side": Side.SELL, "price": price, "seq": seq + 2}
    trade |= {"quantity": min(lots, taken), "engine_ns": at_ns + gap_ns, "incoming_seq": seq + 1}
    trade |= {"entry_seq": seq, "lifetime_ns": gap_ns, "leaves_before": lots}
    trade |= {"buy_account": rested, "sell_account": took, "buy_owner": rested, "sell_owner": took}
    return [first, second, {**trade, **of}]


def crowd(turn: int) -> tuple[int, int, int, int]:
    """Return who rests, who takes, and the lots of both, of a meeting that nobody arranged."""
    rested, took = 100 + turn % CROWD, 100 + (turn * 7 + turn // CROWD + 1) % CROWD
    took += took == rested
    return rested, took, 1_000 + 61 * (turn * 5 % 97), 1_000 + 61 * (turn * 11 % 89) + 30


def played(turns: Iterable[tuple[int, ...]], **of: Any) -> Rows:
    """Return the rows of meetings, one after the other: who rested, who took, and their lots."""
    rows: Rows = []
    for place, turn in enumerate(turns):
        rows += meeting(*turn, seq=1 + 3 * place, at_ns=place * PAUSE_NS, **of)
    return rows


def arranged(instruments: Instruments, *, meetings: int = 8, like: bool = True) -> Batch:
    """Return a batch in which 1 and 2 meet among a crowd, their sizes alike or not."""
    turns: list[tuple[int, ...]] = []
    for turn in range(40 * meetings):
        turns.append(crowd(turn))
        if turn % 40 == 39:
            lots = 700 + 137 * (turn % 11)
            turns.append((1, 2, lots, lots + 3 if like else 2 * lots))
    return batch_of(played(turns), instruments)
