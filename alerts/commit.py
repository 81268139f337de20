"""One pass, one transaction: alerts, evidence, holds, coverage, outbox, hand-offs, journal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection, func, select

from alerts.compose import MERGED_INTO
from alerts.coverage import CoverageRecord
from alerts.database import in_pieces, insert_for
from alerts.outbox import Outbox
from alerts.pins import Pins
from alerts.record import Alert, decode
from alerts.schema import ALERTS, HOLDS
from alerts.shards import Claim, Progress, Shards
from alerts.store_rows import save_alerts, save_coverage, save_pins
from ingest.register import Registered


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass found, to be kept with how far it has come."""

    alerts: Sequence[Alert] = ()
    pins: Pins | None = None
    coverage: Sequence[CoverageRecord] = ()
    """Gaps that opened, then those that closed."""
    handoffs: Sequence[tuple[str, bytes]] = ()
    """Shard and record."""
    register: tuple[str, Registered] | None = None
    """A version of the register and what it says, where one comes into force."""

    def __bool__(self) -> bool:
        return bool(self.alerts or self.coverage or self.handoffs or self.register)


class Kept(msgspec.Struct, frozen=True):
    """An alert whose revision was new to the store, and the one that it replaced."""

    alert: Alert
    before: Alert | None


class Ledger:
    """Commits passes.

    Parameters
    ----------
    shards : Shards
    outbox : Outbox
    """

    def __init__(self, shards: Shards, outbox: Outbox) -> None:
        self.shards = shards
        self.outbox = outbox

    def commit(
        self, claim: Claim, entry: int, done: Progress, found: Found
    ) -> tuple[int, Sequence[Kept]]:
        """Write what a pass found and decided; return the journal's last number, and what was new.

        An alert whose revision the store has, or a higher one, is not written again and does not
        leave again. What people wrote is never touched.

        Raises
        ------
        FencedError
            The shard has another owner: nothing is written.
        StoreError
            The database refuses: nothing is written.
        """
        with self.shards.fenced(claim, "commit a pass") as connection:
            kept = _news(connection, found.alerts)
            fresh = [each.alert for each in kept]
            if found.pins is not None:
                save_pins(connection, found.pins)
            save_alerts(connection, fresh)
            _hold(connection, fresh, found.pins)
            self.outbox.add(connection, claim.shard, fresh)
            save_coverage(connection, found.coverage)
            self.shards.hand_over(connection, found.handoffs)
            if found.register is not None:
                self.shards.save_registry(connection, *found.register)
            return self.shards.advance(connection, claim, entry, done), kept


def _news(connection: Connection, alerts: Sequence[Alert]) -> list[Kept]:
    """Return the alerts that are new to the store, each as it is to be written."""
    before: dict[str, Alert] = {}
    for ids in in_pieces([alert.alert_id for alert in alerts]):
        query = select(ALERTS.c.record).where(ALERTS.c.alert_id.in_(ids))
        for record in connection.scalars(query):
            alert = decode(record)
            before[alert.alert_id] = alert
    news = []
    for alert in alerts:
        known = before.get(alert.alert_id)
        if MERGED_INTO in alert.features:
            # How often it was told before it was seen to be a facet depends on how the feed was
            # cut; its retraction must come behind whatever was told, and only if anything was.
            if known is None or MERGED_INTO in known.features:
                continue
            news.append(Kept(msgspec.structs.replace(alert, revision=known.revision + 1), known))
        elif known is None or alert.revision > known.revision:
            news.append(Kept(alert, known))
    return news


def _hold(connection: Connection, alerts: Iterable[Alert], pins: Pins | None) -> None:
    """Keep the archived events of each alert's window, and of the evidence that it cites."""
    spans: dict[tuple[str, str], tuple[int, int]] = {}

    def widen(alert_id: str, instrument: str, first_ns: int, last_ns: int) -> None:
        low, high = spans.get((alert_id, instrument), (first_ns, last_ns))
        spans[alert_id, instrument] = (min(low, first_ns), max(high, last_ns))

    for alert in alerts:
        widen(alert.alert_id, alert.instrument, alert.window_start_ns, alert.window_end_ns)
    if pins is not None:
        owner = {part_id: alert_id for part_id, (alert_id, _) in pins.parts.items()}
        for pin in pins.events:
            at_ns = pin.event.engine_ns
            widen(owner.get(pin.part_id, pin.part_id), pin.event.instrument, at_ns, at_ns)
    if not spans:
        return
    statement = insert_for(connection)(HOLDS)
    lower, higher = (
        ("least", "greatest") if connection.dialect.name == "postgresql" else ("min", "max")
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["hold_id"],
            set_={
                "from_ns": getattr(func, lower)(HOLDS.c.from_ns, statement.excluded.from_ns),
                "to_ns": getattr(func, higher)(HOLDS.c.to_ns, statement.excluded.to_ns),
            },
        ),
        [
            {
                "hold_id": hold_id(alert_id, instrument),
                "kind": "alert",
                "subject": alert_id,
                "instrument": instrument,
                "from_ns": first_ns,
                "to_ns": last_ns,
                "reason": "window and evidence of an alert",
                "placed_by": "ringfence",
                "placed_ns": last_ns,
            }
            for (alert_id, instrument), (first_ns, last_ns) in spans.items()
        ],
    )


def hold_id(alert_id: str, instrument: str) -> str:
    """Return the id of the hold that an alert has on an instrument, at most 64 characters."""
    return f"{alert_id}-{hashlib.sha256(instrument.encode()).hexdigest()[:16]}"
