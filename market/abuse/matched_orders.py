"""matched_orders: accounts that seem to be strangers enter orders that are made for each other."""

from __future__ import annotations

import math
import random
from collections.abc import Generator
from typing import Final

from ingest.times import SECOND
from market.abuse.base import Injector
from market.abuse.crossing import MARGIN_S, Arranged, Meeting
from market.abuse.pairs import LEAST_S, Course
from market.abuse.parties import Party, party
from market.abuse.wash_common_owner import PAIRS
from market.case import Case
from market.loop import Port

GROUPS: Final = 4
"""Circles of accounts that work together on a tape, for its whole length."""
MATCHES: Final = (3.0, 40.0)
"""Of an episode, from barely there to blatant: fewer would not be repeated."""
SIZES: Final = (0.8, 6.0)
"""Size as a multiple of an ordinary order's."""
GAP_S: Final = (1.5, 0.03)
"""Typical time between the two orders."""
PAUSE_S: Final = (60.0, 6.0)
"""Mean wait between two matches."""
SLOW_GAP_S: Final = (2.0, 6.0)
ALIKE: Final = 0.0095
"""Largest difference of the two sizes; the definition's is 1 %."""
LEAST_MATCHES: Final = 2


class MatchedOrders(Injector):
    """Two clients who have nothing to do with each other enter opposite orders at one price.

    One order is entered inside the spread, the other, of a size within 1 %, shortly after; the
    same few accounts do so again and again, and trade with everybody else in between. Severity
    sets the number of matches (3 to 40), their size, and how short the gap between the orders and
    the waits between the matches are.

    Evasions. three_accounts: a third account takes turns, so that each pair meets less often.
    alternating: the sides change, so that no position is built. near_one_percent: the sizes differ
    by almost as much as they may. slow_gap: seconds lie between the two orders, so that others
    often get one of them, and no two are entered together.
    """

    scenario = "matched_orders"
    evasions = ("three_accounts", "alternating", "near_one_percent", "slow_gap")
    every_s = 500.0

    def start(self) -> None:
        """Draw who works together, and begin to look for occasions."""
        known = {account for pair in PAIRS for account in pair} | {self.venue.nominee}
        strangers = [account for account in self.venue.clients if account not in known]
        drawn = self.rng.sample(strangers, 3 * GROUPS)
        self._groups = [drawn[3 * n : 3 * n + 3] for n in range(GROUPS)]
        self._busy: dict[tuple[str, str], None] = {}
        super().start()

    def attempt(self, port: Port) -> bool:
        """Begin an episode."""
        venue, evasion = self.venue, self.hide()
        rng = random.Random(self.rng.getrandbits(64))  # noqa: S311 - repeated by its seed
        group = self.rng.choice(self._groups)
        key = (port.engine.name, group[0])
        if key in self._busy:
            return False
        if venue.loop.now_ns + 2 * LEAST_S * SECOND > venue.end_ns:
            return True
        accounts = group if evasion == "three_accounts" else group[:2]
        case = venue.cases.begin(self.scenario, port, evasion=evasion, listing="crossed")
        if case is None:
            return True
        venue.reserve(port, 30.0)
        self._busy[key] = None
        courses = {one: Course() for one in accounts[1:]}

        def over() -> None:
            del self._busy[key]
            case.also = ("wash_ring",) if any(c.came_back for c in courses.values()) else ()
            case.end(keep=sum(c.met for c in courses.values()) >= LEAST_MATCHES)

        parties = [party(venue, account) for account in accounts]
        until_ns = min(venue.loop.now_ns + 3600 * SECOND, venue.end_ns - int(MARGIN_S * SECOND))
        Arranged(venue, self._plan(case, port, parties, rng, courses), until_ns, over)
        return True

    def _plan(
        self,
        case: Case,
        port: Port,
        parties: list[Party],
        rng: random.Random,
        courses: dict[str, Course],
    ) -> Generator[Meeting, int, None]:
        evasion, direction = case.what.evasion, rng.choice((1, -1))
        low, high = map(math.log, MATCHES)
        wanted = max(3, round(rng.uniform(0.7, 1.3) * math.exp(self.between(low, high))))
        quick, slow = (math.log(bound) for bound in reversed(GAP_S))
        for turn in range(3 * wanted):
            if sum(course.met for course in courses.values()) >= wanted:
                return
            one, other = parties[0], rng.choice(parties[1:])
            course = courses[other.account]
            lots = max(100, int(self.between(*SIZES) * min(3000, self._ordinary(port, rng))))
            if evasion == "alternating" and course.net:
                direction, lots = (-1 if course.net > 0 else 1), max(abs(course.net), 10)
            elif evasion == "three_accounts":
                direction = rng.choice((1, -1))
            first = rng.randrange(2)
            gap_s = math.exp(rng.gauss(self.between(slow, quick), 0.5))
            crossed = yield Meeting(
                case=case,
                port=port,
                first=other if first else one,
                second=one if first else other,
                side=-direction if first else direction,
                lots=lots,
                pieces=(self._like(lots, evasion, rng),),
                pause_s=min(240.0, self.between(*PAUSE_S) * rng.expovariate(1.0)) if turn else 0.0,
                gap_s=rng.uniform(*SLOW_GAP_S) if evasion == "slow_gap" else min(2.0, gap_s),
                within=rng.uniform(0.2, 0.8),
                second_tif="GTC" if rng.random() < 0.6 else "IOC",
            )
            course.take(direction, crossed)

    def _ordinary(self, port: Port, rng: random.Random) -> int:
        return self.venue.flows[port.engine.name].size(rng)

    @staticmethod
    def _like(lots: int, evasion: str, rng: random.Random) -> int:
        """Return a size that is like another: equal, or off by less than 1 % of the larger."""
        if evasion == "near_one_percent":
            ratio = rng.uniform(0.6, 1.0) * ALIKE
        else:
            ratio = rng.choice((0.0, rng.random() * ALIKE))
        return lots + rng.choice((1, -1)) * int(lots * ratio)
