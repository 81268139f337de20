"""What a message decodes to depends on the message alone: not on its batch, not on its reader."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import REJECT_REASONS, Topic
from ingest.records import WIRE_FIELDS
from tests.ingest.wire_records import AT, Outcome, expected, order, raw, tape, trade

MSGSPEC = 10**9
POLARS = 1


def insert(topic: Topic, text: str) -> bytes:
    """Return a valid record with some text put after its opening brace."""
    record = order() if topic is Topic.ORDERS else trade()
    return b"{" + text.encode("utf-8", "surrogatepass") + raw(record)[1:]


def replaced(topic: Topic, name: str, text: str) -> bytes:
    """Return a valid record whose field has some text as its value."""
    record = order() if topic is Topic.ORDERS else trade()
    value = json.dumps(record | {name: "@"}).replace('"@"', text)
    return value.encode("utf-8", "surrogatepass")


ODD_VALUES = [
    *("null", "true", "1", "-1", "0", "-0", "1.0", "1e3", "1E400", "01", "+1", ".5", "1.", "NaN"),
    *("Infinity", "-Infinity", "nul", "nulll", "tru", "falsey", "[]", "[1, 2]", "{}", '{"a": 1}'),
    *(str(2**63 - 1), str(2**63), str(2**64), "9" * 30, "9" * 5000, str(AT), str(AT // 1000)),
    *('""', '"x"', '"1"', '"-1"', '"1e3"', '"100.5"', '" 1"', '"1 "', '"1_0"', '"1,5"', '"NaN"'),
    *(
        '"\\u0031"',
        '"\\n"',
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\u0000"',
        '"a\\"b"',
        '"\\x"',
        '"\\"',
    ),
    *(
        '"\t"',
        '"\n"',
        '"\0"',
        '"\x7f"',
        '"é"',
        '"代幣-USD"',
        '"\ud800"',
        '"a',
        "'a'",
        "",
        '"' + "x" * 5000 + '"',
    ),
    *('"BTC-USD"', '"buy"', '"BUY"', '"GTC"', '"gtc"', '"status"', '"none"', '"0.0005"', '"٣"'),
    "[" * 100_000,
    '{"a":' * 5000 + "1" + "}" * 5000,
]

WHOLE: list[bytes] = [
    b"",
    b" ",
    b"\n",
    b"\r\n",
    b"\0",
    b"{}",
    b"{ }",
    b"{,}",
    b"[]",
    b"null",
    b"5",
    b'"text"',
    b"{",
    b"}",
    b'{"v"',
    b'{"v":',
    b'{"v":1',
    b'{"v":1,',
    b'{"v":1,}',
    b"\xff\xfe",
    b"[" * 100_000,
    raw(order()) + raw(order(seq=2)),
    raw(order()) + b"\n" + raw(order(seq=2)),
    raw(order()) + b"\n",
    b"\n" + raw(order()),
    raw(order()) + b"  \t\r",
    b" \t" + raw(order()),
    raw(order()).replace(b", ", b",\n"),
    raw(order()).replace(b": ", b" \t: \t"),
    raw(order()).replace(b", ", b"\r,"),
    raw(order()).replace(b'"', b"'"),
    raw(order())[:-1],
    raw(order())[1:],
    raw(order()) + b"}",
    raw(order()) + b",",
    raw(order()) + b" x",
    raw(order()) + b"\0",
    b"\xef\xbb\xbf" + raw(order()),
    raw(order()).decode().encode("utf-16"),
    raw(order(account="C\xff")).replace("ÿ".encode(), b"\xff"),
    raw(order(account="C?")).replace(b"?", b"\xed\xa0\x80"),
    raw(order(account="C?")).replace(b"?", b"\xc0\xaf"),
    raw(order(account="客戶七", instrument="代幣-USD", quantity="5", leaves="5", price="0.3")),
    json.dumps(order(account="客戶七", user='a"b\\c/d', session="😀")).encode(),
    raw(order(account="C?")).replace(b"C?", b"\\u0043\\/"),
    raw(order()).replace(b'"price"', b'"pr\\u0069ce"'),
    raw(order()).replace(b'"price"', b'"pr\xffice"'),
    raw(order(order_id="x" * 100_000)),
    raw(order(price=...)).replace(b"}", b', "price": "7", "price": "8"}'),
    raw(order(price=...)).replace(b"}", b', "price": null, "price": "8"}'),
    raw(order(price=...)).replace(b"}", b', "price": "8", "price": null}'),
    raw(order()).replace(b'"seq"', b'"seq": 5, "seq"'),
    raw(order(seq=...)).replace(b"}", b', "s\\u0065q": 5, "seq": 6}'),
    *(raw(order(v=...)).replace(b"}", b', "": %s}' % value) for value in (b"null", b"1", b'"1"')),
]

UNKNOWN = [
    '"colour": "red", ',
    '"colour": 1.5, ',
    '"colour": -1e300, ',
    '"colour": 1e999, ',
    '"colour": 123456789012345678901234567890, ',
    '"colour": -0.0, ',
    '"colour": 01, ',
    '"colour": true, "shade": false, "tint": null, ',
    '"colour": {"price": "7"}, ',
    '"colour": ["price", {"seq": 9}], ',
    '"colour": 1, "colour": 2, ',
    '"colour": "a\\"b", ',
    '"": 1, ',
    '"Price": "7", "price ": "8", "pric": "9", "prices": "1", ',
    '"a_key_that_is_far_longer_than_any_of_the_contract": 1, ',
    '"sixteen_letters_": 1, "seventeen_letters": 1, ',
    '"é": 1, ',
    '"k\\u0000": 1, ',
    "".join(f'"k{i}": {i}, ' for i in range(16)),
    "".join(f'"k{i}": {i}, ' for i in range(40)),
    '"x": "\ud800", ',
]


def nasty(topic: Topic) -> list[bytes]:
    record = order() if topic is Topic.ORDERS else trade()
    names = WIRE_FIELDS[topic]
    return [
        *(replaced(topic, name, text) for name in names for text in ODD_VALUES),
        *(insert(topic, text) for text in UNKNOWN),
        *(raw({n: v for n, v in record.items() if n != name}) for name in names),
        *(raw(record)[:cut] for cut in range(0, len(raw(record)), 3)),
        *WHOLE,
    ]


@pytest.mark.parametrize("topic", list(Topic))
def test_every_nasty_message_gets_what_the_plain_python_reader_says(topic: Topic) -> None:
    values = nasty(topic)
    good, bad = expected(topic, values)
    for crossover in (MSGSPEC, POLARS):
        found = Outcome(topic, values, len(values), crossover)
        assert found.rejects == bad
        assert found.rows == good
    assert len(good) > 100
    assert {reason for _, reason, _, _ in bad} >= set(REJECT_REASONS) - {
        "conflict",
        "wrong_partition",
        *(("off_lot",) if topic is Topic.TRADES else ()),
    }


@pytest.mark.parametrize("topic", list(Topic))
def test_nasty_messages_among_good_ones_cost_only_themselves_whatever_the_cut(topic: Topic) -> None:
    values = nasty(topic)[::7]
    for place, value in enumerate(tape(topic, 300)):
        values.insert(place * 3, value)
    whole = Outcome(topic, values, len(values), POLARS)
    good, bad = expected(topic, values)
    assert (whole.rows, whole.rejects) == (good, bad)
    for size, crossover in ((1, MSGSPEC), (7, MSGSPEC), (7, POLARS), (150, MSGSPEC), (150, POLARS)):
        assert Outcome(topic, values, size, crossover) == whole


@pytest.mark.parametrize("topic", list(Topic))
def test_a_clean_tape_is_the_same_at_every_batch_size_and_by_both_readers(topic: Topic) -> None:
    values = tape(topic, 700)
    good, _ = expected(topic, values)
    whole = Outcome(topic, values, len(values), POLARS)
    assert whole.rows == good
    assert whole.raws == values
    assert not whole.rejects
    for size, crossover in ((1, MSGSPEC), (7, POLARS), (150, POLARS), (700, MSGSPEC)):
        assert Outcome(topic, values, size, crossover) == whole


def test_unknown_fields_are_counted_the_same_by_every_reader() -> None:
    values = [
        insert(Topic.ORDERS, text) for text in ('"a": 1, ', '"b": {"c": 1}, ', '"a": 1, "a": 2, ')
    ]
    values.append(b'{"a": 1, broken')
    for crossover in (MSGSPEC, POLARS):
        assert Outcome(Topic.ORDERS, values, 4, crossover).unknown == 3


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.text(max_size=12),
    st.from_regex(r"[+-]?[0-9]{0,22}\.?[0-9]{0,12}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["", "buy", "limit", "new", "status", "BTC-USD", "1e3", "0.5"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@st.composite
def messages(draw: Any, topic: Topic) -> bytes:
    """A valid record with fields changed, then perhaps bytes of it."""
    base = json.loads(draw(st.sampled_from(TAPES[topic])))
    changes = draw(st.dictionaries(st.sampled_from(list(WIRE_FIELDS[topic])), scalars, max_size=2))
    extra = draw(st.dictionaries(st.text(max_size=5), scalars, max_size=1))
    ascii_only, tight = draw(st.booleans()), draw(st.booleans())
    value = json.dumps(
        base | changes | extra,
        ensure_ascii=ascii_only,
        separators=(",", ":") if tight else None,
    ).encode("utf-8", "surrogatepass")
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        at = draw(st.integers(0, len(value)))
        cut = draw(st.integers(0, 3))
        value = value[:at] + draw(st.one_of(st.binary(max_size=2), tokens)) + value[at + cut :]
    return value


tokens = st.sampled_from(
    [b'"', b"\\", b"{", b"}", b",", b":", b"\n", b" ", b"0", b"1", b"null", b"-", b"."]
)
TAPES = {topic: tape(topic, 40) for topic in Topic}


@pytest.mark.parametrize("reader", [POLARS, MSGSPEC])
def test_unknown_fields_of_a_record_of_another_version_are_not_counted(reader: int) -> None:
    other = raw(trade() | {"v": 0, "colour": "red"})
    values = [raw(trade() | {"colour": "red"}), other]
    found = Outcome(Topic.TRADES, values, len(values), reader)
    assert [reject[1] for reject in found.rejects] == ["wrong_version"]
    assert found.unknown == 1


@pytest.mark.parametrize("topic", list(Topic))
@settings(deadline=None, max_examples=120)
@given(data=st.data())
def test_any_message_gets_the_same_from_every_reader(topic: Topic, data: Any) -> None:
    values = data.draw(st.lists(messages(topic), min_size=1, max_size=12))
    good, bad = expected(topic, values)
    many = Outcome(topic, values, len(values), POLARS)
    assert (many.rows, many.rejects) == (good, bad)
    assert Outcome(topic, values, len(values), MSGSPEC) == many
    assert Outcome(topic, values, 1, MSGSPEC) == many
