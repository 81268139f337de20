"""Records for decoder tests, and a plain-Python oracle of what each of them decodes to."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import mmh3
import numpy as np

from ingest.careful import Record, Refusal, judge, read
from ingest.decode import Decoder
from ingest.events import NO_CODE, NULL, WIRE, Batch, Kind, Reason, Topic
from ingest.instruments import Instrument, Instruments
from ingest.names import Names
from ingest.records import ENUMS, MAX_DECIMAL_CHARACTERS, WIRE_FIELDS

AT = 1_700_000_000 * 10**9
EXACT = Context(prec=400)
NAMES = ("account", "session", "user", "originator", "algo", "fee_tier")
NAME_COLUMNS = (*NAMES, "buy_account", "sell_account")
HASHES = {
    "order_id": "order",
    "replaces": "replaces",
    "parent_order_id": "parent",
    "trade_id": "trade",
    "busts": "busts",
    "buy_order_id": "buy",
    "sell_order_id": "sell",
}
COLUMNS = {"action": "kind", "phase": "phase_to", "source": "origin", "aggressor": "side"}


def instruments() -> Instruments:
    def row(name: str, tick: str, lot: str) -> Instrument:
        return Instrument(
            instrument=name,
            base=name[:3],
            quote="USD",
            kind="spot",
            tick_size=Decimal(tick),
            lot_size=Decimal(lot),
        )

    return Instruments(
        [
            row("BTC-USD", "0.5", "0.001"),
            row("ETH-USD", "0.01", "0.0001"),
            row("SHIB-USD", "1E-8", "25"),
            row("代幣-USD", "0.1", "1"),
        ]
    )


def order(**changes: Any) -> dict[str, Any]:
    """Return a valid new limit order; a change to ... leaves the field out."""
    record = {
        "v": 1,
        "instrument": "BTC-USD",
        "seq": 1,
        "action": "new",
        "order_id": "O-1",
        "account": "C1",
        "side": "buy",
        "type": "limit",
        "tif": "GTC",
        "price": "100.5",
        "stop_price": None,
        "quantity": "0.250",
        "leaves": "0.250",
        "received_ns": AT,
        "engine_ns": AT + 90_000,
    } | changes
    return {name: value for name, value in record.items() if value is not ...}


def trade(**changes: Any) -> dict[str, Any]:
    """Return a valid trade; a change to ... leaves the field out."""
    record = {
        "v": 1,
        "instrument": "BTC-USD",
        "seq": 2,
        "trade_id": "T-1",
        "price": "100.5",
        "quantity": "0.125",
        "aggressor": "sell",
        "buy_order_id": "O-1",
        "sell_order_id": "O-2",
        "buy_account": "C1",
        "sell_account": "MM1",
        "engine_ns": AT + 200_000,
    } | changes
    return {name: value for name, value in record.items() if value is not ...}


def raw(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


def tape(topic: Topic, count: int, seed: int = 3) -> list[bytes]:
    """Return valid records of every action and with every optional field somewhere."""
    draw = random.Random(seed)
    values = []
    for place in range(count):
        changes: dict[str, Any] = {"seq": place + 1, "engine_ns": AT + place * 1000}
        for name, field in WIRE_FIELDS[topic].items():
            if field.form in ("id", "name") and name != "instrument" and draw.random() < 0.7:
                changes[name] = f"{name[:2]}-{draw.randrange(30)}"
        if topic is Topic.ORDERS:
            changes |= {
                "action": draw.choice(list(ENUMS[topic]["action"])),
                "phase": "auction",
                "price": f"{draw.randrange(1, 10**6) / 2}",
                "quantity": f"{draw.randrange(1, 10**9)}e-3",
                "leaves": f"{draw.randrange(0, 10**6) / 1000:.3f}",
                "tif": draw.choice([None, *ENUMS[topic]["tif"]]),
                "side": draw.choice(["buy", "sell"]),
                "type": draw.choice(["limit", "market"]),
                "reason": draw.choice([None, *ENUMS[topic]["reason"]]),
                "source": draw.choice([None, *ENUMS[topic]["source"]]),
                "received_ns": draw.choice([None, AT]),
                "display": draw.choice([None, "0", "0.001"]),
            }
            values.append(raw(order(**changes)))
        else:
            changes |= {
                "price": f"{draw.randrange(1, 10**6) / 2}",
                "aggressor": draw.choice([None, "buy", "sell"]),
                "buy_fee": draw.choice([None, "-0.0000000015", "1.25", "0"]),
                "afmm_flag": draw.choice([None, *ENUMS[topic]["afmm_flag"]]),
            }
            values.append(raw(trade(**changes)))
    return values


def oracle(topic: Topic, value: bytes) -> dict[str, Any] | Refusal:
    """Return the row of a message in words of its own: exact decimals, names as strings."""
    table = instruments()
    record = read(topic, value)
    if isinstance(record, Refusal):
        return record
    refusal = judge(topic, record, table)
    return refusal if refusal is not None else row_of(topic, record, table)


def row_of(topic: Topic, record: Record, table: Instruments) -> dict[str, Any]:
    row: dict[str, Any] = {name: column.absent for name, column in WIRE.items()}
    row |= dict.fromkeys(NAME_COLUMNS, "")
    row["topic"] = int(topic)
    row["kind"] = int(Kind.TRADE)
    fields = record.fields
    code = table.code(str(fields["instrument"]))
    assert code is not None
    for name, value in fields.items():
        form = WIRE_FIELDS[topic][name].form
        unnamed = value == "" and form != "enum"  # in an enum it is an unknown word
        if unnamed or name in ("v", "client_order_id", "actor"):
            continue
        if name == "instrument":
            row["instrument"] = code
        elif form == "id":
            high, low = mmh3.hash64(str(value).encode(), signed=False)
            row[f"{HASHES[name]}_hi"], row[f"{HASHES[name]}_lo"] = high, low
        elif form == "enum":
            other = int(Reason.OTHER)
            row[COLUMNS.get(name, name)] = ENUMS[topic][name].get(str(value), other)
        elif form == "decimal":
            refused = fields.get("action") == "reject"
            row[name] = steps(name, str(value), table[code], anything=refused)
        else:
            row["algo" if name == "algo_id" else name] = value
    return row


def steps(name: str, text: str, instrument: Instrument, *, anything: bool) -> int:
    """Return the count of steps; NULL for what only a record of a refusal may carry."""
    if anything and len(text) > MAX_DECIMAL_CHARACTERS:
        return NULL
    size = instrument.tick_size if name.endswith("price") else instrument.lot_size
    if name.endswith("fee"):
        fee = EXACT.divide(Decimal(text), Decimal("1e-9"))
        return int(fee.to_integral_value(ROUND_HALF_UP, EXACT))
    count = EXACT.divide(Decimal(text), size)
    if anything and (count != int(count) or abs(count) >= 2**63):
        return NULL
    assert count == int(count)
    return int(count)


def rows(batch: Batch, names: Names) -> list[dict[str, Any]]:
    """Return a batch's rows as the oracle says them."""
    columns = {name: batch[name].tolist() for name in WIRE}
    for name in NAME_COLUMNS:
        columns[name] = ["" if c == NO_CODE else names.name(c) for c in columns[name]]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


