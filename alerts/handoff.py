"""Hand-offs: a finding on its way from the platform's shard to the one that owns its instrument.

Instruments are named, for the two workers may have other tables; account codes are the same
everywhere. Every number comes back as it was: floats to the bit, integers of any size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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
from ingest.errors import SourceError
from ingest.events import Batch, Topic
from ingest.instruments import Instruments

VERSION: Final = 1
_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**64 - 1


class HandOff(msgspec.Struct, frozen=True, kw_only=True):
    """What an alert book needs of a finding that another shard made."""

    finding: Finding
    evidence: Mapping[Ref, SourceEvent]
    """Of its records, those that the platform's shard still had; the rest may be archived."""
    registry_version: str
    """Version of the register under which the finding was made."""


class _Wide(msgspec.Struct, frozen=True):
    """An integer beyond 64 bits, as decimal digits: MessagePack has none."""

    digits: str


_Number = float | int | str | _Wide


class _Feature(msgspec.Struct, frozen=True, array_like=True):
    name: str
    value: _Number
    unit: str
    baseline: _Number | None


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    registry_version: str
    instruments: tuple[str, ...]
    """The finding's instrument, then others that it cites."""
    refs: tuple[tuple[int, int], ...]
    """Place in `instruments`, and seq."""
    context: tuple[tuple[int, int], ...] = ()
    """The same of records that are not named."""
    features: tuple[_Feature, ...]
    events: tuple[SourceEvent, ...]
    detector: str
    detector_version: int
    scenario: str
    evidence_class: EvidenceClass
    evidence: Evidence
    first_seq: int
    first_accounts: tuple[int, ...]
    revision: int
    accounts: tuple[int, ...]
    window_start_ns: int
    window_end_ns: int
    detected_ns: int
    score: float | int
    facets: tuple[str, ...]
    systematic: bool
    all_legs: bool
    significant: bool
    client_harm: float | int | None
    counterfactual: str
    notify_clock: NotifyClock
    coverage: CoverageWord
    status: Status


_SAME: Final = tuple(
    name
    for name in Finding.__struct_fields__
    if name in _Record.__struct_fields__ and name != "features"
)
"""Fields that are written as they are."""


def encode(
    finding: Finding,
    evidence: Mapping[Ref, SourceEvent],
    registry_version: str,
    instruments: Instruments,
) -> bytes:
    """Return a hand-off as bytes; of `evidence`, what the finding cites."""
    names = [instruments[finding.instrument].instrument]
    places = {finding.instrument: 0}
    for ref in finding.all_refs:
        if ref.instrument not in places:
            places[ref.instrument] = len(names)
            names.append(instruments[ref.instrument].instrument)
    cited = dict.fromkeys(finding.all_refs)
    record = _Record(
        version=VERSION,
        registry_version=registry_version,
        instruments=tuple(names),
        refs=tuple((places[ref.instrument], ref.seq) for ref in finding.evidence_refs),
        context=tuple((places[ref.instrument], ref.seq) for ref in finding.context_refs),
        features=tuple(
            _Feature(
                name,
                _narrow(each.value),
                each.unit,
                None if each.baseline is None else _narrow(each.baseline),
            )
            for name, each in finding.features.items()
        ),
        events=tuple(evidence[ref] for ref in cited if ref in evidence),
        **{name: getattr(finding, name) for name in _SAME},
    )
    return msgspec.msgpack.encode(record)


def decode(record: bytes, instruments: Instruments) -> HandOff:
    """Return the hand-off that `encode` took, with the codes of a table of instruments.

    Raises
    ------
    SourceError
        The bytes are no hand-off of this version, or name an instrument that is not listed.
    """
    try:
        found = msgspec.msgpack.decode(record, type=_Record)
    except msgspec.MsgspecError as error:
        raise SourceError(f"a hand-off cannot be read: {error}") from error
    if found.version != VERSION:
        raise SourceError(f"a hand-off must be of version {VERSION}, was {found.version}")
    unknown = [name for name in found.instruments if instruments.code(name) is None]
    if unknown or not found.instruments:
        raise SourceError(
            f"a hand-off names the instrument {(*unknown, '')[0]!r}, "
            "which instruments.csv does not list"
        )
    codes = [instruments.codes[name] for name in found.instruments]
    finding = Finding(
        instrument=codes[0],
        evidence_refs=tuple(Ref(codes[place], seq) for place, seq in found.refs),
        context_refs=tuple(Ref(codes[place], seq) for place, seq in found.context),
        features={
            each.name: Feature(
                _wide(each.value),
                each.unit,
                None if each.baseline is None else _wide(each.baseline),
            )
            for each in found.features
        },
        **{name: getattr(found, name) for name in _SAME},
    )
    return HandOff(
        finding=finding,
        evidence={Ref(instruments.codes[e.instrument], e.seq): e for e in found.events},
        registry_version=found.registry_version,
    )


def source_events(rows: Batch) -> dict[Ref, SourceEvent]:
    """Return rows with `raw` (those that the platform stage gives as evidence) by reference."""
    if rows.raw is None:
        return {}
    names = ("instrument", "seq", "engine_ns", "topic", "partition", "offset")
    values = (rows[name].tolist() for name in names)
    return {
        Ref(code, seq): SourceEvent(
            instrument=rows.instruments[code].instrument,
            seq=seq,
            engine_ns=engine_ns,
            topic=Topic(topic),
            partition=partition,
            offset=offset,
            raw=raw,
        )
        for code, seq, engine_ns, topic, partition, offset, raw in zip(
            *values, rows.raw.to_list(), strict=True
        )
    }


def _narrow(value: float | int | str) -> _Number:
    if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
        return _Wide(str(value))
    return value


def _wide(value: _Number) -> float | int | str:
    return int(value.digits) if isinstance(value, _Wide) else value
