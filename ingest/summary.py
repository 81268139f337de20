"""Summaries: a shard's trades and signs up to a boundary of event time: platform scope's feed.

Beside trades a summary has the ends of clients' instructions that were not to rest (IOC, FOK,
market orders): who ran ahead of one of which nothing was filled is seen by its arrival alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
import polars as pl
import structlog

from ingest.errors import SourceError
from ingest.events import (
    BOOK,
    NO_CODE,
    ORDERED,
    TAGS,
    WIRE,
    Array,
    Batch,
    Column,
    Kind,
    Role,
    empty,
)
from ingest.instruments import Instruments
from ingest.signs import Sign

_NAMES: Final = (
    # What and where.
    *("kind", "instrument", "seq", "clock_ns", "engine_ns", "topic", "partition", "offset"),
    # The trade. `busts` names the one that it takes back; `side` is the aggressor.
    *("trade_hi", "trade_lo", "busts_hi", "busts_lo", "side", "price", "quantity", "afmm_flag"),
    # Who stands behind both sides.
    *("buy_account", "buy_owner", "buy_role", "buy_complex", "buy_originator", "buy_hi", "buy_lo"),
    *("sell_account", "sell_owner", "sell_role", "sell_complex", "sell_originator"),
    *("sell_hi", "sell_lo", "buy_session", "buy_user", "sell_session", "sell_user"),
    # Which instruction met which order, and when that came in; whose came to nothing.
    *("incoming_seq", "incoming_received_ns", "entry_seq", "entry_received_ns"),
    *("account", "owner", "originator"),
    # The market before it, and whether that is known whole.
    *("best_bid", "best_ask", "phase", "coverage"),
)
_ALL: Final = {**WIRE, **TAGS, **ORDERED, **BOOK}
SUMMARY: Final[Mapping[str, Column]] = {name: _ALL[name] for name in _NAMES}
"""Columns of a row in a summary: 226 B, the raw record beside them. The mid is
(best_bid + best_ask) / 2."""
TOLD_BY: Final = ("kind", "role", "in_complex", "entry_seq", "lifetime_ns", "leaves_before")
"""Columns by which `is_summed` tells what goes into a summary."""
AT_ONCE_NS: Final = 1_000_000
"""Longest time from an instruction to its end that is one matching: engines stamp both alike, or
some microseconds apart."""

_VERSION: Final = 1

_log = structlog.get_logger()


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a shard up to a boundary; every row's clock lies before `until_ns`.

    A row before `from_ns` was released after its boundary had been closed: it is late.
    """

    shard: str
    from_ns: int
    """The shard's boundary before this one, ns; `NULL` in its first summary."""
    until_ns: int
    """Boundary, ns; with `shard` it identifies the summary, and it rises from one to the next.
    A whole minute says that the shard is complete up to it; another says `idle`, or no longer."""
    idle: bool = False
    """The shard has nothing more: none waits for it until it sends again. Its event time came as
    far as `until_ns` - 1."""
    rows: Batch
    """`SUMMARY` columns and `raw`, in order of (clock_ns, instrument name, seq)."""
    signs: tuple[Sign, ...] = ()
    """What detectors of instrument scope measured before `until_ns`, by event time."""


