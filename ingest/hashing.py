"""128-bit hashes of order and trade ids: MurmurHash3 x64 128, seed 0.

In kernels an id is two uint64; (0, 0) is an absent id, and the hash of no bytes is (0, 0) too.
Public-domain algorithm by Austin Appleby. Not a defence against a venue that crafts two ids to
collide: the raw records, not the hashes, are evidence.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import uint64

from ingest.compiled import kernel
from ingest.events import Array

_C1: Final = np.uint64(0x87C37B91114253D5)
_C2: Final = np.uint64(0x4CF5AD432745937F)
_M1: Final = np.uint64(0xFF51AFD7ED558CCD)
_M2: Final = np.uint64(0xC4CEB9FE1A85EC53)


@kernel(inline="always")
def _rotate(x: np.uint64, r: int) -> np.uint64:
    return (x << uint64(r)) | (x >> uint64(64 - r))


@kernel(inline="always")
def _avalanche(k: np.uint64) -> np.uint64:
    k = (k ^ (k >> uint64(33))) * _M1
    k = (k ^ (k >> uint64(33))) * _M2
    return k ^ (k >> uint64(33))


@kernel(inline="always")
def _word(buffer: Array, at: int, count: int) -> np.uint64:
    word = uint64(0)
    for i in range(count):
        word |= uint64(buffer[at + i]) << uint64(8 * i)
    return word


@kernel(inline="always")
def _first(k: np.uint64) -> np.uint64:
    return _rotate(k * _C1, 31) * _C2


@kernel(inline="always")
def _second(k: np.uint64) -> np.uint64:
    return _rotate(k * _C2, 33) * _C1


@kernel()
def hash_spans(buffer: Array, starts: Array, lengths: Array, high: Array, low: Array) -> None:
    """Write the hash of each span of a buffer; a span of length 0 hashes to (0, 0).

    Parameters
    ----------
    buffer : uint8 array
    starts : int64 array
        Where each span begins.
    lengths : int32 array
        Bytes of each span.
    high, low : uint64 array
        Written to: first and second half of the digest.
    """
    for row in range(len(starts)):
        length = lengths[row]
        at = starts[row]
        h1 = uint64(0)
        h2 = uint64(0)
        end = at + length - length % 16
        while at < end:
            h1 ^= _first(_word(buffer, at, 8))
            h1 = (_rotate(h1, 27) + h2) * uint64(5) + uint64(0x52DCE729)
            h2 ^= _second(_word(buffer, at + 8, 8))
            h2 = (_rotate(h2, 31) + h1) * uint64(5) + uint64(0x38495AB5)
            at += 16
        tail = length % 16
        if tail > 8:
            h2 ^= _second(_word(buffer, at + 8, tail - 8))
        if tail > 0:
            h1 ^= _first(_word(buffer, at, min(tail, 8)))
        h1 ^= uint64(length)
        h2 ^= uint64(length)
        h1 += h2
        h2 += h1
        h1 = _avalanche(h1)
        h2 = _avalanche(h2)
        h1 += h2
        h2 += h1
        high[row] = h1
        low[row] = h2


def hash_id(name: str) -> tuple[int, int]:
    """Return the two halves of one id's hash.

    >>> hash_id("") == (0, 0), hash_id("O-1") == hash_id("O-2")
    (True, False)
    """
    data = np.frombuffer(name.encode() or b"\0", dtype=np.uint8)
    high, low = np.zeros(1, np.uint64), np.zeros(1, np.uint64)
    length = np.array([len(name.encode())], dtype=np.int32)
    hash_spans(data, np.zeros(1, np.int64), length, high, low)
    return int(high[0]), int(low[0])
