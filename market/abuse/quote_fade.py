"""quote_fade: the group's maker takes its quotes away from a client's order that is at the gate."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ingest.times import MICRO, SECOND
from market.abuse.spell import Spell, behave
from market.abuse.withdrawal import Withdrawal, in_the_way
from market.case import Case
from market.clients import Entry
from market.draws import stream
from market.loop import Port
from market.orders import BUY, SELL, Order

HOLD_S: Final = (1e-4, 1.0)
"""For how long the gate keeps the client's order, at most and least."""
MIDDLE_S: Final = (1e-3, 5e-2)
"""The middle of that, at both ends of severity."""
DEVIATION: Final = 1.5
"""Standard deviation of its logarithm: at every severity the two decades around the middle."""
SHARE: Final = (0.05, 0.45)
"""Share of the orders worth it that are faded."""
WORTH_LOTS: Final = (120.0, 60.0)
"""Least size of an order worth it: the median of clients' sizes, to all of them."""
AWAY_S: Final = (0.02, 0.4)
"""How long after the client the quote stays away, before the maker's next look."""
SLOW_S: Final = (3.0, 20.0)
KEPT_RATIO: Final = (0.05, 0.35)
"""What is left of a quote that is reduced."""
ASIDE_BPS: Final = (0.2, 2.0)
"""How far a quote that is moved goes, at both ends of severity: to behind the next best."""
LEAST_NS: Final = 40 * MICRO
"""From the withdrawal's arrival to the client's release: three instructions' service at least."""
FOLLOWED_S: Final = 3.0
"""A marketable order is matched at once; what it leaves is valued soon after."""
LAST_S: Final = 2.0


class QuoteFade(Spell):
    """In spells of minutes to an hour the maker withdraws from marketable client orders it sees.

    The gate keeps the client's order, the maker takes away its quote at the touch, and further
    ones as far as the order would reach, and quotes again soon after. The client deals at worse
    prices or not at all; each withdrawal has a paired run. Severity sets the share of orders that
    are faded, from what size on, and how long the gate keeps them.

    Evasions: `partial`, quotes are reduced, not cancelled, and keep their place; `level_only`, the
    touch alone goes, deeper quotes stand; `slow_repost`, it stays away for seconds, as one who
    changed his mind; `one_sided`, only buyers or only sellers, so that both together halve the
    rate; `masked_as_requote`, the quote is moved a little, as on each look at the market.
    """

    scenario = "quote_fade"
    evasions = ("partial", "level_only", "slow_repost", "one_sided", "masked_as_requote")
    lasts_s = (600.0, 3600.0)

    def start(self) -> None:
        """Begin to look for occasions, and to look at what comes in."""
        self._spells: dict[str, _Fading] = {}
        super().start()
        for port in self.venue.ports:
            port.taps.append(self._tap(port))

    def go(self, port: Port, evasion: str, until_ns: int) -> None:
        """Fade for a while."""
        name = port.engine.name
        self._spells[name] = spell = _Fading(
            evasion,
            until_ns - int(LAST_S * SECOND),
            share=min(0.9, self.jitter(self.between(*SHARE))),
            least_lots=self.jitter(self.between(*WORTH_LOTS)),
            side=self.rng.choice((BUY, SELL)),
            seed=self.rng.getrandbits(48),
        )

        def end(_: int, __: None) -> None:
            del self._spells[name]
            behave(self.maker(port))
            if spell.case is not None:
                spell.case.end()

        self.venue.loop.at(until_ns, end)

    def _tap(self, port: Port) -> Callable[[Entry], int]:
        maker, gate = self.maker(port), self.venue.gates["colo"]

        def tap(entry: Entry) -> int:
            spell = self._spells.get(port.engine.name)
            now_ns = port.loop.now_ns
            if spell is None or now_ns >= spell.last_ns or not self.venue.is_open(port):
                return 0
            # A slow gate would have the withdrawal come too late.
            if max(gate.slow_until_ns, gate.busy_ns) > now_ns or not spell.is_worth(entry):
                return 0
            quotes = in_the_way(maker, self.venue.flows[port.engine.name].touch(entry.side), entry)
            rng = stream(spell.seed, str(entry.tag))
            if not quotes or rng.random() >= spell.share:
                return 0
            return self._fade(port, spell, entry, quotes, rng)

        return tap

    def _fade(
        self,
        port: Port,
        spell: _Fading,
        entry: Entry,
        quotes: list[tuple[int, Order]],
        rng: random.Random,
    ) -> int:
        venue, maker = self.venue, self.maker(port)
        gate, now_ns = venue.gates["colo"], port.loop.now_ns
        middle = self.log_between(*MIDDLE_S)
        hold_s = min(HOLD_S[1], max(HOLD_S[0], middle * math.exp(rng.gauss(0, DEVIATION))))
        luck = rng.random()
        way_ns = gate.way_ns(luck)
        hold_ns = max(int(hold_s * SECOND), way_ns + LEAST_NS)
        after_ns = int((hold_ns - way_ns - LEAST_NS) * rng.uniform(0, 0.5))
        away_s = rng.uniform(*(SLOW_S if spell.evasion == "slow_repost" else AWAY_S))
        kept, aside = rng.uniform(*KEPT_RATIO), self.log_between(*ASIDE_BPS) * rng.uniform(0.6, 1.4)
        if spell.evasion in ("level_only", "partial", "masked_as_requote"):
            quotes = quotes[:1]
        case = spell.case or venue.cases.begin(self.scenario, port, evasion=spell.evasion)
        spell.case = case
        part = case and venue.cases.part(case, hold_ns / SECOND + FOLLOWED_S)
        if case is None or part is None:
            return 0
        part.wrong_tags(entry.tag)
        until_ns = now_ns + hold_ns + int(away_s * SECOND)
        for level, _ in quotes:
            maker.conduct.away[-entry.side, level] = until_ns
        act = Withdrawal(port, case, spell.evasion, [o for _, o in quotes], kept, aside)
        venue.loop.at(
            now_ns + after_ns, lambda _, __: port.send(gate, act, None, luck, in_group=False)
        )
        return hold_ns


@dataclass(slots=True, eq=False)
class _Fading:
    """A spell."""

    evasion: str
    last_ns: int
    share: float
    least_lots: float
    side: int
    seed: int
    case: Case | None = None

    def is_worth(self, entry: Entry) -> bool:
        """Return whether an order is one of those that the spell is about."""
        return entry.lots >= self.least_lots and (
            self.evasion != "one_sided" or entry.side == self.side
        )
