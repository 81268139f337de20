"""Exact scaling of decimal strings to integer counts of ticks, lots or fee units; no floats.

A decimal is `[+-]digits[.digits][e[+-]digits]`, in ASCII, with digits on at least one side of the
point. The kernel does what fits int64 and leaves the rest to `scaled`, which is exact for any size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec
import numpy as np

from ingest.compiled import kernel
from ingest.events import NULL, Array
from ingest.records import MAX_DECIMAL_CHARACTERS

OK: Final = 0
NOT_DECIMAL: Final = 1
OFF_GRID: Final = 2
OUT_OF_RANGE: Final = 3
_HARD: Final = 4

_DECIMAL: Final = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?")
_LARGEST: Final = 2**63 - 1
_POWERS: Final = np.array([10**i for i in range(19)], dtype=np.int64)


class Scale(msgspec.Struct, frozen=True):
    """A step of `digits * 10**exponent`; digits are positive and do not end in 0."""

    digits: int
    exponent: int
    rounded: bool = False
    """Round half away from zero to the step, instead of refusing what is off it."""


def scale_of(step: Decimal, *, rounded: bool = False) -> Scale:
    """Return the scale of a positive decimal step.

    >>> scale_of(Decimal("0.50")), scale_of(Decimal("1E+2"))
    (Scale(digits=5, exponent=-1, rounded=False), Scale(digits=1, exponent=2, rounded=False))
    """
    _, figures, exponent = step.as_tuple()
    digits = int("".join(map(str, figures)))
    exponent = int(exponent)
    while digits % 10 == 0:
        digits //= 10
        exponent += 1
    return Scale(digits, exponent, rounded)


def scaled(text: str, scale: Scale) -> tuple[int, int]:  # noqa: PLR0911
    """Return (count of steps, status) of one decimal string; the count is `NULL` unless `OK`.

    >>> scaled("100.50", scale_of(Decimal("0.5"))), scaled("100.3", scale_of(Decimal("0.5")))[1]
    ((201, 0), 2)
    """
    if len(text) > MAX_DECIMAL_CHARACTERS:
        return NULL, OUT_OF_RANGE
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return NULL, NOT_DECIMAL
    sign, whole, fraction, bare, power = match.groups()
    fraction = fraction or bare or ""
    digits = int((whole or "") + fraction)
    if digits == 0:
        return 0, OK
    shift = int(power or 0) - len(fraction) - scale.exponent
    while digits % 10 == 0:
        digits //= 10
        shift += 1
    if shift > len(str(scale.digits)) + 20:
        return NULL, OUT_OF_RANGE
    if shift < 0 and not scale.rounded:
        return NULL, OFF_GRID
    if shift < -MAX_DECIMAL_CHARACTERS - 1:
        return 0, OK
    above, below = digits * 10 ** max(shift, 0), scale.digits * 10 ** max(-shift, 0)
    count, rest = divmod(above, below)
    if rest and not scale.rounded:
        return NULL, OFF_GRID
    count += 2 * rest >= below
    if count > _LARGEST:
        return NULL, OUT_OF_RANGE
    return (-count if sign == "-" else count), OK


class Scales:
    """The steps of every instrument, for one kind of number.

    Parameters
    ----------
    scales : iterable of Scale
        One an instrument, in code order; all of them rounded or none.
    """

    def __init__(self, scales: Iterable[Scale]) -> None:
        self.rows = tuple(scales)
        # A step that the kernel can't do is marked 0: each of its values goes to `scaled`.
        small = [
            scale.digits <= _LARGEST and (scale.digits == 1 or not scale.rounded)
            for scale in self.rows
        ]
        self._digits = np.array(
            [s.digits if ok else 0 for s, ok in zip(self.rows, small, strict=True)], dtype=np.int64
        )
        self._exponents = np.array([scale.exponent for scale in self.rows], dtype=np.int64)
        self._rounded = any(scale.rounded for scale in self.rows)

    def read(
        self, buffer: Array, starts: Array, lengths: Array, instruments: Array
    ) -> tuple[Array, Array]:
        """Return (counts int64, statuses uint8) of decimals that stand in a buffer.

        Where a length is 0 or an instrument code is negative, the count is `NULL`, status `OK`.
        """
        counts = np.full(len(starts), NULL, dtype=np.int64)
        status = np.zeros(len(starts), dtype=np.uint8)
        if not lengths.any():
            return counts, status
        hard = _read(
            buffer,
            starts,
            lengths,
            instruments,
            self._digits,
            self._exponents,
            self._rounded,
            _POWERS,
            counts,
            status,
        )
        for row in np.flatnonzero(status == _HARD).tolist() if hard else ():
            begin = int(starts[row])
            text = buffer[begin : begin + int(lengths[row])].tobytes().decode()
            counts[row], status[row] = scaled(text, self.rows[int(instruments[row])])
        return counts, status


@kernel()
def _one(  # noqa: PLR0911, PLR0917
    buffer: Array, at: int, end: int, step: int, exponent: int, rounded: bool, powers: Array
) -> tuple[int, int]:
    if end - at > MAX_DECIMAL_CHARACTERS:
        return NULL, OUT_OF_RANGE
    negative = buffer[at] == 45
    if negative or buffer[at] == 43:
        at += 1
    digits = 0
    zeros = 0
    figures = 0
    shift = -exponent
    point = False
    some = False
    while at < end:
        byte = buffer[at]
        if 48 <= byte <= 57:
            some = True
            if byte == 48:
                # Zeros count only once a later figure stands behind them.
                zeros += 1
            else:
                if digits != 0:
                    figures += zeros
                figures += 1
                if figures <= 18:
                    if digits != 0:
                        digits *= powers[zeros]
                    digits = digits * 10 + int(byte - 48)
                zeros = 0
            if point:
                shift -= 1
        elif byte == 46 and not point:
            point = True
        else:
            break
        at += 1
    if not some:
        return NULL, NOT_DECIMAL
    if at < end:
        if buffer[at] != 101 and buffer[at] != 69:
            return NULL, NOT_DECIMAL
        at += 1
        down = at < end and buffer[at] == 45
        if at < end and (down or buffer[at] == 43):
            at += 1
        if at == end:
            return NULL, NOT_DECIMAL
        power = 0
        while at < end:
            if not 48 <= buffer[at] <= 57:
                return NULL, NOT_DECIMAL
            # Beyond every exponent that matters; kept small so that it cannot overflow.
            power = min(power * 10 + int(buffer[at] - 48), 1_000_000)
            at += 1
        shift += -power if down else power
    if digits == 0:
        return 0, OK
    shift += zeros
    if figures > 18 or step == 0 or abs(shift) > 100_000:
        return NULL, _HARD
    if shift >= 0:
        if shift > 18 or digits > _LARGEST // powers[shift]:
            return NULL, _HARD
        digits *= powers[shift]
        count = digits // step
        if digits - count * step != 0:
            return NULL, OFF_GRID
    elif not rounded:
        return NULL, OFF_GRID
    elif shift < -18:
        count = 0
    else:
        unit = powers[-shift]
        count = digits // unit
        if 2 * (digits - count * unit) >= unit:
            count += 1
    return (-count if negative else count), OK


@kernel()
def _read(  # noqa: PLR0917
    buffer: Array,
    starts: Array,
    lengths: Array,
    instruments: Array,
    steps: Array,
    exponents: Array,
    rounded: bool,
    powers: Array,
    counts: Array,
    status: Array,
) -> int:
    hard = 0
    for row in range(len(starts)):
        code = instruments[row]
        if lengths[row] == 0 or code < 0:
            continue
        begin = starts[row]
        count, state = _one(
            buffer,
            begin,
            begin + lengths[row],
            steps[code],
            exponents[code],
            rounded,
            powers,
        )
        counts[row] = count
        status[row] = state
        hard += state == _HARD
    return hard
