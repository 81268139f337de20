"""Breaches that alerts tell of, as what a rematch has to do otherwise.

Everything is derived from the alerts' evidence: which client instruction a group instruction
overtook, and in which trades a group's resting order was filled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from alerts.record import SEVERITIES, Alert
from alerts.rematch_fork import Moved, Repair
from alerts.rematch_steps import MATCHING, Event
from ingest.events import CLIENT_ROLES, GROUP_ROLES, NULL, Kind

Standing = Literal["proved", "supported"]
BREACHES: Final = frozenset({"client_priority"})
"""Scenarios of a deterministic breach: owed once it is proved."""
RULES: Final = frozenset({"trading_ahead"})
"""Scenarios of a rule with exceptions: shown, and owed once a person has confirmed it."""
ALONE: Final = "front_running"
"""Where the group's instruction ran ahead of a large order, later parts of it are followed too,
whether the alert names them or not, and the instruction is left out of the market."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that says that clients are owed something."""

    alert_id: str
    scenario: str
    names: frozenset[str]
    standing: Standing
    instrument: str
    orders: frozenset[int]
    """Hashes of the ids that it names."""
    trades: frozenset[int]
    rank: tuple[int, int, str]
    """The lower, the stronger: proved before supported, then the earlier."""


def standing_of(alert: Alert) -> Standing | None:
    """Return what an alert's restitution rests on; None when it claims none.

    A proved breach of client priority is `proved`. One that depends on clocks, and orders held
    while the group traded, are `supported` where somebody is asked to look (medium or above).
    Indicators, weak and retracted alerts claim nothing, and an incomplete book measures nothing.
    """
    if alert.status == "retracted" or alert.evidence == "weak":
        return None
    breach = alert.scenario in BREACHES and alert.evidence_class == "breach"
    if breach and alert.evidence == "proved":
        return "proved"
    asked = SEVERITIES.index(alert.severity) >= SEVERITIES.index("medium")
    return "supported" if asked and (breach or alert.scenario in RULES) else None


def claim_of(alert: Alert, hashes: Mapping[str, int]) -> Claim | None:
    """Return an alert's claim; None when it has none. `hashes` gives the hash of each id."""
    standing = standing_of(alert)
    if standing is None:
        return None
    return Claim(
        alert_id=alert.alert_id,
        scenario=alert.scenario,
        names=frozenset((alert.scenario, *alert.facets)),
        standing=standing,
        instrument=alert.instrument,
        orders=frozenset(hashes[name] for name in alert.order_ids),
        trades=frozenset(hashes[name] for name in alert.trade_ids),
        rank=(standing != "proved", alert.detected_ns, alert.alert_id),
    )


class _Overtaken(msgspec.Struct, frozen=True):
    """A client's instruction and the group's that were matched before it out of turn."""

    client: Event
    from_ns: int
    """When it came, or when its stop price was reached."""
    after_seq: int
    by: tuple[Event, ...]
    last_seq: int
    claim: Claim


def repairs_of(
    code: int,
    claims: Sequence[Claim],
    events: Sequence[Event],
    *,
    reached: Mapping[tuple[int, int], tuple[int, int]],
    delta_ns: int,
    parent_gap_ns: int,
    busted: Collection[int] = frozenset(),
) -> list[Repair]:
    """Return the breaches of one instrument, each once, whoever tells of it.

    Parameters
    ----------
    code : int
        Of the instrument.
    claims : sequence of Claim
    events : sequence of Event
        The records that the claims name, in order of seq.
    reached : mapping
        When stops were reached (`rematch_stops.Reached.at`).
    delta_ns : int
        Clock uncertainty: an instruction that came no more than this before is not first.
    parent_gap_ns : int
        Silence that ends the parent of a client's orders.
    busted : collection of int
        Trades, by id, that the venue took back: they are no breach's.

    Notes
    -----
    Client instructions that one group instruction overtook make one repair: each of its lots is
    due to one of them.
    """
    repairs: dict[frozenset[int], Repair] = {}
    overtaken: list[_Overtaken] = []
    for claim in sorted(claims, key=lambda each: each.rank):
        mine = _Evidence(code, claim, [e for e in events if e.trade not in busted], reached)
        overtaken += mine.overtaken(delta_ns)
        for trade in mine.resting():
            at = frozenset((trade.seq,))
            known = repairs.get(at)
            told = (*known.alerts, claim.alert_id) if known else (claim.alert_id,)
            repairs[at] = Repair(
                instrument=code,
                first_seq=trade.seq,
                first_ns=trade.clock_ns,
                enforced=at,
                last_seq=trade.seq,
                alerts=told,
            )
    found = [_in_order(code, group, parent_gap_ns) for group in _together(overtaken)]
    return sorted(
        [*repairs.values(), *found], key=lambda repair: (repair.first_ns, repair.first_seq)
    )


