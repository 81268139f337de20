"""State that survives a restart: named arrays, plain values packed into one, and their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
import numpy as np

from ingest.errors import SnapshotError
from ingest.events import Array

T = TypeVar("T")
Snapshot = Mapping[str, Array]
"""State as named arrays; what a checkpoint keeps of one part."""
Sections = Mapping[str, Snapshot]
"""States of several parts, by name."""
MAGIC: Final = b"ringfence state 2\n"
"""How encoded sections begin."""


def pack(state: Any) -> Array:
    """Return a state of plain values and structs as an array of bytes (MessagePack)."""
    return np.frombuffer(msgspec.msgpack.encode(state), dtype=np.uint8)


def unpack(packed: Array, kind: type[T]) -> T:
    """Return the state that `pack` took.

    Raises
    ------
    SnapshotError
        The bytes do not hold a value of that type.
    """
    try:
        return msgspec.msgpack.decode(packed.tobytes(), type=kind)
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"state does not fit {kind!r}: {error}") from error


def pack_exact(state: Any) -> Array:
    """Return a state whose integers may pass 64 bits (exact sums of money) as bytes of JSON."""
    return np.frombuffer(msgspec.json.encode(state), dtype=np.uint8)


def unpack_exact(packed: Array, kind: type[T]) -> T:
    """Return the state that `pack_exact` took.

    Raises
    ------
    SnapshotError
        The bytes do not hold a value of that type.

    Examples
    --------
    >>> unpack_exact(pack_exact({"notional": 2**70}), dict[str, int])["notional"] == 2**70
    True
    """
    try:
        return msgspec.json.decode(packed.tobytes(), type=kind)
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"state does not fit {kind!r}: {error}") from error


class _Array(msgspec.Struct, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


_Encoded = dict[str, dict[str, _Array]]


def encode(sections: Sections) -> bytes:
    """Return sections as the checksummed bytes of a checkpoint."""
    body = msgspec.msgpack.encode(
        {
            section: {
                name: _Array(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())
                for name, array in arrays.items()
            }
            for section, arrays in sections.items()
        }
    )
    return MAGIC + hashlib.sha256(body).digest() + body


def decode(data: bytes, name: str) -> Sections:
    """Return the sections that `encode` took.

    Raises
    ------
    SnapshotError
        Another format, a checksum that does not match, or a truncated file; `name` is in it.
    """
    if not data.startswith(MAGIC):
        raise SnapshotError(f"{name}: expected a file that begins {MAGIC!r}, found {data[:24]!r}")
    digest, body = data[len(MAGIC) : len(MAGIC) + 32], data[len(MAGIC) + 32 :]
    if hashlib.sha256(body).digest() != digest:
        raise SnapshotError(f"{name}: checksum does not match its {len(body)} bytes")
    encoded = msgspec.msgpack.decode(body, type=_Encoded)
    return {
        section: {
            key: np.frombuffer(a.data, dtype=np.dtype(a.dtype)).reshape(a.shape).copy()
            for key, a in arrays.items()
        }
        for section, arrays in encoded.items()
    }
