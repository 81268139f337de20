"""Windows: what was archived is a tape again, and what is not there is said."""

from __future__ import annotations

import json
from decimal import Decimal

import polars as pl
import pytest

from alerts.archive import Archive
from alerts.archive_bounds import read_dropped
from alerts.states import States
from alerts.window import BEGINNING, Missing, WindowError, export_window
from ingest.events import Role
from ingest.names import Names
from ingest.register import Register, read_register
from ingest.registry import FOREVER, RegistryRow
from ingest.tape import Tape, TapeSource
from ingest.terms import Obligation, Terms
from tests.support.alerts import at, batch, instruments, record
from tests.support.archives import fill, parts, table_of

ROWS = [
    RegistryRow(account="C1", owner='Ann "A", Ltd', legal_entity="Ann", role=Role.CLIENT),
    RegistryRow(
        account="MM1",
        owner="Group",
        legal_entity="Group Ltd",
        role=Role.AFFILIATED_MM,
        valid_from_ns=1_600_000_000_000_000_001,
        valid_to_ns=1_900_000_000_000_000_000,
        desk="東京",
        linked_to="C1",
    ),
]
EVER = 2**63 - 1


@pytest.fixture
def table():
    return instruments()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


def export(folder, out, table, from_ns=BEGINNING, to_ns=EVER, **settings):
    return export_window(
        folder, out, table.rows, from_ns=from_ns, to_ns=to_ns, accounts=ROWS, **settings
    )


def lines(path):
    return path.read_bytes().splitlines()


def seqs_of(path):
    return [json.loads(line)["seq"] for line in lines(path)]


def test_a_window_is_a_tape_of_the_bytes_that_came_in_matching_order(table, folder, tmp_path):
    archive = Archive(folder, table, flush_rows=2_000)
    for start in range(1, 9_000, 300):  # two instruments in turns; memory, recent and hours
        for code in (1, 0):
            fill(archive, table, start, start + 299, code=code)
    archive.flush()
    out = tmp_path / "tape"
    window = export(folder, out, table, at(2_700), at(6_500))
    tape = Tape(out)
    assert tape.record_count() == 2 * 3_801
    expected = [
        record(seq, name)
        for seq in range(2_700, 6_501)
        for name in ("BTC-USD", "ETH-USD")
        if seq % 3
    ]
    assert lines(out / "orders.ndjson") == expected
    assert seqs_of(out / "trades.ndjson") == [
        seq for seq in range(2_700, 6_501, 3) for _ in ("BTC-USD", "ETH-USD")
    ]
    assert tape.instruments.rows == table.rows
    register = read_register(tape.accounts_path, Names())
    assert register.version == Register(ROWS, Names()).version
    assert window.complete
    first = window.instruments[0]
    assert (first.first_seq, first.last_seq, first.missing) == (2_700, 6_500, ())
    assert first.orders + first.trades == 3_801
    source = TapeSource(out, Names())
    assert len(source.poll(0.0).batch) == 2 * 3_801


def test_a_window_takes_the_terms_of_its_register_along(table, folder, tmp_path):
    archive = Archive(folder, table)
    fill(archive, table, 1, 20)
    archive.flush()
    obligation = Obligation(
        account="MM1", instrument="BTC-USD", max_spread_bps=Decimal(20), min_quantity=Decimal(1),
        min_presence_ratio=Decimal("0.9"), window_s=3600, valid_from_ns=5 * 10**9,
        valid_to_ns=FOREVER,
    )  # fmt: skip
    terms = Terms((obligation,), ())
    export(folder, tmp_path / "tape", table, terms=terms)
    register = read_register(tmp_path / "tape" / "accounts.csv", Names())
    assert register.version == Register(ROWS, Names(), terms=terms).version
    assert register.version != Register(ROWS, Names()).version


def test_of_instruments_that_share_files_only_those_asked_for_are_written(folder, tmp_path):
    many = table_of(f"ITEM {i}" for i in range(30))
    archive = Archive(folder, many)
    for code in range(30):
        fill(archive, many, 1, 20, code=code)
    fill(archive, many, 100_000, 100_001)
    archive.flush()
    wanted = [row for row in many.rows if row.instrument in ("ITEM 7", "ITEM 21")]
    window = export_window(
        folder, tmp_path / "tape", wanted, from_ns=at(3), to_ns=at(8), accounts=ROWS
    )
    assert [(i.instrument, i.first_seq, i.last_seq) for i in window.instruments] == [
        ("ITEM 21", 3, 8),
        ("ITEM 7", 3, 8),
    ]
    assert len(parts(folder, "ITEM*/*")) == 0


