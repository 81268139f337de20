"""A structural scan of joined messages: which of them are plain, and where their strings lie.

A message is *plain* when it is one flat JSON object of ASCII or UTF-8 text without escapes, each
key once, each contract field a string, a plain non-negative integer or null as the contract says,
and other fields scalars. On plain messages every JSON reader agrees, so the fast ones may read
them; whatever else arrives is read with care, one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from ingest.events import Array, Topic
from ingest.records import WIRE_FIELDS
from ingest.scan_kernel import GOLDEN, scan_messages

PADDING: Final = b"\n" * 16
"""What must follow the last message: the scan reads words of eight bytes."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of one topic as arrays that the scan can use."""

    topic: Topic
    fields: Sequence[str]
    spans: Sequence[str]
    """Fields of which the scan gives start and length: ids and decimals."""
    integers: Sequence[str]
    words: Sequence[str]
    """Enums and names."""
    slots: Array
    """Shape (256, 3), uint64: first and second eight bytes of a field's name, and its place."""
    mix: np.uint64
    is_integer: Array
    span_rows: Array

    def bit(self, field: str) -> int:
        """Return the bit of a field in a presence mask."""
        return 1 << self.fields.index(field)


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What a scan found, a column a message."""

    buffer: Array
    """The joined bytes, uint8."""
    verdicts: Array
    starts: Array
    """Shape (spans, messages); offset in `buffer`."""
    lengths: Array
    """Shape (spans, messages); bytes; 0 when absent or empty."""
    present: Array
    """Bit set of fields that are neither null nor empty, uint64."""
    seq: Array
    unknown: Array
    """How many fields the contract does not name; of plain messages only."""


def layout(topic: Topic, *, unused: Sequence[str] = ("client_order_id", "actor")) -> Layout:
    """Return the layout of a topic; `unused` fields are checked and not read."""
    fields = WIRE_FIELDS[topic]
    names = list(fields)
    spans = [
        n for form in ("id", "decimal") for n in names if fields[n].form == form and n not in unused
    ]
    mix, slots = _perfect(names)
    return Layout(
        topic=topic,
        fields=names,
        spans=spans,
        integers=[n for n in names if fields[n].form == "integer"],
        words=[n for n in names if fields[n].form in ("enum", "name") and n not in unused],
        slots=slots,
        mix=mix,
        is_integer=np.array([fields[n].form == "integer" for n in names], dtype=np.bool_),
        span_rows=np.array([spans.index(n) if n in spans else -1 for n in names], dtype=np.int64),
    )


def _perfect(names: Sequence[str]) -> tuple[np.uint64, Array]:
    """Return a multiplier that gives each name a slot of its own, and the slots."""
    words = [
        (int.from_bytes(n.encode()[:8], "little"), int.from_bytes(n.encode()[8:16], "little"))
        for n in names
    ]
    for mix in range(GOLDEN, GOLDEN + 20_000, 2):
        slots = [((a ^ (b * GOLDEN % 2**64)) * mix % 2**64) >> 56 for a, b in words]
        if len(set(slots)) == len(slots):
            table = np.zeros((256, 3), dtype=np.uint64)
            for place, (slot, (a, b)) in enumerate(zip(slots, words, strict=True)):
                table[slot] = (a, b, place)
            return np.uint64(mix), table
    raise AssertionError("no multiplier separates the contract's field names")


def scan(values: Sequence[bytes], joined: bytes, fields: Layout) -> Scan:
    """Return the scan of messages.

    `joined` is each of them followed by a newline, and `PADDING`.
    """
    n = len(values)
    ends = np.fromiter(map(len, values), dtype=np.int64, count=n)
    ends += 1
    np.cumsum(ends, out=ends)
    result = Scan(
        buffer=np.frombuffer(joined, dtype=np.uint8),
        verdicts=np.zeros(n, dtype=np.uint8),
        starts=np.zeros((len(fields.spans), n), dtype=np.int64),
        lengths=np.zeros((len(fields.spans), n), dtype=np.int32),
        present=np.zeros(n, dtype=np.uint64),
        seq=np.zeros(n, dtype=np.int64),
        unknown=np.zeros(n, dtype=np.int32),
    )
    scan_messages(
        result.buffer,
        ends,
        fields.slots,
        fields.mix,
        fields.is_integer,
        fields.span_rows,
        fields.fields.index("seq"),
        result.verdicts,
        result.starts,
        result.lengths,
        result.present,
        result.seq,
        result.unknown,
    )
    return result
