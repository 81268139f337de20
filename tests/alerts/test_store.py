"""The store, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateTable

from alerts.database import StoreError
from alerts.identity import params_hash
from alerts.record import encode
from alerts.schema import HUMAN, METADATA
from alerts.store import AlertStore, CoverageRecord
from detectors.base import Params
from ingest.errors import ConfigurationError
from tests.support.alerts import SECOND_NS, Venue, at, record
from tests.support.stored import save


def folded(store, book, venue, *findings):
    alerts = book.apply(list(findings), venue.register)
    save(store, alerts, book.evidence(alerts))
    return alerts


def test_an_alert_comes_back_as_it_was_with_its_evidence(venue, store):
    (alert,) = folded(store, venue.book(), venue, venue.finding())
    assert store.get(alert.alert_id) == alert
    assert store.get("0" * 32) is None
    assert store.count() == 1
    events = store.evidence(alert.alert_id)
    assert [event.seq for event in events] == [1, 2, 3]
    assert [event.raw for event in events] == [record(1), record(2), record(3)]
    assert events[2].engine_ns == at(3)
    rows = store.registry_rows(alert.alert_id)
    assert [(version, row.account) for version, row in rows] == [
        (venue.register.version, "C1"),
        (venue.register.version, "MM1"),
    ]
    assert rows == [(venue.register.version, row) for _, row in rows]


def test_a_lower_or_equal_revision_changes_nothing(venue, store):
    alert = folded(
        store, venue.book(), venue, venue.finding(), venue.finding(revision=2, seqs=(6,))
    )[0]
    for revision in (1, 2):
        save(store, [msgspec.structs.replace(alert, revision=revision, score=0.99)])
        assert store.get(alert.alert_id) == alert
    newer = msgspec.structs.replace(alert, revision=3, score=0.99)
    save(store, [newer])
    assert store.get(alert.alert_id) == newer


def test_what_people_wrote_survives_new_revisions(venue, store, store_url):
    (alert,) = folded(store, venue.book(), venue, venue.finding())
    engine = create_engine(store_url)
    values = {name: 7 if name.endswith("_ns") else f"by hand: {name}"[:32] for name in HUMAN}
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT status_human FROM alerts")) == "new"
        assignments = ", ".join(f"{name} = :{name}" for name in HUMAN)
        connection.execute(text(f"UPDATE alerts SET {assignments}"), values)
    save(store, [msgspec.structs.replace(alert, revision=9, severity="critical")])
    with engine.connect() as connection:
        row = connection.execute(text(f"SELECT {', '.join(HUMAN)}, severity FROM alerts")).one()
    engine.dispose()
    assert dict(row._mapping) == {**values, "severity": "critical"}


def test_a_feed_read_again_leaves_the_store_as_it_was(venue, store):
    findings = [venue.finding(revision=n, seqs=(3 * n,), detected=3 * n) for n in range(1, 6)]
    folded(store, venue.book(), venue, *findings)
    before = [encode(alert) for alert in store.records()]
    again = venue.book()  # a worker that lost its memory, with smaller batches
    for finding in findings:
        folded(store, again, venue, finding)
    assert [encode(alert) for alert in store.records()] == before
    assert len(store.evidence(next(iter(store.records())).alert_id)) == 5


def test_an_alert_that_left_memory_goes_on_where_it_was(tmp_path, store):
    venue = Venue(tmp_path / "archive", events=3_000)
    straight = venue.book()
    book = venue.book(store=store, linger_ns=10 * SECOND_NS)
    first = [
        venue.finding("breaches", seqs=(2, 3)),
        venue.finding("rules", seqs=(1, 3), accounts=("MM1", "C2")),
    ]
    noise = [venue.finding("rules", first=3 * n, seqs=(3 * n,)) for n in range(10, 300)]
    last = [venue.finding("rules", revision=2, seqs=(900,), detected=900)]
    for findings in (first, *([f] for f in noise), last):
        straight.apply(findings, venue.register)
        folded(store, book, venue, *findings)
    assert len(book) < 100
    assert [encode(a) for a in store.records()] == [encode(a) for a in straight.alerts()]
    replayed = folded(store, book, venue, *first)
    assert replayed == []


def test_a_worker_without_memory_reads_back_lets_go_and_changes_nothing(tmp_path, store):
    venue = Venue(tmp_path / "archive", events=3_000)
    findings = [venue.finding("rules", first=3 * n, seqs=(3 * n,)) for n in range(1, 300)]
    folded(store, venue.book(), venue, *findings)
    again = venue.book(store=store, linger_ns=10 * SECOND_NS)
    for finding in findings:
        assert folded(store, again, venue, finding) == []
    assert again.replayed == len(findings)
    assert len(again) < 100


def test_a_merged_alert_is_kept_but_not_listed(venue, store):
    book = venue.book(store=store)
    (early,) = folded(store, book, venue, venue.finding("rules", seqs=(1, 3)))
    changed = folded(store, book, venue, venue.finding("breaches", seqs=(2, 3)))
    (kept,) = [alert for alert in changed if alert.alert_id != early.alert_id]
    assert store.get(early.alert_id).status == "retracted"
    assert [alert.alert_id for alert in store.list()] == [kept.alert_id]
    assert store.count() == 1
    assert [event.seq for event in store.evidence(kept.alert_id)] == [1, 2, 3]
    assert store.evidence(early.alert_id) == []


def test_alerts_are_found_by_what_they_say(venue, store):
    findings = [
        venue.finding("breaches", first=3),
        venue.finding("rules", first=6),
        venue.finding("rules", first=9, code=1, all_legs=True),
    ]
    folded(store, venue.book(), venue, *findings)
    assert [a.detected_ns for a in store.list()] == [at(9), at(6), at(3)]
    assert [a.detected_ns for a in store.list(limit=1)] == [at(9)]
    assert [a.detector for a in store.list(severities=["high", "medium"])] == ["rules", "breaches"]
    assert [a.detected_ns for a in store.list(detector="rules")] == [at(9), at(6)]
    assert [a.instrument for a in store.list(instrument="ETH-USD")] == ["ETH-USD"]
    assert [a.detected_ns for a in store.list(from_ns=at(6), to_ns=at(9))] == [at(6)]
    assert store.list(status="confirmed") == []


def test_saving_is_all_or_nothing(venue, store):
    book = venue.book()
    good, bad = book.apply([venue.finding(), venue.finding(first=6)], venue.register)
    bad = msgspec.structs.replace(bad, detector=None)
    with pytest.raises(StoreError, match="could not save alerts"):
        save(store, [good, bad], book.evidence([good, bad]))
    assert store.count() == 0
    assert store.parts_with([good.alert_id]) == []


def test_names_and_records_of_any_bytes_are_kept(tmp_path, store):
    venue = Venue(tmp_path / "archive", owner="O'Neil; DROP TABLE alerts; 東京 :1 %s")
    (alert,) = folded(store, venue.book(), venue, venue.finding())
    assert store.get(alert.alert_id).owners == ("Ann", "O'Neil; DROP TABLE alerts; 東京 :1 %s")


def test_parameters_are_kept_under_the_hash_that_alerts_carry(store):
    class Some(Params, frozen=True, kw_only=True):
        gap_s: float = 60.0
        minimum_count: int = 3

    store.save_params("rules", 1, Some())
    store.save_params("rules", 1, Some())
    kept = store.params(params_hash(Some()), "rules")
    assert (kept.detector, kept.detector_version) == ("rules", 1)
    assert msgspec.json.decode(kept.params, type=Some) == Some()
    assert store.params(params_hash(Some(gap_s=61.0)), "rules") is None


def test_a_gap_is_closed_once(store):
    gap = CoverageRecord(instrument="BTC-USD", first_missing_seq=5, next_seq=9, opened_ns=at(9))
    save(store, coverage=[gap])
    save(store, coverage=[msgspec.structs.replace(gap, closed_ns=at(20))])
    save(store, coverage=[gap])
    assert store.coverage("BTC-USD") == [msgspec.structs.replace(gap, closed_ns=at(20))]
    assert store.coverage("ETH-USD") == []


def test_migrating_twice_or_at_once_is_one_migration(store_url):
    stores = [AlertStore(store_url) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(AlertStore.migrate, stores))  # raises what a thread raised
    for store in stores:
        store.migrate()
        store.close()
    engine = create_engine(store_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1
    engine.dispose()


def test_the_migrations_lead_to_the_tables_that_the_code_knows(store_url, store):
    engine = create_engine(store_url)
    found = inspect(engine)
    for table in METADATA.sorted_tables:
        columns = {
            c["name"]: (str(c["type"]), c["nullable"]) for c in found.get_columns(table.name)
        }
        expected = {
            c.name: (c.type.compile(engine.dialect), c.nullable and not c.primary_key)
            for c in table.columns
        }
        assert columns.keys() == expected.keys(), CreateTable(table)
        for name, (kind, nullable) in expected.items():
            assert columns[name][1] == nullable, (table.name, name)
            assert columns[name][0] == kind, (table.name, name)
        indexes = {index["name"] for index in found.get_indexes(table.name)}
        assert indexes == {index.name for index in table.indexes}
    engine.dispose()


def test_sqlite_commits_to_disk_before_it_returns(tmp_path):
    url = f"sqlite:///{tmp_path / 'a' / 'b.sqlite'}"
    store = AlertStore(url)
    store.migrate()
    with store._engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 2
    store.close()


def test_no_password_is_shown():
    store = AlertStore("postgresql+pg8000://me@127.0.0.1:1/none", password="Tr0ub4dor")
    assert "Tr0ub4dor" not in repr(store)
    with pytest.raises(StoreError, match="could not be set up") as failed:
        store.migrate()
    assert "Tr0ub4dor" not in str(failed.value)
    assert "me:***@127.0.0.1:1" in str(failed.value)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("url", ["mysql://me:Tr0ub4dor@host/db", "not a url", "postgresql://x/y"])
def test_another_kind_of_database_is_refused_in_one_line(url):
    with pytest.raises(ConfigurationError, match="store's URL") as refused:
        AlertStore(url)
    assert "Tr0ub4dor" not in str(refused.value)


def test_a_url_keeps_its_password_apart(postgres):
    bare = make_url(str(postgres)).set(password=None).render_as_string(hide_password=False)
    store = AlertStore(bare, password=postgres.password)
    store.migrate()
    assert store.count() == 0
    store.close()
