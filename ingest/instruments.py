"""The instruments table: ticks, lots and matching rules, indexed by instrument code."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final, Literal, cast, get_args

import msgspec

from ingest.errors import RegistryError

InstrumentKind = Literal["spot", "perpetual", "unique"]
Matching = Literal["price_time", "price_class_time"]
REQUIRED: Final = ("instrument", "base", "quote", "kind", "tick_size", "lot_size")


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One row of instruments.csv; sizes are exact decimals in display units."""

    instrument: str
    base: str
    quote: str
    kind: InstrumentKind
    tick_size: Decimal
    lot_size: Decimal
    underlying: str = ""
    mic: str = ""
    dti: str = ""
    matching: Matching = "price_time"

    @property
    def collection(self) -> str:
        """What unique items are counted together by: `underlying`, else `base`."""
        return self.underlying or self.base


class Instruments:
    """The instruments of a venue; a code is a row number here and means nothing else.

    Examples
    --------
    >>> table = Instruments([Instrument(instrument="BTC-USD", base="BTC", quote="USD", kind="spot",
    ...     tick_size=Decimal("0.5"), lot_size=Decimal("0.001"))])
    >>> table.code("BTC-USD"), table.code("ETH-USD")
    (0, None)
    >>> table.price(0, 101), table.quantity(0, 1500)
    (Decimal('50.5'), Decimal('1.500'))
    """

    def __init__(self, rows: Iterable[Instrument]) -> None:
        self.rows: Sequence[Instrument] = tuple(sorted(rows, key=lambda row: row.instrument))
        self._codes: Mapping[str, int] = {row.instrument: i for i, row in enumerate(self.rows)}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, code: int) -> Instrument:
        return self.rows[code]

    def code(self, name: str) -> int | None:
        """Return the code of an instrument, or None when it is not listed."""
        return self._codes.get(name)

    @property
    def codes(self) -> Mapping[str, int]:
        """Code by instrument name."""
        return self._codes

    def price(self, code: int, ticks: int) -> Decimal:
        """Return a price in display units."""
        return self.rows[code].tick_size * ticks

    def quantity(self, code: int, lots: int) -> Decimal:
        """Return a quantity in display units."""
        return self.rows[code].lot_size * lots

    def money(self, code: int, tick_lots: int) -> Decimal:
        """Return quote-currency money for a count of ticks times lots."""
        row = self.rows[code]
        return row.tick_size * row.lot_size * tick_lots


def read_instruments(path: Path) -> Instruments:
    """Return the table in an instruments.csv.

    Raises
    ------
    RegistryError
        A missing column, a duplicate name, an unknown kind or matching, a size that is no positive
        decimal; the line is named.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(f"instruments file {path.name} cannot be read: {error}") from error
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
    if missing:
        raise RegistryError(
            f"{path.name} must have the columns {', '.join(missing)}; found none of that name"
        )
    rows: dict[str, Instrument] = {}
    for line, record in enumerate(reader, start=2):
        row = _instrument(record, f"{path.name} line {line}")
        if row.instrument in rows:
            raise RegistryError(
                f"{path.name} line {line}: instrument {row.instrument} is listed twice"
            )
        rows[row.instrument] = row
    if not rows:
        raise RegistryError(f"{path.name} lists no instrument")
    return Instruments(rows.values())


def _instrument(record: Mapping[str, str | None], where: str) -> Instrument:
    fields = {k: (v or "").strip() for k, v in record.items() if k}
    if not fields["instrument"]:
        raise RegistryError(f"{where}: instrument must not be empty")
    if fields["kind"] not in get_args(InstrumentKind):
        raise RegistryError(
            f"{where}: kind must be one of {', '.join(get_args(InstrumentKind))}, "
            f"was {fields['kind']!r}"
        )
    matching = fields.get("matching") or "price_time"
    if matching not in get_args(Matching):
        raise RegistryError(
            f"{where}: matching must be one of {', '.join(get_args(Matching))}, was {matching!r}"
        )
    return Instrument(
        instrument=fields["instrument"],
        base=fields["base"],
        quote=fields["quote"],
        kind=cast(InstrumentKind, fields["kind"]),
        tick_size=_size(fields["tick_size"], f"{where}: tick_size"),
        lot_size=_size(fields["lot_size"], f"{where}: lot_size"),
        underlying=fields.get("underlying", ""),
        mic=fields.get("mic", ""),
        dti=fields.get("dti", ""),
        matching=cast(Matching, matching),
    )


def _size(text: str, where: str) -> Decimal:
    try:
        size = Decimal(text)
    except InvalidOperation:
        size = Decimal(0)
    if not size.is_finite() or size <= 0 or not math.isfinite(float(size)):
        raise RegistryError(f"{where} must be a positive decimal, was {text!r}")
    return size
