"""The kernel of the structural scan: one pass over the bytes, no allocation a message.

It follows the JSON grammar for flat objects, and gives up (`ODD`) at the first thing that readers
of JSON are known to see differently, or that needs more than one pass.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import uint64

from ingest.compiled import kernel, njit
from ingest.events import Array

ODD: Final = 0
PLAIN: Final = 1
PLAIN_IF_UTF8: Final = 2
"""Plain but for bytes outside ASCII, which the scan does not judge."""

GOLDEN: Final = 0x9E3779B97F4A7C15
_MAX_KEY: Final = 16
_ONES: Final = 0x0101010101010101
_HIGHS: Final = 0x80 * _ONES
_QUOTES: Final = 0x22 * _ONES
_SLASHES: Final = 0x5C * _ONES
_SPACES: Final = 0x20 * _ONES
_MAX_UNKNOWN: Final = 16
_MAX_INTEGER: Final = 2**63 - 1


@kernel(inline="always")
def _skip(buffer: Array, at: int) -> int:
    while buffer[at] == 32 or buffer[at] == 9:
        at += 1
    return at


@kernel(inline="always")
def _load(buffer: Array, at: int) -> np.uint64:
    # One load once compiled; unsigned places spare the test for a negative index.
    place = np.uintp(at)
    word = uint64(0)
    for i in range(8):
        word |= uint64(buffer[place + np.uintp(i)]) << uint64(8 * i)
    return word


@kernel(inline="always")
def _signed(value: np.uint64) -> int:
    # Signed and unsigned together would make a float.
    return np.int64(value)  # type: ignore[return-value]


@kernel(inline="always")
def _text_end(buffer: Array, at: int) -> int:
    """Return where the first quote, backslash, control byte or byte beyond ASCII stands."""
    while True:
        word = _load(buffer, at)
        quote = word ^ uint64(_QUOTES)
        slash = word ^ uint64(_SLASHES)
        # The lowest marked byte is exact; a borrow can only mark bytes above it.
        marks = (quote - uint64(_ONES)) & ~quote
        marks |= (slash - uint64(_ONES)) & ~slash
        marks |= (word - uint64(_SPACES)) & ~word
        marks = (marks | word) & uint64(_HIGHS)
        if marks != uint64(0):
            below = (marks & (~marks + uint64(1))) - uint64(1)
            return at + _signed(((below & uint64(_ONES)) * uint64(_ONES)) >> uint64(56)) - 1
        at += 8


@kernel(inline="always")
def _field(buffer: Array, at: int, end: int, slots: Array, mix: np.uint64) -> int:
    """Return the place of a key among the contract's fields; -1 when it is none."""
    length = end - at
    first = _load(buffer, at)
    second = uint64(0)
    if length < 8:
        first &= (uint64(1) << uint64(8 * length)) - uint64(1)
    elif length > 8:
        second = _load(buffer, at + 8)
        if length < 16:
            second &= (uint64(1) << uint64(8 * length - 64)) - uint64(1)
    slot = ((first ^ (second * uint64(GOLDEN))) * mix) >> uint64(56)
    # A free slot is all zeros, and so is what an empty key is looked up by.
    if not 0 < length <= _MAX_KEY or slots[slot, 0] != first or slots[slot, 1] != second:
        return -1
    return _signed(slots[slot, 2])


@kernel(inline="always")
def _digits(buffer: Array, at: int) -> int:
    while 48 <= buffer[at] <= 57:
        at += 1
    return at


@kernel()
def _literal(buffer: Array, at: int) -> int:
    """Return the end of true, false or null at this place, or -1."""
    first = buffer[at]
    if first == 110:
        ok = buffer[at + 1] == 117 and buffer[at + 2] == 108 and buffer[at + 3] == 108
        return at + 4 if ok else -1
    if first == 116:
        ok = buffer[at + 1] == 114 and buffer[at + 2] == 117 and buffer[at + 3] == 101
        return at + 4 if ok else -1
    if first == 102 and buffer[at + 1] == 97 and buffer[at + 2] == 108:
        return at + 5 if buffer[at + 3] == 115 and buffer[at + 4] == 101 else -1
    return -1


@kernel()
def _number(buffer: Array, at: int) -> int:
    """Return the end of a short decimal number without exponent, or -1."""
    start = at
    if buffer[at] == 45:
        at += 1
    whole = at
    at = _digits(buffer, at)
    if at == whole or (buffer[whole] == 48 and at - whole > 1):
        return -1
    if buffer[at] == 46:
        fraction = at + 1
        at = _digits(buffer, fraction)
        if at == fraction:
            return -1
    return at if at - start <= 18 else -1


