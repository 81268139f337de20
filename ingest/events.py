"""The shared vocabulary: what one event is, column by column, and the batch that carries events.

A row is one record of the wire contract, from either topic. Prices are int64 counts of ticks,
quantities int64 counts of lots, times int64 UTC nanoseconds since 1970, accounts and instruments
integer codes. `NULL` stands for an absent int64, `NO_CODE` for an absent code, and hash (0, 0) for
an absent order or trade id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from ingest.instruments import Instruments
from ingest.terms import NO_TERMS, Party, Terms

if TYPE_CHECKING:
    from ingest.signs import Sign

Array = npt.NDArray[Any]

NULL: Final = -(2**63)
"""An absent int64: price, quantity or time."""
NO_CODE: Final = -1
"""An absent code: account, owner, session."""


class Kind(IntEnum):
    """What happened; the `action` of an order record, or TRADE for a record of the trades topic."""

    NEW = 0
    REPLACE = 1
    CANCEL = 2
    REJECT = 3
    EXPIRE = 4
    TRIGGER = 5
    STATUS = 6
    BOOK = 7
    BOOK_END = 8
    TRADE = 9


class Side(IntEnum):
    """Side of an order, or of a trade's aggressor. Sign is the direction: buy +1, sell -1."""

    SELL = -1
    NONE = 0
    BUY = 1


class OrderType(IntEnum):
    """Order type; NONE where the record has none."""

    NONE = 0
    LIMIT = 1
    MARKET = 2
    STOP = 3
    STOP_LIMIT = 4


class TimeInForce(IntEnum):
    """Time in force; NONE where the record has none."""

    NONE = 0
    GTC = 1
    IOC = 2
    FOK = 3
    DAY = 4
    POST_ONLY = 5


class Reason(IntEnum):
    """Why an order changed or left; NONE where the record does not say."""

    NONE = 0
    USER = 1
    MMP = 2
    DISCONNECT = 3
    KILL = 4
    STP = 5
    SPEED_BUMP = 6
    EXPIRY = 7
    OTHER = 8


class Phase(IntEnum):
    """Trading phase of an instrument; continuous until a status record says otherwise."""

    CONTINUOUS = 0
    AUCTION = 1
    HALT = 2
    CANCEL_ONLY = 3
    MAINTENANCE = 4


class Origin(IntEnum):
    """How an instruction was entered (the wire field `source`); NONE where it does not say."""

    NONE = 0
    API = 1
    GUI = 2
    RFQ = 3
    INTERNAL = 4


class AfmmFlag(IntEnum):
    """What the public tape said of a trade: which side was the affiliated market maker."""

    ABSENT = -1
    NONE = 0
    BUY = 1
    SELL = 2
    BOTH = 3


class Role(IntEnum):
    """Registered role of an account at the event's time; UNKNOWN when no row is in force."""

    NONE = 0
    UNKNOWN = 1
    CLIENT = 2
    EXTERNAL_MM = 3
    AFFILIATED_MM = 4
    AFFILIATED = 5
    HOUSE = 6
    STAFF = 7


CLIENT_ROLES: Final = frozenset({Role.CLIENT, Role.EXTERNAL_MM})
"""Roles whose orders are owed priority (an external maker is a client too)."""
GROUP_ROLES: Final = frozenset({Role.AFFILIATED_MM, Role.AFFILIATED, Role.HOUSE, Role.STAFF})
"""Roles of the platform's own group; with owners and links in common they are the complex."""


class Coverage(IntEnum):
    """Whether the book behind a row is known whole, or a gap or a late start leaves doubt."""

    COMPLETE = 0
    INCOMPLETE = 1


class Topic(IntEnum):
    """Which of the two feeds a record came from."""

    ORDERS = 0
    TRADES = 1


class Column(msgspec.Struct, frozen=True):
    """One column of the vocabulary: dtype, value when absent, and meaning with unit."""

    dtype: str
    absent: int
    meaning: str


_CODE = ("int32", NO_CODE)
_NULLABLE = ("int64", NULL)
_ENUM = ("int8", 0)
_HASH = ("uint64", 0)