class _Rows(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    rows: int
    instruments: tuple[str, ...]
    columns: dict[str, bytes]
    """Little-endian; one value where all are equal."""
    raw_lengths: bytes | None
    raw: bytes


def is_summed(batch: Batch) -> Array:
    """Return which rows of an enriched batch a summary has, a bool each.

    They are all trades, and the ends of clients' instructions that were not to rest: of what was
    left of them, all or part, once they had been matched. An end without an account is nobody's.
    """
    kind = batch["kind"]
    summed: Array = kind == Kind.TRADE
    ended = np.flatnonzero(kind == Kind.EXPIRE)
    if len(ended):
        role, group, entry, lasted, left = (batch[name][ended] for name in TOLD_BY[1:])
        at_once = (entry > 0) & (lasted >= 0) & (lasted <= AT_ONCE_NS)
        summed[ended] = at_once & (role == Role.CLIENT) & (group == 0) & (left > 0)
    return summed


def encode_rows(rows: Batch) -> bytes:
    """Return rows of `SUMMARY` columns as bytes: equal rows give equal bytes, whatever the table.

    Instruments are named; accounts stay codes, which are the same everywhere.
    """
    codes, places = np.unique(rows["instrument"], return_inverse=True)
    lengths, raw = None, b""
    if rows.raw is not None:
        records = rows.raw.to_list()
        lengths = np.array([len(record) for record in records], "<i4").tobytes()
        raw = b"".join(records)
    columns = {**{name: rows[name] for name in SUMMARY}, "instrument": places.astype(np.int32)}
    return msgspec.msgpack.encode(
        _Rows(
            version=_VERSION,
            rows=len(rows),
            instruments=tuple(rows.instruments[code].instrument for code in codes.tolist()),
            columns={name: _packed(column) for name, column in columns.items()},
            raw_lengths=lengths,
            raw=raw,
        )
    )


def decode_rows(encoded: bytes, instruments: Instruments) -> Batch:
    """Return the rows that `encode_rows` took, with the codes of a table of instruments.

    A column that the writer did not know yet is absent in all rows; one unknown here is left out.
    So are rows of an instrument that the table does not list, with a line in the log.

    Raises
    ------
    SourceError
        The bytes are no such rows.
    """
    try:
        found = msgspec.msgpack.decode(encoded, type=_Rows)
    except msgspec.MsgspecError as error:
        raise SourceError(f"rows of a summary cannot be read: {error}") from error
    if found.version != _VERSION:
        raise SourceError(f"rows of a summary must be of version {_VERSION}, were {found.version}")
    columns = empty(SUMMARY, found.rows)
    for name in SUMMARY.keys() & found.columns.keys():
        columns[name] = _unpacked(found.columns[name], name, found.rows)
    named = [instruments.codes.get(name, NO_CODE) for name in found.instruments]
    codes = np.array(named, np.int32)
    try:
        columns["instrument"] = codes[columns["instrument"]] if found.rows else codes[:0]
    except IndexError as error:
        raise SourceError("rows of a summary name an instrument by a wrong number") from error
    rows = Batch(columns, instruments, raw=_raw(found))
    listed = rows["instrument"] != NO_CODE
    if listed.all():
        return rows
    lost = [n for n, code in zip(found.instruments, named, strict=True) if code == NO_CODE]
    _log.error(
        "rows of instruments that are not listed left out",
        instruments=len(lost),
        records=int(np.count_nonzero(~listed)),
    )
    return rows.take(listed)


def _packed(column: Array) -> bytes:
    if len(column) and (column == column[0]).all():
        column = column[:1]
    return column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes()


def _unpacked(packed: bytes, name: str, rows: int) -> Array:
    dtype = np.dtype(SUMMARY[name].dtype)
    if len(packed) not in (dtype.itemsize * rows, dtype.itemsize * min(rows, 1)):
        raise SourceError(
            f"column {name} of a summary must be {rows} values or one, was {len(packed)} B"
        )
    values = np.frombuffer(packed, dtype.newbyteorder("<")).astype(dtype, copy=False)
    return values if len(values) == rows else np.repeat(values, rows)


def _raw(found: _Rows) -> pl.Series | None:
    if found.raw_lengths is None:
        return None
    if len(found.raw_lengths) != 4 * found.rows:
        raise SourceError(
            f"a summary of {found.rows} rows must have as many raw records, "
            f"had {len(found.raw_lengths) // 4}"
        )
    return cut_raw(found.raw, np.frombuffer(found.raw_lengths, "<i4"))


def cut_raw(joined: bytes, lengths: Array) -> pl.Series:
    """Return raw records that were joined, by their lengths in bytes.

    Raises
    ------
    SourceError
        The lengths do not add up to the bytes.
    """
    ends = np.cumsum(lengths, dtype=np.int64).tolist()
    if len(joined) != (ends[-1] if ends else 0):
        raise SourceError(
            f"raw records must be {ends[-1] if ends else 0} B together, were {len(joined)} B"
        )
    starts = [0, *ends[:-1]] if ends else []
    values = [joined[a:b] for a, b in zip(starts, ends, strict=True)]
    return pl.Series("raw", values, dtype=pl.Binary)
