"""The scan alone: whatever it calls plain, every JSON reader must read alike and without error."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from ingest.careful import read
from ingest.events import Topic
from ingest.parse import Parser
from ingest.scan import PADDING, Scan, layout, scan
from ingest.scan_kernel import ODD, PLAIN, PLAIN_IF_UTF8
from tests.ingest.test_decode_equality import nasty
from tests.ingest.wire_records import order, raw, tape

ORDERS = layout(Topic.ORDERS)


def scanned(values: list[bytes], topic: Topic = Topic.ORDERS) -> Scan:
    return scan(values, b"\n".join([*values, PADDING]), layout(topic))


@pytest.mark.parametrize("topic", list(Topic))
def test_whatever_is_plain_polars_reads_alone_and_together_without_error(topic: Topic) -> None:
    values = nasty(topic)
    verdicts = scanned(values, topic).verdicts
    plain = [v for v, verdict in zip(values, verdicts, strict=True) if verdict == PLAIN]
    assert len(plain) > 100
    fields = layout(topic)
    schema = dict.fromkeys(fields.integers, pl.Int64) | dict.fromkeys(fields.words, pl.String)
    frame = pl.read_ndjson(b"\n".join(plain), schema=schema)
    records = [json.loads(value) for value in plain]
    for name in schema:
        assert frame[name].to_list() == [record.get(name) for record in records]


@pytest.mark.parametrize("topic", list(Topic))
def test_an_ordinary_tape_is_plain_so_that_no_message_takes_the_slow_way(topic: Topic) -> None:
    values = tape(topic, 300)
    assert set(scanned(values, topic).verdicts.tolist()) == {PLAIN}


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (b"C1", b"C1", PLAIN),
        (b"C1", b"", PLAIN),
        (b"C1", b"a-name-much-longer-than-eight-bytes/{[,:]}", PLAIN),
        (b"C1", "客戶".encode(), PLAIN_IF_UTF8),
        (b"C1", b"1234567\x80", PLAIN_IF_UTF8),
        (b"C1", b"12345678\xff", PLAIN_IF_UTF8),
        (b"C1", b"C\x001", ODD),
        (b"C1", b"C\x1f", ODD),
        (b"C1", b"C\x7f ~", PLAIN),
        (b"C1", b"12345678\t", ODD),
        (b"C1", b"C\\n", ODD),
        (b'"seq": 1', b'"seq": 01', ODD),
        (b'"seq": 1', b'"seq": 0', PLAIN),
        (b'"seq": 1', b'"seq": 9223372036854775807', PLAIN),
        (b'"seq": 1', b'"seq": 9223372036854775808', ODD),
        (b'"seq": 1', b'"seq": 99999999999999999999999', ODD),
        (b'"seq": 1', b'"seq": 1, "seq": 1', ODD),
        (b'"seq": 1', b'"seq": 1, "other": -1.25, "third": true', PLAIN),
        (b'"seq": 1', b'"seq": 1, "other": 1e5', ODD),
        (b'"seq": 1', b'"seq": 1, "other": 1, "other": 2', ODD),
        (b'"seq": 1', b'"seq": 1, "other": {}', ODD),
        (b"}", b"}}", ODD),
        (b"}", b"} x", ODD),
        (b"}", b"} \t\r", PLAIN),
        (b"}", b",}", ODD),
        (b"}", b"", ODD),
    ],
)
def test_a_message_is_plain_only_where_no_reader_could_differ(
    old: bytes, new: bytes, verdict: int
) -> None:
    value = raw(order()).replace(old, new)
    found = scanned([raw(order()), value, raw(order())])
    assert found.verdicts.tolist() == [PLAIN, verdict, PLAIN]


def test_spans_lie_where_the_strings_do() -> None:
    values = [raw(order(order_id=f"O-{n}", price="7" * n)) for n in range(1, 20)]
    found = scanned(values)
    for name, wanted in (
        ("order_id", [f"O-{n}" for n in range(1, 20)]),
        ("price", ["7" * n for n in range(1, 20)]),
        ("replaces", [""] * 19),
    ):
        span = ORDERS.spans.index(name)
        assert [
            found.buffer[start : start + length].tobytes().decode()
            for start, length in zip(found.starts[span], found.lengths[span], strict=True)
        ] == wanted


def test_presence_holds_what_is_neither_null_nor_empty() -> None:
    found = scanned([raw(order(account="", tif=None))])
    names = [name for name in ORDERS.fields if int(found.present[0]) & ORDERS.bit(name)]
    given = [name for name, value in order(account="", tif=None).items() if value]
    assert sorted(names) == sorted(given)


def test_a_poison_message_sends_no_other_to_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = Parser(Topic.ORDERS, crossover=1)
    slow: list[bytes] = []
    monkeypatch.setattr(
        "ingest.parse.read",
        lambda topic, value: slow.append(value) or read(topic, value),
    )
    few: list[int] = []
    monkeypatch.setattr(parser, "_few", lambda *given: few.append(len(given[1])) or [])
    values = tape(Topic.ORDERS, 100)
    values[50] = b'{"v": 1, "seq"'
    parsed = parser.parse(values)
    assert slow == [values[50]]
    assert few == []
    assert list(parsed.refused) == [50]
    assert np.count_nonzero(parsed.present) == 99
