"""Hand-written signs of instruments in which size went soon after fills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from detectors.examples import batch_of, example_instruments
from ingest.events import Batch
from ingest.instruments import Instruments
from ingest.signs import Measure, Rate, Sign, Surprise
from ingest.times import SECOND

START_NS: Final = 1_763_942_400 * SECOND
"""Midnight."""


def sign(instrument: str, cycles: int, at_s: int, **changes: Any) -> Sign:
    """Return what spoofing would say of an instrument at its latest of so many large cycles."""
    at_ns = START_NS + at_s * SECOND
    seen = Measure(
        grade=2, cases=cycles, expected=0.25,
        legs=(
            Rate(name="as_many", cases=cycles, others=0, share=0.2),
            Surprise(name="as_soon", tests=cycles, most=1.0, nats=2.5 * cycles),
        ),
    )  # fmt: skip
    fields: dict[str, Any] = {
        "detector": "spoofing", "scenario": "spoofing", "instrument": instrument,
        "clock_ns": at_ns, "measures": (seen,), "grade": 2, "told": False, "incomplete": False,
        "begin_ns": at_ns - 5 * SECOND, "end_ns": at_ns - SECOND, "accounts": (1,),
        "seqs": (10 * at_s, 10 * at_s + 1),
    }  # fmt: skip
    return Sign(**fields | changes)


def fed(signs: Sequence[Sign], instruments: Instruments, until_s: int) -> Batch:
    """Return a batch of signs with its watermark so many seconds after midnight."""
    batch = batch_of([], instruments)
    batch.signs = tuple(signs)
    batch.watermark_ns = START_NS + until_s * SECOND
    return batch


def layered_in(cycles: Sequence[int]) -> tuple[Batch, Instruments]:
    """Return the signs of so many large cycles an instrument, and ten instruments."""
    names = [f"{letter}-USD" for letter in "ABCDEFGHIJ"]
    instruments = example_instruments(names)
    signs = [
        sign(names[place], nth, 60 * nth + place)
        for place, many in enumerate(cycles)
        for nth in range(1, many + 1)
    ]
    return fed(signs, instruments, 3_600), instruments
