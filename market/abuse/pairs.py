"""Two parties who are one: what the three kinds of wash trade between two sides have in common."""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar, Final

from ingest.times import SECOND
from market.abuse.base import Injector
from market.abuse.crossing import MARGIN_S, Arranged, Meeting
from market.abuse.parties import Party, cut_up
from market.case import Case
from market.loop import Port

TRADES: Final = (2.0, 30.0)
"""Meetings of an episode, from barely there to blatant: one more than a slip."""
SIZES: Final = (0.8, 7.0)
"""Size of a trade as a multiple of an ordinary order's."""
PAUSE_S: Final = (25.0, 4.0)
"""Mean wait between two meetings."""
GAP_S: Final = (0.01, 0.6)
"""From an order to the one that meets it: a program's, or a hand's."""
RESTING_S: Final = (1.0, 5.0)
"""The same where the first is let rest like any other order."""
SPREAD_S: Final = (40.0, 110.0)
"""Wait between meetings that are spread over minutes."""
LEAST_S: Final = 90.0
"""What must be left of the tape for an episode to begin."""
TOLERANCE: Final = 0.01
"""Net quantity, of a trade's mean size, below which a position has come back (Victor & Weintraud
2021)."""


@dataclass(slots=True)
class Course:
    """How an episode of meetings has gone: what its own orders traded with each other."""

    met: int = 0
    lots: int = 0
    net: int = 0
    """Bought by the one party less sold."""

    def take(self, side: int, lots: int) -> None:
        """Take in a meeting, `side` being the one party's."""
        self.met += lots > 0
        self.lots += lots
        self.net += side * lots

    @property
    def came_back(self) -> bool:
        """Whether the position went to and fro, each way more than once."""
        return self.met >= 4 and abs(self.net) * self.met <= TOLERANCE * self.lots


class WashPair(Injector):
    """Orders of two parties who are one meet inside the spread, several times within minutes.

    The first order rests there; after a short random gap the second takes it, so that mostly
    nobody else gets in between; self-trade prevention is kept from seeing it. About half of the
    episodes go to and fro, so that no position is left. Severity sets the number of meetings (2 to
    30), their size and how quickly one follows the other.
    """

    evasions: ClassVar[tuple[str, ...]] = ("broken_size", "passive_first", "across_minutes")
    """broken_size: several smaller orders take the first, so that no two sizes are equal.
    passive_first: the first order rests for seconds like any other, and others may trade with it.
    across_minutes: a minute or more lies between two meetings."""
    every_s = 420.0

    def start(self) -> None:
        """Begin to look for occasions; nothing goes on yet."""
        self._busy: dict[tuple[str, ...], None] = {}
        super().start()

    @abstractmethod
    def parties(self, evasion: str, rng: random.Random) -> tuple[Party, Party]:
        """Draw the two parties of an episode."""

    def also(self, parties: tuple[Party, Party]) -> tuple[str, ...]:
        """Return what else each trade of the two is."""
        del parties
        return ()

    def attempt(self, port: Port) -> bool:
        """Begin an episode."""
        venue, evasion = self.venue, self.hide()
        rng = random.Random(self.rng.getrandbits(64))  # noqa: S311 - repeated by its seed
        parties = self.parties(evasion, rng)
        key = (port.engine.name, *sorted(one.account for one in parties))
        if key in self._busy:
            return False
        if venue.loop.now_ns + LEAST_S * SECOND > venue.end_ns:
            return True
        low, high = map(math.log, TRADES)
        meetings = max(2, round(rng.uniform(0.7, 1.3) * math.exp(self.between(low, high))))
        longest_s = 120 + meetings * 2.5 * (SPREAD_S[1] if evasion == "across_minutes" else 25)
        until_ns = venue.loop.now_ns + int(longest_s * SECOND)
        case = venue.cases.begin(
            self.scenario,
            port,
            evasion=evasion,
            also=self.also(parties),
            # Other trades within an omnibus account are other people's.
            listing="crossed" if parties[0].options else "between",
        )
        if case is None:
            return True
        venue.reserve(port, 30.0)
        self._busy[key] = None
        course = Course()

        def over() -> None:
            del self._busy[key]
            if len({one.account for one in parties}) > 1 and course.came_back:
                case.also = (*case.also, "wash_ring")
            case.end(keep=bool(case.trade_ids))

        plan = self._plan(case, port, parties, meetings, rng, course)
        Arranged(venue, plan, min(until_ns, venue.end_ns - int(MARGIN_S * SECOND)), over)
        return True

    def _plan(  # noqa: PLR0917 - all that an episode is made of
        self,
        case: Case,
        port: Port,
        parties: tuple[Party, Party],
        meetings: int,
        rng: random.Random,
        course: Course,
    ) -> Generator[Meeting, int, None]:
        for one in parties:
            case.act(one.account)
        evasion, returns = case.what.evasion, rng.random() < 0.5
        direction, size = rng.choice((1, -1)), 1
        low, high = map(math.log, GAP_S)
        rests = evasion == "passive_first"
        for turn in range((2 if rests else 3) * meetings):
            if course.met >= meetings and not (returns and course.net):
                return
            if course.net and returns:
                # What went over comes back, all of it.
                direction, size = (-1 if course.net > 0 else 1), abs(course.net)
            else:
                ordinary = self.venue.flows[port.engine.name].size(rng)
                size = max(10, int(self.between(*SIZES) * min(ordinary, 3000)))
            first = rng.randrange(2)
            pause_s = self.between(*PAUSE_S) * rng.expovariate(1.0)
            if evasion == "across_minutes":
                pause_s = rng.uniform(*SPREAD_S)
            crossed = yield Meeting(
                case=case,
                port=port,
                first=parties[first],
                second=parties[1 - first],
                side=-direction if first else direction,
                lots=size,
                pieces=cut_up(
                    size, rng, pieces=rng.randint(2, 4) if evasion == "broken_size" else 1
                ),
                pause_s=min(pause_s, 120.0) if turn else 0.0,
                gap_s=rng.uniform(*RESTING_S) if rests else math.exp(rng.uniform(low, high)),
                within=rng.uniform(0.05, 0.2) if rests else rng.uniform(0.2, 0.8),
                unprevented=True,
                second_tif="GTC" if rng.random() < 0.4 else "IOC",
            )
            course.take(direction, crossed)
