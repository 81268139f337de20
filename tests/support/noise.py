"""Records drawn at random, with no venue behind them: every state that a book can be driven into.

A handful of ids, prices and accounts, so that unknown, repeated, refilled and colliding orders,
gaps, broken restatements and trades of every kind of pair are all frequent. Simulated.
"""

from __future__ import annotations

import random

import numpy as np

from ingest.events import NO_CODE, NULL, ORDERED, TAGS, WIRE, Batch, Kind, Reason, Role, empty
from tests.support.vectors import instruments_of

_ROLES = (2, 2, 2, 3, 4, 6, 1, 0)
_KINDS = {
    Kind.NEW: 30,
    Kind.REPLACE: 12,
    Kind.CANCEL: 14,
    Kind.REJECT: 2,
    Kind.EXPIRE: 4,
    Kind.TRIGGER: 4,
    Kind.STATUS: 1,
    Kind.BOOK_END: 1,
    Kind.TRADE: 26,
}


class _Draw:
    def __init__(self, seed, ids):
        self.rng = random.Random(seed)
        # Ids that differ in one half only, and halves that are zero.
        halves = [0, 1 << 40, 3, (1 << 63) + 5]
        pool = [(hi, lo) for hi in halves for lo in (0, 7, 9 << 33, 11)][1:]
        extra = [(self.rng.getrandbits(64), self.rng.getrandbits(64)) for _ in range(ids)]
        self.ids = (pool + extra)[:ids] if ids < len(pool) else pool + extra[: ids - len(pool)]
        self.rng.shuffle(self.ids)
        self.incoming = None
        self.run = 0

    def record(self):
        rng = self.rng
        if self.run:
            self.run -= 1
            if self.run and rng.random() < 0.97:
                return self.order(Kind.BOOK)
            if rng.random() < 0.9:
                self.run = 0
                return {"kind": Kind.BOOK_END}
        if rng.random() < 0.012:
            self.run = rng.randrange(2, 7)
            return self.order(Kind.BOOK)
        if self.incoming is not None and rng.random() < 0.55:
            return self.trade(*self.incoming) if rng.random() < 0.8 else self.prevented()
        kind = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        self.incoming = None
        if kind == Kind.TRADE:
            return self.trade(rng.choice(self.ids), rng.choice((1, -1)))
        if kind == Kind.STATUS:
            return {"kind": kind, "phase_to": rng.choice((0, 0, 0, 1, 2, -1))}
        return {"kind": kind} if kind == Kind.BOOK_END else self.order(kind)

    def order(self, kind):
        rng = self.rng
        side, id_ = rng.choice((1, -1)), rng.choice(self.ids)
        crossing = rng.random() < 0.4
        price = 10 + rng.randrange(3) * (side if crossing else -side)
        record = {"kind": kind, "side": side, "price": price, "originator": rng.randrange(4)}
        record |= self.named("order", id_) | self.owned("", rng.randrange(8))
        record["type"] = rng.choices((1, 2, 3, 4, 0), (80, 6, 5, 5, 2))[0]
        record["tif"] = rng.choices((1, 2, 3, 5, 0), (80, 8, 3, 6, 3))[0]
        record["quantity"] = rng.choices((1, 3, 6, 9, NULL), (2, 3, 3, 2, 1))[0]
        record["leaves"] = record["quantity"] if kind in (Kind.NEW, Kind.BOOK) else NULL
        if kind in (Kind.CANCEL, Kind.EXPIRE):
            record["leaves"] = 0
        if rng.random() < 0.25:
            record["leaves"] = rng.choice((NULL, 0, 1, 2, 3, 5))
        if rng.random() < 0.1:
            record["price"] = NULL
        if rng.random() < 0.25:
            record["display"] = rng.choice((0, 1, 2))
        if rng.random() < 0.1:
            record["reason"] = Reason.STP
        if kind == Kind.NEW and rng.random() < 0.1:
            record |= self.named("replaces", rng.choice(self.ids))
        if rng.random() < 0.9:
            record["received_ns"] = rng.randrange(1_000)
        if kind in (Kind.NEW, Kind.REPLACE, Kind.TRIGGER):
            self.incoming = (id_, side)
        return record

    def prevented(self):
        record = self.order(self.rng.choice((Kind.CANCEL, Kind.REPLACE)))
        return record | {"reason": Reason.STP}

    def trade(self, incoming, side):
        rng = self.rng
        self.incoming = (incoming, side)
        own, other = ("buy", "sell") if side == 1 else ("sell", "buy")
        record = {"kind": Kind.TRADE, "side": side, "price": 10 + rng.randrange(-2, 3)}
        record |= {"quantity": rng.choice((1, 1, 2, 3)), "trade_lo": rng.randrange(1, 99)}
        record |= self.owned("buy_", rng.randrange(8)) | self.owned("sell_", rng.randrange(8))
        if rng.random() < 0.93:
            record |= self.named(own, incoming)
        if rng.random() < 0.93:
            record |= self.named(other, rng.choice(self.ids))
        if rng.random() < 0.05:
            record["side"] = 0
        if rng.random() < 0.05:
            record |= self.named("busts", rng.choice(self.ids))
        return record

    def named(self, name, id_):
        return {f"{name}_hi": id_[0], f"{name}_lo": id_[1]}

    def owned(self, prefix, account):
        if self.rng.random() < 0.05:
            return {f"{prefix}account": NO_CODE, f"{prefix}role": Role.NONE}
        # Accounts 1 and 2 share an owner; the last two have none that is known.
        owner = NO_CODE if account > 5 else max(account, 2)
        return {
            f"{prefix}account": account,
            f"{prefix}role": _ROLES[account],
            f"{prefix}owner": owner,
        }


