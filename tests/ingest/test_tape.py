from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ingest.errors import RegistryError, TapeError
from ingest.events import Topic, concatenate
from ingest.names import Names
from ingest.register import read_register
from ingest.sequence import Sequencer
from ingest.tape import Tape, TapeSource, raw_records
from tests.support.venue import random_tape

INSTRUMENTS = (
    "instrument,base,quote,kind,tick_size,lot_size\nBTC-USD,BTC,USD,spot,0.5,0.001\n"
    "ETH-USD,ETH,USD,spot,0.5,0.001\n"
)
ACCOUNTS = "account,owner,legal_entity,role,valid_from,valid_to\nC1,O1,E1,client,,\n"
T0 = 1_700_000_000_000_000_000
DAY = 86_400 * 10**9


def order(seq, at, instrument="BTC-USD", **fields):
    return {
        "v": 1, "instrument": instrument, "seq": seq, "action": "new", "order_id": f"o{seq}",
        "account": "C1", "side": "buy", "type": "limit", "price": "100.5", "quantity": "0.002",
        "leaves": "0.002", "engine_ns": T0 + at, **fields,
    }  # fmt: skip


def trade(seq, at, instrument="BTC-USD", **fields):
    return {
        "v": 1, "instrument": instrument, "seq": seq, "trade_id": f"t{seq}", "price": "100.5",
        "quantity": "0.001", "aggressor": "buy", "buy_account": "C1", "sell_account": "C2",
        "engine_ns": T0 + at, **fields,
    }  # fmt: skip


def lines(records):
    return "".join(r if isinstance(r, str) else json.dumps(r) + "\n" for r in records)


def folder(path: Path, orders=None, trades=None) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "instruments.csv").write_text(INSTRUMENTS)
    (path / "accounts.csv").write_text(ACCOUNTS)
    for stem, records in (("orders", orders), ("trades", trades)):
        if records is not None:
            (path / f"{stem}.ndjson").write_text(lines(records))
    return path


def drain(source):
    polls = []
    while (arrivals := source.poll(0.0)) is not None:
        polls.append(arrivals)
    return polls


def sequence_of(polls):
    """Rows as (topic, offset) and rejects as (topic, offset, reason), each in their order."""
    rows, rejects = [], []
    for arrivals in polls:
        rejects += [(int(r.topic), r.offset, r.reason) for r in arrivals.rejects]
        batch = arrivals.batch
        rows += zip(batch["topic"].tolist(), batch["offset"].tolist(), strict=True)
    return rows, rejects


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    """A simulated tape with times that step back, wild times and records that are none."""
    rng = random.Random(5)
    simulated = random_tape(5, 1_200, instruments=3, gaps=2)
    path = simulated.write(tmp_path_factory.mktemp("messy"))
    for stem in ("orders", "trades"):
        file = path / f"{stem}.ndjson"
        out = []
        for line in file.read_text().splitlines():
            chance = rng.random()
            if chance < 0.01:
                out.append("{broken")
            elif chance < 0.02:
                out.append("")
            elif chance < 0.04:
                record = json.loads(line)
                record["engine_ns"] += rng.choice([-1, -(10**10), 400 * DAY])
                record["novel_field"] = 1
                out.append(json.dumps(record))
            else:
                out.append(line)
        file.write_text("\n".join([*out, "{broken", "{broken"]))
    return path


def expected_order(path: Path):
    """The merge in plain Python: by guarded running maximum of engine_ns, orders first."""
    keyed = []
    decoded = TapeSource(path, Names())
    good = set(sequence_of(drain(decoded))[0])
    for topic, stem in enumerate(("orders", "trades")):
        now = leap = None
        for number, line in enumerate((path / f"{stem}.ndjson").read_text().split("\n")):
            if (topic, number) in good:
                at = json.loads(line)["engine_ns"]
                if now is None:
                    now = at
                else:
                    if leap is not None and at >= leap - DAY:
                        now = leap
                    leap = at if at > now + DAY else None
                    now = now if leap else max(now, at)
            keyed.append((-1 if now is None else now, topic, number))
    return [(topic, number) for _, topic, number in sorted(keyed)]


def test_arrival_order_is_the_merge_by_time_reached_with_rejects_in_place(messy):
    polls = drain(TapeSource(messy, Names(), batch_rows=1, piece_bytes=3_000))
    found = []
    for arrivals in polls:
        rows, rejects = sequence_of([arrivals])
        found += rows + [(topic, offset) for topic, offset, _ in rejects]
    assert found == expected_order(messy)
    assert len(sequence_of(polls)[1]) > 10


CUTS = [
    (rows, size)
    for rows in (1, 7, 1_000, 10**6)
    for size in (1, 5_000, 10**7)
    if (rows, size) != (1, 1)  # each is covered beside the others; together they are slow
]


