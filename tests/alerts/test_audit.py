"""The audit log on SQLite and a real PostgreSQL: one chain, whoever writes, which only grows."""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from alerts.audit import AuditHead, AuditLog
from alerts.audit_chain import GENESIS
from alerts.database import StoreError
from alerts.store import AlertStore
from tests.support.audit import COLUMNS, DETAIL, Clock, fill


@pytest.fixture
def log(store):
    return AuditLog(store.engine, clock=Clock())


def test_entries_are_chained_and_numbered_from_one(log, store):
    assert log.head() == AuditHead(sequence=0, hash=GENESIS)
    assert log.verify().problems == ()
    first, second = fill(log, 2)
    assert (first.sequence, second.sequence) == (1, 2)
    assert (first.previous, second.previous) == (GENESIS, first.hash)
    assert first.at_ns < second.at_ns
    assert json.loads(first.detail) == DETAIL
    found = log.verify()
    assert (found.entries, found.problems) == (2, ())
    assert found.head == log.head() == AuditHead(sequence=2, hash=second.hash)
    assert log.latest(10) == [second, first]
    assert log.latest(1) == [second]
    assert log.latest(10, subject="case-1", actor="ann") == [first]
    assert log.latest(10, actor="bob") == []


def test_anybody_can_recompute_a_hash_with_the_standard_library(log):
    awkward = {
        "text": '\x01\x7f\u2028😀\\"/<é\t',
        "number": 1e22,
        "none": None,
        "b": 0.1,
        "a": -0.0,
    }
    entry = log.append("änn\n", "read\x02", "", awkward)
    hashed = [
        "ringfence audit 1",
        entry.sequence,
        entry.at_ns,
        "änn\n",
        "read\x02",
        "",
        entry.detail,
        GENESIS,
    ]
    spelled = json.dumps(hashed, ensure_ascii=False, separators=(",", ":")).encode()
    assert entry.hash == hashlib.sha256(spelled).hexdigest()
    assert json.loads(entry.detail) == awkward
    assert log.latest(1) == [entry]
    assert log.verify().problems == ()


def test_the_database_refuses_to_change_or_remove_an_entry(log, store):
    fill(log, 3)
    columns = ", ".join(COLUMNS[1:])
    attempts = [
        "UPDATE audit SET actor = 'bob'",
        "UPDATE audit SET actor = actor WHERE sequence = 3",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE sequence = 3",
        f"INSERT INTO audit SELECT 9, {columns} FROM audit WHERE sequence = 3",
        f"INSERT INTO audit SELECT 4, {columns} FROM audit WHERE sequence = 3",
        f"INSERT INTO audit SELECT 0, {columns} FROM audit WHERE sequence = 3",
    ]
    if store.engine.dialect.name == "postgresql":
        attempts += [
            "TRUNCATE audit",
            attempts[-1] + " ON CONFLICT (sequence) DO UPDATE SET actor = 'bob'",
        ]
    else:
        attempts.append(
            f"INSERT OR REPLACE INTO audit SELECT 3, {columns} FROM audit WHERE sequence = 1"
        )
    before = log.latest(9)
    for attempt in attempts:
        with (
            pytest.raises(SQLAlchemyError, match="the audit log is append-only"),
            store.engine.begin() as connection,
        ):
            connection.exec_driver_sql(attempt)
    assert log.latest(9) == before
    assert log.append("ann", "case.note", "case-4", {}).sequence == 4


def test_a_trigger_that_is_gone_or_off_is_a_problem(log, store):
    fill(log, 1)
    postgresql = store.engine.dialect.name == "postgresql"
    off = (
        "ALTER TABLE audit DISABLE TRIGGER audit_no_change"
        if postgresql
        else "DROP TRIGGER audit_no_update"
    )
    with store.engine.begin() as connection:
        connection.exec_driver_sql(off)
    name = "audit_no_change" if postgresql else "audit_no_update"
    assert log.verify().problems == (f"trigger {name} is gone or off",)


def test_an_action_and_its_entry_are_one_commit(log, store):
    fill(log, 2)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alerts SET note = 'x'")
        log.append_in(connection, "ann", "alert.note", "a1", {"note": "x"})
        log.append_in(connection, "ann", "alert.assign", "a1", {"to": "bob"})
    _take_back(store, log)
    after = log.append("bob", "alert.read", "a1", {})
    assert after.sequence == 5
    assert log.verify().problems == ()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("", "read", "a", {}), ValueError),
        (("ann", "", "a", {}), ValueError),
        (("a\0n", "read", "a", {}), ValueError),
        (("ann", "read", "s" * 1_001, {}), ValueError),
        (("ann", "read", None, {}), TypeError),
        (("ann", "read", "a", {"x": float("nan")}), ValueError),
        (("ann", "read", "a", {"x": object()}), TypeError),
        (("ann", "read", "a", {1: 2}), TypeError),
        (("ann", "read", "a", [1]), TypeError),
        (("ann", "read", "a", {"x": "\ud800"}), ValueError),
        (("\ud800", "read", "a", {}), ValueError),
    ],
)
def test_what_cannot_be_kept_as_it_is_is_refused(tmp_path, arguments, error):
    store = AlertStore(f"sqlite:///{tmp_path}/store.sqlite")
    store.migrate()
    log = AuditLog(store.engine)
    with pytest.raises(error):
        log.append(*arguments)
    assert log.head().sequence == 0
    store.close()


def test_a_store_without_the_table_is_one_clear_error(store_url):
    engine = create_engine(store_url)
    if engine.dialect.name == "sqlite":
        AlertStore(store_url).engine.connect().close()  # makes the folder
    assert not inspect(engine).has_table("audit")
    for call in (lambda log: log.append("ann", "read", "a", {}), AuditLog.head, AuditLog.verify):
        with pytest.raises(StoreError, match="audit log at "):
            call(AuditLog(engine))
    engine.dispose()


def _take_back(store, log):
    """Append an entry and roll it back: that leaves no hole."""
    with store.engine.connect() as connection:
        log.append_in(connection, "ann", "taken back", "", {})
        connection.rollback()


def _write(url, name, count):
    store = AlertStore(url)
    log = AuditLog(store.engine)
    for n in range(count):
        if n % 5 == 4:
            _take_back(store, log)
            continue
        log.append(name, "write", str(n), {"n": n})
    store.close()
    return count - count // 5


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_eight_writers_at_once_keep_one_chain(log, store, store_url, kind):
    arguments = [(store_url, f"writer-{n}", 25) for n in range(8)]
    if kind == "threads":
        with ThreadPoolExecutor(8) as threads:
            written = sum(threads.map(lambda a: _write(*a), arguments))
    else:
        with get_context("spawn").Pool(8) as processes:
            written = sum(processes.starmap(_write, arguments))
    found = log.verify()
    assert found.problems == ()
    assert found.entries == found.head.sequence == written == 160
    for n in range(8):
        own = [int(entry.subject) for entry in log.latest(999, actor=f"writer-{n}")]
        assert own == sorted(own, reverse=True)


def test_the_speed_of_writing_and_checking_is_reported(log, record_property):
    begun = time.perf_counter()
    fill(log, 100)
    record_property("appends/s", 100 / (time.perf_counter() - begun))
    begun = time.perf_counter()
    assert log.verify().entries == 100
    record_property("checked/s", 100 / (time.perf_counter() - begun))
