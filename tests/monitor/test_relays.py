"""The ways out of the outbox while a broker is away, and a store that does not know what left."""

from __future__ import annotations

import pytest

from alerts.commit import Found, Ledger
from alerts.database import StoreError
from alerts.outbox import Outbox
from alerts.shards import Progress, Shards
from alerts.store import AlertStore
from ingest.errors import SourceError
from monitor.relays import CONSUMER, Relays
from tests.support.alerts import Venue


class Away:
    """A relay whose broker does not answer."""

    def delivered(self):
        raise SourceError("no answer")

    def send(self, _rows):
        raise SourceError("no answer")

    def close(self):
        pass


class Far(Away):
    """A relay whose broker has more than the store knows of."""

    def delivered(self):
        return 99


@pytest.fixture
def outbox(tmp_path):
    store = AlertStore(f"sqlite:///{tmp_path}/store.sqlite")
    store.migrate()
    yield Outbox(store.engine, [CONSUMER]), Shards(store.engine)
    store.close()


def with_one_alert(outbox, shards, tmp_path):
    venue = Venue(tmp_path / "archive")
    book = venue.book()
    alerts = book.apply([venue.finding("rules")], venue.register)
    claim = shards.claim("p0", "worker")
    found = Found(alerts=alerts, pins=book.evidence(alerts))
    Ledger(shards, outbox).commit(claim, 0, Progress(positions={}), found)
    return claim


def test_while_the_broker_is_away_alerts_wait_and_nothing_calls_them_sent(outbox, tmp_path):
    rows, shards = outbox
    claim = with_one_alert(rows, shards, tmp_path)
    relays = Relays(shards, rows, lambda _: Away(), lambda _: None)
    relays.open(claim)
    assert not relays.drained()
    assert not relays.drained(), "nor between two tries"
    assert relays.waiting == rows.waiting() == 1


def test_a_store_that_does_not_know_what_has_left_is_refused(outbox, tmp_path):
    rows, shards = outbox
    claim = with_one_alert(rows, shards, tmp_path)
    relays = Relays(shards, rows, lambda _: Far(), lambda _: None)
    relays.open(claim)
    with pytest.raises(StoreError, match=r"row 99 of outbox p0 .* kafka.group"):
        relays.send()


def test_one_that_lost_its_shard_before_its_first_send_asks_no_broker_and_lets_go(outbox, tmp_path):
    rows, shards = outbox
    claim = with_one_alert(rows, shards, tmp_path)
    asked = []

    class Asking(Far):
        def delivered(self):
            asked.append("delivered")
            return super().delivered()

    relays = Relays(shards, rows, lambda _: Asking(), lambda _: None)
    relays.open(claim)
    shards.claim("p0", "another")
    relays.send()
    assert not asked, "asking would fence the relay of the shard's owner"
    assert rows.waiting() == 1
    assert relays.drained()


def test_one_that_loses_its_shard_while_it_asks_takes_the_answer_for_no_fault_of_the_store(
    outbox, tmp_path
):
    rows, shards = outbox
    claim = with_one_alert(rows, shards, tmp_path)

    class Losing(Far):
        def delivered(self):
            shards.claim("p0", "another")
            return super().delivered()

    relays = Relays(shards, rows, lambda _: Losing(), lambda _: None)
    relays.open(claim)
    relays.send()
    assert relays.drained()