WIRE: Final[Mapping[str, Column]] = {
    "kind": Column(*_ENUM, "what happened (Kind)"),
    "instrument": Column(*_CODE, "instrument code: row in the instruments table"),
    "seq": Column("int64", 0, "place in the instrument's matching order, from 1"),
    "engine_ns": Column("int64", 0, "when the matching engine acted, ns"),
    "received_ns": Column(*_NULLABLE, "when the gateway had the instruction, ns"),
    "priority_ns": Column(*_NULLABLE, "priority time that the venue states, ns"),
    "order_hi": Column(*_HASH, "order id hash, high half"),
    "order_lo": Column(*_HASH, "order id hash, low half"),
    "replaces_hi": Column(*_HASH, "hash of the id that a `new` removes, high half"),
    "replaces_lo": Column(*_HASH, "hash of the id that a `new` removes, low half"),
    "parent_hi": Column(*_HASH, "parent order id hash, high half"),
    "parent_lo": Column(*_HASH, "parent order id hash, low half"),
    "account": Column(*_CODE, "account of an order record"),
    "side": Column(*_ENUM, "side of the order; aggressor of a trade (Side)"),
    "type": Column(*_ENUM, "order type (OrderType)"),
    "tif": Column(*_ENUM, "time in force (TimeInForce)"),
    "price": Column(*_NULLABLE, "limit price, or price of a trade, ticks"),
    "stop_price": Column(*_NULLABLE, "stop price, ticks"),
    "quantity": Column(*_NULLABLE, "total quantity with fills, or quantity of a trade, lots"),
    "leaves": Column(*_NULLABLE, "open quantity after the record, lots"),
    "display": Column(*_NULLABLE, "shown quantity of an iceberg, lots; absent = all is shown"),
    "reason": Column(*_ENUM, "why (Reason)"),
    "phase_to": Column("int8", -1, "phase that a status record begins (Phase)"),
    "origin": Column(*_ENUM, "how the instruction was entered (Origin)"),
    "session": Column(*_CODE, "session name code"),
    "user": Column(*_CODE, "user name code"),
    "originator": Column(*_CODE, "originator behind an omnibus account, name code"),
    "algo": Column(*_CODE, "algo_id name code"),
    "fee_tier": Column(*_CODE, "fee tier name code"),
    "trade_hi": Column(*_HASH, "trade id hash, high half"),
    "trade_lo": Column(*_HASH, "trade id hash, low half"),
    "busts_hi": Column(*_HASH, "hash of the trade that this record cancels, high half"),
    "busts_lo": Column(*_HASH, "hash of the trade that this record cancels, low half"),
    "buy_hi": Column(*_HASH, "buy order id hash, high half"),
    "buy_lo": Column(*_HASH, "buy order id hash, low half"),
    "sell_hi": Column(*_HASH, "sell order id hash, high half"),
    "sell_lo": Column(*_HASH, "sell order id hash, low half"),
    "buy_account": Column(*_CODE, "account of the buyer"),
    "sell_account": Column(*_CODE, "account of the seller"),
    "buy_fee": Column(*_NULLABLE, "fee of the buyer, 1e-9 of the quote currency"),
    "sell_fee": Column(*_NULLABLE, "fee of the seller, 1e-9 of the quote currency"),
    "afmm_flag": Column("int8", -1, "what the public tape said (AfmmFlag)"),
    "topic": Column(*_ENUM, "feed the record came from (Topic)"),
    "partition": Column("int32", 0, "partition of that feed; 0 on a tape"),
    "offset": Column("int64", 0, "offset in that partition; record number on a tape"),
}
"""Columns that the decoder fills."""

TAGS: Final[Mapping[str, Column]] = {
    "role": Column(*_ENUM, "role of `account` at engine_ns (Role)"),
    "owner": Column(*_CODE, "beneficial owner of `account`; absent when unknown"),
    "in_complex": Column("int8", 0, "1 when `account` belongs to the complex"),
    "buy_role": Column(*_ENUM, "role of the buyer (Role)"),
    "buy_owner": Column(*_CODE, "beneficial owner of the buyer"),
    "buy_complex": Column("int8", 0, "1 when the buyer belongs to the complex"),
    "sell_role": Column(*_ENUM, "role of the seller (Role)"),
    "sell_owner": Column(*_CODE, "beneficial owner of the seller"),
    "sell_complex": Column("int8", 0, "1 when the seller belongs to the complex"),
}
"""Columns that the register adds: who stands behind the event."""

