"""What one life decided holds for the next, also where that one would have decided otherwise."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from alerts.journal import Decisions
from ingest.events import Topic
from ingest.kafka_client import create_topics
from tests.support import worker
from tests.support.broker import KafkaBroker
from tests.support.exact import Site, assert_told_once
from tests.support.feeds import PARTITIONS, Message, counterpart, plain_feed, send, silences
from tests.support.journaled import by_journal
from tests.support.left import assert_balanced, assert_same, feed_ends
from tests.support.lives import Lives
from tests.support.venue import Tape

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


def held_back(tape: Tape, messages: list[Message]) -> tuple[Message, int]:
    """Return an order from before a silence, and a place behind the silence.

    Of the order's partition only orders stand between: while trades may come, nobody can say that
    the order is lost.
    """
    for silence in silences(tape):
        then_ns = tape.records[silence]["engine_ns"]
        times = [json.loads(m.value)["engine_ns"] if m.value[-1:] == b"}" else 0 for m in messages]
        for partition in range(PARTITIONS):
            mine = [n for n, m in enumerate(messages) if m.partition == partition]
            first = next(n for n in mine if times[n] >= then_ns)
            before = [n for n in mine if 0 < times[n] < then_ns]
            order = messages[before[-3]]
            if Topic.ORDERS is messages[first].topic is order.topic:
                return order, first + 1
    raise AssertionError("no silence of this tape is as it has to be")


def trades(messages: list[Message], partition: int) -> list[Message]:
    """Return the trades of a partition."""
    return [m for m in messages if (m.topic, m.partition) == (Topic.TRADES, partition)]


def is_new_order(messages: list[Message], at: int, partition: int) -> bool:
    """Return whether an order stands there that is not sent before, in any form."""
    message = messages[at]
    if (message.topic, message.partition) != (Topic.ORDERS, partition):
        return False
    place = place_of(message)
    return place is not None and place not in map(place_of, messages[:at])


def place_of(message: Message) -> tuple[str, int] | None:
    """Return a message's instrument and seq; None where it is cut short."""
    try:
        record = json.loads(message.value)
    except ValueError:
        return None
    return record["instrument"], record["seq"]


def test_a_gap_that_an_idle_feed_decided_and_a_conflict_between_topics_outlive_a_crash(
    broker: KafkaBroker, lives: Lives, database: URL, tmp_path: Path
) -> None:
    tape, messages = plain_feed()
    lost, cut = held_back(tape, messages)
    settings = worker.unused_settings(broker)
    create_topics(settings, {settings.orders: PARTITIONS, settings.trades: PARTITIONS})
    # Without a snapshot the next life begins at the first record, and polls most of them at once.
    site = Site(
        settings,
        tape,
        tmp_path / "site",
        url=database,
        every_s=3_600.0,
        poll_records=10_000,
        idle_s=3.0,
    )
    sent: list[Message] = []

    def publish(part: list[Message]) -> None:
        send(settings, part)
        sent.extend(part)

    def decided(partition: int) -> list[Decisions]:
        return site.decisions().get(f"p{partition}", [])

    publish([message for message in messages[:cut] if message.value != lost.value])
    life = site.start(lives, drains=False)
    life.wait(lambda: bool(life.reached), "a claim")
    _, seq = place_of(lost) or ("", 0)
    life.wait(
        lambda: any(
            gap.first_missing_seq <= seq <= gap.last_missing_seq
            for each in decided(lost.partition)
            for gap in each.gaps
        ),
        "a decision that the order is lost",
    )
    # In another partition a trade comes before an order that has its seq; polled together, the
    # order would be first. Between the two nothing is written.
    other = next(p for p in (1, 2) if p != lost.partition)
    places = (n for n in range(cut, len(messages)) if is_new_order(messages, n, other))
    place = next(n for n in places if trades(messages[cut:n], other))
    passes = life.reached.count("decided")
    publish([message for message in messages[cut:place] if message.partition == other])
    life.wait(lambda: life.reached.count("decided") > passes, "a pass")
    life.wait(lambda: len(decided(other)) > 0, "a journal")
    passes, entries = life.reached.count("decided"), len(decided(other))
    publish([counterpart(tape, messages[place])])
    life.wait(lambda: life.reached.count("decided") > passes, "a pass over the trade")
    assert len(decided(other)) == entries
    publish([messages[place]])
    refused = (int(Topic.ORDERS), other, feed_ends(sent)[Topic.ORDERS, other] - 1)
    life.wait(
        lambda: any(refused in each.conflicts for each in decided(other)),
        "a decision that the order is in conflict",
    )
    life.signal(signal.SIGKILL)
    assert life.end().code == -signal.SIGKILL
    publish([lost])
    publish([message for message in messages[cut:place] if message.partition != other])
    publish(messages[place + 1 :])
    site.run(lives)
    left = site.left()
    assert left.totals[f"p{lost.partition}"].late >= 1
    assert_same(left, by_journal(site, tmp_path))
    assert_balanced(left, feed_ends(sent))
    assert_told_once(site)
