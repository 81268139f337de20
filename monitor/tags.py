"""Each day's trades reconciled: the tape's flag, the register and the engine, counted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl

from ingest.events import AfmmFlag, Array, Batch, Kind, Role
from ingest.names import Names
from ingest.register import Register, read_register
from ingest.registry import format_time
from ingest.sequence import Sequencer
from ingest.tape import Tape, TapeSource
from monitor.terminal import ProgressCall

ROWS: Final = 65_536
DAY_NS: Final = 86_400 * 1_000_000_000
SIDES: Final = ("buy", "sell")
ENTERED: Final = (Kind.NEW, Kind.REPLACE, Kind.BOOK)
"""Records that say whose an order is."""


class TagCount(msgspec.Struct, frozen=True, kw_only=True):
    """Trades of one instrument on one UTC day; busted ones count, the busts do not."""

    instrument: str
    trades: int
    flag_right: int
    """The tape's flag names the sides that the register calls affiliated_mm, and no other."""
    flag_wrong: int
    flag_absent: int
    afmm_sides: int
    """Sides of trades that are the affiliated maker's by the register."""
    unregistered_sides: int
    """Sides of accounts without a row in force."""
    engine_same: int
    """Sides whose account is the one that entered the order."""
    engine_other: int
    """Sides whose account is not: the engine's two records contradict one another."""
    engine_unseen: int
    """Sides whose order has no record that day or the day before, or no id."""