# Every message is followed by a newline in the buffer, which ends each loop below: no index is
# read past it.
@kernel()
def _message(  # noqa: PLR0911, PLR0917
    buffer: Array,
    at: int,
    end: int,
    slots: Array,
    mix: np.uint64,
    is_integer: Array,
    span_rows: Array,
    seq_field: int,
    starts: Array,
    lengths: Array,
    present: Array,
    seq: Array,
    unknown: Array,
    others: Array,
    row: int,
) -> int:
    if buffer[at] != 123:
        return ODD
    seen = uint64(0)
    have = uint64(0)
    text = PLAIN
    count = 0
    at = _skip(buffer, at + 1)
    while True:
        if buffer[at] != 34:
            return ODD
        key = at + 1
        at = key
        at = _text_end(buffer, at)
        if buffer[at] != 34:
            return ODD
        field = _field(buffer, key, at, slots, mix)
        if field < 0:
            if count == _MAX_UNKNOWN:
                return ODD
            for other in range(count):
                if _same(buffer, others[other, 0], others[other, 1], key, at):
                    return ODD
            others[count, 0] = key
            others[count, 1] = at
            count += 1
        else:
            bit = uint64(1) << uint64(field)
            if seen & bit:
                return ODD
            seen |= bit
        at = _skip(buffer, at + 1)
        if buffer[at] != 58:
            return ODD
        at = _skip(buffer, at + 1)
        first = buffer[at]
        if first == 34:
            if field >= 0 and is_integer[field]:
                return ODD
            start = at + 1
            at = _text_end(buffer, start)
            while buffer[at] >= 128:
                text = PLAIN_IF_UTF8
                at = _text_end(buffer, at + 1)
            if buffer[at] != 34:
                return ODD
            if field >= 0 and at > start:
                have |= uint64(1) << uint64(field)
                span = span_rows[field]
                if span >= 0:
                    starts[span, row] = start
                    lengths[span, row] = at - start
            at += 1
        elif field >= 0 and is_integer[field] and 48 <= first <= 57:
            start = at
            value = uint64(0)
            while 48 <= buffer[at] <= 57:
                value = value * uint64(10) + uint64(buffer[at] - 48)
                at += 1
            # 19 digits fit uint64, so the comparison sees every overflow.
            if at - start > 19 or value > uint64(_MAX_INTEGER) or (first == 48 and at - start > 1):
                return ODD
            have |= uint64(1) << uint64(field)
            if field == seq_field:
                seq[row] = _signed(value)
        else:
            if field >= 0 and first != 110:
                return ODD
            literal = first in (110, 116, 102)
            at = _literal(buffer, at) if literal else _number(buffer, at)
            if at < 0:
                return ODD
        at = _skip(buffer, at)
        if buffer[at] == 44:
            at = _skip(buffer, at + 1)
            continue
        if buffer[at] != 125:
            return ODD
        at += 1
        break
    while buffer[at] == 32 or buffer[at] == 9 or buffer[at] == 13:
        at += 1
    if at != end:
        return ODD
    unknown[row] = count
    present[row] = have
    return text


@kernel()
def _same(buffer: Array, a: int, a_end: int, b: int, b_end: int) -> bool:
    if a_end - a != b_end - b:
        return False
    different = 0
    for i in range(a_end - a):
        different |= buffer[a + i] ^ buffer[b + i]
    return different == 0


@njit(cache=True)
def scan_messages(  # noqa: PLR0917
    buffer: Array,
    ends: Array,
    slots: Array,
    mix: np.uint64,
    is_integer: Array,
    span_rows: Array,
    seq_field: int,
    verdicts: Array,
    starts: Array,
    lengths: Array,
    present: Array,
    seq: Array,
    unknown: Array,
) -> None:
    """Fill a scan's arrays.

    `ends` are the places after each message's newline, `seq_field` is the place of seq among the
    fields, and the buffer ends in at least 16 newlines.
    """
    others = np.empty((_MAX_UNKNOWN, 2), dtype=np.int64)
    at = 0
    for row in range(len(ends)):
        end = ends[row] - 1
        verdict = _message(
            buffer,
            at,
            end,
            slots,
            mix,
            is_integer,
            span_rows,
            seq_field,
            starts,
            lengths,
            present,
            seq,
            unknown,
            others,
            row,
        )
        if verdict == ODD:
            for span in range(len(starts)):
                lengths[span, row] = 0
        verdicts[row] = verdict
        at = ends[row]
