"""Hand-offs: a finding and its evidence come back as they were, under another table."""

from __future__ import annotations

import math
import struct

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts import handoff
from alerts.segments import SourceEvent
from detectors.base import Feature, Finding, Ref
from detectors.examples import example_instruments
from ingest.errors import SourceError
from ingest.events import WIRE, Batch, Topic, empty

NAMES = ("AAA-USD", "BBB-USD", "CCC-USD")
TABLE = example_instruments(NAMES)
WIDER = example_instruments(("AAA-AUD", *NAMES))

floats = st.floats()
integers = st.integers(-(2**200), 2**200) | st.sampled_from(
    [-(2**63) - 1, -(2**63), 2**63 - 1, 2**63, 2**64 - 1, 2**64]
)
numbers = floats | integers | st.text(max_size=5)
features = st.builds(Feature, numbers, st.text(max_size=5), st.none() | numbers)
refs = st.builds(Ref, st.integers(0, 2), st.integers(1, 2**63 - 1))
codes = st.lists(st.integers(0, 2**31 - 1), max_size=4).map(tuple)
times = st.integers(-(2**63), 2**63 - 1)
findings = st.builds(
    Finding,
    detector=st.text(max_size=9),
    detector_version=st.integers(1, 9),
    scenario=st.text(max_size=9),
    evidence_class=st.sampled_from(["breach", "rule", "indicator"]),
    evidence=st.sampled_from(["proved", "supported", "weak"]),
    instrument=st.integers(0, 2),
    first_seq=st.integers(1, 2**63 - 1),
    first_accounts=codes,
    revision=st.integers(1, 2**40),
    accounts=codes,
    window_start_ns=times,
    window_end_ns=times,
    detected_ns=times,
    evidence_refs=st.lists(refs, max_size=6).map(tuple),
    features=st.dictionaries(st.text(max_size=6), features, max_size=5),
    score=floats | st.integers(0, 1),
    facets=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    systematic=st.booleans(),
    all_legs=st.booleans(),
    significant=st.booleans(),
    client_harm=st.none() | floats | st.integers(-5, 5),
    counterfactual=st.text(max_size=5),
    notify_clock=st.sampled_from(["none", "asap", "immediate"]),
    coverage=st.sampled_from(["complete", "incomplete"]),
    status=st.sampled_from(["provisional", "confirmed", "retracted"]),
)


def exact(value):
    """A value with its type and every bit of its floats."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("<d", value)
    if isinstance(value, Feature):
        return tuple(exact(getattr(value, f)) for f in value.__struct_fields__)
    if isinstance(value, dict):
        return [(name, exact(each)) for name, each in value.items()]
    return type(value), value


def all_fields(finding):
    return [exact(getattr(finding, name)) for name in finding.__struct_fields__]


def event(ref):
    return SourceEvent(
        instrument=NAMES[ref.instrument],
        seq=ref.seq,
        engine_ns=ref.seq // 3,
        topic=Topic.TRADES,
        partition=2,
        offset=ref.seq % 1000,
        raw=f'{{"seq":{ref.seq}}}\xff'.encode("latin-1"),
    )


@settings(max_examples=300, deadline=None)
@given(findings, st.data())
def test_a_finding_comes_back_to_the_bit(finding, data):
    kept = [ref for ref in set(finding.evidence_refs) if data.draw(st.booleans())]
    evidence = {ref: event(ref) for ref in [*kept, Ref(2, 10**15)]}
    back = handoff.decode(handoff.encode(finding, evidence, "v7", TABLE), TABLE)
    assert all_fields(back.finding) == all_fields(finding)
    assert back.evidence == {ref: event(ref) for ref in kept} | (
        {Ref(2, 10**15): event(Ref(2, 10**15))} if Ref(2, 10**15) in finding.evidence_refs else {}
    )
    assert back.registry_version == "v7"


@settings(max_examples=50, deadline=None)
@given(findings)
def test_under_another_table_instruments_keep_their_names(finding):
    evidence = {ref: event(ref) for ref in finding.evidence_refs}
    back = handoff.decode(handoff.encode(finding, evidence, "v7", TABLE), WIDER)
    assert back.finding.instrument == finding.instrument + 1
    assert back.finding.evidence_refs == tuple(
        Ref(ref.instrument + 1, ref.seq) for ref in finding.evidence_refs
    )
    assert {WIDER[ref.instrument].instrument for ref in back.evidence} == {
        each.instrument for each in evidence.values()
    }
    again = msgspec.structs.replace(
        back.finding, instrument=finding.instrument, evidence_refs=finding.evidence_refs
    )
    assert all_fields(again) == all_fields(finding)


def plain():
    return Finding(
        detector="wash_rings",
        detector_version=1,
        scenario="wash_ring",
        evidence_class="rule",
        evidence="weak",
        instrument=2,
        first_seq=1,
        first_accounts=(1,),
        revision=1,
        accounts=(1,),
        window_start_ns=0,
        window_end_ns=1,
        detected_ns=1,
        evidence_refs=(Ref(2, 1), Ref(0, 4)),
        features={},
        score=0.5,
    )


def test_an_instrument_that_is_not_listed_here_is_named():
    record = handoff.encode(plain(), {}, "v1", TABLE)
    with pytest.raises(SourceError, match="CCC-USD"):
        handoff.decode(record, example_instruments(NAMES[:2]))


def test_bytes_that_are_no_hand_off_of_this_version_are_refused():
    record = handoff.encode(plain(), {}, "v1", TABLE)
    fields = msgspec.msgpack.decode(record)
    later = msgspec.msgpack.encode(fields | {"version": 2})
    with pytest.raises(SourceError, match="version 1, was 2"):
        handoff.decode(later, TABLE)
    for bad in (b"", record[:-1], msgspec.msgpack.encode(fields | {"instruments": []})):
        with pytest.raises(SourceError):
            handoff.decode(bad, TABLE)


def test_rows_of_the_platform_stage_become_source_events():
    columns = empty(WIRE, 2)
    for name, values in {
        "instrument": (0, 2),
        "seq": (9, 4),
        "engine_ns": (100, 50),
        "topic": (1, 1),
        "partition": (3, 5),
        "offset": (70, 80),
    }.items():
        columns[name][:] = np.array(values, columns[name].dtype)
    raw = pl.Series("raw", [b"{}", b'{"seq":4}'], dtype=pl.Binary)
    events = handoff.source_events(Batch(columns, TABLE, raw=raw))
    assert events[Ref(2, 4)] == SourceEvent(
        instrument="CCC-USD",
        seq=4,
        engine_ns=50,
        topic=Topic.TRADES,
        partition=5,
        offset=80,
        raw=b'{"seq":4}',
    )
    assert set(events) == {Ref(0, 9), Ref(2, 4)}
    assert handoff.source_events(Batch(columns, TABLE)) == {}
