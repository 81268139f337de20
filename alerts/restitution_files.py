"""The ledgers as files: CSV for people, JSON for programs, in units, readable by their owner only.

They name clients' accounts, which is their purpose; nothing of them goes to logs or metrics.
"""

from __future__ import annotations

import csv
import io
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from alerts.fairness import Difference
from alerts.rematch import Count
from alerts.restitution import COUNTERFACTUALS, Charge, Unmeasured
from alerts.restitution_breaches import Claim
from ingest.instruments import Instruments
from ingest.registry import format_time

FORMAT: Final = 1
RESTITUTION_CSV: Final = "restitution.csv"
RESTITUTION_JSON: Final = "restitution.json"
FAIRNESS_CSV: Final = "fairness.csv"
FAIRNESS_JSON: Final = "fairness.json"
PRIVATE: Final = 0o600


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the restitution ledger: a fill, or an unfilled quantity, of a client's order."""

    account: str
    owner: str
    """Beneficial owner at that time; empty where unknown."""
    alert_id: str
    """The alert, under which a case file exports."""
    also: tuple[str, ...]
    """Other alerts that tell of the same quantity: it is charged here alone."""
    scenario: str
    standing: str
    """proved: owed; supported: owed once a person has confirmed the alert; later: likewise, and
    once the order, which no alert names, is confirmed as a part of one that was run ahead of."""
    instrument: str
    side: str
    quantity: Decimal
    price_paid: Decimal
    """Of the fill; of what was not filled, the mid it is marked to."""
    paid_as: str
    """fill | mid."""
    why: str
    """filled, or how what was not filled ended: cancelled | reduced | expired | prevented | open
    (at the end of the 300 s)."""
    counterfactual_price: Decimal
    money: Decimal
    """Owed, above 0."""
    currency: str
    counterfactual: str
    at: str
    """When the fill, or the mark, was; ISO-8601 UTC."""
    order_id: str
    trade_id: str
    """Empty for what was not filled."""


class NotMeasured(msgspec.Struct, frozen=True, kw_only=True):
    """A breach that is told of and of which no loss could be said."""

    instrument: str
    alert_ids: tuple[str, ...]
    reason: str


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """What is owed in one currency."""

    currency: str
    standing: str
    clients: int
    rows: int
    money: Decimal


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """How well the rules give the record back, over what was rematched."""

    trades: int
    reproduced: int
    departures: int
    """Instructions whose trades the rules do not give: breaches, or a rule that is not known."""


class Restitution(msgspec.Struct, frozen=True, kw_only=True):
    """The restitution ledger."""

    format: int
    rows: tuple[Owed, ...]
    sums: tuple[Sum, ...]
    not_measured: tuple[NotMeasured, ...]
    identity: Identity


class Fairness(msgspec.Struct, frozen=True, kw_only=True):
    """The fairness differential."""

    format: int
    rows: tuple[Difference, ...]


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What charges' codes stand for."""

    accounts: Sequence[str]
    owners: Mapping[tuple[int, int], str]
    """By account and time."""
    orders: Mapping[int, str]
    """Of those that a record names."""
    trades: Mapping[tuple[int, int], str]
    """By instrument and seq."""
    clocks: Mapping[tuple[int, int], int]
    """Event time by instrument and seq, ns."""


def restitution_of(  # noqa: PLR0917 - what a ledger is made of
    charges: Iterable[Charge],
    unmeasured: Collection[Unmeasured],
    claims: Mapping[str, Claim],
    instruments: Instruments,
    count: Count,
    names: Names,
) -> Restitution:
    """Return charges as rows in units, their sums, and what could not be measured."""
    rows = tuple(_row(charge, claims, instruments, names) for charge in charges)
    told = {(each.instrument, each.alert_ids, each.reason) for each in unmeasured}
    return Restitution(
        format=FORMAT,
        rows=rows,
        sums=_sums(rows),
        not_measured=tuple(
            NotMeasured(instrument=instruments[code].instrument, alert_ids=alert_ids, reason=reason)
            for code, alert_ids, reason in sorted(told)
        ),
        identity=Identity(
            trades=count.trades, reproduced=count.reproduced, departures=len(count.departures)
        ),
    )


def joined_restitution(parts: Sequence[Restitution]) -> Restitution:
    """Return the ledgers of several feeds as one, in the order given."""
    rows = tuple(row for part in parts for row in part.rows)
    return Restitution(
        format=FORMAT,
        rows=rows,
        sums=_sums(rows),
        not_measured=tuple(each for part in parts for each in part.not_measured),
        identity=Identity(
            trades=sum(part.identity.trades for part in parts),
            reproduced=sum(part.identity.reproduced for part in parts),
            departures=sum(part.identity.departures for part in parts),
        ),
    )


def _row(
    charge: Charge, claims: Mapping[str, Claim], instruments: Instruments, names: Names
) -> Owed:
    code, place = charge.instrument, (charge.instrument, charge.at_seq)
    row, at_ns = instruments[code], names.clocks[charge.instrument, charge.at_seq]
    return Owed(
        account=names.accounts[charge.account],
        owner=names.owners.get((charge.account, at_ns), ""),
        alert_id=charge.alert_id,
        also=charge.also,
        scenario=claims[charge.alert_id].scenario,
        standing=charge.standing,
        instrument=row.instrument,
        side="buy" if charge.side > 0 else "sell",
        quantity=_plain(instruments.quantity(code, charge.lots)),
        price_paid=_plain(row.tick_size * charge.paid_double / 2),
        paid_as=charge.paid_as,
        why=charge.why,
        counterfactual_price=_plain(row.tick_size * charge.due_double / 2),
        money=_plain(instruments.money(code, charge.half_ticks) / 2),
        currency=row.quote,
        counterfactual=COUNTERFACTUALS[charge.counterfactual],
        at=format_time(at_ns),
        order_id=names.orders.get(charge.order, ""),
        trade_id=names.trades[place] if charge.paid_as == "fill" else "",
    )


def _plain(value: Decimal) -> Decimal:
    """Return a decimal without trailing zeros or exponent."""
    return Decimal(f"{value.normalize():f}")


def _sums(rows: Iterable[Owed]) -> tuple[Sum, ...]:
    groups: dict[tuple[str, str], list[Owed]] = defaultdict(list)
    for row in rows:
        groups[row.currency, row.standing].append(row)
    return tuple(
        Sum(
            currency=currency,
            standing=standing,
            clients=len({row.account for row in mine}),
            rows=len(mine),
            money=sum((row.money for row in mine), Decimal(0)),
        )
        for (currency, standing), mine in sorted(groups.items())
    )


def write_ledgers(folder: Path, restitution: Restitution, fairness: Fairness) -> list[Path]:
    """Write both ledgers as CSV and JSON, each whole or not at all; return the files.

    The same ledgers give the same bytes. Only the owner of the files may read them (mode 0600).
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        RESTITUTION_CSV: _csv(Owed, restitution.rows),
        RESTITUTION_JSON: _json(restitution),
        FAIRNESS_CSV: _csv(Difference, fairness.rows),
        FAIRNESS_JSON: _json(fairness),
    }
    written = []
    for name, content in contents.items():
        partial = folder / f"{name}.partial"
        partial.unlink(missing_ok=True)
        opened = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(opened, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / name)
        written.append(folder / name)
    return written


def _json(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _csv(kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = kind.__struct_fields__
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in names])
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return " ".join(value) if isinstance(value, tuple) else str(value)