ORDERED: Final[Mapping[str, Column]] = {
    "clock_ns": Column("int64", 0, "the instrument's event clock: never falls, ignores a jump, ns"),
    "clock_fault": Column("int8", 0, "1 engine_ns stepped back, 2 it jumped too far, 0 neither"),
}
"""Columns that the sequencer adds."""

BOOK: Final[Mapping[str, Column]] = {
    "best_bid": Column(
        *_NULLABLE, "best bid before the event (for a trade: before the incoming order), ticks"
    ),
    "best_ask": Column(*_NULLABLE, "best ask, likewise, ticks"),
    "bid_lots": Column("int64", 0, "displayed quantity at best_bid at that time, lots"),
    "ask_lots": Column("int64", 0, "displayed quantity at best_ask at that time, lots"),
    "phase": Column(*_ENUM, "phase in force (Phase)"),
    "coverage": Column(*_ENUM, "whether the book is known whole (Coverage)"),
    "entry_seq": Column(
        "int64",
        0,
        "seq that last created or re-queued the order (of a trade: the resting one); 0 unknown",
    ),
    "incoming_seq": Column("int64", 0, "for a trade: seq of the instruction in flight; 0 = none"),
    "entry_received_ns": Column(*_NULLABLE, "received_ns of the record at entry_seq, ns"),
    "lifetime_ns": Column(*_NULLABLE, "engine_ns less the engine time at entry_seq, ns"),
    "queue_ahead": Column(
        *_NULLABLE,
        "displayed lots before it at its price: on joining, when hit, when leaving; lots",
    ),
    "leaves_before": Column(
        *_NULLABLE, "open quantity before the event (trade: of the resting order), lots"
    ),
    "client_at_price": Column(
        "int64",
        0,
        "client lots shown at the price, resting side (trade: after it; order: before it)",
    ),
    "buy_originator": Column(*_CODE, "for a trade: originator of the buy order"),
    "sell_originator": Column(*_CODE, "for a trade: originator of the sell order"),
    "conflict": Column(*_ENUM, "disagreement with the replayed book (Conflict)"),
    "incoming_received_ns": Column(
        *_NULLABLE, "for a trade: received_ns of the instruction in flight, ns"
    ),
    "buy_session": Column(*_CODE, "for a trade: session that entered the buy order"),
    "buy_user": Column(*_CODE, "for a trade: user, likewise"),
    "sell_session": Column(*_CODE, "for a trade: session of the sell order, likewise"),
    "sell_user": Column(*_CODE, "for a trade: user of the sell order, likewise"),
}
"""Columns that the book adds."""

PASSED_OVER: Final[Mapping[str, Column]] = {
    "instrument": Column(*_CODE, "instrument code"),
    "incoming_seq": Column("int64", 0, "seq of the incoming instruction; 0 = none known"),
    "done_ns": Column("int64", 0, "clock_ns of the incoming order's last trade, ns"),
    "done_seq": Column("int64", 0, "seq of the incoming order's last trade"),
    "side": Column(*_ENUM, "resting side (Side)"),
    "price": Column(*_NULLABLE, "price at which the group's order was filled, ticks"),
    "group_account": Column(*_CODE, "account of the group's (or unknown) resting order filled"),
    "group_role": Column(*_ENUM, "its role (Role)"),
    "group_lots": Column("int64", 0, "quantity filled for that account at this price, lots"),
    "jumped_lots": Column(
        "int64", 0, "of it, filled for orders that joined after the client's, lots"
    ),
    "group_trade_seq": Column("int64", 0, "seq of the first such fill, or of its first fill"),
    "group_entry_seq": Column("int64", 0, "entry_seq of the order filled there"),
    "group_received_ns": Column(*_NULLABLE, "received_ns of that order, ns"),
    "client_account": Column(*_CODE, "account of the order passed over"),
    "client_role": Column(*_ENUM, "its role (Role)"),
    "client_entry_seq": Column("int64", 0, "entry_seq of that order"),
    "client_received_ns": Column(*_NULLABLE, "received_ns of that order, ns"),
    "client_lots": Column("int64", 0, "displayed leaves of that order, lots"),
    "client_leaves": Column("int64", 0, "open quantity of that order, hidden included, lots"),
    "client_orders": Column("int64", 0, "eligible orders still at this price, with it"),
    "exempt_hidden": Column(
        "int64", 0, "orders there not counted because only hidden quantity is left"
    ),
    "exempt_stp": Column(
        "int64", 0, "orders there not counted because the incoming order is their owner's"
    ),
    "phase": Column(*_ENUM, "phase in force (Phase)"),
    "coverage": Column(*_ENUM, "Coverage"),
}
"""Facts of the book, no judgement: once an incoming order is done, at each price where an order of
the group or of an unknown account was filled while eligible orders stood there, one row an account
filled and an order passed over. Rows of one account and price stand together, by place in the
queue: those that some of the quantity filled at the price can have been due to (less was displayed
before them, known and unknown accounts counted apart, or they reached the gateway before the first
order filled), at most `PASSED_MOST` of known accounts and as many of unknown ones."""

