"""State that survives a restart: named arrays, and plain values packed into one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import numpy as np

from ingest.errors import SnapshotError
from ingest.events import Array

T = TypeVar("T")
Snapshot = Mapping[str, Array]
"""State as named arrays; what a checkpoint keeps of one part."""


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
