"""wash_ring: a position goes round a circle of accounts until each stands where it stood before."""

from __future__ import annotations

import math
import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final

from ingest.times import SECOND
from market.abuse.base import Injector
from market.abuse.crossing import MARGIN_S, Arranged, Meeting
from market.abuse.laps import circle, hops
from market.abuse.parties import GATES, cut_up, party
from market.abuse.wash_common_owner import PAIRS
from market.case import Case
from market.loop import Port
from market.orders import BUY

MEMBERS: Final = {2: 2, 3: 4, 4: 4, 5: 3, 6: 2, 7: 1, 8: 1}
"""How often a ring has so many, by number."""
SPLIT_MEMBERS: Final = 6
"""Most members when one of them is three accounts: eight in all."""
LAPS: Final = (2.0, 24.0)
SIZES: Final = (0.8, 5.0)
"""Size as a multiple of an ordinary order's."""
PAUSE_S: Final = (40.0, 1.2)
"""Mean wait between two hops."""
GAP_S: Final = (0.02, 0.8)
SLOW_S: Final = 3000.0
"""How long a slow ring takes for all its laps, where the tape is as long."""
LEAK: Final = 0.003
"""Of a size, at most, that does not come back; the definition's bound is 1 % of the mean."""
TRIES: Final = 8
"""Attempts at a hop of which others take a part."""
LEAST_LAPS: Final = 2


@dataclass(slots=True, eq=False)
class _Place:
    """A ring's doings in one instrument."""

    port: Port
    case: Case
    laps: int = 0
    trades: int = 0
    """Trades of the complete laps."""


