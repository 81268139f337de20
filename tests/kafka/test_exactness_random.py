"""Deaths at random points of a feed in which much has to be decided.

What was decided differs from run to run, so a clean run takes it over: see `journaled`.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

from ingest.kafka_client import create_topics
from tests.support import worker
from tests.support.broker import KafkaBroker
from tests.support.exact import Site, assert_told_once
from tests.support.feeds import PARTITIONS, changed_accounts, hard_feed, send, steps
from tests.support.journaled import by_journal
from tests.support.left import assert_balanced, assert_same, feed_ends
from tests.support.lives import Lives

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

DEATHS = int(os.environ.get("RINGFENCE_CRASHES", "12"))
SEED = int(os.environ.get("RINGFENCE_CRASHES_SEED", "1"))


def ending(rng: random.Random) -> dict[str, Any]:
    """Draw how a life ends: at some boundary, or at some time, wherever it is then."""
    if rng.random() < 0.5:
        return {"calls": rng.randrange(1, 60)}
    return {"alarm_s": rng.uniform(0.3, 2.5)}


def test_whenever_workers_die_what_they_leave_is_what_a_clean_run_with_their_journal_leaves(
    broker: KafkaBroker, lives: Lives, database: URL, tmp_path: Path
) -> None:
    tape, messages = hard_feed()
    settings = worker.unused_settings(broker)
    create_topics(settings, {settings.orders: PARTITIONS, settings.trades: PARTITIONS})
    polled = max(5, 1_200 // DEATHS)
    site = Site(settings, tape, tmp_path / "site", url=database, poll_records=polled)
    rng = random.Random(SEED)
    sent, midway = 0, 0
    human: dict[str, tuple[object, ...]] = {}
    for number, part in enumerate(steps(messages, DEATHS)):
        send(settings, part)
        sent += len(part)
        if number == DEATHS // 3:
            site.write_accounts(changed_accounts(tape))
        if number == DEATHS // 2:
            human = site.assign()
        if number == 2 * DEATHS // 3:
            site.write_accounts(tape.accounts)
        # It is never drained: only what is planned ends it.
        end = site.start(lives, drains=False, **ending(rng)).end()
        assert end.code in {-signal.SIGKILL, -signal.SIGALRM}, end
        midway += sum(site.frontiers().values()) < sent
    assert midway > DEATHS / 2, "most must die with records still to come"
    site.run(lives)
    left = site.left()
    reasons = {reason for totals in left.totals.values() for reason in totals.rejects}
    assert reasons == {"conflict", "not_json", "wrong_partition"}
    assert sum(totals.late for totals in left.totals.values()) > 0
    assert human
    clean = by_journal(site, tmp_path)
    assert_same(left, clean)
    assert_balanced(left, feed_ends(messages))
    assert_told_once(site)
    assert {alert_id: site.human()[alert_id] for alert_id in human} == human
