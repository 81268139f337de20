from __future__ import annotations

import mmh3
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.hashing import hash_id, hash_spans

MASK = 2**64 - 1


def halves(data: bytes) -> tuple[int, int]:
    high, low = mmh3.hash64(data, seed=0, x64arch=True, signed=False)
    return high & MASK, low & MASK


@settings(deadline=None)
@given(st.lists(st.binary(max_size=70), min_size=1, max_size=20))
def test_hashes_of_spans_are_murmur3_x64_128(ids: list[bytes]) -> None:
    buffer = np.frombuffer(b"".join(ids) + b"\0", dtype=np.uint8)
    lengths = np.array([len(i) for i in ids], dtype=np.int32)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
    high, low = np.zeros(len(ids), np.uint64), np.zeros(len(ids), np.uint64)
    hash_spans(buffer, starts, lengths, high, low)
    assert list(zip(high.tolist(), low.tolist(), strict=True)) == [halves(i) for i in ids]


@pytest.mark.parametrize("length", range(40))
def test_every_tail_length_agrees_with_the_reference(length: int) -> None:
    name = "order-0123456789-abcdefghijklmnopqrstuvwxyz"[:length]
    assert hash_id(name) == halves(name.encode())


def test_an_id_beyond_ascii_is_hashed_as_its_utf8_bytes() -> None:
    assert hash_id("訂單7") == halves("訂單7".encode())
    assert hash_id("訂單7") != hash_id("訂單8")