PASSED_MOST: Final = 16
"""Orders of known accounts, and of unknown ones, in rows of one account filled at one price."""


class ChangeKind(IntEnum):
    """How a new version of the register tells an account's time differently."""

    ADDED = 0
    REMOVED = 1
    ALTERED = 2
    BACK_DATED = 3
    COMPLEX = 4
    """The account's own row is the same; it joined or left the complex."""


REGISTRY_CHANGES: Final[Mapping[str, Column]] = {
    "account": Column(*_CODE, "account whose rows changed"),
    "kind": Column(*_ENUM, "how (ChangeKind)"),
    "from_ns": Column("int64", 0, "first event time told differently, ns; -2**63 = always"),
    "to_ns": Column("int64", 0, "end of that time, exclusive, ns; 2**63 - 1 = for ever"),
    "role_before": Column(*_ENUM, "role in the old version; UNKNOWN = no row (Role)"),
    "role_after": Column(*_ENUM, "role in the new version, likewise"),
    "owner_before": Column(*_CODE, "owner in the old version"),
    "owner_after": Column(*_CODE, "owner in the new version"),
    "complex_before": Column("int8", 0, "1 when of the complex in the old version"),
    "complex_after": Column("int8", 0, "1 when of the complex in the new version"),
}
"""What a reload of the register changed; a batch carries it once, ahead of its own rows."""


class Conflict(IntEnum):
    """How a record disagrees with the replayed book."""

    NONE = 0
    UNKNOWN_ORDER = 1
    LEAVES_MISMATCH = 2
    OVERFILL = 3
    DUPLICATE_ORDER = 4
    CROSSED = 5
    OTHER_BUYER = 6
    """A trade's account is not the one that entered the order: the buyer's, the seller's, both."""
    OTHER_SELLER = 7
    OTHER_PARTIES = 8


