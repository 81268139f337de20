"""Episodes that ended as weak: told once the pattern that they turn out to be of is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from detectors.episodes import EPISODES, Episode, code_of
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact

MOST: Final = 64
"""Episodes kept an instrument, the latest: the others stay as they were told."""


class Untold:
    """The latest weak episodes of each instrument.

    State: at most `MOST` episodes an instrument.

    Parameters
    ----------
    span_ns : int
        How long after its last fact an episode may be told, event time, ns.
    """

    layout: ClassVar[Layout] = {"untold": EPISODES}

    def __init__(self, span_ns: int) -> None:
        self._span_ns = span_ns
        self._held: dict[int, list[Episode]] = {}

    def keep(self, episode: Episode) -> None:
        """Keep an episode that has ended."""
        held = self._held.setdefault(code_of(episode), [])
        held.append(episode)
        since_ns = episode.last_ns - self._span_ns
        self._held[code_of(episode)] = [each for each in held if each.last_ns >= since_ns][-MOST:]

    def recent(self, code: int, now_ns: int) -> list[Episode]:
        """Return those of an instrument that are recent enough, in order."""
        held = self._held.get(code, ())
        return [episode for episode in held if now_ns - episode.last_ns <= self._span_ns]

    def take(
        self, code: int, now_ns: int, wanted: Callable[[Episode], bool] = lambda _: True
    ) -> list[Episode]:
        """Forget those of an instrument that are wanted; return what is recent enough, in order.

        `facts` of each has been raised by one: what is told of it now is a revision of its own.
        """
        recent = [episode for episode in self.recent(code, now_ns) if wanted(episode)]
        self._held[code] = [each for each in self._held.get(code, ()) if not wanted(each)]
        if not self._held[code]:
            del self._held[code]
        for episode in recent:
            episode.facts += 1
        return recent

    def snapshot(self) -> Snapshot:
        """Return what is kept; of an instrument together, in order."""
        return {"untold": pack_exact([e for code in sorted(self._held) for e in self._held[code]])}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        self._held = {}
        for episode in unpack_exact(snapshot["untold"], list[Episode]):
            self.keep(episode)
