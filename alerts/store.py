"""The alert store: alerts with their evidence, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from alerts.coverage import CoverageRecord
from alerts.database import (
    StoreError,
    failure,
    in_pieces,
    insert_for,
    migrate,
    open_engine,
    parse_url,
    reading,
    transaction,
)
from alerts.identity import params_hash
from alerts.parts import Part
from alerts.record import Alert, decode
from alerts.schema import ALERTS, COVERAGE, EVIDENCE, INSTRUMENTS, PARAMS, PARTS, REGISTRY_ROWS
from alerts.segments import SourceEvent
from alerts.store_rows import source_event
from detectors.base import Params
from ingest.errors import UsageError
from ingest.instruments import Instrument, Instruments
from ingest.registry import RegistryRow

__all__ = ["AlertStore", "CoverageRecord", "StoreError"]


class StoredParams(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters that alerts were found with."""

    detector: str
    detector_version: int
    params: msgspec.Raw


class AlertStore:
    """Keeps alerts, their evidence and what they were found with.

    A revision that is not higher than the one stored changes nothing, so a feed that is read again
    after a crash leaves the store as it was; columns that belong to people are never written here.

    Parameters
    ----------
    url : str
        `sqlite:///FILE` (one worker) or `postgresql+pg8000://USER@HOST/DATABASE`.
    password : str, optional
        Given apart so that no configuration file needs it; never shown.

    Raises
    ------
    ConfigurationError
        The URL is of no database that the store runs on.
    """

    def __init__(self, url: str, *, password: str | None = None) -> None:
        self._engine = open_engine(parse_url(url, password))

    def __repr__(self) -> str:
        return f"AlertStore({self._engine.url.render_as_string(hide_password=True)!r})"

    @property
    def engine(self) -> Engine:
        """The database, for the other tables of the store: shards, outbox, holds, audit."""
        return self._engine

    def migrate(self) -> None:
        """Create or update the tables; safe to call at every start."""
        try:
            migrate(self._engine)
        except SQLAlchemyError as error:
            raise failure("be set up", self._engine, error) from error

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def save_params(self, detector: str, detector_version: int, params: Params) -> None:
        """Keep a detector's parameters under their hash."""
        row = {
            "params_hash": params_hash(params),
            "detector": detector,
            "detector_version": detector_version,
            "record": msgspec.json.encode(params, order="sorted").decode(),
        }
        with transaction(self._engine, "save parameters") as connection:
            insert = insert_for(connection)
            connection.execute(insert(PARAMS).values(row).on_conflict_do_nothing())

    def save_instruments(self, instruments: Instruments) -> None:
        """Keep the instruments table, for case files; a changed row replaces the old one."""
        if not len(instruments):
            return
        with transaction(self._engine, "save instruments") as connection:
            statement = insert_for(connection)(INSTRUMENTS)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["instrument"], set_={"record": statement.excluded.record}
                ),
                [
                    {"instrument": row.instrument, "record": msgspec.json.encode(row).decode()}
                    for row in instruments.rows
                ],
            )

    def instruments(self) -> Instruments:
        """Return the instruments that were kept."""
        with reading(self._engine) as connection:
            records = connection.scalars(select(INSTRUMENTS.c.record))
            return Instruments(msgspec.json.decode(r, type=Instrument) for r in records)

    def find(self, prefix: str) -> Sequence[str]:
        """Return the ids that begin with a prefix, at most ten."""
        query = (
            select(ALERTS.c.alert_id)
            .where(ALERTS.c.alert_id.startswith(prefix, autoescape=True))
            .order_by(ALERTS.c.alert_id)
            .limit(10)
        )
        with reading(self._engine) as connection:
            return list(connection.scalars(query))

    def only(self, prefix: str) -> Alert:
        """Return the one alert whose id begins so.

        Raises
        ------
        UsageError
            There is none, or there are several.
        """
        found = self.find(prefix)
        alert = self.get(found[0]) if len(found) == 1 else None
        if alert is None:
            said = "is the beginning of several" if found else "is not in the store"
            raise UsageError(f"alert {prefix} {said}; `ringfence case list` shows the ids")
        return alert

    def get(self, alert_id: str) -> Alert | None:
        """Return an alert's last revision, or None."""
        with reading(self._engine) as connection:
            record = connection.scalar(select(ALERTS.c.record).where(ALERTS.c.alert_id == alert_id))
        return None if record is None else decode(record)

    def list(
        self,
        *,
        limit: int = 100,
        severities: Sequence[str] = (),
        detector: str | None = None,
        instrument: str | None = None,
        status: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
    ) -> Sequence[Alert]:
        """Return the latest alerts that meet every condition given, newest first.

        Alerts that were merged into another are left out; times are `detected_ns`, half-open.
        """
        query = select(ALERTS.c.record).where(ALERTS.c.merged_into.is_(None))
        if severities:
            query = query.where(ALERTS.c.severity.in_(severities))
        for column, value in (
            ("detector", detector),
            ("instrument", instrument),
            ("status", status),
        ):
            if value is not None:
                query = query.where(ALERTS.c[column] == value)
        if from_ns is not None:
            query = query.where(ALERTS.c.detected_ns >= from_ns)
        if to_ns is not None:
            query = query.where(ALERTS.c.detected_ns < to_ns)
        query = query.order_by(ALERTS.c.detected_ns.desc(), ALERTS.c.alert_id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [decode(record) for record in connection.scalars(query)]

    def records(self) -> Iterator[Alert]:
        """Yield every alert that was not merged into another, by (detected_ns, alert_id)."""
        query = (
            select(ALERTS.c.record)
            .where(ALERTS.c.merged_into.is_(None))
            .order_by(ALERTS.c.detected_ns, ALERTS.c.alert_id)
        )
        with reading(self._engine) as connection:
            for record in connection.scalars(query.execution_options(yield_per=1_000)):
                yield decode(record)

    def count(self) -> int:
        """Return how many alerts there are, without those that were merged into another."""
        query = select(func.count()).select_from(ALERTS).where(ALERTS.c.merged_into.is_(None))
        with reading(self._engine) as connection:
            return connection.scalar(query) or 0

    def evidence(self, alert_id: str) -> Sequence[SourceEvent]:
        """Return an alert's source events, each once, by (instrument, seq)."""
        query = (
            select(EVIDENCE)
            .join(PARTS, PARTS.c.part_id == EVIDENCE.c.part_id)
            .where(PARTS.c.alert_id == alert_id)
        )
        with reading(self._engine) as connection:
            events = {
                (row.instrument, row.seq): source_event(row) for row in connection.execute(query)
            }
        return [events[place] for place in sorted(events)]

    def registry_rows(self, alert_id: str) -> Sequence[tuple[str, RegistryRow]]:
        """Return (version, row) of an alert's accounts, by version, account and time."""
        query = (
            select(REGISTRY_ROWS)
            .join(PARTS, PARTS.c.part_id == REGISTRY_ROWS.c.part_id)
            .where(PARTS.c.alert_id == alert_id)
        )
        with reading(self._engine) as connection:
            rows = {
                (row.version, row.account, row.valid_from_ns): row.record
                for row in connection.execute(query)
            }
        return [
            (place[0], msgspec.json.decode(rows[place], type=RegistryRow)) for place in sorted(rows)
        ]

    def params(self, digest: str, detector: str) -> StoredParams | None:
        """Return the parameters of a hash, or None when they were never saved."""
        query = (
            select(PARAMS)
            .where(PARAMS.c.params_hash == digest, PARAMS.c.detector == detector)
            .order_by(PARAMS.c.detector_version.desc())
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return StoredParams(
            detector=row.detector,
            detector_version=row.detector_version,
            params=msgspec.Raw(row.record.encode()),
        )

    def coverage(self, instrument: str | None = None) -> Sequence[CoverageRecord]:
        """Return gaps, of one instrument or of all, by instrument and seq."""
        query = select(COVERAGE)
        if instrument is not None:
            query = query.where(COVERAGE.c.instrument == instrument)
        with reading(self._engine) as connection:
            records = [CoverageRecord(**row._mapping) for row in connection.execute(query)]
        return sorted(records, key=lambda r: (r.instrument, r.first_missing_seq))

    def parts_with(self, part_ids: Sequence[str]) -> Sequence[Part]:
        """Return every part of the alerts that these parts belong to, evidence included."""
        parts: dict[str, Part] = {}
        with reading(self._engine) as connection:
            for wanted in in_pieces(part_ids):
                alert_ids = select(PARTS.c.alert_id).where(PARTS.c.part_id.in_(wanted))
                family = select(PARTS).where(PARTS.c.alert_id.in_(alert_ids))
                for row in connection.execute(family):
                    parts[row.part_id] = msgspec.msgpack.decode(row.state, type=Part)
            for part in parts.values():
                query = select(EVIDENCE).where(EVIDENCE.c.part_id == part.part_id)
                for row in connection.execute(query):
                    part.add_event(source_event(row), row.cited_ns, part.said.accounts)
        return [parts[part_id] for part_id in sorted(parts)]