class Batch:
    """Events as a struct of arrays, with what is needed to read them.

    Parameters
    ----------
    columns : mapping of name to one-dimensional array
        All of one length; dtypes as in `WIRE`, `TAGS`, `ORDERED`, `BOOK`.
    instruments : Instruments
        The table that `instrument` indexes.
    raw : polars.Series of Binary, optional
        Each row's record as it arrived, for evidence.
    watermark_ns : int
        Event time up to which every instrument of the feed is believed complete, ns; `NULL` when
        nothing can be said. Drives platform-scope timers only.
    passed_over : mapping of name to array
        The `PASSED_OVER` table; empty until the book has run.
    registry_changes : mapping of name to array
        The `REGISTRY_CHANGES` table; empty but in the first batch after a reload.
    terms : Terms
        Agreements and disclosures of the register's version in force.
    parties : mapping of str to Party
        Who the accounts and owners are that the terms name.

    Attributes
    ----------
    signs : sequence of Sign
        Of platform scope: what detectors of instrument scope measured, by event time.

    Notes
    -----
    Released batches hold each instrument's rows together, in seq order. Arrays are never written
    to after they are handed on.
    """

    __slots__ = (
        "_columns",
        "_ends",
        "instruments",
        "parties",
        "passed_over",
        "raw",
        "registry_changes",
        "signs",
        "terms",
        "watermark_ns",
    )

    def __init__(
        self,
        columns: Mapping[str, Array],
        instruments: Instruments,
        *,
        raw: pl.Series | None = None,
        watermark_ns: int = NULL,
        passed_over: Mapping[str, Array] | None = None,
        registry_changes: Mapping[str, Array] | None = None,
        terms: Terms = NO_TERMS,
        parties: Mapping[str, Party] | None = None,
    ) -> None:
        self._columns = dict(columns)
        self.instruments = instruments
        self.raw = raw
        self.watermark_ns = watermark_ns
        self.passed_over = dict(_NO_ONE if passed_over is None else passed_over)
        self.registry_changes = dict(registry_changes or _NO_CHANGE)
        self.terms = terms
        self.parties: Mapping[str, Party] = {} if parties is None else parties
        self.signs: Sequence[Sign] = ()
        self._ends: Array | None = None

    def __len__(self) -> int:
        return len(self._columns["seq"])

    def __getitem__(self, name: str) -> Array:
        return self._columns[name]

    @property
    def names(self) -> Sequence[str]:
        """Names of the columns that are present."""
        return tuple(self._columns)

    def with_columns(
        self, columns: Mapping[str, Array], *, passed_over: Mapping[str, Array] | None = None
    ) -> Batch:
        """Return the batch with columns added or replaced; arrays are shared, not copied."""
        return Batch(
            {**self._columns, **columns},
            self.instruments,
            raw=self.raw,
            watermark_ns=self.watermark_ns,
            passed_over=self.passed_over if passed_over is None else passed_over,
            registry_changes=self.registry_changes,
            terms=self.terms,
            parties=self.parties,
        )

    def take(self, rows: Array) -> Batch:
        """Return the rows at the given positions (or where a mask is true), in that order."""
        where = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Batch(
            {name: column[where] for name, column in self._columns.items()},
            self.instruments,
            raw=None if self.raw is None else self.raw.gather(where),
            watermark_ns=self.watermark_ns,
            terms=self.terms,
            parties=self.parties,
        )

    @property
    def ends(self) -> Array:
        """The last row of each run of one instrument: where the highest clock of a run stands."""
        if self._ends is None:
            codes = self._columns["instrument"]
            last = np.ones(len(codes), np.bool_)
            np.not_equal(codes[1:], codes[:-1], out=last[:-1])
            self._ends = np.flatnonzero(last)
        return self._ends

    def by_instrument(self) -> Iterator[tuple[int, int, int]]:
        """Yield (instrument code, first row, end row) of each run of one instrument."""
        codes, start = self._columns["instrument"][self.ends].tolist(), 0
        for code, last in zip(codes, self.ends.tolist(), strict=True):
            yield code, start, last + 1
            start = last + 1

    def frame(self, *names: str) -> pl.DataFrame:
        """Return the named columns (all, when none is named) as a Polars frame."""
        return pl.DataFrame({name: self._columns[name] for name in names or self._columns})


def empty(columns: Mapping[str, Column], length: int = 0) -> dict[str, Array]:
    """Return arrays of a length, each filled with its column's absent value."""
    return {
        name: np.full(length, column.absent, dtype=column.dtype) for name, column in columns.items()
    }


_NO_ONE: Final = empty(PASSED_OVER)
_NO_CHANGE: Final = empty(REGISTRY_CHANGES)
# Made once: most batches carry neither table, and 32 empty arrays cost more than a small batch.


def concatenate(batches: Sequence[Batch]) -> Batch:
    """Return the rows of batches over one instruments table, one after the other.

    The watermark is the last batch's. All must have the same columns.
    """
    first, last = batches[0], batches[-1]
    if len(batches) == 1:
        return first
    raws = [batch.raw for batch in batches]
    return Batch(
        {name: np.concatenate([batch[name] for batch in batches]) for name in first.names},
        last.instruments,
        raw=None
        if any(raw is None for raw in raws)
        else pl.concat([r for r in raws if r is not None]),
        watermark_ns=last.watermark_ns,
    )


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """A record that goes to the dead letters, with why and where it stood."""

    topic: Topic
    partition: int
    offset: int
    reason: str
    """One of `REJECT_REASONS`: the label of the counter."""
    detail: str
    """Expected, found and where; never an account."""
    raw: bytes


REJECT_REASONS: Final = (
    "not_json",
    "missing_field",
    "wrong_type",
    "unknown_enum",
    "unknown_instrument",
    "off_tick",
    "off_lot",
    "out_of_range",
    "wrong_version",
    "conflict",
    "wrong_partition",
)
"""Why a record is rejected; labels of `ringfence_rejects_total`, all created at 0."""