@pytest.mark.parametrize(("batch_rows", "piece_bytes"), CUTS)
def test_order_does_not_depend_on_batch_or_piece_size(messy, batch_rows, piece_bytes):
    whole = drain(TapeSource(messy, Names(), batch_rows=10**6))
    polls = drain(TapeSource(messy, Names(), batch_rows=batch_rows, piece_bytes=piece_bytes))
    assert sequence_of(polls) == sequence_of(whole)
    assert sum(p.unknown_fields for p in polls) == sum(p.unknown_fields for p in whole)
    records = [len(p.batch) + len(p.rejects) for p in polls]
    assert set(records[:-1]) <= {batch_rows}
    assert sum(records) == Tape(messy).record_count()
    a, b = concatenate([p.batch for p in polls]), whole[0].batch
    for name in ("seq", "engine_ns", "price", "order_lo"):
        assert np.array_equal(a[name], b[name])
    assert a.raw.to_list() == b.raw.to_list()


def test_seek_continues_exactly_from_any_record(messy):
    rows, rejects = sequence_of(drain(TapeSource(messy, Names())))
    source = TapeSource(messy, Names(), batch_rows=47, piece_bytes=9_000)
    seen = 0
    for poll in range(20):
        arrivals = source.poll(0.0)
        seen += len(arrivals.batch)
        if poll % 6 == 5:
            resumed = TapeSource(messy, Names(), batch_rows=500)
            resumed.seek(source.positions())
            assert resumed.positions() == source.positions()
            later, late_rejects = sequence_of(drain(resumed))
            assert later == rows[seen:]
            assert late_rejects == rejects[len(rejects) - len(late_rejects) :]


def test_the_whole_front_of_the_pipeline_gives_the_same_at_every_cut(messy):
    """Source, register and sequencer: released rows, counts and gaps; the identity holds."""

    def run(batch_rows, piece_bytes):
        names = Names()
        source = TapeSource(messy, names, batch_rows=batch_rows, piece_bytes=piece_bytes)
        register = read_register(Tape(messy).accounts_path, names)
        sequencer = Sequencer(source.instruments, gap_timeout_ns=10**9)
        released, gaps, counts = {}, [], [0] * 5
        for arrivals in drain(source):
            out = sequencer.push(register.tag(arrivals.batch), arrivals.idle)
            for code, start, end in out.batch.by_instrument():
                columns = [out.batch[n][start:end].tolist() for n in ("seq", "clock_ns", "role")]
                released.setdefault(code, []).extend(zip(*columns, strict=True))
            gaps += [(g.instrument, g.first_missing_seq, g.last_missing_seq) for g in out.gaps]
            for i, count in enumerate(
                (len(arrivals.batch) + len(arrivals.rejects), len(out.batch),
                 len(arrivals.rejects) + len(out.rejects), out.duplicates, out.late)
            ):  # fmt: skip
                counts[i] += count
        assert counts[0] == sum(counts[1:]) + sequencer.pending
        return released, sorted(gaps), counts

    whole = run(10**6, 10**7)
    assert whole[1], "the tape has gaps"
    assert run(1_000, 10**7) == run(7, 4_000) == run(1, 10**7) == whole


def test_ties_go_to_orders_and_a_step_back_keeps_its_place(tmp_path):
    path = folder(
        tmp_path,
        [order(1, 5), order(3, 5), order(4, 1), order(6, 9)],
        [trade(2, 5), trade(5, 9), trade(7, 8)],
    )
    rows, _ = sequence_of(drain(TapeSource(path, Names(), batch_rows=2)))
    assert rows == [(0, 0), (0, 1), (0, 2), (1, 0), (0, 3), (1, 1), (1, 2)]


def test_one_wild_time_does_not_hold_back_the_rest_of_its_file(tmp_path):
    path = folder(
        tmp_path,
        [order(1, 1), order(2, 900 * DAY), order(3, 3)],
        [trade(4, 2), trade(5, 4)],
    )
    rows, _ = sequence_of(drain(TapeSource(path, Names())))
    assert rows == [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1)]


def test_a_file_is_idle_from_the_poll_that_gave_its_last_record(tmp_path):
    path = folder(
        tmp_path, [order(1, 1), order(2, 2), order(3, 9)], [trade(4, 3), "{broken\n"]
    )  # fmt: skip
    for piece_bytes in (1, 10**6):
        polls = drain(TapeSource(path, Names(), batch_rows=1, piece_bytes=piece_bytes))
        orders, trades = (Topic.ORDERS, 0), (Topic.TRADES, 0)
        assert [p.idle for p in polls] == [set(), set(), set(), {trades}, {trades, orders}]


def test_a_trade_only_feed_has_idle_orders_from_the_start(tmp_path):
    source = TapeSource(folder(tmp_path, None, [trade(1, 1), trade(2, 2)]), Names(), batch_rows=1)
    polls = drain(source)
    assert [p.idle for p in polls] == [
        {(Topic.ORDERS, 0)},
        {(Topic.ORDERS, 0), (Topic.TRADES, 0)},
    ]
    assert source.topic_names[Topic.TRADES] == "trades.ndjson"
    assert source.drained
    assert source.poll(0.0) is None


