"""Each day's trades reconciled: the tape's flag, the register and the engine, counted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl

from ingest.events import AfmmFlag, Array, Batch, Kind, Role
from ingest.names import Names
from ingest.register import Register, read_register
from ingest.registry import format_time
from ingest.tape import Tape, TapeSource
from ingest.times import DAY
from monitor.tape_pass import polled
from monitor.terminal import ProgressCall

ROWS: Final = 65_536
SIDES: Final = ("buy", "sell")
ENTERED: Final = (Kind.NEW, Kind.BOOK)
"""Records that say whose an order is from there on; a `replace` that names an account does too."""


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
    """Sides whose account is the one that the last record before the trade gave the order."""
    engine_other: int
    """Sides whose account is not: the engine's two records contradict one another."""
    engine_unseen: int
    """Sides whose order has no record before the trade, that day or the day before, or no id."""


class TagDay(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed off: a day's counts, and the register that they were counted under."""

    day: str
    registry_version: str
    rows_in_force: int
    """Of the register, at any time of the day."""
    complete: bool
    """Whether nothing of the day is known to be missing: no seq between its records (those of the
    day before and the day after too), nothing dropped, no part that cannot be read."""
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


def _all_there(day: int) -> bool:  # noqa: ARG001
    return True


def tag_days(
    tape: Path,
    *,
    is_whole: Callable[[int], bool] = _all_there,
    progress: ProgressCall | None = None,
) -> list[TagDay]:
    """Return the reconciliation of every UTC day of a tape, under the tape's register.

    A day is told from its records and those of the day before and the day after alone. Memory:
    about 60 B an order record and trade.

    Parameters
    ----------
    tape : Path
    is_whole : callable
        Whether the archive has all of a day that it ever had; days since 1970.
    progress : callable, optional

    Raises
    ------
    TapeError, RegistryError
        The tape or its register cannot be read.
    """
    names = Names()
    source = TapeSource(tape, names, batch_rows=ROWS)
    register = read_register(Tape(tape).accounts_path, names)
    orders, trades, runs = [_orders_of(None)], [_trades_of(None)], [_runs_of(None)]
    # Nothing waits for a seq that never came: what is behind a hole is counted all the same.
    for arrivals in polled(source, tape, progress):
        batch = register.tag(arrivals.batch)
        orders.append(_orders_of(batch))
        trades.append(_trades_of(batch))
        runs.append(_runs_of(batch))
    instruments = [row.instrument for row in source.instruments.rows]
    counted = _counted(pl.concat(orders), pl.concat(trades))
    seen = pl.concat(runs)
    days: dict[int, list[TagCount]] = {}
    for row in counted.iter_rows(named=True):
        day, code = row.pop("day"), row.pop("instrument")
        days.setdefault(day, []).append(TagCount(instrument=instruments[code], **row))
    return [
        TagDay(
            day=format_time(day * DAY)[:10],
            registry_version=register.version,
            rows_in_force=_rows_in_force(register, day * DAY),
            complete=is_whole(day) and not _has_hole(seen, day),
            counts=tuple(sorted(counts, key=lambda count: count.instrument)),
        )
        for day, counts in sorted(days.items())
    ]


def _runs_of(batch: Batch | None) -> pl.DataFrame:
    """Return seqs that follow one another within a day, from the first to the last."""
    columns = ("day", "instrument", "first", "last")
    if batch is None:
        kinds = (pl.Int64, pl.Int32, pl.Int64, pl.Int64)
        return pl.DataFrame(schema=dict(zip(columns, kinds, strict=True)))
    order = np.lexsort((batch["seq"], batch["instrument"]))
    day, code, seq = (
        values[order] for values in (batch["engine_ns"] // DAY, batch["instrument"], batch["seq"])
    )
    breaks = (np.diff(seq) > 1) | (np.diff(day) != 0) | (np.diff(code) != 0)
    starts = np.flatnonzero(np.concatenate([np.ones(min(len(seq), 1), np.bool_), breaks]))
    ends = np.append(starts[1:], len(seq))[: len(starts)] - 1
    held = (day[starts], code[starts], seq[starts], seq[ends])
    return pl.DataFrame(dict(zip(columns, held, strict=True)))


def _has_hole(runs: pl.DataFrame, day: int) -> bool:
    """Return whether seqs are missing between records of a day, or of it and a day next to it."""
    near = runs.filter(pl.col("day").is_between(day - 1, day + 1)).sort("instrument", "first")
    reached, since = pl.col("last").cum_max().shift(1), pl.col("day").shift(1)
    low, high = pl.min_horizontal(since, "day"), pl.max_horizontal(since, "day")
    touches = (low <= day) & (high >= day)
    holes = near.select(((pl.col("first") > reached + 1) & touches).over("instrument").any())
    return bool(holes.item())


def _rows_in_force(register: Register, day_ns: int) -> int:
    rows = register.rows
    return sum(row.valid_from_ns < day_ns + DAY and day_ns < row.valid_to_ns for row in rows)


def _orders_of(batch: Batch | None) -> pl.DataFrame:
    """Return whose each order is from which seq on; -1 where a new order's record does not say."""
    columns = ("day", "instrument", "hi", "lo", "seq", "owner_account")
    if batch is None:
        kinds = (pl.Int64, pl.Int32, pl.UInt64, pl.UInt64, pl.Int64, pl.Int32)
        return pl.DataFrame(schema=dict(zip(columns, kinds, strict=True)))
    amended = (batch["kind"] == Kind.REPLACE) & (batch["account"] >= 0)
    named = (batch["order_hi"] != 0) | (batch["order_lo"] != 0)
    rows = np.flatnonzero((np.isin(batch["kind"], ENTERED) | amended) & named)
    held: tuple[Array, ...] = (
        batch["engine_ns"][rows] // DAY, batch["instrument"][rows], batch["order_hi"][rows],
        batch["order_lo"][rows], batch["seq"][rows], batch["account"][rows],
    )  # fmt: skip
    return pl.DataFrame(dict(zip(columns, held, strict=True)))


def _trades_of(batch: Batch | None) -> pl.DataFrame:
    """Return trades with what the tape and the register say of them."""
    kinds = {
        "day": pl.Int64, "instrument": pl.Int32, "seq": pl.Int64, "said": pl.Int8, "is": pl.Int8,
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
        "day": batch["engine_ns"][rows] // DAY,
        "instrument": batch["instrument"][rows],
        "seq": batch["seq"][rows],
        "said": batch["afmm_flag"][rows],
        "is": afmm[0] * AfmmFlag.BUY.value + afmm[1] * AfmmFlag.SELL.value,
        "afmm_sides": afmm[0].astype(np.int64) + afmm[1],
        "unregistered_sides": sum((role == Role.UNKNOWN).astype(np.int64) for role in roles),
        **{name: batch[name][rows] for name in list(kinds)[7:]},
    }
    return pl.DataFrame(held).select(pl.col(name).cast(kind) for name, kind in kinds.items())


def _counted(orders: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """Return one row of counts a day and instrument."""
    # A record that is there twice counts once.
    trades = trades.unique(["instrument", "seq"], keep="first", maintain_order=True).sort("seq")
    known = orders.sort("seq")
    before = known.with_columns(pl.col("day") + 1)
    for side in SIDES:
        key = ["day", "instrument", f"{side}_hi", f"{side}_lo"]
        names = {"hi": f"{side}_hi", "lo": f"{side}_lo"}
        # An id may be used again: the order is whose it was when it traded.
        for records, name in ((known, "entered_today"), (before, "entered_before")):
            trades = trades.join_asof(
                records.rename({**names, "owner_account": name}),
                on="seq",
                by=key,
                strategy="backward",
                allow_exact_matches=False,
                check_sortedness=False,
            )
        entered = pl.coalesce("entered_today", "entered_before")
        said = pl.when(entered >= 0).then(entered).alias(f"{side}_entered")
        trades = trades.with_columns(said).drop("entered_today", "entered_before")

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
