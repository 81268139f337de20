"""stop_hunting: the last price is driven through clients' stops, to trade with what triggers."""

from __future__ import annotations

import random
from typing import Final

from market.abuse.base import Injector
from market.abuse.hunt import Hunt, Target
from market.loop import Port
from market.orders import BUY, SELL

HARM_S: Final = 300.0
WORTH: Final = 0.08
"""Least ratio of what would trigger to what has to be taken for it."""


class StopHunting(Injector):
    """The group drives the last price through a cluster of clients' stops and is there for them.

    It sees where stops wait. When a cluster is within reach it first rests orders just beyond, on
    the other side; a burst of marketable orders then takes every level up to the cluster; what
    triggers trades with the group's resting orders, the best that are left. Nobody else's price has
    moved: makers quote again where they did, and the price reverts. The group sells (buys) back
    what the burst got, passively, as far as anybody takes it.

    Severity sets how many stops there are (2 to 5), how much the burst may take, and which part of
    what triggers the group is there for.

    Evasions: `sister` makes the burst by the account of another company of the group and
    `nominee` by one that is registered as a client's, so that no account does both (a nominee takes
    the maker's quotes too, which self-trade prevention withdraws otherwise); `split` makes it over
    seconds, `steps` in small orders each a little further, none of them large.
    """

    scenario = "stop_hunting"
    evasions = ("sister", "nominee", "split", "steps")
    every_s = 240.0

    def attempt(self, port: Port) -> bool:
        """Hunt, where a cluster is within reach."""
        first = self.rng.choice((BUY, SELL))
        target = self._target(port, first) or self._target(port, -first)
        if target is None or not self.venue.has_time(50.0):
            return False
        venue, evasion = self.venue, self.hide()
        rng = random.Random(self.rng.getrandbits(64))  # noqa: S311 - a simulation
        share = self.jitter(self.between(0.35, 1.2))
        venue.reserve(port, 50.0)
        case = venue.cases.begin(self.scenario, port, evasion=evasion, harm_s=HARM_S)
        if case is not None:
            account = {"sister": venue.sister, "nominee": venue.nominee}.get(evasion, venue.afmm)
            Hunt(venue, port, case, rng, target, account, evasion).begin(share)
        return True

    def _target(self, port: Port, side: int) -> Target | None:
        engine = port.engine
        last = engine.trading.last
        if last is None:
            return None
        stops = sorted(
            (
                stop
                for stop in engine.waiting_stops()
                if stop.side == side
                and stop.account.role == "client"
                and stop.account.name != self.venue.nominee
            ),
            key=lambda stop: (stop.stop_price or 0) * side,
        )
        number = max(2, round(self.between(2, 5)))
        if len(stops) < number:
            return None
        furthest = (stops[number - 1].stop_price or 0) * side
        lots = 0
        book = engine.asks if side > 0 else engine.bids
        for key in reversed(book.keys):
            level = book.levels[key]
            for queue in (level.front, level.behind, level.hidden):
                # The group's own leave by self-trade prevention.
                lots += sum(order.leaves for order in queue if not order.account.in_group)
            price = key * book.sign
            if price * side >= furthest:
                break
        else:
            return None
        reached = [stop for stop in stops if (stop.stop_price or 0) * side <= price * side]
        due = sum(stop.leaves for stop in reached)
        if lots > self.between(3_000, 14_000) or due < WORTH * lots:
            return None
        return Target(side=side, stops=tuple(reached), price=price, lots=lots)
