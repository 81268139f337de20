"""The product's book and the reference, side by side; and tapes with faults to try them on."""

from __future__ import annotations

import random

import numpy as np

from detectors.book import Books
from ingest.events import BOOK, NO_CODE, NULL, PASSED_OVER, Batch, Kind, Reason
from tests.support.reference_book import ReferenceBooks
from tests.support.vectors import batches, to_batch
from tests.support.venue import START_NS, Venue, instruments_of


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
    changed["quantity"][at] += rng.choice([-2, 1, 10], len(at))
    np.maximum(changed["quantity"], 1, out=changed["quantity"], where=changed["kind"] == Kind.TRADE)
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
    # Whoever comes next in the table, of one side or of both: not who entered the order.
    for sides in (("buy",), ("sell",), ("buy", "sell")):
        at = some(Kind.TRADE)
        for side in sides:
            whose = changed[f"{side}_account"]
            whose[at] = np.maximum(whose[at], 0) + 1
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


def half_ids(batch: Batch) -> Batch:
    """Return a batch in which a third of the ids has a zero upper half, a third a zero lower."""
    changed = {}
    for name in ("order", "replaces", "busts", "buy", "sell", "trade"):
        hi, lo = batch[f"{name}_hi"], batch[f"{name}_lo"]
        third = (hi ^ lo) % 3
        changed[f"{name}_hi"] = np.where(third == 0, 0, hi).astype(np.uint64)
        changed[f"{name}_lo"] = np.where(third == 1, 0, lo).astype(np.uint64)
    return batch.with_columns(changed)


def crowded(seed: int, events: int, instruments: int = 2) -> Batch:
    """Return a tape (simulated) of a few accounts at a few prices, cheated by the engine.

    Everything that `passed_over` and coverage turn on is frequent: hidden and shown orders of
    clients, of one owner, of unknown accounts and of the group at one price, sweeps over several of
    them, trades of one order in pieces, small books that a gap is dispelled from by attrition.
    """
    rng = random.Random(seed)
    roles = {"C0": "client", "C1": "client", "C2": "client", "X1": "external_mm"}
    roles |= {"MM1": "affiliated_mm", "H1": "house", "S1": "staff", "A1": "affiliated"}
    owners = {name: "O1" if name in ("C1", "C2") else f"O-{name}" for name in roles}
    rows = [
        {"instrument": f"SIM{i}-USD", "base": "SIM", "quote": "USD", "kind": "spot"}
        | {"tick_size": "1", "lot_size": "1"}
        for i in range(instruments)
    ]
    everyone = [*roles, "GHOST1", "GHOST2"]
    venue = Venue(rows, roles, owners, stp="off", start_ns=START_NS)
    while len(venue.records) < events:
        name = rng.choice(rows)["instrument"]
        book = venue.books[name]
        venue.now_ns += rng.randrange(1_000)
        venue.stp = rng.choice(("off", "off", "cancel_resting", "cancel_incoming", "decrement"))
        venue.favoured = rng.choice((None, "MM1", "H1", "GHOST1"))
        draw = rng.random()
        ids = list(book.orders)
        if draw < 0.02:
            phases = ("auction", "halt") if book.phase == "continuous" else ("continuous",)
            venue.status(name, rng.choice(phases) if rng.random() < 0.5 else "continuous")
        elif draw < 0.025:
            venue.lose(name, rng.randrange(1, 4))
        elif draw < 0.03:
            venue.restate(name)
        elif ids and draw < 0.1:
            for id_ in rng.sample(ids, min(len(ids), rng.randrange(1, 4))):
                venue.cancel(name, id_)
        elif ids and draw < 0.2:
            order = book.orders[rng.choice(ids)]
            price = None if order.price is None else order.price + rng.choice((-1, 0, 1))
            quantity = max(1, order.quantity + rng.choice((-2, -1, 0, 3)))
            venue.replace(name, order.id, price=price, quantity=quantity)
        else:
            side = rng.choice(("buy", "sell"))
            price = 10 + rng.choice((-2, -1, 0)) * (1 if side == "buy" else -1)
            options = {"tif": "GTC", "display": rng.choice((None, None, None, 0, 1, 2))}
            size = rng.randrange(1, 6)
            if draw < 0.4:
                size, price = rng.randrange(2, 15), 10 + rng.choice((-2, -1, 0, 1, 2))
                options["tif"] = rng.choice(("IOC", "GTC", "FOK", "POST_ONLY"))
            if draw < 0.23:
                options["kind"], price = "market", None
            elif draw > 0.95:
                options |= {"kind": "stop", "stop_price": price}
                price = None
            elif draw > 0.9:
                options |= {"kind": "stop_limit", "stop_price": price}
            elif draw > 0.85 and ids:
                options["replaces"] = rng.choice(ids)
            received = venue.now_ns - rng.randrange(1_000) if rng.random() < 0.9 else None
            account = rng.choice(everyone)
            venue.new(name, account, side, size, price, received_ns=received, **options)
    accounts = [{"account": a, "owner": owners[a], "role": roles[a]} for a in roles]
    return to_batch(_in_pieces(venue.records, rng), instruments_of(rows), accounts)


