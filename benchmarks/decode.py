"""Nanoseconds an event of the decoder, JSON to checked columns, by reader and size of batch.

Part of `make bench`; `python -m benchmarks.decode` also shows where the time of a big batch goes,
and where the two readers meet.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

import msgspec
import numpy as np

from benchmarks.job import Job
from benchmarks.timing import Timing, repeated
from ingest import decimals, hashing
from ingest.decode import Decoder
from ingest.events import Topic
from ingest.instruments import Instrument, Instruments
from ingest.names import Names
from ingest.parse import Parser
from ingest.scan import PADDING, layout, scan

SMALL = 50
START_NS = 1_700_000_000 * 10**9


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


def measure(job: Job) -> list[Timing]:
    """Return what the whole decoder costs, in big batches and in small ones."""
    values = orders(job.events)
    offsets = np.arange(job.events)
    decoder = Decoder(table(), Names())

    def timing(size: int) -> Timing:
        # Small batches cost much an event: a tenth of them is enough.
        events = job.events if size > SMALL else max(SMALL, job.events // 10)

        def work() -> None:
            for first in range(0, events, size):
                end = min(first + size, events)
                decoder.decode(Topic.ORDERS, values[first:end], 0, offsets[first:end])

        return repeated(
            "decoder", lambda: work, events=events, batch_rows=size, repeats=job.repeats
        )

    return [timing(size) for size in (*job.sizes(), SMALL)]


def stages(events: int = 100_000, repeats: int = 9) -> list[Timing]:
    """Return where the time of a big batch goes."""
    values = orders(events)
    fields = layout(Topic.ORDERS)
    joined = b"\n".join([*values, PADDING])
    parsed = Parser(Topic.ORDERS).parse(values)
    price = parsed.fields.spans.index("price")
    ids = parsed.fields.spans.index("order_id")
    scales = decimals.Scales(decimals.scale_of(row.tick_size) for row in table().rows)
    codes = np.zeros(events, dtype=np.int32)
    halves = np.zeros((2, events), dtype=np.uint64)
    starts, lengths = parsed.starts, parsed.lengths
    work: dict[str, Callable[[], object]] = {
        "scan": lambda: scan(values, joined, fields),
        "scan and Polars": lambda: Parser(Topic.ORDERS).parse(values),
        "one decimal field": lambda: scales.read(
            parsed.buffer, starts[price], lengths[price], codes
        ),
        "one id field": lambda: hashing.hash_spans(
            parsed.buffer, starts[ids], lengths[ids], *halves
        ),
    }
    return [
        repeated(name, lambda do=do: do, events=events, batch_rows=events, repeats=repeats)
        for name, do in work.items()
    ]


def crossover() -> list[tuple[int, float, float]]:
    """Return (messages, msgspec us a call, Polars us a call) around the size where they meet."""
    values = orders(1600)
    found = []
    for size in (50, 100, 200, 300, 400, 600, 800, 1600):
        part = values[:size]
        micros = []
        for at in (10**9, 0):
            parser = Parser(Topic.ORDERS, crossover=at)
            timing = repeated(
                "",
                lambda parser=parser, part=part: lambda: parser.parse(part),
                events=size,
                batch_rows=size,
                repeats=15,
            )
            micros.append(timing.median_ns * size / 1000)
        found.append((size, micros[0], micros[1]))
    return found


if __name__ == "__main__":
    for stage in stages():
        print(f"of a big batch: {stage.part:20s} best {stage.best_ns:6.0f} ns an event")
    for size, few, many in crossover():
        print(f"{size:5d} messages: msgspec {few:7.0f} us, Polars {many:7.0f} us")
