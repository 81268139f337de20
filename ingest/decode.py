"""Message bytes to a columnar batch: every field checked and scaled, every bad record kept aside.

What is accepted, and as what, is a function of the message alone. Sizes are exact decimals
throughout. A record is refused for the first thing wrong with it, in the order of `careful.judge`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from ingest.careful import FEE_SCALE, FEES, LOTS, Record, Refusal, judge, least, read
from ingest.checks import Checks
from ingest.decimals import NOT_DECIMAL, OK, Scales, scale_of
from ingest.errors import TapeError
from ingest.events import (
    NO_CODE,
    NULL,
    WIRE,
    Array,
    Batch,
    Kind,
    Reason,
    Reject,
    Topic,
)
from ingest.hashing import hash_spans
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.parse import CROSSOVER, Parsed, Parser, Words
from ingest.records import ENUMS, KNOWN_KEYS, WIRE_FIELDS
from ingest.source import Arrivals

_IDS: Final[Mapping[Topic, Mapping[str, str]]] = {
    Topic.ORDERS: {"order_id": "order", "replaces": "replaces", "parent_order_id": "parent"},
    Topic.TRADES: {
        "trade_id": "trade",
        "busts": "busts",
        "buy_order_id": "buy",
        "sell_order_id": "sell",
    },
}
_NAMES: Final[Mapping[Topic, Mapping[str, str]]] = {
    Topic.ORDERS: {
        "account": "account",
        "session": "session",
        "user": "user",
        "originator": "originator",
        "algo_id": "algo",
        "fee_tier": "fee_tier",
    },
    Topic.TRADES: {"buy_account": "buy_account", "sell_account": "sell_account"},
}
_ENUM_COLUMNS: Final[Mapping[str, str]] = {
    "action": "kind",
    "phase": "phase_to",
    "source": "origin",
    "aggressor": "side",
}
_TIMES: Final = ("engine_ns", "received_ns", "priority_ns")
_BAD_WORD: Final = -100


class Decoder:
    """Decodes both topics over one instruments table.

    State is the table of names only: one entry a distinct account, session, user, originator, algo
    or fee tier of an accepted record.

    Parameters
    ----------
    instruments : Instruments
    names : Names
        Takes the strings of accepted records.
    crossover : int
        Messages from which Polars reads them; below, msgspec does.

    Examples
    --------
    >>> from decimal import Decimal
    >>> from ingest.instruments import Instrument
    >>> table = Instruments([Instrument(instrument="BTC-USD", base="BTC", quote="USD", kind="spot",
    ...     tick_size=Decimal("0.5"), lot_size=Decimal("0.001"))])
    >>> good = (b'{"v":1,"instrument":"BTC-USD","seq":1,"action":"new","order_id":"A","account":'
    ...     b'"C1","side":"buy","type":"limit","price":"100.5","quantity":"0.002","leaves":"0.002",'
    ...     b'"engine_ns":1700000000000000000}')
    >>> bad = good.replace(b'"price":"100.5"', b'"price":"100.3"')
    >>> arrivals = Decoder(table, Names()).decode(Topic.ORDERS, [good, bad], 2, np.array([7, 8]))
    >>> arrivals.batch["price"].tolist(), arrivals.batch["quantity"].tolist()
    ([201], [2])
    >>> arrivals.rejects[0].reason, arrivals.rejects[0].detail
    ('off_tick', 'price must be a multiple of tick_size 0.5, was 100.3 (orders/2@8)')
    """

    def __init__(
        self, instruments: Instruments, names: Names, *, crossover: int = CROSSOVER
    ) -> None:
        self._instruments = instruments
        self._names = names
        self._parsers = {topic: Parser(topic, crossover=crossover) for topic in Topic}
        self._checks = {topic: Checks(topic, least) for topic in Topic}
        rows = instruments.rows
        ticks = Scales(scale_of(row.tick_size) for row in rows)
        lots = Scales(scale_of(row.lot_size) for row in rows)
        fees = Scales(FEE_SCALE for _ in rows)
        self._scales = {
            name: lots if name in LOTS else fees if name in FEES else ticks
            for topic in Topic
            for name, field in WIRE_FIELDS[topic].items()
            if field.form == "decimal"
        }

    def decode(
        self, topic: Topic, values: Sequence[bytes], partition: int | Array, offsets: Array
    ) -> Arrivals:
        """Return the messages of one topic as a batch of `WIRE` columns, and the rejects.

        Parameters
        ----------
        topic : Topic
        values : sequence of bytes
            One message each.
        partition : int or array
            Of all messages, or of each.
        offsets : int64 array
            Of each message; on a tape the record number.
        """
        n = len(values)
        offsets = np.asarray(offsets, dtype=np.int64)
        partitions = np.full(n, partition, dtype=np.int32)
        if not n:
            columns = {name: np.zeros(0, dtype=c.dtype) for name, c in WIRE.items()}
            raw = pl.Series("raw", [], dtype=pl.Binary)
            return Arrivals(batch=Batch(columns, self._instruments, raw=raw))
        parsed = self._parsers[topic].parse(values)
        columns, bad = self._columns(topic, parsed)
        columns["topic"] = np.full(n, int(topic), dtype=np.int8)
        columns["partition"] = partitions
        columns["offset"] = offsets
        rejects = []
        kept: Array | slice = slice(None)
        if bad.any():
            for row in np.flatnonzero(bad).tolist():
                why = parsed.refused.get(row) or self._explain(topic, values[row])
                where = f"{topic.name.lower()}/{partitions[row]}@{offsets[row]}"
                rejects.append(
                    Reject(
                        topic=topic,
                        partition=int(partitions[row]),
                        offset=int(offsets[row]),
                        reason=why.reason,
                        detail=f"{why.detail} ({where})",
                        raw=bytes(values[row]),
                    )
                )
            kept = np.flatnonzero(~bad)
            values = [values[row] for row in kept.tolist()]
            columns = {name: column[kept] for name, column in columns.items()}
        for name, column in _NAMES[topic].items():
            columns[column] = self._codes(parsed.words[name], kept)
        return Arrivals(
            batch=Batch(
                _whole(columns, len(values)),
                self._instruments,
                raw=pl.Series("raw", values, dtype=pl.Binary),
            ),
            rejects=tuple(rejects),
            unknown_fields=parsed.unknown,
        )

    def decode_frame(
        self, topic: Topic, frame: pl.DataFrame, partition: int, offsets: Array
    ) -> Arrivals:
        """Return the rows of a Parquet tape as `decode` returns messages.

        The raw record is the row as JSON: contract fields in the contract's order, then others in
        the frame's. Decimals may be strings or of a decimal dtype; a float is refused.

        Raises
        ------
        TapeError
            A column has a dtype that JSON can't hold.
        """
        known = [name for name in WIRE_FIELDS[topic] if name in frame.columns]
        others = [name for name in frame.columns if name not in KNOWN_KEYS[topic]]
        try:
            lines = frame.select(
                pl.col(name).cast(pl.String) if frame[name].dtype == pl.Binary else pl.col(name)
                for name in (*known, *others)
            ).write_ndjson()
        except pl.exceptions.PolarsError as error:
            dtypes = ", ".join(f"{name} {frame[name].dtype}" for name in (*known, *others))
            raise TapeError(
                f"{topic.name.lower()} columns must be strings and integers, "
                f"found {dtypes}: {error}"
            ) from error
        values = lines.encode().splitlines() if frame.width else [b"{}"] * frame.height
        return self.decode(topic, values, partition, offsets)

    def _columns(self, topic: Topic, parsed: Parsed) -> tuple[dict[str, Array], Array]:
        """Return the columns but for names, and which messages are refused."""
        n = len(parsed.present)
        bad = np.zeros(n, dtype=np.bool_)
        bad[list(parsed.refused)] = True
        columns: dict[str, Array] = {
            "seq": parsed.integers["seq"],
            "kind": np.full(n, int(Kind.TRADE), dtype=np.int8),
            "instrument": _mapped(parsed.words["instrument"], self._instruments.codes, NO_CODE),
        }
        for name in _TIMES:
            if name in parsed.integers:
                columns[name] = parsed.integers[name]
        for name, words in ENUMS[topic].items():
            column = _ENUM_COLUMNS.get(name, name)
            codes = _mapped(parsed.words[name], words, _BAD_WORD, WIRE[column].absent)
            wrong = codes == _BAD_WORD
            if wrong.any():
                if name == "reason":
                    # Why a phase changed is told in the venue's own words.
                    told = wrong & (columns["kind"] == Kind.STATUS)
                    codes[told] = int(Reason.OTHER)
                    wrong &= ~told
                bad |= wrong
            columns[column] = codes.astype(np.int8)
        for span, name in enumerate(parsed.fields.spans):
            starts, lengths = parsed.starts[span], parsed.lengths[span]
            if name in self._scales:
                counts, status = self._scales[name].read(
                    parsed.buffer, starts, lengths, columns["instrument"]
                )
                columns[name] = counts
                if status.any():
                    # What a venue refused may be off its own grid: that is why it was refused.
                    refused = (columns["kind"] == Kind.REJECT) & (status > NOT_DECIMAL)
                    counts[refused], status[refused] = NULL, OK
                    bad |= status != 0
                continue
            high, low = np.zeros(n, dtype=np.uint64), np.zeros(n, dtype=np.uint64)
            if lengths.any():
                hash_spans(parsed.buffer, starts, lengths, high, low)
            column = _IDS[topic][name]
            columns[f"{column}_hi"], columns[f"{column}_lo"] = high, low
        self._checks[topic].mark(columns, parsed.integers["v"], parsed.present, bad)
        return columns, bad

    def _explain(self, topic: Topic, raw: bytes) -> Refusal:
        record = read(topic, raw)
        if isinstance(record, Record):
            found = judge(topic, record, self._instruments)
            # Not reached while kernels and `judge` agree, which the tests hold them to.
            return found or Refusal("wrong_type", "record must be valid, was refused by a kernel")
        return record

    def _codes(self, words: Words, kept: Array | slice) -> Array:
        """Return name codes of the kept messages; only their strings reach the table of names."""
        codes = words.codes[kept]
        used = np.zeros(len(words.strings) + 1, dtype=np.bool_)
        used[codes] = True
        table = np.full(len(words.strings) + 1, NO_CODE, dtype=np.int32)
        places = sorted(np.flatnonzero(used[:-1]).tolist(), key=words.strings.__getitem__)
        self._names.learn(words.strings[place] for place in places if words.strings[place])
        for place in places:
            if words.strings[place]:
                table[place] = self._names.code(words.strings[place])
        return table[codes]


def _mapped(words: Words, codes: Mapping[str, int], other: int, absent: int = NO_CODE) -> Array:
    """Return a code for each message; `other` where the table does not know the string."""
    table = [codes.get(word, other) for word in words.strings]
    return np.array([*table, absent], dtype=np.int32)[words.codes]


def _whole(columns: Mapping[str, Array], length: int) -> dict[str, Array]:
    """Return every `WIRE` column, those that the topic does not have filled as absent."""
    return {
        name: columns[name]
        if name in columns
        else np.full(length, column.absent, dtype=column.dtype)
        for name, column in WIRE.items()
    }
