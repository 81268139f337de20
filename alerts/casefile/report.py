"""The report: an alert in words and tables, for a person who has only this page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files
from typing import Any, Final

import msgspec
from jinja2 import Environment, StrictUndefined

from alerts.casefile.layout import Case, CaseEvent, Parameters
from alerts.record import Alert
from detectors.base import Feature
from ingest.registry import RegistryRow
from ingest.times import SECOND

SHOWN_EVENTS: Final = 200
SHOWN_IDS: Final = 40
HONG_KONG: Final = timezone(timedelta(hours=8), "HKT")
"""Hong Kong has had no summer time since 1979."""
ROLE_WORDS: Final[Mapping[str, str]] = {
    "unknown": "not in the register",
    "client": "client",
    "external_mm": "external market maker",
    "affiliated_mm": "affiliated market maker",
    "affiliated": "affiliated company",
    "house": "house",
    "staff": "staff",
}
CLASS_WORDS: Final[Mapping[str, str]] = {
    "breach": "deterministic: the rule leaves no room for judgement",
    "rule": "a rule with stated exceptions",
    "indicator": "statistical: opens a review, proves nothing alone",
}
NOTIFY_WORDS: Final[Mapping[str, str]] = {
    "none": "no notification clock is started by this alert alone",
    "asap": "as soon as practicable (VATP Guidelines 8.2)",
    "immediate": "immediately (VATP Guidelines 16.7(d))",
}
STATUS_WORDS: Final[Mapping[str, str]] = {
    "provisional": "open, or not fully covered: later events may change it",
    "confirmed": "closed, with complete coverage",
    "retracted": "withdrawn: the facts it rested on were cancelled",
}


def render_report(
    alert: Alert,
    case: Case,
    parameters: Parameters,
    *,
    events: Sequence[CaseEvent],
    rows: Sequence[RegistryRow],
    digests: Mapping[str, str],
) -> str:
    """Return the report as one self-contained HTML page: no script, no link to anything outside.

    Everything that came from a feed or a register is escaped. Times are shown in UTC and in Hong
    Kong time; the first `SHOWN_EVENTS` events are shown, the rest is in events.ndjson.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        files("alerts.casefile").joinpath("report.html.j2").read_text(encoding="utf-8")
    )
    entities = {row.account: row.legal_entity for row in rows}
    return template.render(
        alert=alert,
        case=case,
        parameters=parameters.params,
        accounts=[
            {
                "name": name,
                "owner": owner or "unknown",
                "entity": entities.get(name, ""),
                "role": role,
                "role_words": ROLE_WORDS.get(role, role),
            }
            for name, owner, role in zip(alert.accounts, alert.owners, alert.roles, strict=True)
        ],
        features=[
            {"name": _words(name), "value": _number(f.value), "unit": f.unit, "baseline": _base(f)}
            for name, f in alert.features.items()
        ],
        events=[_event(event, alert) for event in events[:SHOWN_EVENTS]],
        events_total=len(events),
        start=_time(alert.window_start_ns),
        end=_time(alert.window_end_ns),
        detected=_time(alert.detected_ns),
        duration=_duration(alert.window_end_ns - alert.window_start_ns),
        scenario=_words(alert.scenario),
        facets=[_words(name) for name in alert.facets],
        harm=None if alert.client_harm is None else _number(alert.client_harm),
        class_words=CLASS_WORDS[alert.evidence_class],
        notify_words=NOTIFY_WORDS[alert.notify_clock],
        status_words=STATUS_WORDS[alert.status],
        order_ids=alert.order_ids[:SHOWN_IDS],
        trade_ids=alert.trade_ids[:SHOWN_IDS],
        digests=digests,
    )


def _time(at_ns: int) -> dict[str, str]:
    second, rest = divmod(at_ns, SECOND)
    at = datetime.fromtimestamp(second, UTC)
    return {
        "utc": f"{at:%Y-%m-%d %H:%M:%S}.{rest:09d} UTC",
        "local": f"{at.astimezone(HONG_KONG):%Y-%m-%d %H:%M:%S} HKT (UTC+8)",
    }


def _duration(span_ns: int) -> str:
    """Return a duration in words.

    >>> _duration(1_500_000), _duration(90_000_000_000), _duration(0)
    ('1.5 ms', '1 min 30 s', '0 s')
    """
    if span_ns < SECOND:
        return f"{span_ns / 1_000_000:g} ms" if span_ns else "0 s"
    seconds = span_ns // SECOND
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count:,} {unit}")
    return " ".join(parts[:2])


def _words(name: str) -> str:
    return name.replace("_", " ").replace(".", " · ")


def _number(value: float | int | str) -> str:
    """Return a number for reading.

    >>> _number(1234567), _number(0.000012), _number(1234.5), _number("client")
    ('1,234,567', '0.000012', '1,234.5', 'client')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.12f}".rstrip("0").rstrip(".") if abs(value) >= 1e-9 else f"{value:g}"


def _base(feature: Feature) -> str:
    return "—" if feature.baseline is None else _number(feature.baseline)


def _event(event: CaseEvent, alert: Alert) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(event.content)
    except (msgspec.MsgspecError, ValueError):
        fields = {}
    if not isinstance(fields, dict):
        fields = {}

    def said(*names: str) -> str:
        return next((str(fields[n]) for n in names if fields.get(n) is not None), "")

    group = {
        account
        for account, role in zip(alert.accounts, alert.roles, strict=True)
        if role in ("affiliated_mm", "affiliated", "house", "staff")
    }
    trade = event.feed == "trades"
    account = f"{said('buy_account')} ← {said('sell_account')}" if trade else said("account")
    second, rest = divmod(event.engine_ns, SECOND)
    return {
        "time": f"{datetime.fromtimestamp(second, UTC):%H:%M:%S}.{rest:09d}",
        "date": f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d}",
        "seq": event.seq,
        "what": "trade" if trade else said("action"),
        "side": said("aggressor", "side"),
        "price": said("price"),
        "quantity": said("quantity"),
        "leaves": "" if trade else said("leaves"),
        "id": said("trade_id", "order_id"),
        "account": account,
        "group": bool(group & {said("account"), said("buy_account"), said("sell_account")}),
        "where": f"{event.feed}/{event.partition}@{event.offset}",
    }
