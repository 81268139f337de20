"""The two ledgers of a tape and its alerts: what is read, rematched and measured, in two passes.

The first pass finds the records that alerts name, which says what has to be rematched; the second
rebuilds the books and rematches each stretch as soon as it is over, and measures clients' fills.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from alerts.fairness import differences
from alerts.record import Alert
from alerts.rematch import Count
from alerts.rematch_fork import Fork, Repair
from alerts.rematch_steps import Event, events_of
from alerts.rematch_stops import Reached
from alerts.rematch_window import Window
from alerts.restitution import (
    Charge,
    Unmeasured,
    capacities,
    charges_of,
    settled,
)
from alerts.restitution_breaches import Claim, claim_of, repairs_of
from alerts.restitution_files import (
    FORMAT,
    Fairness,
    Names,
    Restitution,
    joined_restitution,
    restitution_of,
)
from detectors.fairness_measures import FairFills
from detectors.front_params import FrontRunningParams
from detectors.priority_params import ClientPriorityParams
from ingest.errors import UsageError
from ingest.events import Batch, Kind
from ingest.hashing import hash_id
from ingest.instruments import Instruments
from ingest.registry import RegistryRow
from ingest.tape import Tape
from monitor.config import Config
from monitor.ledger_feed import Feed
from monitor.terminal import ProgressCall


class Ledgers(msgspec.Struct, frozen=True, kw_only=True):
    """Both ledgers, and how well the rules give the record back."""

    restitution: Restitution
    fairness: Fairness


def ledgers(
    tape: Path,
    alerts: Sequence[Alert],
    config: Config,
    *,
    progress: ProgressCall | None = None,
) -> Ledgers:
    """Return the ledgers of a tape and the alerts that were found on it.

    Parameters
    ----------
    tape : Path
    alerts : sequence of Alert
        Each in its last revision. Those that claim no restitution are left out.
    config : Config

    Raises
    ------
    TapeError, RegistryError
        The tape or its tables cannot be read.
    UsageError
        An alert is of an instrument that the tape does not have.
    """
    _require_theirs(alerts, Tape(tape).instruments)
    names = sorted({name for alert in alerts for name in (*alert.order_ids, *alert.trade_ids)})
    hashes = {name: (high << 64) | low for name in names for high, low in (hash_id(name),)}
    found = [claim for alert in alerts if (claim := claim_of(alert, hashes)) is not None]
    claims = {claim.alert_id: claim for claim in found}
    repairs, unfound, busted = _repairs(tape, found, config)
    reading = _Reading(Feed(tape, config), repairs, busted)
    reading.run(progress)
    charges, unmeasured = charges_of(reading.forks, claims)
    stands = settled(charges, capacities(reading.forks))
    order_names = {hashes[name]: name for alert in alerts for name in alert.order_ids}
    order_names |= _named(tape, {each.order for each in stands} - order_names.keys(), config)
    known = Names(
        accounts=reading.account_names(),
        owners=reading.owners(stands),
        orders=order_names,
        trades=reading.trade_names(),
        clocks=reading.clock_of,
    )
    table = reading.instruments
    return Ledgers(
        restitution=restitution_of(
            stands, [*unfound, *unmeasured], claims, table, reading.count, known
        ),
        fairness=Fairness(format=FORMAT, rows=tuple(differences(reading.fills.fills(), table))),
    )


def _require_theirs(alerts: Sequence[Alert], instruments: Instruments) -> None:
    for alert in alerts:
        if alert.instrument and instruments.code(alert.instrument) is None:
            raise UsageError(
                f"alert {alert.alert_id} is of {alert.instrument}, which the tape does not have"
            )


def joined(parts: Sequence[Ledgers]) -> Ledgers:
    """Return the ledgers of several feeds, none of which has an instrument of another, as one."""
    return Ledgers(
        restitution=joined_restitution([part.restitution for part in parts]),
        fairness=Fairness(
            format=FORMAT, rows=tuple(row for part in parts for row in part.fairness.rows)
        ),
    )


def _repairs(
    tape: Path, claims: Sequence[Claim], config: Config
) -> tuple[list[Repair], list[Unmeasured], dict[int, set[int]]]:
    """Return what has to be rematched, the claims of which nothing was found, and busted trades."""
    if not claims:
        return [], [], {}
    feed = Feed(tape, config)
    orders = {key for claim in claims for key in claim.orders}
    trades = {key for claim in claims for key in claim.trades}
    low_orders = np.array(sorted({key & (2**64 - 1) for key in orders}), np.uint64)
    low_trades = np.array(sorted({key & (2**64 - 1) for key in trades}), np.uint64)
    events: dict[int, list[Event]] = {}
    busted: dict[int, set[int]] = {}
    reached = Reached()
    for batch in feed.batches():
        named = np.isin(batch["order_lo"], low_orders) | np.isin(batch["trade_lo"], low_trades)
        for code, start, end in batch.by_instrument():
            rows = start + np.flatnonzero(named[start:end])
            here = [e for e in events_of(batch, rows) if e.order in orders or e.trade in trades]
            events.setdefault(code, []).extend(here)
            reached.take(batch, (code, start, end), here)
            busts = (batch["busts_lo"][start:end] != 0) | (batch["busts_hi"][start:end] != 0)
            told_of = events_of(batch, start + np.flatnonzero(busts))
            busted.setdefault(code, set()).update(each.busts for each in told_of)
    params = config.detectors["client_priority"]
    assert isinstance(params, ClientPriorityParams)  # noqa: S101 - its own
    front = config.detectors["front_running"]
    assert isinstance(front, FrontRunningParams)  # noqa: S101 - its own
    found_here: list[Repair] = []
    unfound: list[Unmeasured] = []
    for code, row in enumerate(feed.instruments.rows):
        theirs = [claim for claim in claims if claim.instrument == row.instrument]
        mine = events.get(code, [])
        gone = busted.get(code, set())
        repairs = repairs_of(
            code,
            theirs,
            mine,
            reached=reached.at,
            delta_ns=params.clock_uncertainty_ns,
            parent_gap_ns=front.parent_gap_s * 1_000_000_000,
            busted=gone,
        )
        found_here += repairs
        told = {id_ for repair in repairs for id_ in repair.alerts}
        unfound += [
            Unmeasured(
                instrument=code,
                alert_ids=(claim.alert_id,),
                reason=(
                    "its trades were busted"
                    if claim.trades & gone
                    else "no overtaken instruction and no fill out of turn among its records"
                ),
            )
            for claim in theirs
            if claim.alert_id not in told
        ]
    return found_here, unfound, busted


def _named(tape: Path, orders: Collection[int], config: Config) -> dict[int, str]:
    """Return the ids of orders that no alert names, by hash: clients beside whom an alert names.

    Of orders whose instructions are not there, trades tell them.
    """
    if not orders:
        return {}
    names: dict[int, str] = {}
    lows = np.array(sorted({key & (2**64 - 1) for key in orders}), np.uint64)
    for batch in Feed(tape, config).batches():
        told = [np.isin(batch[f"{name}_lo"], lows) for name in ("order", "buy", "sell")]
        rows = np.flatnonzero(told[0] | told[1] | told[2])
        for event, row in zip(events_of(batch, rows), rows.tolist(), strict=True):
            for key, field in (
                (event.order, "order_id"),
                (event.buy, "buy_order_id"),
                (event.sell, "sell_order_id"),
            ):
                if key in orders and key not in names and batch.raw is not None:
                    names[key] = str(msgspec.json.decode(batch.raw[row])[field])
    return names


class _Reading:
    """The second pass."""

    def __init__(
        self, feed: Feed, repairs: Sequence[Repair], busted: Mapping[int, Collection[int]]
    ) -> None:
        self.instruments: Instruments = feed.instruments
        self.forks: list[Fork] = []
        self.count = Count()
        self.clock_of: dict[tuple[int, int], int] = {}
        self.fills = FairFills(feed.instruments)
        self._feed = feed
        self._waiting: dict[int, list[Repair]] = {}
        for repair in repairs:
            self._waiting.setdefault(repair.instrument, []).append(repair)
        self._open: dict[int, Window] = {}
        self._busted = busted
        self._roots: dict[int, dict[int, int]] = {}
        self._raw: dict[tuple[int, int], bytes] = {}

    def run(self, progress: ProgressCall | None) -> None:
        """Read the tape."""
        feed = self._feed
        for batch in feed.batches(progress):
            for code, start, end in batch.by_instrument():
                self._begin(code, int(batch["clock_ns"][end - 1]), int(batch["engine_ns"][start]))
            enriched = feed.books.apply(batch)
            for code, start, end in enriched.by_instrument():
                self._take(enriched, code, start, end)
            self.fills.take(enriched)
        for code in list(self._open):
            self._open[code].close()
            self._end(code)

    def _begin(self, code: int, last_ns: int, at_ns: int) -> None:
        waiting = self._waiting.get(code)
        if code in self._open or not waiting or waiting[0].first_ns > last_ns:
            return
        register, names = self._feed.register, self._feed.names

        def in_complex(account: int) -> bool:
            spells = register.complex_of_name(names.name(account))
            return any(begin <= at_ns < end for begin, end in spells)

        self._open[code] = Window(
            code,
            waiting,
            self._feed.books,
            by_class=self.instruments[code].matching == "price_class_time",
            in_complex=in_complex,
            roots=self._roots.setdefault(code, {}),
            busted=self._busted.get(code, ()),
        )

    def _take(self, batch: Batch, code: int, start: int, end: int) -> None:
        window = self._open.get(code)
        if window is None:
            if self._waiting.get(code):
                self._rename(batch, code, start, end)
            return
        window.take(batch, np.arange(start, end))
        replay = window.replay
        last_ns = int(batch["clock_ns"][end - 1])
        if replay.is_idle and not (replay.waiting and replay.waiting[0].first_ns <= last_ns):
            self._end(code)

    def _rename(self, batch: Batch, code: int, start: int, end: int) -> None:
        """Follow orders that replace others, where nothing is rematched."""
        roots = self._roots.setdefault(code, {})
        rows = start + np.flatnonzero(batch["kind"][start:end] == Kind.NEW)
        for event in events_of(batch, rows):
            if event.replaces:
                roots[event.order] = roots.get(event.replaces, event.replaces)
            else:
                roots.pop(event.order, None)

    def _end(self, code: int) -> None:
        window = self._open.pop(code)
        replay = window.replay
        self._waiting[code] = list(replay.waiting)
        self.forks += replay.forks
        self.count.trades += replay.count.trades
        self.count.reproduced += replay.count.reproduced
        self.count.departures += replay.count.departures
        self.clock_of |= {(code, seq): at_ns for seq, at_ns in window.clock_of.items()}
        self._raw |= {(code, seq): raw for seq, raw in window.raw_of.items()}

    # --- names --------------------------------------------------------------------------------

    def account_names(self) -> Sequence[str]:
        """Return account names by code."""
        return self._feed.names.known

    def trade_names(self) -> dict[tuple[int, int], str]:
        """Return trade ids by instrument and seq."""
        return {
            place: str(msgspec.json.decode(raw)["trade_id"]) for place, raw in self._raw.items()
        }

    def owners(self, charges: Sequence[Charge]) -> dict[tuple[int, int], str]:
        """Return beneficial owners by account and time."""
        found: dict[tuple[int, int], str] = {}
        for charge in charges:
            at_ns = self.clock_of.get((charge.instrument, charge.at_seq), 0)
            row: RegistryRow | None = self._feed.register.row_at(charge.account, at_ns)
            found[charge.account, at_ns] = row.owner if row is not None else ""
        return found
