"""The ledgers of a store: what its archive dropped, and the register in force."""

from __future__ import annotations

import msgspec
import pytest

from alerts.archive_bounds import DROPPED as LIST
from alerts.archive_bounds import Dropped
from alerts.archive_names import SHARED
from alerts.database import transaction
from alerts.shards import Shards
from alerts.store import AlertStore
from ingest.names import Names
from ingest.register import read_register
from ingest.state import encode
from ingest.tape import Tape, TapeSource
from monitor.assembly import build_pipeline
from monitor.config import config_or_default, default_config
from monitor.ledger import ledgers
from monitor.ledger_store import DROPPED, ledgers_of_store
from tests.support.archived import venue_with_archive
from tests.support.ledger_tapes import Desk, alert, jumped
from tests.support.venue import Tape as Records


@pytest.fixture
def venue(tmp_path):
    """A service's folder whose store tells of one jump."""
    desk = Desk()
    orders = jumped(desk)
    desk.new("XM2", "sell", 50, 94)
    desk.cancel(orders[0], ms=1_000)
    desk.new("D", "buy", 1, 80, ms=400_000)
    folder = tmp_path / "venue"
    folder.mkdir()
    venue_with_archive(desk.tape.write(tmp_path / "tape"), folder)
    store = AlertStore(f"sqlite:///{folder}/alerts.sqlite")
    yield folder, store, desk
    store.close()


def restitution(folder, store):
    config = config_or_default(folder / "ringfence.toml")
    return ledgers_of_store(store, folder / "archive", config).restitution


def test_alerts_from_before_what_the_archive_keeps_are_told_of(venue):
    folder, store, desk = venue
    assert len(restitution(folder, store).rows) == 1
    gone = Dropped(until_ns=desk.venue.now_ns)
    (folder / "archive" / LIST).write_bytes(msgspec.json.encode({SHARED: gone}))
    found = restitution(folder, store)
    assert found.rows == ()
    assert [each.reason for each in found.not_measured] == [DROPPED]


def test_the_register_in_force_says_who_is_a_client(venue):
    folder, store, _ = venue
    accounts = folder / "accounts.csv"
    kept = read_register(accounts, Names())
    with transaction(store.engine, "a test") as connection:
        Shards(store.engine).save_registry(connection, kept.version, kept.said)
    text = accounts.read_text()
    changed = text.replace("A,O-A,A,client", "A,O-MM1,A,affiliated", 1)
    assert changed != text
    accounts.write_text(changed)
    assert restitution(folder, store).rows == ()
    accounts.write_text("no register")
    assert len(restitution(folder, store).rows) == 1


@pytest.mark.parametrize("is_filled", [True, False])
def test_an_order_from_before_the_tape_is_named_by_its_trades(tmp_path, is_filled):
    desk = Desk()
    desk.quotes()
    mine = desk.new("A", "sell", 8, 100)
    cut = len(desk.venue.records)
    theirs = desk.new("MM1", "sell", 5, 100)
    desk.venue.favoured = "MM1"
    came = desk.new("C", "buy", 5, 100, tif="IOC")
    desk.venue.favoured = None
    if is_filled:
        desk.new("D", "buy", 1, 100)
    desk.new("XM2", "sell", 50, 94)
    desk.new("D", "buy", 1, 80, ms=400_000)
    whole, config = desk.tape, default_config(tmp_path)
    first = Records(whole.records[:cut], whole.accounts, whole.instruments).write(tmp_path / "one")
    rest = Records(whole.records[cut:], whole.accounts, whole.instruments).write(tmp_path / "two")
    names = Names()
    source = TapeSource(first, names, batch_rows=997)
    register = read_register(Tape(first).accounts_path, names)
    pipeline = build_pipeline(
        config,
        instruments=source.instruments,
        names=names,
        topic_names=source.topic_names,
        archive_dir=tmp_path / "archive",
        store=None,
    )
    while (arrivals := source.poll(0.0)) is not None:
        pipeline.take(arrivals, register)
    (rest / "state.ckpt").write_bytes(encode(pipeline.snapshot()))
    found = ledgers(rest, [alert(desk, orders=(theirs, came))], config).restitution
    assert {row.order_id for row in found.rows} == {mine if is_filled else ""}
