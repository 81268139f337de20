"""Wire records straight to a batch, independent of the product's decoder and register."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

import numpy as np

from ingest.events import (
    GROUP_ROLES,
    NO_CODE,
    NULL,
    ORDERED,
    TAGS,
    WIRE,
    AfmmFlag,
    Batch,
    Kind,
    OrderType,
    Origin,
    Phase,
    Reason,
    Role,
    Side,
    TimeInForce,
    Topic,
    empty,
)
from ingest.instruments import Instrument, Instruments
from ingest.names import Names

_ENUMS = {
    "side": ("side", {m.name.lower(): int(m) for m in Side}),
    "aggressor": ("side", {m.name.lower(): int(m) for m in Side}),
    "type": ("type", {m.name.lower(): int(m) for m in OrderType}),
    "tif": ("tif", {m.name: int(m) for m in TimeInForce}),
    "reason": ("reason", {m.name.lower(): int(m) for m in Reason}),
    "phase": ("phase_to", {m.name.lower(): int(m) for m in Phase}),
    "source": ("origin", {m.name.lower(): int(m) for m in Origin}),
    "afmm_flag": ("afmm_flag", {m.name.lower(): int(m) for m in AfmmFlag}),
}
_IDS = {
    "order_id": "order",
    "replaces": "replaces",
    "parent_order_id": "parent",
    "trade_id": "trade",
    "busts": "busts",
    "buy_order_id": "buy",
    "sell_order_id": "sell",
}
_TICKS = {"price": "price", "stop_price": "stop_price"}
_LOTS = {"quantity": "quantity", "leaves": "leaves", "display": "display"}
_INTS = {"seq", "engine_ns", "received_ns", "priority_ns"}
_NAMES = {
    "account": "account",
    "buy_account": "buy_account",
    "sell_account": "sell_account",
    "session": "session",
    "user": "user",
    "originator": "originator",
    "algo_id": "algo",
    "fee_tier": "fee_tier",
}
_ACTIONS = {m.name.lower(): int(m) for m in Kind}


@lru_cache(maxsize=1 << 20)
def id_hash(name: str) -> tuple[int, int]:
    """Return an id's 128-bit hash as two unsigned halves; not the product's hash."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")


def instruments_of(rows: Sequence[Mapping[str, str]]) -> Instruments:
    """Return the table of instruments.csv rows."""
    sizes = ("tick_size", "lot_size")
    return Instruments(
        Instrument(**{k: Decimal(v) if k in sizes else v for k, v in row.items()}) for row in rows
    )


def to_batch(
    records: Sequence[Mapping],
    instruments: Instruments,
    accounts: Sequence[Mapping[str, str]] = (),
    names: Names | None = None,
) -> Batch:
    """Return records in the order given as a batch of WIRE, TAGS and ORDERED columns.

    `clock_ns` is `engine_ns`; `offset` counts each topic's records; `names` codes every name.
    """
    names = Names() if names is None else names
    columns: dict[str, list] = {}

    def column(name: str) -> list:
        if name not in columns:
            absent = WIRE[name].absent
            columns[name] = [absent] * len(records)
        return columns[name]

    offsets = [0, 0]
    texts: dict[tuple[int, str, str], int] = {}
    for row, record in enumerate(records):
        code = instruments.codes[record["instrument"]]
        topic = Topic.TRADES if "trade_id" in record else Topic.ORDERS
        column("instrument")[row] = code
        column("topic")[row] = int(topic)
        column("offset")[row] = offsets[topic]
        offsets[topic] += 1
        column("kind")[row] = (
            int(Kind.TRADE) if topic is Topic.TRADES else _ACTIONS[record["action"]]
        )
        for field, value in record.items():
            if value is None:
                continue
            if field in _INTS:
                column(field)[row] = value
            elif field in _ENUMS:
                target, table = _ENUMS[field]
                column(target)[row] = table[value]
            elif field in _IDS:
                column(_IDS[field] + "_hi")[row], column(_IDS[field] + "_lo")[row] = id_hash(value)
            elif field in _NAMES:
                column(_NAMES[field])[row] = names.code(value)
            elif field in _TICKS or field in _LOTS:
                unit = "tick" if field in _TICKS else "lot"
                count = texts.get((code, unit, value))
                if count is None:
                    size = (
                        instruments[code].tick_size
                        if unit == "tick"
                        else instruments[code].lot_size
                    )
                    count = texts[code, unit, value] = int(Decimal(value) / size)
                column(field)[row] = count
            elif field in ("buy_fee", "sell_fee"):
                column(field)[row] = int(Decimal(value) * 10**9)
    arrays = empty(WIRE, len(records))
    for name, values in columns.items():
        arrays[name] = np.array(values, dtype=WIRE[name].dtype)
    arrays |= _tags(arrays, accounts, names)
    arrays |= empty(ORDERED, len(records))
    arrays["clock_ns"] = arrays["engine_ns"]
    return Batch(arrays, instruments)


def batches(batch: Batch, size: int | None) -> Iterator[Batch]:
    """Yield rows in arrival order cut at every `size`, each cut grouped by instrument."""
    size = len(batch) if size is None else size
    for start in range(0, len(batch), max(size, 1)):
        rows = np.arange(start, min(start + size, len(batch)))
        yield batch.take(rows[np.argsort(batch["instrument"][rows], kind="stable")])


def _tags(arrays, accounts, names):
    tags = empty(TAGS, len(arrays["seq"]))
    rows = [
        (
            names.code(row["account"]),
            int(Role[row["role"].upper()]),
            names.code("owner:" + row["owner"]),
            _ns(row.get("valid_from")) or NULL,
            _ns(row.get("valid_to")) or 2**63 - 1,
        )
        for row in accounts
    ]
    group = {int(role) for role in GROUP_ROLES}
    linked = {names.code(row["account"]): row.get("linked_to") for row in accounts}
    owners = {owner for _, role, owner, _, _ in rows if role in group}
    members = {account for account, _, owner, _, _ in rows if owner in owners}
    members |= {a for a, to in linked.items() if to and names.find(to) in members}
    for prefix, field in (("", "account"), ("buy_", "buy_account"), ("sell_", "sell_account")):
        codes = arrays[field]
        role = np.where(codes == NO_CODE, int(Role.NONE), int(Role.UNKNOWN)).astype(np.int8)
        owner = np.full(len(codes), NO_CODE, dtype=np.int32)
        for account, number, owned_by, start, end in rows:
            at = arrays["engine_ns"]
            where = (codes == account) & (at >= start) & (at < end)
            role[where], owner[where] = number, owned_by
        tags[f"{prefix}role"], tags[f"{prefix}owner"] = role, owner
        name = "in_complex" if not prefix else f"{prefix}complex"
        tags[name] = (np.isin(codes, list(members)) & (role != int(Role.UNKNOWN))).astype(np.int8)
    return tags


def _ns(text):
    if not text:
        return None
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()) * 10**9