class _Evidence:
    """What one claim names of an instrument's records."""

    def __init__(
        self,
        code: int,
        claim: Claim,
        events: Iterable[Event],
        reached: Mapping[tuple[int, int], tuple[int, int]],
    ) -> None:
        self._code, self._claim, self._reached = code, claim, reached
        self._entries: dict[int, list[Event]] = {}
        self._trades: list[Event] = []
        for event in events:
            if event.kind in MATCHING and event.order in claim.orders:
                self._entries.setdefault(event.order, []).append(event)
            elif event.kind == Kind.TRADE and event.trade in claim.trades:
                self._trades.append(event)

    def resting(self) -> list[Event]:
        """Return the trades in which an order of the group rested."""
        return [trade for trade in self._trades if _group_rested(trade)]

    def overtaken(self, delta_ns: int) -> list[_Overtaken]:
        """Return the clients' instructions that executed ones of the group overtook."""
        done: dict[int, tuple[Event, int]] = {}
        for trade in self._trades:
            for key in (trade.buy, trade.sell):
                entry = self._entry(key, trade.seq)
                if entry is not None:
                    done[entry.seq] = entry, max(trade.seq, done.get(entry.seq, (entry, 0))[1])
        found = []
        for entries in self._entries.values():
            for client in entries:
                if not is_client(client):
                    continue
                from_ns, after_seq = self._came(client)
                if from_ns == NULL:
                    continue
                by = [
                    (entry, last)
                    for entry, last in done.values()
                    if entry.side == client.side
                    and after_seq < entry.seq < client.seq
                    and entry.received_ns != NULL
                    and entry.received_ns - from_ns > delta_ns
                ]
                if by:
                    found.append(
                        _Overtaken(
                            client,
                            from_ns,
                            after_seq,
                            tuple(sorted((entry for entry, _ in by), key=lambda e: e.seq)),
                            max(client.seq, *(last for _, last in by)),
                            self._claim,
                        )
                    )
        return found

    def _entry(self, key: int, before_seq: int) -> Event | None:
        """Return the group's instruction under which an order stood at a seq."""
        entries = [e for e in self._entries.get(key, ()) if e.seq < before_seq and _of_group(e)]
        return entries[-1] if entries else None

    def _came(self, client: Event) -> tuple[int, int]:
        """Return when an instruction was first due, and the seq after which that is."""
        if client.kind != Kind.TRIGGER:
            return client.received_ns, 0
        for entry in reversed(self._entries[client.order]):
            if entry.seq < client.seq:
                return self._reached.get((self._code, entry.seq), (NULL, 0))
        return NULL, 0


def is_client(event: Event) -> bool:
    """Return whether an instruction's account is owed priority."""
    return event.role in CLIENT_ROLES and not event.in_complex


def _of_group(event: Event) -> bool:
    return event.role in GROUP_ROLES or bool(event.in_complex)


def _group_rested(trade: Event) -> bool:
    """Return whether an order of the group rested in a trade."""
    role, member = trade.buy_role, trade.buy_complex
    if trade.side > 0:
        role, member = trade.sell_role, trade.sell_complex
    return bool(trade.side) and (role in GROUP_ROLES or bool(member))


def _together(overtaken: Collection[_Overtaken]) -> list[list[_Overtaken]]:
    """Return clients' instructions in groups that no group instruction joins."""
    groups: list[tuple[set[int], list[_Overtaken]]] = []
    for each in overtaken:
        seqs, members = {e.seq for e in each.by}, [each]
        for group in [g for g in groups if not g[0].isdisjoint(seqs)]:
            groups.remove(group)
            seqs |= group[0]
            members = [*group[1], *members]
        groups.append((seqs, members))
    return [members for _, members in groups]


def _in_order(code: int, group: Sequence[_Overtaken], parent_gap_ns: int) -> Repair:
    """Return the repair that matches clients' instructions in the order in which they came."""
    moved: dict[int, Moved] = {}
    omitted: set[int] = set()
    parents: dict[tuple[int, int], int] = {}
    for each in group:
        known = moved.get(each.client.seq)
        before = each.by[0].seq if known is None else min(each.by[0].seq, known.before_seq)
        moved[each.client.seq] = Moved(
            event=each.client, from_ns=each.from_ns, after_seq=each.after_seq, before_seq=before
        )
        if ALONE in each.claim.names:
            omitted |= {e.seq for e in each.by}
            key = each.client.account, each.client.side
            parents[key] = max(each.client.clock_ns, parents.get(key, 0))
    return Repair(
        instrument=code,
        first_seq=min(each.before_seq for each in moved.values()),
        first_ns=min(each.from_ns for each in moved.values()),
        moved=tuple(sorted(moved.values(), key=lambda each: (each.from_ns, each.event.seq))),
        omitted=frozenset(omitted),
        parents=tuple((*key, at_ns) for key, at_ns in sorted(parents.items())),
        parent_gap_ns=parent_gap_ns,
        last_seq=max(each.last_seq for each in group),
        alerts=tuple(dict.fromkeys(each.claim.alert_id for each in group)),
    )
