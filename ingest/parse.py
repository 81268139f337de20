"""Messages of one topic to arrays: Polars for many, msgspec for few, with care for odd ones.

All three give the same arrays for the same message, so that what a message says does not depend on
how many arrived with it. Values are as on the wire: not yet checked, scaled or coded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import polars as pl

from ingest.careful import Record, Refusal, read
from ingest.events import NULL, Array, Topic
from ingest.records import VERSION, OrderRecord, TradeRecord
from ingest.scan import PADDING, Layout, Scan, layout, scan
from ingest.scan_kernel import ODD, PLAIN_IF_UTF8

CROSSOVER: Final = 2_000
"""Plain messages from which Polars is the faster reader; measured by benchmarks/decode.py."""
ABSENT: Final = -1

_STRUCTS: Final = {Topic.ORDERS: OrderRecord, Topic.TRADES: TradeRecord}


class Words:
    """One string field of many messages: a code for each message and the strings of the codes."""

    def __init__(self, length: int) -> None:
        self.codes: Array = np.full(length, ABSENT, dtype=np.int32)
        self.strings: list[str] = []
        self._found: dict[str, int] = {}

    def code(self, word: str) -> int:
        """Return the code of a string, giving it one when it is new."""
        found = self._found.setdefault(word, len(self.strings))
        if found == len(self.strings):
            self.strings.append(word)
        return found

    def table(self, strings: Sequence[str]) -> Array:
        """Return the codes of many strings; `ABSENT` last, where an absent one looks itself up."""
        return np.array([*map(self.code, strings), ABSENT], dtype=np.int32)


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """Messages as arrays, one column a message, in arrival order."""

    fields: Layout
    buffer: Array
    starts: Array
    """Shape (spans, messages): where each id and decimal begins in `buffer`."""
    lengths: Array
    """Shape (spans, messages): its bytes; 0 when absent."""
    present: Array
    """Bit set of fields that are neither null nor empty."""
    integers: dict[str, Array]
    """int64; `NULL` when absent."""
    words: dict[str, Words]
    refused: dict[int, Refusal]
    """By message: why it is no record at all."""
    unknown: int
    """Fields that the contract does not name."""


class Parser:
    """Reads messages of one topic.

    Parameters
    ----------
    topic : Topic
    crossover : int
        Plain messages from which Polars reads them.
    """

    def __init__(self, topic: Topic, *, crossover: int = CROSSOVER) -> None:
        self._fields = layout(topic)
        self._crossover = crossover
        self._decode = msgspec.json.Decoder(_STRUCTS[topic]).decode
        names = list(_STRUCTS[topic].__struct_fields__)
        self._positions = {
            name: names.index(name) for name in (*self._fields.integers, *self._fields.words)
        }
        self._schema = pl.Schema(
            [(name, pl.Int64) for name in self._fields.integers]
            + [(name, pl.String) for name in self._fields.words]
        )

    def parse(self, values: Sequence[bytes]) -> Parsed:
        """Return the messages as arrays."""
        joined = b"\n".join([*values, PADDING])
        found = scan(values, joined, self._fields)
        n = len(values)
        plain = _plain(values, found.verdicts)
        integers = {name: np.full(n, NULL, dtype=np.int64) for name in self._fields.integers}
        words = {name: Words(n) for name in self._fields.words}
        odd = np.flatnonzero(~plain).tolist()
        rows = np.flatnonzero(plain)
        # Odd messages and a Polars that disagrees with the scan cost only speed.
        few = len(rows) < self._crossover
        if few or not self._many(values, joined, found, rows, integers, words):
            odd += self._few(values, rows, integers, words)
        buffer, refused = found.buffer, dict[int, Refusal]()
        if odd:
            buffer, refused = self._odd(values, sorted(odd), found, integers, words)
        # Of a record that is refused for its version none is counted, whichever reader refuses it.
        found.unknown[(integers["v"] != NULL) & (integers["v"] != VERSION)] = 0
        return Parsed(
            fields=self._fields,
            buffer=buffer,
            starts=found.starts,
            lengths=found.lengths,
            present=found.present,
            integers=integers,
            words=words,
            refused=refused,
            unknown=int(found.unknown.sum()),
        )

    def _many(  # noqa: PLR0917
        self,
        values: Sequence[bytes],
        joined: bytes,
        found: Scan,
        rows: Array,
        integers: dict[str, Array],
        words: dict[str, Words],
    ) -> bool:
        """Fill the arrays from Polars; return False, with nothing filled, when it disagrees."""
        whole = len(rows) == len(values)
        lines = joined if whole else b"\n".join([values[row] for row in rows.tolist()])
        try:
            frame = pl.read_ndjson(lines, schema=self._schema)
        except pl.exceptions.PolarsError:
            return False
        if frame.height != len(rows):
            return False
        # Categories of their own: codes and memory are this call's, not the process's.
        arrays = frame.select(
            pl.col(self._fields.integers).fill_null(NULL),
            *(
                pl.col(name)
                .cast(pl.Categorical(pl.Categories.random()))
                .to_physical()
                .cast(pl.Int32)
                .fill_null(ABSENT)
                for name in self._fields.words
            ),
        )
        seq = arrays["seq"].to_numpy()
        if not np.array_equal(np.where(seq == NULL, 0, seq), found.seq[rows]):
            return False
        where = slice(None) if whole else rows
        for name in self._fields.integers:
            integers[name][where] = arrays[name].to_numpy()
        coded = {name: arrays[name].to_numpy() for name in self._fields.words}
        shown = {name: _shown_at(codes) for name, codes in coded.items()}
        strings = frame[np.concatenate(list(shown.values()))]
        first = 0
        for name, codes in coded.items():
            column = strings[name].slice(first, len(shown[name])).to_list()
            first += len(shown[name])
            words[name].codes[where] = words[name].table(column)[codes]
        return True

    def _few(
        self,
        values: Sequence[bytes],
        rows: Array,
        integers: dict[str, Array],
        words: dict[str, Words],
    ) -> list[int]:
        """Fill the arrays from msgspec; return the rows that it would not read."""
        read_rows, records, left = [], [], []
        for row in rows.tolist():
            try:
                records.append(msgspec.structs.astuple(self._decode(values[row])))
            except msgspec.MsgspecError:
                left.append(row)
            else:
                read_rows.append(row)
        if not records:
            return left
        where = slice(None) if len(records) == len(values) else np.array(read_rows)
        columns = list(zip(*records, strict=True))
        for name, column in integers.items():
            found = columns[self._positions[name]]
            column[where] = [NULL if item is None else item for item in found]
        for name, word in words.items():
            found = columns[self._positions[name]]
            table = {
                item: ABSENT if item is None else word.code(item) for item in dict.fromkeys(found)
            }
            word.codes[where] = list(map(table.__getitem__, found))
        return left

    def _odd(
        self,
        values: Sequence[bytes],
        odd: Sequence[int],
        found: Scan,
        integers: dict[str, Array],
        words: dict[str, Words],
    ) -> tuple[Array, dict[int, Refusal]]:
        """Fill the arrays with care; return the buffer with their strings, and the refusals."""
        extra = bytearray()
        base = len(found.buffer)
        refused = {}
        for row in odd:
            record = read(self._fields.topic, values[row])
            if isinstance(record, Refusal):
                refused[row] = record
                found.present[row] = 0
                found.lengths[:, row] = 0
                found.unknown[row] = 0
                continue
            found.unknown[row] = record.unknown
            found.present[row] = self._presence(record)
            for name, column in integers.items():
                column[row] = record.fields.get(name, NULL)
            for name, word in words.items():
                item = record.fields.get(name)
                word.codes[row] = ABSENT if item is None else word.code(str(item))
            for span, name in enumerate(self._fields.spans):
                text = str(record.fields.get(name, "")).encode()
                found.starts[span, row] = base + len(extra)
                found.lengths[span, row] = len(text)
                extra += text
        if not extra:
            return found.buffer, refused
        return np.concatenate([found.buffer, np.frombuffer(extra, dtype=np.uint8)]), refused

    def _presence(self, record: Record) -> int:
        bits = (self._fields.bit(name) for name, item in record.fields.items() if item != "")
        return sum(bits)


def _shown_at(codes: Array) -> Array:
    """Return, for each code from 0 up, a row that has it."""
    rows = np.zeros(int(codes.max()) + 2, dtype=np.int64)
    rows[codes] = np.arange(len(codes))
    return rows[:-1]


def _plain(values: Sequence[bytes], verdicts: Array) -> Array:
    """Return which messages are plain, having tried the text that is not ASCII."""
    plain: Array = verdicts != ODD
    for row in np.flatnonzero(verdicts == PLAIN_IF_UTF8).tolist():
        try:
            values[row].decode("utf-8")
        except UnicodeDecodeError:
            plain[row] = False
    return plain
