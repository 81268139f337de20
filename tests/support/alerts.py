"""A small venue for the tests of alerts: records with ids, a register, findings about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import polars as pl

from alerts.archive import Archive
from alerts.fold import AlertBook
from alerts.severity import SeverityParams
from detectors.base import Feature, Finding, Ref
from ingest.events import ORDERED, WIRE, Batch, Kind, Role, Topic, empty
from ingest.instruments import Instrument, Instruments
from ingest.names import Names
from ingest.register import Register
from ingest.registry import RegistryRow

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
HASHES = {name: f"{i:032x}" for i, name in enumerate(("breaches", "rules", "indicators"))}
CLASSES = {"breaches": "breach", "rules": "rule", "indicators": "indicator"}
TOPIC_NAMES = {Topic.ORDERS: "orders.ndjson", Topic.TRADES: "trades.ndjson"}
ACCOUNTS = {
    "MM1": ("Group", Role.AFFILIATED_MM),
    "C1": ("Ann", Role.CLIENT),
    "C2": ("Bob", Role.CLIENT),
    "X1": ("Peer", Role.EXTERNAL_MM),
}


def instruments() -> Instruments:
    """Two instruments; BTC-USD sorts first."""
    return Instruments(
        Instrument(
            instrument=f"{base}-USD",
            base=base,
            quote="USD",
            kind="spot",
            tick_size=Decimal("0.5"),
            lot_size=Decimal("0.001"),
        )
        for base in ("BTC", "ETH")
    )


def at(seq: int) -> int:
    """Engine time of a seq, ns: one second apart."""
    return START_NS + seq * SECOND_NS


def record(seq: int, instrument: str = "BTC-USD") -> bytes:
    """A raw record: every third seq is a trade of the two orders before it."""
    if seq % 3 == 0:
        fields = {
            "v": 1,
            "instrument": instrument,
            "seq": seq,
            "trade_id": f"T{seq}",
            "price": "100.5",
            "quantity": "0.010",
            "aggressor": "buy",
            "buy_order_id": f"O{seq - 1}",
            "sell_order_id": f"O{seq - 2}",
            "buy_account": "MM1",
            "sell_account": "C1",
            "engine_ns": at(seq),
        }
    else:
        fields = {
            "v": 1,
            "instrument": instrument,
            "seq": seq,
            "action": "new",
            "order_id": f"O{seq}",
            "account": "MM1" if seq % 3 == 2 else "C1",
            "side": "buy" if seq % 3 == 2 else "sell",
            "type": "limit",
            "tif": "GTC",
            "price": "100.5",
            "quantity": "0.010",
            "leaves": "0.010",
            "received_ns": at(seq) - 1_000,
            "engine_ns": at(seq),
        }
    return json.dumps(fields, separators=(",", ":")).encode()


def batch(table: Instruments, seqs: Sequence[int], code: int = 0, *, clock: bool = True) -> Batch:
    """The records of some seqs of an instrument, as the sequencer releases them."""
    columns = empty(WIRE | (ORDERED if clock else {}), len(seqs))
    columns["instrument"][:] = code
    columns["seq"][:] = seqs
    columns["engine_ns"][:] = [at(seq) for seq in seqs]
    if clock:
        columns["clock_ns"][:] = columns["engine_ns"]
    columns["topic"][:] = [Topic.TRADES if seq % 3 == 0 else Topic.ORDERS for seq in seqs]
    columns["kind"][:] = [Kind.TRADE if seq % 3 == 0 else Kind.NEW for seq in seqs]
    columns["offset"][:] = [seq // 3 if seq % 3 == 0 else seq - seq // 3 for seq in seqs]
    raw = pl.Series([record(seq, table[code].instrument) for seq in seqs], dtype=pl.Binary)
    return Batch(columns, table, raw=raw)


class Venue:
    """Names, instruments, register and an archive of seqs 1 to `events` of each instrument."""

    def __init__(
        self, folder: Path, *, events: int = 120, known: Sequence[str] = (), owner: str = "Group"
    ) -> None:
        self.names = Names(known)  # other codes for the same names, where a test wants them
        self.instruments = instruments()
        self.register = Register(
            [
                RegistryRow(
                    account=account,
                    owner=owner if account == "MM1" else held_by,
                    legal_entity=f"{held_by} Ltd",
                    role=role,
                    line=line,
                )
                for line, (account, (held_by, role)) in enumerate(ACCOUNTS.items(), start=2)
            ],
            self.names,
        )
        self.archive = Archive(folder, self.instruments)
        for code in range(len(self.instruments)):
            if events:
                self.archive.append(batch(self.instruments, range(1, events + 1), code))

    def book(self, **settings: object) -> AlertBook:
        """A fresh alert book on this venue."""
        return AlertBook(
            self.archive,
            self.names,
            self.instruments,
            params_hashes=HASHES,
            severity=SeverityParams(),
            topic_names=TOPIC_NAMES,
            **settings,
        )

    def finding(
        self,
        detector: str = "rules",
        *,
        first: int = 3,
        revision: int = 1,
        seqs: Sequence[int] | None = None,
        detected: int | None = None,
        accounts: Sequence[str] = ("MM1", "C1"),
        first_accounts: Sequence[str] = ("MM1", "C1"),
        code: int = 0,
        **fields: object,
    ) -> Finding:
        """A finding about the records of some seqs; by default of its first trade and orders."""
        seqs = (first - 2, first - 1, first) if seqs is None else seqs
        detected = max(seqs, default=first) if detected is None else detected
        return Finding(
            **{
                "detector": detector,
                "detector_version": 1,
                "scenario": f"{detector}_scenario",
                "evidence_class": CLASSES[detector],
                "evidence": "proved",
                "instrument": code,
                "first_seq": first,
                "first_accounts": tuple(self.names.find(name) for name in first_accounts),
                "revision": revision,
                "accounts": tuple(self.names.find(name) for name in accounts),
                "window_start_ns": at(first),
                "window_end_ns": at(detected),
                "detected_ns": at(detected),
                "evidence_refs": tuple(Ref(code, seq) for seq in seqs),
                "features": {"volume": Feature(0.1 + 0.2, "BTC", None)},
                "score": 0.5,
                **fields,
            }
        )
