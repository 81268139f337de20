"""Episodes: facts of one kind about the same accounts, close in event time, counted as one.

An episode opens with its first fact, which fixes its identity; it closes once its instrument's
event clock has passed the last fact by `gap_ns`. Both depend on events alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count, takewhile
from operator import itemgetter
from typing import ClassVar, Final

import msgspec

from ingest.axes import Entries
from ingest.events import Batch
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact

_NEVER: Final = 2**63 - 1

Key = tuple[int, ...]
"""Instrument code first, then whatever else sets one episode apart (accounts, scenario index)."""


class Episode(msgspec.Struct, kw_only=True):
    """What an open episode remembers; bounded: counts and sums, never lists of events."""

    key: Key
    first_seq: int
    first_ns: int
    first_accounts: tuple[int, ...]
    last_ns: int
    facts: int = 0
    """Facts so far: the `revision` of the finding that the latest one makes."""
    incomplete: bool = False
    sums: dict[str, int] = {}
    """Exact running integers that the detector keeps for its features."""


def code_of(episode: Episode) -> int:
    """Return the instrument of an episode."""
    return episode.key[0]


def under(episode: Episode, code: int) -> Episode:
    """Return an episode under another instrument code."""
    return msgspec.structs.replace(episode, key=(code, *episode.key[1:]))


EPISODES: Final = Entries(kind=Episode, place=code_of, moved=under)
"""Axis of a packed list of episodes."""


def meet(sums: dict[str, int], accounts: Iterable[int], most: int) -> None:
    """Note accounts in an episode's sums, each once, in order, `most` of them at most.

    >>> sums = {}
    >>> meet(sums, [7, 5, 7], most=3); meet(sums, [5, 9, 8], most=3); accounts_in(sums)
    [7, 5, 9]
    """
    known = accounts_in(sums)
    for account in accounts:
        if account not in known and len(known) < most:
            sums[f"account{len(known)}"] = account
            known.append(account)


def accounts_in(sums: Mapping[str, int]) -> list[int]:
    """Return the accounts that `meet` noted, in order."""
    names = takewhile(sums.__contains__, map("account{}".format, count()))
    return [sums[name] for name in names]


class Episodes:
    """The open episodes of one detector.

    State is one `Episode` a key with a fact in the last `gap_ns`; a key whose instrument falls
    silent stays open.

    Parameters
    ----------
    gap_ns : int
        Silence after which an episode is closed, event time, ns.
    """

    layout: ClassVar[Layout] = {"episodes": EPISODES}

    def __init__(self, gap_ns: int) -> None:
        self._gap_ns = gap_ns
        self._open: dict[Key, Episode] = {}
        self._oldest_ns = _NEVER  # no open episode's last_ns lies before it

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Episode]:
        return iter(self._open.values())

    def fact(
        self, key: Key, *, seq: int, at_ns: int, accounts: tuple[int, ...], incomplete: bool = False
    ) -> tuple[Episode, Episode | None]:
        """Count a fact; return its episode and the older one that it found expired, if any."""
        episode = self._open.get(key)
        expired = None
        if episode is not None and at_ns - episode.last_ns > self._gap_ns:
            expired, episode = episode, None
            expired.facts += 1
        if episode is None:
            episode = Episode(
                key=key, first_seq=seq, first_ns=at_ns, first_accounts=accounts, last_ns=at_ns
            )
            self._open[key] = episode
            self._oldest_ns = min(self._oldest_ns, at_ns)
        episode.facts += 1
        episode.last_ns = max(episode.last_ns, at_ns)
        episode.incomplete |= incomplete
        return episode, expired

    def get(self, key: Key) -> Episode | None:
        """Return the open episode of a key, expired or not."""
        return self._open.get(key)

    def expire(self, key: Key, at_ns: int) -> Episode | None:
        """Remove and return the key's episode when its deadline lies before an event time.

        For what is no fact of its own yet must come after the closing: a bust, a mark. `facts` of
        the returned episode has been raised by one, as in `close_before`.
        """
        episode = self._open.get(key)
        if episode is None or at_ns - episode.last_ns <= self._gap_ns:
            return None
        return self.end(key)

    def end(self, key: Key) -> Episode | None:
        """Remove and return the key's episode, `facts` raised by one: what it was of is over."""
        episode = self._open.pop(key, None)
        if episode is not None:
            episode.facts += 1
        return episode

    def close_before(self, batch: Batch) -> Iterator[Episode]:
        """Remove and yield the episodes whose deadline their instrument's clock has passed.

        Instrument by instrument, each's in the order in which they opened: so a snapshot keeps it.
        Call it after the batch's facts. Each yielded episode has had `facts` raised by one: its
        closing is a revision of its own. Deadline: `last_ns + gap_ns`.
        """
        ends = batch.ends
        clock = batch["clock_ns"][ends].tolist() if self._open else []
        if not clock or max(clock) - self._oldest_ns <= self._gap_ns:
            return
        clocks = dict(zip(batch["instrument"][ends].tolist(), clock, strict=True))
        over = [
            key
            for key, episode in self._open.items()
            if clocks.get(key[0], episode.last_ns) - episode.last_ns > self._gap_ns
        ]
        for key in sorted(over, key=itemgetter(0)):
            episode = self._open.pop(key)
            episode.facts += 1
            yield episode
        self._oldest_ns = self._earliest()

    def close_passed(self, now_ns: int) -> Iterator[Episode]:
        """Remove and yield the episodes whose deadline lies before an event time, soonest first.

        For platform scope, whose time is the watermark and not an instrument's clock. `facts` of
        each has been raised by one, as in `close_before`.
        """
        over = [e for e in self._open.values() if now_ns - e.last_ns > self._gap_ns]
        for episode in sorted(over, key=lambda each: (each.last_ns, code_of(each))):
            del self._open[episode.key]
            episode.facts += 1
            yield episode

    def deadline_ns(self, episode: Episode) -> int:
        """Return the event time at which an episode closes, ns."""
        return episode.last_ns + self._gap_ns

    def snapshot(self) -> Snapshot:
        """Return the open episodes as arrays; those of an instrument stand together."""
        return {"episodes": pack_exact(sorted(self._open.values(), key=code_of))}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over the episodes of a snapshot."""
        episodes = unpack_exact(snapshot["episodes"], list[Episode])
        self._open = {tuple(episode.key): episode for episode in episodes}
        self._oldest_ns = self._earliest()

    def _earliest(self) -> int:
        return min((episode.last_ns for episode in self._open.values()), default=_NEVER)
