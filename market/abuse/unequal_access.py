"""unequal_access: for a while the venue treats the group's maker better than everybody else."""

from __future__ import annotations

import zlib
from typing import Final

from ingest.times import MICRO, MILLI
from market.abuse.spell import Spell
from market.draws import unit
from market.loop import Port
from market.orders import Account, Order

TOLL_NS: Final = (20 * MICRO, 5 * MILLI)
"""Mean extra wait of all but the group, at both ends of severity: twice the engine's service time,
to what any maker would leave for."""
REFUSED: Final = (0.004, 0.08)
"""Share of others' new limit orders that are refused."""
REBATE: Final = (0.05, 0.6)
"""Part of its tier's fee that it does not pay."""
REBATED: Final = (0.3, 1.0)
"""Share of its orders that pay less."""
EARLIER: Final = (0.2, 0.8)
"""How far below the lots that were disclosed its maker protection acts, as a share of them."""
SPARED: Final = (0.4, 1.0)
"""Share of prevented self-trades in which its quote stays."""


class UnequalAccess(Spell):
    """In spells one rule of access is kept for others and bent for the group.

    One way a spell, which the truth names as the evasion; severity sets how far it is bent. What
    that costs clients is told by paired runs in which all are alike, half a minute at a time.

    Ways: `latency`, the instructions of all others wait longer, whatever is stamped, so that the
    group also overtakes clients (client_priority); `reject`, some orders of all others are refused;
    `fee`, it pays less than its tier; `protection`, its quotes are taken out of harm's way after
    fewer lots than was disclosed; `stp`, its quotes stand where self-trade prevention takes away
    everybody else's. The last two may come to nothing in a spell; then there is no case.
    """

    scenario = "unequal_access"
    evasions = ("latency", "reject", "fee", "protection", "stp")
    bends = "access"

    def hide(self) -> str:
        """Draw the way: each is as good as the others."""
        return self._evasion if self._evasion in self.evasions else self.rng.choice(self.evasions)

    def go(self, port: Port, evasion: str, until_ns: int) -> None:
        """Bend a rule for a while."""
        venue, engine = self.venue, port.engine
        seed = self.rng.getrandbits(48)
        toll_ns = self.jitter(self.log_between(*TOLL_NS))
        refused = self.jitter(self.log_between(*REFUSED))
        rebate = min(0.9, self.jitter(self.between(*REBATE)))
        rebated = min(1.0, self.jitter(self.between(*REBATED)))
        earlier = min(0.85, self.jitter(self.between(*EARLIER), 0.15))
        spared = min(1.0, self.jitter(self.between(*SPARED)))
        case = venue.cases.begin(
            self.scenario,
            port,
            evasion=evasion,
            also=("client_priority",) if evasion == "latency" else (),
            listing="nothing",
        )
        if case is None:
            return
        case.act(venue.afmm)
        bent = _Bent(venue.afmm, seed)
        if evasion == "latency":
            bent.times = 1
            port.toll = lambda luck: int(toll_ns * (0.5 + luck * 4096 % 1))
        elif evasion == "fee":
            engine.wire.rebate = lambda order: bent.pays(order, 1 - rebate, rebated)
        else:
            bent.refused = refused if evasion == "reject" else 0.0
            bent.trip_ratio = 1 - earlier if evasion == "protection" else 1.0
            bent.spared = spared if evasion == "stp" else 0.0
            engine.trading.favour = bent

        def over() -> bool:
            port.toll = engine.wire.rebate = engine.trading.favour = None
            return bent.times > 0

        if evasion != "fee":  # What the maker pays less no client pays more.
            self.measure(port, case, until_ns, over)
        self.until(until_ns, case, over)


class _Bent:
    """The rules of one engine as they are bent for an account; counts how often they were."""

    def __init__(self, account: str, seed: int) -> None:
        self.times = 0
        self.refused = self.spared = 0.0
        self.trip_ratio = 1.0
        self._account, self._seed = account, seed

    def _luck(self, *orders: Order) -> float:
        names = "/".join(order.id for order in orders)
        return unit(self._seed, zlib.crc32(names.encode()))

    def pays(self, order: Order, share: float, often: float) -> float:
        """Return what share of its fee an order pays."""
        if order.account.name != self._account or self._luck(order) >= often:
            return 1.0
        self.times += 1
        return share

    def refuses(self, order: Order) -> bool:
        """Return whether a new order that the rules allow is refused."""
        if not self.refused or order.account.in_group or order.type != "limit":
            return False
        refused = self._luck(order) < self.refused
        self.times += refused
        return refused

    def trips(self, account: Account, lots: int) -> bool:
        """Return whether maker protection acts once so much was hit within its time."""
        trips = account.name == self._account and lots >= account.protection_lots * self.trip_ratio
        self.times += trips
        return trips

    def prevention(self, order: Order, other: Order) -> str | None:
        """Return how an order and a resting one are kept from trading; None: by the rules."""
        # What is filled at once or killed was tried by the rules, and must be matched by them.
        if other.account.name != self._account or order.tif == "FOK":
            return None
        if self._luck(order, other) >= self.spared:
            return None
        self.times += 1
        return "cancel_incoming"