class WashRing(Injector):
    """Two to eight clients hand a position round: A to B to C and back to A, lap after lap.

    Each hop is a pair of limit orders that meet inside the spread. Now and then a lap goes the
    other way round, or leaves a member out; each lap has a size of its own, and over the whole run
    every member's net stays within a fraction of 1 % of a trade. Between the hops the members
    trade with everybody else, as all clients do. Severity sets the number of laps (2 to 24), the
    size, and the pace.

    Evasions. split: one member is three accounts that each take a part. leg_pieces: a hop comes in
    several trades of unlike size. slow: the laps are spread over most of an hour. decoys: members
    trade with outsiders between the hops, far more than usual. two_instruments: the laps alternate
    between the spot and the perpetual; that is a case in each.
    """

    scenario = "wash_ring"
    evasions = ("split", "leg_pieces", "slow", "decoys", "two_instruments")
    every_s = 500.0

    def attempt(self, port: Port) -> bool:
        """Begin a ring."""
        venue, evasion = self.venue, self.hide()
        rng = random.Random(self.rng.getrandbits(64))  # noqa: S311 - repeated by its seed
        other = venue.sibling(port) if evasion == "two_instruments" else None
        if evasion == "two_instruments" and other is None:
            evasion = "none"
        count = rng.choices(list(MEMBERS), list(MEMBERS.values()))[0]
        seats = self._seats(evasion, count, rng)
        low, high = map(math.log, LAPS)
        laps = max(2, round(rng.uniform(0.8, 1.2) * math.exp(self.between(low, high))))
        slow, quick = map(math.log, PAUSE_S)
        pause_s = rng.uniform(0.7, 1.3) * math.exp(self.between(slow, quick))
        left_s = (venue.end_ns - venue.loop.now_ns) / SECOND - MARGIN_S
        hops = sum(len(seat) for seat in seats) * laps
        if evasion == "slow":
            pause_s = max(pause_s, min(SLOW_S, 0.7 * left_s) / hops)
        if left_s < max(120.0, 2 * len(seats) * (pause_s + 3.0)):
            return True
        places = []
        for where in (port,) if other is None else (port, other):
            case = venue.cases.begin(
                self.scenario, where, evasion=evasion, also=("matched_orders",), listing="crossed"
            )
            if case is None:
                return True
            venue.reserve(where, 30.0)
            places.append(_Place(where, case))
        plan = self._plan(places, seats, laps, pause_s, rng)
        until_ns = venue.end_ns - int(MARGIN_S * SECOND)
        Arranged(venue, plan, until_ns, lambda: self._over(places))
        return True

    def _seats(self, evasion: str, count: int, rng: random.Random) -> list[list[str]]:
        """Draw who sits in the ring: one account a seat, or three."""
        known = {account for pair in PAIRS for account in pair} | {self.venue.nominee}
        strangers = [account for account in self.venue.clients if account not in known]
        count = min(count, SPLIT_MEMBERS) if evasion == "split" else count
        drawn = rng.sample(strangers, count + 2)
        seats = [[account] for account in drawn[:count]]
        if evasion == "split":
            seats[0] += drawn[count:]
        return seats

    @staticmethod
    def _over(places: Sequence[_Place]) -> None:
        for place in places:
            # A lap that was cut short has brought nothing back: it is no part of the truth.
            for trade_id in list(place.case.trade_ids)[place.trades :]:
                del place.case.trade_ids[trade_id]
            place.case.end(keep=place.laps >= LEAST_LAPS)

    def _plan(
        self,
        places: Sequence[_Place],
        seats: list[list[str]],
        laps: int,
        pause_s: float,
        rng: random.Random,
    ) -> Generator[Meeting, int, None]:
        evasion = places[0].case.what.evasion
        ordinary = self.venue.flows[places[0].port.engine.name].size(rng)
        size = max(100, int(self.between(*SIZES) * min(2000, ordinary)))
        pieces = 3 if evasion == "leg_pieces" else 1
        leak = int(LEAK * rng.random() * 0.7 * size / pieces) if len(seats[0]) == 1 else 0
        for lap in range(laps * len(places)):
            place = places[lap % len(places)]
            lots = max(90, int(size * rng.uniform(0.7, 1.3)))
            for seller, buyer, passed in hops(circle(seats, rng), lots, rng):
                given = passed - (leak if seller == seats[0][0] and not lap else 0)
                for piece in cut_up(given, rng, pieces=pieces):
                    left = piece
                    for _ in range(TRIES):
                        self._decoys(place, (seller, buyer), rng)
                        left -= yield self._hop(place, seller, buyer, left, pause_s, rng)
                        if not left:
                            break
                    else:
                        return
            place.laps += 1
            place.trades = len(place.case.trade_ids)

    def _hop(  # noqa: PLR0917 - one hop
        self,
        place: _Place,
        seller: str,
        buyer: str,
        lots: int,
        pause_s: float,
        rng: random.Random,
    ) -> Meeting:
        first = rng.randrange(2)
        parties = [party(self.venue, buyer), party(self.venue, seller)]
        low, high = map(math.log, GAP_S)
        return Meeting(
            case=place.case,
            port=place.port,
            first=parties[first],
            second=parties[1 - first],
            side=-BUY if first else BUY,
            lots=lots,
            pieces=(lots,),
            pause_s=pause_s * min(4.0, rng.expovariate(1.0)),
            gap_s=math.exp(rng.uniform(low, high)),
            within=rng.uniform(0.2, 0.8),
            second_tif="GTC" if rng.random() < 0.6 else "IOC",
        )

    def _decoys(self, place: _Place, members: tuple[str, str], rng: random.Random) -> None:
        """Have members trade with whoever is there, before their orders for each other come."""
        if place.case.what.evasion != "decoys":
            return
        for account in members:
            flow = self.venue.flows[place.port.engine.name]
            side, lots = rng.choice((1, -1)), flow.size(rng)
            self._take(place.port, account, side, lots, flow.touch(side)[1])

    def _take(self, port: Port, account: str, side: int, lots: int, price: int) -> None:
        def act(engine_ns: int, received_ns: int, _: object) -> None:
            who = self.venue.accounts[account]
            port.engine.new(
                who, side, lots, price, now_ns=engine_ns, received_ns=received_ns, tif="IOC"
            )

        self.venue.instruct(port, account, act, gate=GATES[account])
