"""tag_error: the tape says of a trade what the register does not, or nobody stands behind it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ingest.times import SECOND
from market.abuse.base import Injector
from market.case import Case
from market.loop import Port
from market.orders import Order
from market.wire import trade_id

TRADES: Final = (1.0, 60.0)
"""Wrong trades of an episode, from a slip to a broken writer."""
WAIT_S: Final = 400.0
"""How long the next wrong trade is waited for, in all."""
PAUSE_S: Final = (30.0, 3.0)
"""Mean wait between two orders of an account that has no row."""
RESTING_S: Final = (5.0, 40.0)
SWAPPED: Final = {"buy": "sell", "sell": "buy"}


@dataclass(slots=True, eq=False)
class _Burst:
    """Consecutive trades with a wrong flag."""

    way: str
    left: int
    picks_buyer: bool
    case: Case | None = None
    account: str = ""
    """Whose trades are flagged falsely, once one was met."""


class TagError(Injector):
    """The public flag of trades is wrong, or an account trades with no register row in force.

    It happens in episodes of one kind and consecutive trades; severity sets how many they are (1
    to 60) and how soon an unregistered account's orders follow each other.

    Evasions are its kinds. missing_flag: trades of the affiliated market maker carry none.
    wrong_side: the flag names its counterparty. false_flag: the trades of one other account are
    flagged as the market maker's. no_row: an account that never had a row sends small orders like
    any client's. expired_row: one whose row has ended does.
    """

    scenario = "tag_error"
    evasions = ("missing_flag", "wrong_side", "false_flag", "no_row", "expired_row")
    every_s = 500.0

    def start(self) -> None:
        """Begin to look for occasions, and to see each trade's flag before it is written."""
        self._bursts: dict[str, _Burst] = {}
        super().start()
        for port in self.venue.ports:
            port.engine.wire.mistag = self._mistag(port)

    def hide(self) -> str:
        """Draw the kind: any, unless one is asked for."""
        way = super().hide()
        return self.rng.choice(self.evasions) if way == "none" else way

    def attempt(self, port: Port) -> bool:
        """Begin an episode."""
        if port.engine.name in self._bursts:
            return False
        way = self.hide()
        rng = random.Random(self.rng.getrandbits(64))  # noqa: S311 - repeated by its seed
        low, high = map(math.log, TRADES)
        count = max(1, round(rng.uniform(0.7, 1.3) * math.exp(self.between(low, high))))
        if way in ("no_row", "expired_row"):
            self._trade_unregistered(port, way, count, rng)
            return True
        burst = self._bursts[port.engine.name] = _Burst(way, count, rng.random() < 0.5)
        self.venue.after(WAIT_S, lambda: self._end(port, burst))
        return True

    # --- flags --------------------------------------------------------------------------------

    def _mistag(self, port: Port) -> Callable[[Order, Order, str, int], str]:
        name = port.engine.name

        def mistag(buy: Order, sell: Order, flag: str, engine_ns: int) -> str:
            burst = self._bursts.get(name)
            if burst is None:
                return flag
            told, whose = self._wrong(burst, buy, sell, flag)
            if told == flag:
                return flag
            if burst.case is None:
                burst.case = self.venue.cases.begin(
                    self.scenario, port, evasion=burst.way, listing="nothing"
                )
            if burst.case is not None:
                for account in whose:
                    burst.case.act(account)
                burst.case.trade(trade_id(name, port.engine.wire.seq), engine_ns)
            burst.left -= 1
            if not burst.left:
                self._end(port, burst)
            return told

        return mistag

    def _wrong(
        self, burst: _Burst, buy: Order, sell: Order, flag: str
    ) -> tuple[str, tuple[str, ...]]:
        """Return what the tape is to say, and whose flag is wrong by it; the truth where none."""
        accounts = {"buy": buy.account.name, "sell": sell.account.name}
        if burst.way == "missing_flag":
            return "none", (self.venue.afmm,)
        if burst.way == "wrong_side":
            if flag not in SWAPPED:
                return flag, ()
            return SWAPPED[flag], tuple(accounts.values())
        if flag != "none" or buy.account is sell.account:
            return flag, ()
        if not burst.account:
            burst.account = accounts["buy" if burst.picks_buyer else "sell"]
        for side, account in accounts.items():
            if account == burst.account:
                return side, (account,)
        return flag, ()

    def _end(self, port: Port, burst: _Burst) -> None:
        if self._bursts.get(port.engine.name) is burst:
            del self._bursts[port.engine.name]
            if burst.case is not None:
                burst.case.end()

    # --- rows ---------------------------------------------------------------------------------

    def _trade_unregistered(self, port: Port, way: str, count: int, rng: random.Random) -> None:
        venue = self.venue
        never, expired = venue.ghosts
        account = never if way == "no_row" else expired
        case = venue.cases.begin(self.scenario, port, evasion=way)
        if case is None:
            return
        until_ns = venue.loop.now_ns + int(WAIT_S * SECOND)

        def go(left: int) -> None:
            if case.is_over:
                return
            if len(case.trade_ids) >= count or not left or venue.loop.now_ns >= until_ns:
                venue.after(RESTING_S[1] + 5.0, lambda: case.end(keep=bool(case.trade_ids)))
                return
            if port.engine.phase == "continuous":
                self._enter(case, port, account, rng)
            pause_s = self.between(*PAUSE_S) * rng.expovariate(1.0)
            venue.after(min(60.0, pause_s), lambda: go(left - 1))

        go(4 * count)

    def _enter(self, case: Case, port: Port, account: str, rng: random.Random) -> None:
        """Send an order as any client might: at the market, through the touch, or at it."""
        venue, flow, side = self.venue, self.venue.flows[port.engine.name], rng.choice((1, -1))
        own, opposite = flow.touch(side)
        lots, kind, rest_s = min(1000, flow.size(rng)), rng.random(), rng.uniform(*RESTING_S)
        if kind < 0.3:
            venue.enter(case, port, account, side, lots, gate="api", type_="market", tif="IOC")
        elif kind < 0.7:
            venue.enter(case, port, account, side, lots, opposite + side, gate="api", tif="IOC")
        else:

            def rests(order: Order, _: int) -> None:
                venue.after(rest_s, lambda: venue.cancel(case, port, order, gate="api"))

            venue.enter(case, port, account, side, lots, own, gate="api", done=rests)
