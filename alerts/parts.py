"""Parts: what an alert book remembers of one detector's episode while it is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from alerts.segments import SourceEvent
from detectors.base import (
    CoverageWord,
    Evidence,
    EvidenceClass,
    Feature,
    Finding,
    NotifyClock,
    Ref,
    Status,
)
from ingest.events import Topic

MAX_EVIDENCE: Final = 100_000
"""Source events kept of one episode; the first in the order of its facts, the rest is counted."""
CLASS_RANK: Final[Mapping[EvidenceClass, int]] = {"indicator": 0, "rule": 1, "breach": 2}
EVIDENCE_RANK: Final[Mapping[Evidence, int]] = {"weak": 0, "supported": 1, "proved": 2}

Place = tuple[str, int]
"""Instrument name and seq."""


class Statement(msgspec.Struct, kw_only=True, frozen=True):
    """What the latest finding says of the episode so far; names in place of codes."""

    evidence: Evidence
    accounts: tuple[str, ...]
    window_start_ns: int
    window_end_ns: int
    features: dict[str, Feature]
    score: float
    facets: tuple[str, ...]
    systematic: bool
    all_legs: bool
    significant: bool
    client_harm: float | None
    counterfactual: str
    notify_clock: NotifyClock
    coverage: CoverageWord
    status: Status


class Person(msgspec.Struct, frozen=True):
    """Who stood behind an account when it entered the episode."""

    owner: str
    role: str


class Opening(msgspec.Struct, kw_only=True, frozen=True):
    """What the first finding fixes for good."""

    detector: str
    detector_version: int
    scenario: str
    evidence_class: EvidenceClass
    instrument: str
    first_seq: int
    first_accounts: tuple[str, ...]
    accounts: tuple[str, ...]
    detected_ns: int
    at_ns: int
    """Engine time of the first evidence (where it is not archived: the window's start), ns."""
    rank: tuple[int, int]
    """Strength: class, then evidence of the first finding; higher is stronger."""
    trades: tuple[Place, ...]
    """Trades that the first finding cites."""
    registry_version: str


class RecordIds(msgspec.Struct, frozen=True):
    """The ids in a raw record of either topic."""

    order_id: str | None = None
    buy_order_id: str | None = None
    sell_order_id: str | None = None
    trade_id: str | None = None
    buy_account: str | None = None
    sell_account: str | None = None

    @property
    def orders_traded(self) -> list[tuple[str, str]]:
        """The orders of a trade, each with its account."""
        sides = ((self.buy_order_id, self.buy_account), (self.sell_order_id, self.sell_account))
        return [(order_id, account) for order_id, account in sides if order_id and account]


_ids = msgspec.json.Decoder(RecordIds)


def ids_of(raw: bytes) -> RecordIds:
    """Return the ids in a raw record; none where the record cannot be read.

    >>> ids_of(b'{"trade_id":"T1","buy_order_id":"B","seq":3}').trade_id
    'T1'
    """
    try:
        return _ids.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return RecordIds()


_Placed = TypeVar("_Placed", Place, tuple[Place, str])


class Part(msgspec.Struct, kw_only=True):
    """One detector's episode: its facts so far, and the evidence that they cite.

    Grows by one entry an order, a trade and a cited trade, up to `MAX_EVIDENCE` events; never
    copied when a finding is added.
    """

    part_id: str
    opening: Opening
    said: Statement
    ordinal: int = 0
    """Revision of the latest finding taken; one not above it changes nothing."""
    last_ns: int
    people: dict[str, Person] = {}
    orders: dict[str, Place] = {}
    """Order ids with the place of the first record of their own."""
    traded: dict[str, tuple[Place, str]] = {}
    """Order ids of trades, with the place of the first one and whose order it is."""
    context: list[Place] = []
    """Records that are kept as evidence and not named."""
    trades: dict[str, Place] = {}
    cited: dict[Place, tuple[int, tuple[str, ...]]] = {}
    """Trades cited, each with when (ns) and with which accounts."""
    ranges: dict[tuple[int, int], tuple[int, int]] = {}
    """First and last offset by topic and partition."""
    events: int = 0
    """Source events kept as evidence."""
    overflow: int = 0
    """Source events cited beyond `MAX_EVIDENCE`."""
    unresolved: int = 0
    """Source events cited that the archive no longer had."""
    root: str = ""
    """Part whose alert this one is a facet of; empty for an alert of its own."""
    emitted: int = 0
    """Revision under which it was last told as an alert of its own; 0 = never."""

    @property
    def closed(self) -> bool:
        """Whether the latest finding ended the episode."""
        return self.said.status != "provisional"

    def take(
        self,
        finding: Finding,
        said: Statement,
        evidence: Mapping[Ref, SourceEvent],
    ) -> list[SourceEvent]:
        """Add a finding that is newer than `ordinal`; return the source events it adds."""
        self.said = said
        self.ordinal = finding.revision
        self.last_ns = max(self.last_ns, finding.detected_ns)
        added: list[SourceEvent] = []
        named = set(finding.evidence_refs)
        for ref in finding.all_refs:
            event = evidence.get(ref)
            if event is None:
                self.unresolved += 1
            elif self.events >= MAX_EVIDENCE:
                self.overflow += 1
            else:
                place = (event.instrument, event.seq)
                if ref not in named and not self._names(place):
                    self.context.append(place)
                self.add_event(event, finding.detected_ns, said.accounts)
                added.append(event)
        return added

    def _names(self, place: Place) -> bool:
        """Return whether a record is named already."""
        return place in self.cited or place in self.orders.values()

    @property
    def named(self) -> dict[str, Place]:
        """Order ids that its alert names, each with the place of the first record that does.

        Of a trade those of the episode's accounts: who else traded with them was neither the
        conduct's nor hurt by it.
        """
        found = dict(self.orders)
        for order_id, (place, account) in self.traded.items():
            if account in self.said.accounts:
                _first(found, order_id, place)
        return found

    def add_event(self, event: SourceEvent, cited_ns: int, accounts: tuple[str, ...]) -> None:
        """Count a source event among the evidence, with the ids in its record unless context."""
        place = (event.instrument, event.seq)
        self.events += 1
        if place not in self.context:
            ids = ids_of(event.raw)
            if ids.order_id:
                _first(self.orders, ids.order_id, place)
            for order_id, account in ids.orders_traded:
                _first(self.traded, order_id, (place, account))
            if ids.trade_id:
                _first(self.trades, ids.trade_id, place)
            if event.topic is Topic.TRADES:
                self.cited.setdefault(place, (cited_ns, accounts))
        where = (int(event.topic), event.partition)
        low, high = self.ranges.get(where, (event.offset, event.offset))
        self.ranges[where] = (min(low, event.offset), max(high, event.offset))

    def meet(self, accounts: Iterable[str], who: Callable[[str, int], Person | None]) -> list[str]:
        """Fix who stands behind accounts that are new to the episode; return their names.

        An account without a row when the episode began, because it was opened later, is given its
        row at the end of the window.
        """
        new = [account for account in accounts if account not in self.people]
        for account in new:
            person = who(account, self.opening.at_ns) or who(account, self.said.window_end_ns)
            self.people[account] = person or Person("", "unknown")
        return new


def statement(finding: Finding, accounts: Sequence[str]) -> Statement:
    """Return what a finding says of its episode, with account names."""
    complete = finding.coverage == "complete"
    return Statement(
        evidence=finding.evidence,
        accounts=tuple(accounts),
        window_start_ns=finding.window_start_ns,
        window_end_ns=finding.window_end_ns,
        features=dict(finding.features),
        score=finding.score,
        facets=finding.facets,
        systematic=finding.systematic,
        all_legs=finding.all_legs,
        significant=finding.significant,
        client_harm=finding.client_harm,
        counterfactual=finding.counterfactual,
        notify_clock=finding.notify_clock,
        coverage=finding.coverage,
        # With a doubt about the book nothing is confirmed, whatever the detector says.
        status=finding.status if complete or finding.status == "retracted" else "provisional",
    )


def rank_of(finding: Finding) -> tuple[int, int]:
    """Return the strength of a finding: class, then evidence."""
    return CLASS_RANK[finding.evidence_class], EVIDENCE_RANK[finding.evidence]


def _first(places: dict[str, _Placed], name: str, place: _Placed) -> None:
    known = places.get(name)
    if known is None or place < known:
        places[name] = place