class TagDay(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed off: a day's counts, and the register that they were counted under."""

    day: str
    registry_version: str
    rows_in_force: int
    """Of the register, at any time of the day."""
    complete: bool
    """Whether nothing of the day is known to be missing."""
    counts: tuple[TagCount, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the record."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()

    @property
    def totals(self) -> dict[str, int]:
        """The counts of all instruments together."""
        names = TagCount.__struct_fields__[1:]
        return {name: sum(getattr(count, name) for count in self.counts) for name in names}

    @property
    def faults(self) -> int:
        """Trades and sides that do not agree; what is absent or unseen is none."""
        totals = self.totals
        return totals["flag_wrong"] + totals["unregistered_sides"] + totals["engine_other"]


def tag_days(
    tape: Path, *, complete: bool = True, progress: ProgressCall | None = None
) -> list[TagDay]:
    """Return the reconciliation of every UTC day of a tape, under the tape's register.

    Memory: about 60 B an order record and trade.

    Raises
    ------
    TapeError, RegistryError
        The tape or its register cannot be read.
    """
    names = Names()
    source = TapeSource(tape, names, batch_rows=ROWS)
    register = read_register(Tape(tape).accounts_path, names)
    sequencer = Sequencer(source.instruments)
    total = Tape(tape).record_count() if progress else None
    orders, trades, read = [_orders_of(None)], [_trades_of(None)], 0
    while (arrivals := source.poll(0.0)) is not None:
        batch = sequencer.push(register.tag(arrivals.batch), arrivals.idle).batch
        orders.append(_orders_of(batch))
        trades.append(_trades_of(batch))
        read += len(arrivals.batch) + len(arrivals.rejects)
        if progress:
            progress(read, total)
    instruments = [row.instrument for row in source.instruments.rows]
    counted = _counted(pl.concat(orders), pl.concat(trades))
    days: dict[int, list[TagCount]] = {}
    for row in counted.iter_rows(named=True):
        day, code = row.pop("day"), row.pop("instrument")
        days.setdefault(day, []).append(TagCount(instrument=instruments[code], **row))
    return [
        TagDay(
            day=format_time(day * DAY_NS)[:10],
            registry_version=register.version,
            rows_in_force=_rows_in_force(register, day * DAY_NS),
            complete=complete,
            counts=tuple(sorted(counts, key=lambda count: count.instrument)),
        )
        for day, counts in sorted(days.items())
    ]


def _rows_in_force(register: Register, day_ns: int) -> int:
    rows = register.rows
    return sum(row.valid_from_ns < day_ns + DAY_NS and day_ns < row.valid_to_ns for row in rows)


def _orders_of(batch: Batch | None) -> pl.DataFrame:
    """Return who entered which order on which day, each once."""
    columns = ("day", "instrument", "hi", "lo", "owner_account")
    if batch is None:
        kinds = (pl.Int64, pl.Int32, pl.UInt64, pl.UInt64, pl.Int32)
        return pl.DataFrame(schema=dict(zip(columns, kinds, strict=True)))
    rows = np.flatnonzero(np.isin(batch["kind"], ENTERED) & (batch["account"] >= 0))
    held: tuple[Array, ...] = (
        batch["engine_ns"][rows] // DAY_NS, batch["instrument"][rows], batch["order_hi"][rows],
        batch["order_lo"][rows], batch["account"][rows],
    )  # fmt: skip
    frame = pl.DataFrame(dict(zip(columns, held, strict=True)))
    return frame.unique(["day", "instrument", "hi", "lo"], keep="first", maintain_order=True)


def _trades_of(batch: Batch | None) -> pl.DataFrame:
    """Return trades with what the tape and the register say of them."""
    kinds = {
        "day": pl.Int64, "instrument": pl.Int32, "said": pl.Int8, "is": pl.Int8,
        "afmm_sides": pl.Int64, "unregistered_sides": pl.Int64,
        **{f"{side}_{half}": pl.UInt64 for side in SIDES for half in ("hi", "lo")},
        **{f"{side}_account": pl.Int32 for side in SIDES},
    }  # fmt: skip
    if batch is None:
        return pl.DataFrame(schema=kinds)
    is_bust = (batch["busts_hi"] != 0) | (batch["busts_lo"] != 0)
    rows = np.flatnonzero((batch["kind"] == Kind.TRADE) & ~is_bust)
    roles = [batch[f"{side}_role"][rows] for side in SIDES]
    afmm = [role == Role.AFFILIATED_MM for role in roles]
    held = {
        "day": batch["engine_ns"][rows] // DAY_NS,
        "instrument": batch["instrument"][rows],
        "said": batch["afmm_flag"][rows],
        "is": afmm[0] * AfmmFlag.BUY.value + afmm[1] * AfmmFlag.SELL.value,
        "afmm_sides": afmm[0].astype(np.int64) + afmm[1],
        "unregistered_sides": sum((role == Role.UNKNOWN).astype(np.int64) for role in roles),
        **{name: batch[name][rows] for name in list(kinds)[6:]},
    }
    return pl.DataFrame(held).select(pl.col(name).cast(kind) for name, kind in kinds.items())


def _counted(orders: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """Return one row of counts a day and instrument."""
    key = ["day", "instrument", "hi", "lo"]
    known = orders.unique(key, keep="first", maintain_order=True)
    before = known.with_columns(pl.col("day") + 1).rename({"owner_account": "account_before"})
    for side in SIDES:
        on = {"hi": f"{side}_hi", "lo": f"{side}_lo"}
        left = ["day", "instrument", *on.values()]
        trades = trades.join(known.rename(on), on=left, how="left", maintain_order="left")
        trades = trades.join(before.rename(on), on=left, how="left", maintain_order="left")
        entered = pl.coalesce("owner_account", "account_before").alias(f"{side}_entered")
        trades = trades.with_columns(entered).drop("owner_account", "account_before")

    def of_sides(test: str) -> pl.Expr:
        pairs = [(pl.col(f"{side}_entered"), pl.col(f"{side}_account")) for side in SIDES]
        if test == "unseen":
            return pl.sum_horizontal(entered.is_null() for entered, _ in pairs).sum()
        same = [(entered == account).fill_null(value=False) for entered, account in pairs]
        other = [(entered != account).fill_null(value=False) for entered, account in pairs]
        return pl.sum_horizontal(same if test == "same" else other).sum()

    absent, right = pl.col("said") < 0, pl.col("said") == pl.col("is")
    return (
        trades.group_by("day", "instrument", maintain_order=True)
        .agg(
            trades=pl.len(),
            flag_right=right.sum(),
            flag_wrong=(~absent & ~right).sum(),
            flag_absent=absent.sum(),
            afmm_sides=pl.col("afmm_sides").sum(),
            unregistered_sides=pl.col("unregistered_sides").sum(),
            engine_same=of_sides("same"),
            engine_other=of_sides("other"),
            engine_unseen=of_sides("unseen"),
        )
        .sort("day", "instrument")
    )


def state_of(day: TagDay, signed: Sequence[tuple[str, str]]) -> str:
    """Return whether a day's count is signed off: as it is, before it changed, or not.

    Parameters
    ----------
    day : TagDay
    signed : sequence of (day, digest)
        Sign-offs, oldest first.
    """
    digests = [digest for of, digest in signed if of == day.day]
    if not digests:
        return "not signed"
    return "signed" if day.digest == digests[-1] else "changed since it was signed"
