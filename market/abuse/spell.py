"""Abuse that is no single act but a way to behave for a while: a spell of it."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final

from ingest.times import SECOND
from market.abuse.base import Injector
from market.case import Case, Part
from market.clients import Entry
from market.loop import Port
from market.makers import Conduct, Maker

REST_RATIO: Final = (0.3, 0.8)
"""How long a maker behaves after a spell, as a share of that spell: honest time to compare with."""
WINDOW_S: Final = 30.0
FOLLOWED_S: Final = 5.0
"""Of a paired run of a spell: for so long two markets that differ in little are much the same."""
LAST_S: Final = 2.0
"""A spell that the next one, or the end of the tape, cuts short ends so long before it."""


class Spell(Injector):
    """An injector whose cases last, one at a time in an instrument, from some minutes to hours.

    A spell is one case. It goes on through auctions and halts, in which it has no effect.
    """

    lasts_s: ClassVar[tuple[float, float]] = (1200.0, 5400.0)
    """Shortest and longest spell, drawn log-uniformly; what comes next may halve the shortest."""
    bends: ClassVar[str] = "quotes"
    """What it bends: of spells that bend the same only one goes on at a time in an instrument."""
    every_s = 420.0

    def attempt(self, port: Port) -> bool:
        """Begin a spell, where none that bends the same goes on."""
        venue = self.venue
        now_ns = venue.loop.now_ns
        last_ns = venue.unclaimed_until(port, self.bends) - int(LAST_S * SECOND)
        if last_ns < now_ns + int(self.lasts_s[0] / 2 * SECOND):
            return False
        evasion = self.hide()
        length_s = self.length_s(evasion)
        rest_s = length_s * self.rng.uniform(*REST_RATIO)
        until_ns = min(now_ns + int(length_s * SECOND), last_ns)
        venue.claim(port, now_ns, until_ns + int(rest_s * SECOND), self.bends)
        self.go(port, evasion, until_ns)
        return True

    def length_s(self, evasion: str) -> float:  # noqa: ARG002 - for those in whom it matters
        """Draw how long a spell lasts."""
        return self.log_uniform(*self.lasts_s)

    @abstractmethod
    def go(self, port: Port, evasion: str, until_ns: int) -> None:
        """Begin a spell here and now, and see to its end."""

    def log_uniform(self, low: float, high: float) -> float:
        """Draw a value that may be anywhere over decades."""
        return math.exp(self.rng.uniform(math.log(low), math.log(high)))

    def log_between(self, faint: float, blatant: float) -> float:
        """Return the value of a constant at this severity, between two ends decades apart."""
        return math.exp(self.between(math.log(faint), math.log(blatant)))

    def maker(self, port: Port) -> Maker:
        """Return the affiliate's maker in an instrument."""
        return self.venue.makers[self.venue.afmm, port.engine.name]

    def measure(
        self,
        port: Port,
        case: Case,
        until_ns: int,
        honest: Callable[[], object],
    ) -> None:
        """Follow what a spell costs clients, a window at a time.

        In the paired run of a window all is honest again: `honest` is called at its begin. What
        counts are the clients' decisions of the window, followed a little beyond it. A window that
        begins outside continuous trading is not looked at.
        """
        window_ns = int(WINDOW_S * SECOND)
        current: list[Part] = []

        def tap(entry: Entry) -> int:
            for part in current:
                part.wrong_tags(entry.tag)
            return 0

        def begin(now_ns: int, _: None) -> None:
            current.clear()
            if now_ns >= until_ns or case.is_over:
                port.taps.remove(tap)
                return
            if port.engine.phase == "continuous":
                part = self.venue.cases.part(case, WINDOW_S + FOLLOWED_S)
                if part is None:
                    honest()
                    port.taps.remove(tap)
                    return
                current.append(part)
            self.venue.loop.at(now_ns + window_ns, begin)

        port.taps.append(tap)
        begin(self.venue.loop.now_ns, None)

    def until(self, until_ns: int, case: Case, over: Callable[[], bool]) -> None:
        """Have a spell end at a time; `over` puts all back and tells if there was anything."""

        def end(_: int, __: None) -> None:
            kept = over()
            case.act(self.venue.afmm)
            case.end(keep=kept)

        self.venue.loop.at(until_ns, end)


def behave(maker: Maker) -> bool:
    """Have a maker be honest again."""
    maker.conduct = Conduct()
    return True
