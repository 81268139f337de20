"""information_leak: the group trades ahead of large client orders that are only planned yet."""

from __future__ import annotations

from functools import partial
from typing import Final

from ingest.times import SECOND
from market.abuse.base import OPENING_S, Injector
from market.abuse.leak import BEFORE_S, Ahead, Leak
from market.draws import stream
from market.loop import Port
from market.parents import AGGRESSIVE_RATIO, MEAN_LOTS, Parent

RATE: Final = (0.05, 0.35)
"""Share of clients' large orders that are traded ahead of, at both ends of severity."""
SIZE: Final = (0.04, 0.25)
"""Size beside the order's, at both ends of severity."""
WHOLE_RATIO: Final = 0.4
"""Share of spells that go on to the end of the tape."""
LASTS_S: Final = (3600.0, 6 * 3600.0)
PAUSE_S: Final = (900.0, 5400.0)
REACTION_S: Final = (0.3, 3.0)


class InformationLeak(Injector):
    """Somebody tells the group of large client orders that are decided on and not yet sent.

    Ahead of some of them, by rate, it takes their side, in one order or two, and gets out once they
    have moved the price. Those that move it are worth it: aggressive ones. One case is a spell of
    hours or the whole tape; each time has a paired run without it. Severity sets the rate and the
    size.

    Evasions: `sister` and `nominee`, another account of the group, or one that is registered as a
    client's, trades; `passive`, it rests at the touch, in and out; `delayed_unwind`, it gets out
    minutes later; `no_unwind`, never; `perpetual`, it trades the other instrument on the
    underlying.
    """

    scenario = "information_leak"
    evasions = ("sister", "nominee", "passive", "delayed_unwind", "no_unwind", "perpetual")

    def start(self) -> None:
        """Begin to listen."""
        self._spells: dict[str, Leak] = {}
        for port in self.venue.ports:
            self.venue.parents[port.engine.name].on_plan.append(partial(self._hear, port))
            self._plan(port, OPENING_S * self.rng.uniform(0.5, 2))

    def attempt(self, port: Port) -> bool:
        """Begin a spell."""
        evasion = self.hide()
        traded = self.venue.sibling(port) if evasion == "perpetual" else port
        if traded is None:
            evasion, traded = "none", port
        whole = self.rng.random() < WHOLE_RATIO
        lasts_s = self.rng.uniform(*LASTS_S)
        account = {"sister": self.venue.sister, "nominee": self.venue.nominee}.get(evasion)
        spell = self._spells[port.engine.name] = Leak(
            self.scenario,
            port,
            traded,
            account or self.venue.afmm,
            evasion,
            rate=min(0.9, self.jitter(self.between(*RATE), 0.1)),
        )
        if not whole:
            self.venue.after(lasts_s, lambda: self._close(spell))
            self._plan(port, lasts_s + self.rng.uniform(*PAUSE_S))
        return True

    def _plan(self, port: Port, after_s: float) -> None:
        def begin() -> None:
            self.attempt(port)

        self.venue.after(after_s, begin)

    def _close(self, spell: Leak) -> None:
        del self._spells[spell.port.engine.name]
        spell.is_over = True
        spell.settle()

    # --- one order that it hears of -----------------------------------------------------------

    def _hear(self, port: Port, parent: Parent, now_ns: int) -> None:
        spell = self._spells.get(port.engine.name)
        account = parent.client.account.name
        if spell is None or not parent.aggressive or account == spell.account:
            return
        rng = stream(self.venue.seed, f"{self.scenario}/{parent.name}")
        left_s = (parent.begins_ns - now_ns) / SECOND - BEFORE_S
        if rng.random() >= spell.rate / AGGRESSIVE_RATIO or left_s < REACTION_S[1]:
            return
        share = self.between(*SIZE) * rng.uniform(0.7, 1.3)
        pieces = rng.choice((1, 1, 2))
        lots = max(1, int(share * parent.children * MEAN_LOTS / pieces))
        moments = sorted(rng.uniform(rng.uniform(*REACTION_S), left_s) for _ in range(pieces))
        ahead = Ahead(self.venue, spell, parent, lots, rng)
        spell.going += 1
        self.venue.after(moments[0], lambda: ahead.begin([m - moments[0] for m in moments]))
