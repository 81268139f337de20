"""Nanoseconds an event of the decoder, JSON to checked columns, by reader and size of batch.

Run alone (a fresh process): `python -m benchmarks.decode`.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from decimal import Decimal

import msgspec
import numpy as np

from ingest import decimals, hashing
from ingest.decode import Decoder
from ingest.events import Topic
from ingest.instruments import Instrument, Instruments
from ingest.names import Names
from ingest.parse import Parser
from ingest.scan import PADDING, layout, scan

EVENTS = 100_000
SMALL = 50
START_NS = 1_700_000_000 * 10**9


class Timing(msgspec.Struct, frozen=True):
    """Best and median of the repeats, ns an event."""

    what: str
    best_ns: float
    median_ns: float


def table() -> Instruments:
    return Instruments(
        [
            Instrument(
                instrument=name,
                base=name[:3],
                quote="USD",
                kind="spot",
                tick_size=Decimal("0.01"),
                lot_size=Decimal("0.0001"),
            )
            for name in ("BTC-USD", "ETH-USD")
        ]
    )


def orders(count: int, seed: int = 7) -> list[bytes]:
    """Return order records as a venue would write them: about 340 bytes, half of them cancels."""
    draw = random.Random(seed)
    values = []
    for place in range(count):
        at = START_NS + place * 9_000_000
        record = {
            "v": 1,
            "instrument": draw.choice(("BTC-USD", "ETH-USD")),
            "seq": place + 1,
            "action": draw.choice(("new", "cancel", "cancel", "new", "replace")),
            "order_id": f"O-{draw.getrandbits(48):012x}",
            "account": f"C{draw.randrange(500):04d}",
            "side": draw.choice(("buy", "sell")),
            "type": "limit",
            "tif": draw.choice(("GTC", "GTC", "POST_ONLY", "IOC")),
            "price": f"{draw.randrange(3_000_000, 3_100_000) / 100:.2f}",
            "stop_price": None,
            "quantity": f"{draw.randrange(1, 50_000) / 10_000:.4f}",
            "leaves": "0.1000",
            "received_ns": at,
            "engine_ns": at + draw.randrange(50_000, 400_000),
            "session": f"S{draw.randrange(40)}",
            "source": draw.choice(("api", "gui")),
        }
        values.append(msgspec.json.encode(record))
    return values


def repeated(what: str, events: int, work: Callable[[], object], repeats: int = 9) -> Timing:
    """Return timings of some work on `events` events, after one run that compiles."""
    work()
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter_ns()
        work()
        taken.append((time.perf_counter_ns() - begin) / events)
    return Timing(what, min(taken), statistics.median(taken))


def measure() -> list[Timing]:
    """Return what the whole decoder costs, and where the time of big batches goes."""
    values = orders(EVENTS)
    offsets = np.arange(EVENTS)
    decoder = Decoder(table(), Names())

    def cut(size: int) -> None:
        for first in range(0, EVENTS // 10 if size < 1000 else EVENTS, size):
            decoder.decode(
                Topic.ORDERS, values[first : first + size], 0, offsets[first : first + size]
            )

    fields = layout(Topic.ORDERS)
    joined = b"\n".join([*values, PADDING])
    parsed = Parser(Topic.ORDERS).parse(values)
    price = parsed.fields.spans.index("price")
    ids = parsed.fields.spans.index("order_id")
    scales = decimals.Scales(decimals.scale_of(row.tick_size) for row in table().rows)
    codes = np.zeros(EVENTS, dtype=np.int32)
    halves = np.zeros((2, EVENTS), dtype=np.uint64)
    starts, lengths = parsed.starts, parsed.lengths
    return [
        repeated("decode, one batch of 100,000 (Polars)", EVENTS, lambda: cut(EVENTS)),
        repeated("decode, batches of 1,000 (Polars)", EVENTS, lambda: cut(1000)),
        repeated(f"decode, batches of {SMALL} (msgspec)", EVENTS // 10, lambda: cut(SMALL)),
        repeated("of the big batch: scan", EVENTS, lambda: scan(values, joined, fields)),
        repeated(
            "of the big batch: scan and Polars",
            EVENTS,
            lambda: Parser(Topic.ORDERS).parse(values),
        ),
        repeated(
            "of the big batch: one decimal field",
            EVENTS,
            lambda: scales.read(parsed.buffer, starts[price], lengths[price], codes),
        ),
        repeated(
            "of the big batch: one id field",
            EVENTS,
            lambda: hashing.hash_spans(parsed.buffer, starts[ids], lengths[ids], *halves),
        ),
    ]


def crossover() -> list[tuple[int, float, float]]:
    """Return (messages, msgspec us a call, Polars us a call) around the size where they meet."""
    values = orders(1600)
    found = []
    for size in (50, 100, 200, 300, 400, 600, 800, 1600):
        few, many = (Parser(Topic.ORDERS, crossover=at) for at in (10**9, 0))
        part = values[:size]
        found.append(
            (
                size,
                repeated("", 1000, lambda few=few, part=part: few.parse(part), 15).median_ns,
                repeated("", 1000, lambda many=many, part=part: many.parse(part), 15).median_ns,
            )
        )
    return found


if __name__ == "__main__":
    for timing in measure():
        print(f"{timing.what:45s} best {timing.best_ns:8.0f} median {timing.median_ns:8.0f} ns")
    for size, few, many in crossover():
        print(f"{size:5d} messages: msgspec {few:7.0f} us, Polars {many:7.0f} us")