def noise(seed: int, events: int, *, instruments: int = 2, ids: int = 12) -> Batch:
    """Return random records in arrival order; `ids` bounds each book's live orders."""
    rng = np.random.default_rng(seed)
    draws = [_Draw(seed * 100 + code, ids) for code in range(instruments)]
    columns = empty({**WIRE, **TAGS, **ORDERED}, events)
    columns["instrument"] = rng.integers(0, instruments, events).astype(np.int32)
    for row, code in enumerate(columns["instrument"].tolist()):
        for name, value in draws[code].record().items():
            columns[name][row] = value
    columns["engine_ns"] = columns["clock_ns"] = np.cumsum(rng.integers(0, 1_000, events))
    columns["clock_fault"] = (rng.random(events) < 0.01).astype(np.int8)
    for code in range(instruments):
        own = np.flatnonzero(columns["instrument"] == code)
        jumps = 1 + (rng.random(len(own)) < 0.02) * rng.integers(1, 5, len(own))
        # A few start in mid-stream, one in two of these with a restated book.
        columns["seq"][own] = np.cumsum(jumps) + (40 if (seed + code) % 3 == 0 else 0)
    rows = [
        {"instrument": f"SIM{i}-USD", "base": "SIM", "quote": "USD", "kind": "spot"}
        | {"tick_size": "1", "lot_size": "1"}
        for i in range(instruments)
    ]
    return Batch(columns, instruments_of(rows))


def trades_alone(batch: Batch) -> Batch:
    """Return the trades of a batch as a feed without orders would give them: ids absent."""
    batch = batch.take(batch["kind"] == Kind.TRADE)
    ids = [f"{name}_{half}" for name in ("buy", "sell") for half in ("hi", "lo")]
    return batch.with_columns({name: np.zeros(len(batch), dtype=np.uint64) for name in ids})


def churn(seed: int, events: int, live: int) -> Batch:
    """Return orders that come and go at many prices, about `live` at once, never traded."""
    rng = random.Random(seed)
    columns = empty({**WIRE, **TAGS, **ORDERED}, events)
    columns["instrument"][:] = 0
    columns["seq"] = columns["engine_ns"] = np.arange(1, events + 1)
    standing: list[tuple[int, int]] = []
    for row in range(events):
        if standing and rng.random() < len(standing) / (2 * live):
            id_ = standing.pop(rng.randrange(len(standing)))
            record = {"kind": Kind.CANCEL, "leaves": 0}
        else:
            id_ = (rng.getrandbits(64), rng.getrandbits(64))
            standing.append(id_)
            side = rng.choice((1, -1))
            record = {"side": side, "type": 1, "tif": 1, "price": 500 - side * rng.randrange(1, 99)}
            record |= {"quantity": 5, "leaves": 5, "account": 0, "role": 2}
        for name, value in (record | {"order_hi": id_[0], "order_lo": id_[1]}).items():
            columns[name][row] = value
    table = [
        {"instrument": "SIM0-USD", "base": "SIM", "quote": "USD", "kind": "spot"}
        | {"tick_size": "1", "lot_size": "1"}
    ]
    return Batch(columns, instruments_of(table))
