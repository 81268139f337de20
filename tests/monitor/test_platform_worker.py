"""Who is given the summaries topic reads it from where its state ends, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace

from monitor.metrics import Metrics
from monitor.platform_worker import PlatformWorker


class Feed:
    """The summaries topic; it is lost and won back between two polls."""

    def __init__(self):
        self.owned, self.at, self.news = True, 0, [True]
        self.messages = [(number, b"summary") for number in range(9)]

    def poll(self, _timeout_s):
        polled = self.messages[self.at : self.at + 3]
        self.at += len(polled)
        return polled

    def moved(self):
        return bool(self.news) and self.news.pop()

    def seek(self, offset):
        self.at = offset

    def left(self):
        return "" if self.at == len(self.messages) else "summaries"


class Stage:
    """Nothing waits."""

    late = 0

    def __len__(self):
        return 0


class Shard:
    """State up to an offset; it must be given what follows, in order."""

    def __init__(self, at):
        self.at, self.claim = at, SimpleNamespace(epoch=2)
        self.detecting = SimpleNamespace(spent=dict, quarantined={})
        self.found, self.stage = {}, Stage()
        self.taken = []

    def begin(self):
        pass

    def take(self, messages):
        for offset, _ in messages:
            assert offset == self.at, f"expected offset {self.at}, was given {offset}"
            self.at += 1
            self.taken.append(offset)


def test_messages_polled_before_the_topic_was_won_back_are_read_again_in_their_turn():
    feed, shard = Feed(), Shard(at=1)
    worker = PlatformWorker(feed, lambda: shard, Metrics())
    assert not worker.turn(), "what was polled came from where reading stood until then"
    while worker.left():
        assert worker.turn()
    assert shard.taken == list(range(1, 9))