def queues(seed: int, rounds: int) -> Batch:
    """Return a tape (simulated) of long queues at one price, the group's orders filled before them.

    Longer than the bound on rows of `passed_over`; many orders reach the gateway at one time.
    """
    rng = random.Random(seed)
    roles = {"C0": "client", "C1": "client", "X1": "external_mm", "MM1": "affiliated_mm"}
    owners = {name: f"O-{name}" for name in roles}
    row = {"instrument": "SIM0-USD", "base": "SIM", "quote": "USD", "kind": "spot"}
    row |= {"tick_size": "1", "lot_size": "1"}
    venue = Venue([row], roles, owners, stp="off", start_ns=START_NS)
    for _ in range(rounds):
        side, taker = rng.choice((("buy", "sell"), ("sell", "buy")))
        venue.favoured = rng.choice(("MM1", "GHOST1"))
        others = rng.choice((("C0", "X1"), ("C0", "GHOST2"), ("C0", "GHOST2", "GHOST2", "GHOST2")))
        for _ in range(rng.randrange(2, 60)):
            venue.now_ns += rng.randrange(2)
            account = venue.favoured if rng.random() < 0.1 else rng.choice(others)
            received = venue.now_ns - rng.randrange(4)
            options = {"display": rng.choice((None, None, 1))}
            size = rng.randrange(1, 4)
            venue.new("SIM0-USD", account, side, size, 10, received_ns=received, **options)
        venue.new("SIM0-USD", venue.favoured, side, rng.randrange(1, 90), 10)
        venue.new("SIM0-USD", "C1", taker, rng.randrange(1, 60), 10, tif="IOC")
        for id_ in list(venue.books["SIM0-USD"].orders):
            venue.cancel("SIM0-USD", id_)
    accounts = [{"account": a, "owner": owners[a], "role": roles[a]} for a in roles]
    return to_batch(venue.records, instruments_of([row]), accounts)


def _in_pieces(records, rng):
    """Split some trades in two; seq is counted anew, the gaps kept."""
    shift, made = {}, []
    for written in records:
        name = written["instrument"]
        record = written | {"seq": written["seq"] + shift.get(name, 0)}
        made.append(record)
        if "trade_id" in record and int(record["quantity"]) > 1 and rng.random() < 0.2:
            first = rng.randrange(1, int(record["quantity"]))
            rest = {"quantity": str(int(record["quantity"]) - first), "seq": record["seq"] + 1}
            record["quantity"] = str(first)
            made.append(record | rest | {"trade_id": record["trade_id"] + "b"})
            shift[name] = shift.get(name, 0) + 1
    return made
