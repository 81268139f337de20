"""Holds in the store, on both databases: placed, listed, released, audited."""

from __future__ import annotations

import json

import pytest

from alerts.archive_holds import Held, Hold
from alerts.audit import AuditLog
from alerts.holds import Holds
from ingest.errors import UsageError


def place(holds, **changes):
    given = {
        "instrument": "BTC-USD",
        "from_ns": 100,
        "to_ns": 200,
        "reason": "notice of 3 March",
        "placed_by": "officer",
        "placed_ns": 1_000,
        "subject": "case 7",
        **changes,
    }
    return holds.place(given.pop("instrument"), given.pop("from_ns"), given.pop("to_ns"), **given)


def test_a_hold_is_in_force_from_placing_to_release_and_stays_listed(store):
    holds = Holds(store.engine)
    first = place(holds)
    second = place(holds, instrument="東京/ETH", placed_ns=900, from_ns=0, to_ns=2**63 - 1)
    assert holds.all() == [second, first]
    assert sorted((h.instrument, h.from_ns, h.to_ns, h.reason) for h in holds.active()) == [
        ("BTC-USD", 100, 200, "notice of 3 March"),
        ("東京/ETH", 0, 2**63 - 1, "notice of 3 March"),
    ]
    released = holds.release(first.hold_id, released_by="judge", released_ns=5_000)
    assert (released.released_ns, released.active, first.active) == (5_000, False, True)
    assert [hold.instrument for hold in holds.active()] == ["東京/ETH"]
    assert holds.all() == [second, released]
    assert holds.all(released=False) == [second]


def test_what_people_do_to_holds_is_in_the_audit_log(store):
    holds = Holds(store.engine)
    hold = place(holds)
    holds.release(hold.hold_id, released_by="judge", released_ns=5_000)
    released, placed = AuditLog(store.engine).latest(2)
    assert (placed.actor, placed.action, placed.subject) == (
        "officer",
        "hold placed",
        hold.hold_id,
    )
    assert (released.actor, released.action) == ("judge", "hold released")
    assert json.loads(placed.detail)["reason"] == "notice of 3 March"
    assert AuditLog(store.engine).verify().problems == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"to_ns": 99},
        {"from_ns": -(2**63) - 1},
        {"to_ns": 2**63},
        {"reason": " "},
        {"placed_by": ""},
        {"instrument": ""},
    ],
)
def test_a_hold_that_says_nothing_is_refused_and_leaves_no_trace(store, changes):
    holds = Holds(store.engine)
    with pytest.raises(UsageError, match="hold must"):
        place(holds, **changes)
    assert holds.all() == []
    assert AuditLog(store.engine).head().sequence == 0


def test_only_a_hold_in_force_can_be_released(store):
    holds = Holds(store.engine)
    hold = place(holds)
    with pytest.raises(UsageError, match="no hold 'legal-0'"):
        holds.release("legal-0", released_by="judge", released_ns=1)
    with pytest.raises(UsageError, match="by somebody"):
        holds.release(hold.hold_id, released_by="", released_ns=1)
    holds.release(hold.hold_id, released_by="judge", released_ns=2)
    with pytest.raises(UsageError, match="released before"):
        holds.release(hold.hold_id, released_by="judge", released_ns=3)
    assert holds.all()[0].released_ns == 2
    assert AuditLog(store.engine).head().sequence == 2


def test_holds_that_overlap_touch_or_lie_apart_cover_what_each_does_alone():
    spans = [(10, 20), (15, 40), (40, 41), (60, 70), (62, 63), (80, 80)]
    held = Held([Hold(instrument="A", from_ns=a, to_ns=b) for a, b in spans])
    for first in range(100):
        for last in range(first, 100, 7):
            alone = any(a <= last and b >= first for a, b in spans)
            assert held.covers("A", first, last) is alone, (first, last)
    assert not held.covers("B", 0, 100)
    assert not Held([])
