"""Summaries as messages: whole again in any order of pieces, and damage is named."""

from __future__ import annotations

import hashlib
import random

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.conduct_example import sign
from detectors.examples import example_instruments
from ingest.errors import SourceError
from ingest.events import NULL, Batch, empty
from ingest.summary import SUMMARY, Summary, decode_rows, encode_rows
from ingest.summary_wire import MAX_BYTES, Assembler, encode

NAMES = ("AAA-USD", "BBB-USD", "CCC-USD")
TABLE = example_instruments(NAMES)
WIDER = example_instruments(("AAA-AUD", *NAMES, "ZZZ-USD"))


def rows_of(count, seed=0, *, raw=True, table=TABLE):
    """Rows whose every column is drawn over its whole range, absent values among them."""
    draw = np.random.default_rng(seed)
    columns = empty(SUMMARY, count)
    for name, column in columns.items():
        low, high = np.iinfo(column.dtype).min, np.iinfo(column.dtype).max
        column[:] = draw.integers(low, high, count, column.dtype, endpoint=True)
        if name in ("coverage", "phase"):
            column[:] = 0
    codes = [table.codes[name] for name in NAMES]
    columns["instrument"][:] = np.array(codes, np.int32)[draw.integers(0, len(codes), count)]
    records = [draw.bytes(int(n)) for n in draw.integers(0, 400, count)]
    series = pl.Series("raw", records, dtype=pl.Binary) if raw else None
    return Batch(columns, table, raw=series)


SIGNS = tuple(sign(name, n, 60 * n) for n, name in enumerate(NAMES, 1))


def summary_of(count, seed=0, **fields):
    given = {"shard": "p0", "from_ns": NULL, "until_ns": 60, "idle": False, "signs": SIGNS} | fields
    raw = given.pop("raw", True)
    return Summary(rows=rows_of(count, seed, raw=raw), **given)