class Outcome:
    """What came of messages cut into batches of a size."""

    def __init__(self, topic: Topic, values: Sequence[bytes], size: int, crossover: int) -> None:
        names = Names()
        decoder = Decoder(instruments(), names, crossover=crossover)
        self.rows: list[dict[str, Any]] = []
        self.raws: list[bytes] = []
        self.rejects: list[tuple[int, str, str, bytes]] = []
        self.unknown = 0
        for first in range(0, len(values), size):
            part = values[first : first + size]
            arrivals = decoder.decode(topic, part, 3, np.arange(first, first + len(part)))
            for name, column in WIRE.items():
                assert arrivals.batch[name].dtype == np.dtype(column.dtype), name
            assert len(arrivals.batch) + len(arrivals.rejects) == len(part)
            assert arrivals.batch.raw is not None
            self.rows += rows(arrivals.batch, names)
            self.raws += arrivals.batch.raw.to_list()
            self.rejects += [(r.offset, r.reason, r.detail, r.raw) for r in arrivals.rejects]
            self.unknown += arrivals.unknown_fields

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and vars(self) == vars(other)

    __hash__ = None


def expected(topic: Topic, values: Sequence[bytes]) -> tuple[list[Any], list[Any]]:
    """Return the oracle's rows and rejects of messages."""
    good, bad = [], []
    for offset, value in enumerate(values):
        found = oracle(topic, value)
        if isinstance(found, Refusal):
            where = f"{topic.name.lower()}/3@{offset}"
            bad.append((offset, found.reason, f"{found.detail} ({where})", value))
        else:
            good.append(found | {"partition": 3, "offset": offset})
    return good, bad
