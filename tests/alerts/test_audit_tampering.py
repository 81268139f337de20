"""Whoever changes the audit log behind its back is found, on SQLite and a real PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from alerts.audit import AuditLog
from alerts.audit_chain import GENESIS, MAX_PROBLEMS, verify_chain
from alerts.store import AlertStore
from tests.support.audit import COLUMNS, Clock, fill, tampered, unguard

NUMBERS = COLUMNS[:2]


@pytest.fixture
def log(store):
    return AuditLog(store.engine, clock=Clock())


def changed_bytes(row):
    """Yield (column, new bytes) with one of four bits of one byte turned over."""
    for name in COLUMNS:
        raw = str(getattr(row, name)).encode()
        for place in range(len(raw)):
            for bit in (0x01, 0x02, 0x20, 0x80):
                changed = bytes([*raw[:place], raw[place] ^ bit, *raw[place + 1 :]])
                if name not in NUMBERS or changed.isdigit():
                    yield name, changed


def test_every_changed_byte_of_every_column_of_every_row_is_found(log, store):
    """What the database itself refuses, as no text or a number taken, counts as found."""
    fill(log, 3)
    sqlite = store.engine.dialect.name == "sqlite"
    as_text = "CAST(X'{}' AS TEXT)" if sqlite else "convert_from('\\x{}'::bytea, 'UTF8')"
    with store.engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM audit ORDER BY sequence")).all()
    tried = refused = 0
    for row in rows:
        for name, changed in changed_bytes(row):
            tried += 1
            new = changed.decode() if name in NUMBERS else as_text.format(changed.hex())
            change = f"UPDATE audit SET {name} = {new} WHERE sequence = {row.sequence}"
            with store.engine.connect() as connection:
                unguard(connection)
                try:
                    connection.exec_driver_sql(change)
                except SQLAlchemyError:
                    refused += 1
                    continue
                assert verify_chain(read(connection)).problems, change
                connection.rollback()
    assert log.verify().problems == ()
    assert tried - refused > 2_000
    assert refused < tried / 3


def read(connection):
    """Return all rows as verify reads them: on SQLite texts as bytes."""
    as_read = ", ".join(
        f"CAST({name} AS BLOB)" if connection.dialect.name == "sqlite" and n > 1 else name
        for n, name in enumerate(COLUMNS)
    )
    query = f"SELECT {as_read} FROM audit ORDER BY sequence"
    return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_a_text_that_is_no_text_any_more_is_a_problem_and_not_a_crash(tmp_path):
    store = AlertStore(f"sqlite:///{tmp_path}/store.sqlite")
    store.migrate()
    log = AuditLog(store.engine)
    fill(log, 3)
    tampered(store.engine, "UPDATE audit SET actor = CAST(X'FF' AS TEXT) WHERE sequence = 2")
    assert "entry 2 cannot be read: one of its texts is not UTF-8" in log.verify().problems
    tampered(store.engine, "UPDATE audit SET at_ns = 'soon', actor = 'ann' WHERE sequence = 2")
    assert "entry 2 cannot be read: its number or time is of type str" in log.verify().problems
    store.close()


@pytest.mark.parametrize("gone", [(1,), (3,), (3, 4), (2, 4)])
def test_a_deleted_entry_is_a_hole(log, store, gone):
    fill(log, 5)
    tampered(store.engine, f"DELETE FROM audit WHERE sequence IN ({', '.join(map(str, gone))})")
    missing = [line for line in log.verify().problems if "missing" in line]
    assert len(missing) == (2 if gone == (2, 4) else 1)
    assert all(any(str(n) in line for line in missing) for n in gone)


def test_a_deleted_entry_is_found_when_those_behind_it_move_up(log, store):
    fill(log, 5)
    tampered(
        store.engine,
        "DELETE FROM audit WHERE sequence = 3",
        "UPDATE audit SET sequence = 3 WHERE sequence = 4",
        "UPDATE audit SET sequence = 4 WHERE sequence = 5",
    )
    assert log.verify().problems == (
        "entry 3 was changed: its hash is not that of its content",
        "entry 3 does not follow the entry that stands before it",
        "entry 4 was changed: its hash is not that of its content",
    )


def test_entries_that_changed_places_are_found(log, store):
    fill(log, 5)
    tampered(
        store.engine,
        "UPDATE audit SET sequence = 99 WHERE sequence = 2",
        "UPDATE audit SET sequence = 2 WHERE sequence = 3",
        "UPDATE audit SET sequence = 3 WHERE sequence = 99",
    )
    problems = log.verify().problems
    assert sum("was changed" in line for line in problems) == 2
    assert sum("does not follow" in line for line in problems) == 3


@pytest.mark.parametrize("place", [0, -1, 4])
def test_an_entry_that_was_put_in_is_found(log, store, place):
    fill(log, 3)
    head = log.head()
    columns = ", ".join(COLUMNS[1:])
    tampered(
        store.engine,
        f"INSERT INTO audit SELECT {place}, {columns} FROM audit WHERE sequence = 3",
    )
    assert log.verify().problems
    assert log.verify(head).problems


def test_a_cut_tail_is_found_by_the_head_that_was_kept_elsewhere(log, store):
    fill(log, 5)
    head = log.verify().head
    fill(log, 2)
    assert log.verify(head).problems == ()
    tampered(store.engine, "DELETE FROM audit WHERE sequence > 3")
    assert log.verify().problems == ()  # nothing in what is left says that there was more
    assert log.verify(head).problems == (
        "the log ends at entry 3 and the kept head is entry 5: the end was cut off",
    )
    tampered(store.engine, "DELETE FROM audit")
    assert log.verify().problems == ()
    assert len(log.verify(head).problems) == 1


def test_a_log_written_anew_with_all_its_hashes_is_found_by_the_kept_head(log, store):
    fill(log, 5)
    head = log.head()
    kept = log.latest(5)[::-1]
    tampered(store.engine, "DELETE FROM audit WHERE sequence >= 3")
    forger = AuditLog(store.engine, clock=Clock())
    for entry in kept[2:]:
        forger.append("bob", entry.action, entry.subject, {})
    assert log.verify().problems == ()
    (problem,) = log.verify(head).problems
    assert problem.startswith("entry 5 is not the one of the kept head")


def test_a_hopeless_log_says_so_in_bounded_space():
    rows = ((n, 0, "a", "b", "c", "{}", GENESIS, GENESIS) for n in range(1, 5_000))
    found = verify_chain(rows)
    assert len(found.problems) == MAX_PROBLEMS + 1
    assert found.problems[-1] == f"and {4_999 - MAX_PROBLEMS} more"