def test_what_is_missing_dropped_late_or_said_twice_is_in_the_manifest(table, folder, tmp_path):
    archive = Archive(folder, table, max_age_s=3 * 3_600)
    fill(archive, table, 1, 14_000, size=500)
    archive.append(batch(table, range(14_011, 14_031)))
    archive.append(batch(table, [14_005, 14_007], clock=False))
    other = batch(table, [14_020])
    other.raw = pl.Series([b"{}"], dtype=pl.Binary)
    other["offset"][:] = 99_999_999
    archive.append(other)
    archive.flush()
    fill(archive, table, 14_031, 18_000, size=500)
    archive.flush()
    window = export(folder, tmp_path / "all", table)
    told = window.instruments[0]
    dropped = read_dropped(folder)["BTC-USD"].until_ns
    assert told.dropped_before_ns == dropped == at(6_400)
    assert told.missing == (
        Missing(first_seq=1, last_seq=6_399),
        Missing(first_seq=14_001, last_seq=14_010),
    )
    assert (told.late, told.conflicts) == (2, 1)
    assert not window.complete
    late = tmp_path / "all" / "late-orders.ndjson"
    assert seqs_of(late) == [14_005]
    assert seqs_of(tmp_path / "all" / "late-trades.ndjson") == [14_007]
    assert 14_020 in seqs_of(tmp_path / "all" / "orders.ndjson")
    later = export(folder, tmp_path / "later", table, at(14_040), at(14_050))
    assert later.complete
    assert window.instruments[1].first_seq is None
    assert {*window.files} == {p.name for p in (tmp_path / "all").iterdir()} - {"window.json"}


def test_a_damaged_part_is_named_and_its_seqs_are_missing(table, folder, tmp_path):
    archive = Archive(folder, table)
    fill(archive, table, 1, 9_000, size=500)
    archive.flush()
    name = next(path for path in parts(folder, "BTC-USD/*") if "T22Z" in path)
    (folder / name).write_bytes(b"damaged")
    window = export(folder, tmp_path / "tape", table)
    assert list(window.damaged) == [name]
    assert window.instruments[0].missing == (Missing(first_seq=1, last_seq=2_799),)
    assert not window.complete


def test_a_window_joins_the_state_it_begins_with_without_a_gap(table, folder, tmp_path):
    archive = Archive(folder, table)
    fill(archive, table, 1, 9_000, size=500)
    fill(archive, table, 1, 9_000, code=1, size=500)
    archive.flush()
    states = States(folder)
    states.save("p0", at(2_000), {"book": {}}, {"BTC-USD": 2_001, "ETH-USD": 1_901})
    state = states.before("p0", "BTC-USD", at(2_500))
    out = tmp_path / "tape"
    window = export(folder, out, table, at(2_500), at(3_000), state=state)
    found = {i.instrument: (i.first_seq, i.last_seq, i.missing) for i in window.instruments}
    assert found == {"BTC-USD": (2_001, 3_000, ()), "ETH-USD": (1_901, 3_000, ())}
    assert (out / "state.ckpt").read_bytes() == states.raw(state)
    assert window.state == state


def test_a_record_of_several_lines_becomes_one_and_is_counted(table, folder, tmp_path):
    archive = Archive(folder, table)
    pretty = json.dumps(json.loads(record(1)), indent=1).encode()
    one = batch(table, [1])
    one.raw = pl.Series([pretty], dtype=pl.Binary)
    archive.append(one)
    archive.flush()
    window = export(folder, tmp_path / "tape", table)
    (line,) = lines(tmp_path / "tape" / "orders.ndjson")
    assert json.loads(line) == json.loads(pretty)
    assert window.reflowed == 1


def test_a_window_is_written_whole_or_not_at_all(table, folder, tmp_path):
    archive = Archive(folder, table)
    fill(archive, table, 1, 10)
    archive.flush()
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("mine")
    with pytest.raises(WindowError, match="empty folder"):
        export(folder, taken, table)
    with pytest.raises(WindowError, match="after its beginning"):
        export(folder, tmp_path / "tape", table, 10, 9)
    with pytest.raises(WindowError, match="at least one instrument"):
        export_window(folder, tmp_path / "tape", [], from_ns=0, to_ns=1, accounts=ROWS)

    def fail(*_):
        raise OSError("stopped")

    with pytest.raises(OSError, match="stopped"):
        export(folder, tmp_path / "tape", table, progress=fail)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "taken"]
    assert list(taken.iterdir()) == [taken / "mine"]