def test_an_empty_tape_is_drained_at_once(tmp_path):
    source = TapeSource(folder(tmp_path, [], []), Names())
    assert source.drained
    assert source.poll(0.0) is None
    assert Tape(tmp_path).record_count() == 0


@pytest.mark.parametrize(
    ("ending", "records"),
    [("\n", 2), ("", 2), ("\n\n", 2), ("\n  \n", 2), ("\r\n", 2), ("\n\n{x", 4)],
)
@pytest.mark.parametrize("piece_bytes", [1, 10**6])
def test_a_blank_last_line_is_no_record_and_a_last_line_needs_no_end(
    tmp_path, ending, records, piece_bytes
):
    path = folder(tmp_path, [order(1, 1), order(2, 2)])
    file = path / "orders.ndjson"
    file.write_text(file.read_text().removesuffix("\n") + ending, newline="")
    polls = drain(TapeSource(path, Names(), piece_bytes=piece_bytes))
    assert sum(len(p.batch) for p in polls) == 2
    assert sum(len(p.batch) + len(p.rejects) for p in polls) == records
    assert Tape(path).record_count() == records


def test_lag_and_drained_tell_what_is_left(tmp_path):
    source = TapeSource(folder(tmp_path, [order(1, 1), order(2, 2)], [trade(3, 3)]), Names(),
                        batch_rows=2)  # fmt: skip
    orders, trades = (Topic.ORDERS, 0), (Topic.TRADES, 0)
    assert source.lag() == {orders: 2, trades: 1}
    source.poll(0.0)
    assert (source.lag(), source.drained) == ({orders: 0, trades: 1}, False)
    source.poll(0.0)
    assert (source.lag(), source.drained) == ({orders: 0, trades: 0}, True)
    assert source.positions() == {orders: 2, trades: 1}
    assert source.commit(source.positions())


def test_a_parquet_tape_gives_the_same_rows_as_its_ndjson(tmp_path):
    simulated = random_tape(11, 800, instruments=2)
    text = simulated.write(tmp_path / "text")
    parquet = simulated.write(tmp_path / "parquet")
    for stem in ("orders", "trades"):
        frame = pl.read_ndjson(parquet / f"{stem}.ndjson", infer_schema_length=None)
        frame.write_parquet(parquet / f"{stem}.parquet", row_group_size=100)
        (parquet / f"{stem}.ndjson").unlink()
    a, b = (drain(TapeSource(path, Names(), batch_rows=10**6))[0] for path in (text, parquet))
    assert len(a.batch) == Tape(parquet).record_count() == Tape(text).record_count()
    for name in a.batch.names:
        assert np.array_equal(a.batch[name], b.batch[name]), name
    assert TapeSource(parquet, Names()).topic_names[Topic.ORDERS] == "orders.parquet"


def test_raw_records_are_the_lines_of_the_files_in_order_of_arrival(tmp_path):
    bad = json.dumps(order(2, 2, price="100.3")) + "\n"
    nameless = "[1]\n"
    path = folder(tmp_path, [order(1, 1), bad, nameless, order(4, 4)], [trade(3, 3, "ETH-USD")])
    found = list(raw_records(path))
    assert [(int(topic), name, at - T0) for topic, name, at, _ in found] == [
        (0, "BTC-USD", 1),
        (0, "BTC-USD", 1),
        (0, "", 1),
        (1, "ETH-USD", 3),
        (0, "BTC-USD", 4),
    ]
    assert [raw for topic, _, _, raw in found if topic is Topic.ORDERS] == (
        (path / "orders.ndjson").read_bytes().splitlines()
    )


def test_what_is_missing_is_said_in_one_line(tmp_path):
    with pytest.raises(TapeError, match="a tape must be a folder"):
        TapeSource(tmp_path / "nowhere", Names())
    (tmp_path / "a").mkdir()
    with pytest.raises(TapeError, match="must hold orders or trades"):
        TapeSource(tmp_path / "a", Names())
    (tmp_path / "a" / "orders.ndjson").write_text("")
    with pytest.raises(TapeError, match=r"must hold instruments\.csv"):
        TapeSource(tmp_path / "a", Names())
    path = folder(tmp_path / "b", [order(1, 1)])
    (path / "accounts.csv").unlink()
    with pytest.raises(TapeError, match=r"must hold accounts\.csv"):
        Tape(path).accounts_path  # noqa: B018
    (path / "orders.parquet").write_bytes(b"")
    with pytest.raises(TapeError, match=r"holds orders\.ndjson and orders\.parquet") as error:
        Tape(path)
    assert "\n" not in str(error.value)
    (path / "orders.ndjson").unlink()
    with pytest.raises(TapeError, match=r"orders\.parquet cannot be read as Parquet"):
        TapeSource(path, Names())
    (path / "instruments.csv").write_text("instrument\n")
    with pytest.raises(RegistryError):
        Tape(path)


def test_a_bad_batch_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match="batch_rows"):
        TapeSource(folder(tmp_path, [order(1, 1)]), Names(), batch_rows=0)