def same(one, two):
    assert [getattr(one, f) for f in ("shard", "from_ns", "until_ns", "idle")] == [
        getattr(two, f) for f in ("shard", "from_ns", "until_ns", "idle")
    ]
    names = [
        [batch.instruments[code].instrument for code in batch["instrument"].tolist()]
        for batch in (one.rows, two.rows)
    ]
    assert names[0] == names[1]
    for name in SUMMARY:
        assert one.rows[name].dtype == two.rows[name].dtype
        assert name == "instrument" or np.array_equal(one.rows[name], two.rows[name]), name
    raws = [None if s.rows.raw is None else s.rows.raw.to_list() for s in (one, two)]
    assert raws[0] == raws[1]
    assert one.signs == two.signs
    return True


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 120),
    st.integers(0, 2**32),
    st.sampled_from([600, 1_000, 5_000, MAX_BYTES]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_a_summary_comes_back_whole_under_another_table_whatever_the_order(
    count, seed, max_bytes, idle, draw
):
    sent = summary_of(count, seed, idle=idle, until_ns=61 if idle else 60, raw=seed % 3 > 0)
    messages = encode(sent, max_bytes=max_bytes)
    assert all(len(message) <= max_bytes for message in messages)
    draw.shuffle(messages)
    assembler = Assembler(WIDER)
    got = [assembler.take(message) for message in messages]
    assert got[:-1] == [None] * (len(messages) - 1)
    assert same(got[-1], sent)
    assert got[-1].rows.watermark_ns == sent.until_ns
    assert [assembler.take(message) for message in messages] == [None] * len(messages)
    assert assembler.repeated == len(messages)


def test_equal_summaries_are_equal_bytes_whatever_the_table_and_the_build_of_the_batch():
    sent = encode(summary_of(500))
    assert sent == encode(summary_of(500))
    other = Summary(
        shard="p0",
        from_ns=NULL,
        until_ns=60,
        idle=False,
        rows=rows_of(500, table=WIDER),
        signs=SIGNS,
    )
    assert encode(other) == sent
    assert encode(summary_of(500, 1)) != sent


def test_a_large_summary_is_cut_into_messages_that_a_broker_takes():
    messages = encode(summary_of(12_000))
    assert len(messages) > 3
    assert max(map(len, messages)) <= 900_000
    assert sum(map(len, messages)) < 12_000 * (216 + 220)


def test_columns_without_variety_cost_next_to_nothing():
    rows = rows_of(10_000, raw=False)
    plain = Batch({**empty(SUMMARY, 10_000), "instrument": rows["instrument"]}, TABLE)
    assert len(encode_rows(plain)) < 4 * 10_000 + 2_000


def test_a_producer_that_crashed_and_sends_again_is_heard_once():
    first, second = summary_of(60), summary_of(60, 1, from_ns=60, until_ns=120)
    one, two = (encode(s, max_bytes=2_000) for s in (first, second))
    assert min(len(one), len(two)) > 4
    sent = one[:3] + one + two[:2] + one + two
    assembler = Assembler(TABLE)
    got = [s for message in sent if (s := assembler.take(message)) is not None]
    assert len(got) == 2
    assert same(got[0], first)
    assert same(got[1], second)
    assert assembler.repeated == len(sent) - len(one) - len(two)


def test_shards_that_send_at_the_same_time_are_kept_apart():
    sent = [encode(summary_of(80, k, shard=f"p{k}"), max_bytes=1_500) for k in range(4)]
    mixed = [(k, message) for k, messages in enumerate(sent) for message in messages]
    random.Random(2).shuffle(mixed)
    assembler = Assembler(TABLE)
    got = {k: s for k, message in mixed if (s := assembler.take(message)) is not None}
    assert all(same(got[k], summary_of(80, k, shard=f"p{k}")) for k in range(4))


def test_pieces_of_a_summary_that_was_never_whole_go_when_a_later_one_is():
    half = encode(summary_of(60), max_bytes=2_000)[:-1]
    assembler = Assembler(TABLE)
    for message in half:
        assembler.take(message)
    held = len(assembler.snapshot()["state"])
    later = summary_of(1, 1, from_ns=60, until_ns=120)
    assert same(assembler.take(encode(later)[0]), later)
    assert len(assembler.snapshot()["state"]) < 100 < held


def test_a_restart_between_two_pieces_loses_none():
    sent = summary_of(60)
    messages = encode(sent, max_bytes=2_000)
    for cut in range(len(messages)):
        before, after = Assembler(TABLE), Assembler(WIDER)
        assert [before.take(message) for message in messages[:cut]] == [None] * cut
        after.restore(before.snapshot())
        *_, got = [after.take(message) for message in messages[cut:]]
        assert same(got, sent)


@pytest.mark.parametrize("place", [0, 3, 4, 19, 20, 40, -1])
def test_a_damaged_message_is_refused_wherever_the_damage_is(place):
    message = bytearray(encode(summary_of(3))[0])
    message[place] ^= 1
    with pytest.raises(SourceError, match="summaries topic"):
        Assembler(TABLE).take(bytes(message))


def test_a_message_cut_short_or_foreign_is_refused():
    message = encode(summary_of(3))[0]
    for bad in (b"", b"RFS1", message[:-1], b"{}" + message):
        with pytest.raises(SourceError):
            Assembler(TABLE).take(bad)


def test_trades_of_an_instrument_that_is_not_listed_are_left_out_and_no_others():
    whole = Assembler(TABLE).take(encode(summary_of(50))[0]).rows
    table = example_instruments(NAMES[:2])
    rows = Assembler(table).take(encode(summary_of(50))[0]).rows
    named = [whole.instruments[code].instrument for code in whole["instrument"].tolist()]
    kept = [name in NAMES[:2] for name in named]
    assert 0 < sum(kept) < len(kept)
    assert rows["seq"].tolist() == whole["seq"][kept].tolist()
    assert rows.raw.to_list() == [raw for raw, here in zip(whole.raw, kept, strict=True) if here]


def told(**changes):
    fields = msgspec.msgpack.decode(encode_rows(rows_of(5))) | changes
    return msgspec.msgpack.encode(fields)


def test_rows_of_another_version_or_of_wrong_length_are_refused():
    good = msgspec.msgpack.decode(encode_rows(rows_of(5)))
    short = {**good["columns"], "seq": good["columns"]["seq"][:-1]}
    wrong = {**good["columns"], "instrument": np.array([0, 1, 2, 7, 0], "<i4").tobytes()}
    for changes in (
        {"version": 2},
        {"columns": short},
        {"columns": wrong},
        {"raw": good["raw"] + b"x"},
        {"raw_lengths": good["raw_lengths"][:-4]},
    ):
        with pytest.raises(SourceError):
            decode_rows(told(**changes), TABLE)
    assert len(decode_rows(told(), TABLE)) == 5


def test_a_column_that_the_writer_did_not_know_is_absent_and_one_unknown_here_left_out():
    good = msgspec.msgpack.decode(encode_rows(rows_of(5)))
    columns = {**good["columns"], "tomorrow": b"\x01"}
    del columns["entry_received_ns"]
    rows = decode_rows(told(columns=columns), TABLE)
    assert rows["entry_received_ns"].tolist() == [NULL] * 5
    assert set(rows.names) == set(SUMMARY)


def test_a_message_of_an_older_writer_has_no_signs():
    (message,) = encode(summary_of(5, signs=()))
    head = len(b"RFS1") + 16
    *fields, piece, row_bytes = msgspec.msgpack.decode(message[head:])
    body = piece[:row_bytes]
    fields[-1] = hashlib.blake2b(body, digest_size=16).digest()
    rest = msgspec.msgpack.encode([*fields, body])
    older = message[:4] + hashlib.blake2b(rest, digest_size=16).digest() + rest
    assert same(Assembler(TABLE).take(older), summary_of(5, signs=()))


def test_signs_that_cannot_be_read_are_refused():
    (message,) = encode(summary_of(5))
    head = len(b"RFS1") + 16
    *fields, piece, row_bytes = msgspec.msgpack.decode(message[head:])
    body = piece[:row_bytes] + b"\x93"
    fields[-1] = hashlib.blake2b(body, digest_size=16).digest()
    rest = msgspec.msgpack.encode([*fields, body, row_bytes])
    damaged = message[:4] + hashlib.blake2b(rest, digest_size=16).digest() + rest
    with pytest.raises(SourceError, match="signs of a summary"):
        Assembler(TABLE).take(damaged)
