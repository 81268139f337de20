"""The product's book and the reference, side by side; and tapes with faults to try them on."""

from __future__ import annotations

import numpy as np

from detectors.book import Books
from ingest.events import BOOK, NO_CODE, NULL, PASSED_OVER, Batch, Kind, Reason
from tests.support.reference_book import ReferenceBooks
from tests.support.vectors import batches


def disagreement(batch: Batch, *, size=None, restore=(), make=Books) -> str | None:
    """Return the first difference between the two books on a batch in arrival order, or None.

    `restore` holds the numbers of the cuts before which the book is replaced by a new one that
    takes over its snapshot.
    """
    book, reference = make(batch.instruments, capacity=8), ReferenceBooks()
    for number, part in enumerate(batches(batch, size)):
        if number in restore:
            saved = book.snapshot()
            book = make(batch.instruments, capacity=8)
            book.restore(saved)
        got = book.apply(part)
        rows, passed = reference.apply(part)
        for name in BOOK:
            want = np.array([row[name] for row in rows], dtype=BOOK[name].dtype)
            wrong = np.flatnonzero(got[name] != want)
            if len(wrong):
                at = int(wrong[0])
                kind = Kind(int(part["kind"][at])).name
                where = f"{kind} of {part['instrument'][at]} at seq {part['seq'][at]}"
                return f"{name} of {where}: {got[name][at]}, reference {want[at]}"
        for name, column in PASSED_OVER.items():
            want = np.array([row[name] for row in passed], dtype=column.dtype)
            have = got.passed_over[name]
            if have.dtype != want.dtype or have.tolist() != want.tolist():
                return f"passed_over.{name}: {have.tolist()}, reference {want.tolist()}"
        live = sum(len(one.orders) for one in reference.books.values())
        if len(book) != live:
            return f"{len(book)} live orders, reference {live}"
    return None


def faulty(batch: Batch, seed: int, rate: float = 0.02) -> Batch:
    """Return a batch in which records are lost, moved, repeated and wrong, seq following on.

    Each instrument's seq is counted anew, but for jumps, so that a fault is a fault of the book.
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(len(batch))
    lost = rng.random(len(rows)) < rate / 2
    rows = rows[~lost]
    for at in np.flatnonzero(rng.random(len(rows) - 1) < rate):
        rows[[at, at + 1]] = rows[[at + 1, at]]
    rows = np.repeat(rows, 1 + (rng.random(len(rows)) < rate / 4))
    batch = batch.take(rows)
    changed = {name: batch[name].copy() for name in batch.names}

    def some(*kinds):
        hit = rng.random(len(rows)) < rate
        return np.flatnonzero(hit & np.isin(changed["kind"], [int(k) for k in kinds]))

    orders = (Kind.NEW, Kind.REPLACE, Kind.CANCEL, Kind.EXPIRE, Kind.TRIGGER, Kind.BOOK)
    at = some(*orders)
    changed["leaves"][at] = rng.choice([NULL, 0, 1, 3, 7], len(at))
    at = some(*orders)
    changed["quantity"][at] = rng.choice([NULL, 1, 5, 20], len(at))
    changed["price"][some(Kind.NEW, Kind.REPLACE, Kind.TRIGGER)] = NULL
    at = some(Kind.NEW, Kind.REPLACE)
    changed["display"][at] = rng.choice([NULL, 0, 1, 4], len(at))
    at = some(Kind.NEW, Kind.REPLACE)
    changed["type"][at] = rng.choice([0, 1, 2, 3, 4], len(at))
    at = some(Kind.NEW, Kind.REPLACE)
    changed["tif"][at] = rng.choice([0, 1, 2, 3, 4, 5], len(at))
    changed["reason"][some(*orders)] = int(Reason.STP)
    changed["side"][some(Kind.TRADE)] = 0
    at = some(Kind.TRADE)
    changed["quantity"][at] += rng.choice([1, 10], len(at))
    for name in ("order", "buy", "sell", "replaces"):
        at = some(*Kind)
        changed[f"{name}_hi"][at] = changed[f"{name}_lo"][at] = 0
    # Another live id: what was said of one order is said of the one before it.
    at = some(*orders)
    at = at[at > 0]
    for half in ("order_hi", "order_lo"):
        changed[half][at] = changed[half][at - 1]
    for name in ("buy_account", "sell_account"):
        changed[name][some(Kind.TRADE)] = NO_CODE
    at = some(*Kind)
    changed["kind"][at] = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 8], len(at))
    at = some(Kind.STATUS)
    changed["phase_to"][at] = rng.choice([-1, 0, 1], len(at))
    changed["clock_fault"] = (rng.random(len(rows)) < rate / 2).astype(np.int8)
    for code in np.unique(changed["instrument"]):
        own = changed["instrument"] == code
        jumps = rng.random(own.sum()) < rate / 10
        changed["seq"][own] = np.cumsum(1 + jumps * 3)
    return batch.with_columns(changed)
