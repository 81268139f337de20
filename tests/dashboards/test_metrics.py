"""The metrics: what they count, what they never carry; every series exists from the start."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from alerts.record import SEVERITIES, Alert
from ingest.events import REJECT_REASONS, TAGS, WIRE, Batch, Coverage, Kind, Role, empty
from ingest.instruments import Instrument, Instruments
from monitor.histogram import BatchHistogram
from monitor.meter import BatchCounts, traded_quantities
from monitor.metrics import LATENCY_EDGES_S, OTHER, Metrics

ALLOWED_LABELS = {"detector", "severity", "topic", "reason", "outcome", "instrument", "le"}


def test_every_series_is_there_at_zero_before_anything_has_happened() -> None:
    metrics = Metrics(detectors=["a", "b"], instruments=["BTC-USD"])
    for reason in REJECT_REASONS:
        assert metrics.value("ringfence_rejects_total", reason=reason) == 0
    for detector in ("a", "b"):
        for severity in SEVERITIES:
            for name in ("alerts", "breach_alerts"):
                sample = f"ringfence_{name}_total"
                assert metrics.value(sample, detector=detector, severity=severity) == 0
    assert metrics.value("ringfence_traded_quantity_total", instrument="BTC-USD") == 0
    assert metrics.value("ringfence_end_to_end_latency_seconds_bucket", le="5.0") == 0


def test_names_have_the_prefix_and_labels_are_only_the_allowed_ones() -> None:
    metrics = Metrics(detectors=["a"], instruments=["X"])
    families = list(text_string_to_metric_families(generate_latest(metrics.registry).decode()))
    assert len(families) > 30
    for family in families:
        assert family.name.startswith("ringfence_")
        if family.name != "ringfence_build_info":
            assert {label for s in family.samples for label in s.labels} <= ALLOWED_LABELS


def test_what_is_described_is_exactly_what_a_scrape_shows() -> None:
    metrics = Metrics(detectors=["a"], instruments=["X"])
    shown = {
        f.name + ("_total" if f.type == "counter" else ""): f for f in metrics.registry.collect()
    }
    described = {d.name: d for d in metrics.describe()}
    assert described.keys() == shown.keys()
    for name, description in described.items():
        labels = {label for s in shown[name].samples for label in s.labels} - {"le"}
        assert (description.type, set(description.labels)) == (shown[name].type, labels)
        assert description.help == shown[name].documentation
        assert description.help.endswith(".")


def test_two_workers_in_one_process_share_nothing() -> None:
    one, two = Metrics(), Metrics()
    one.observe_batch(BatchCounts(read={"orders": 5}, processed=5))
    assert one.value("ringfence_processed_total") == 5
    assert two.value("ringfence_processed_total") == 0
    assert not [f for f in REGISTRY.collect() if f.name.startswith("ringfence_")]


def test_records_held_back_by_an_earlier_life_balance_after_a_restore() -> None:
    metrics = Metrics()
    metrics.adopt(pending=4)
    metrics.observe_batch(BatchCounts(read={"orders": 1}, processed=5, pending=0))
    assert metrics.value("ringfence_unaccounted_records") == 0


def test_a_record_that_vanished_shows_until_it_is_accounted_for() -> None:
    metrics = Metrics()
    metrics.observe_batch(BatchCounts(read={"trades": 7}, processed=3, rejects={"off_tick": 2}))
    assert metrics.value("ringfence_unaccounted_records") == 2
    metrics.observe_batch(BatchCounts(read={"trades": 0}, processed=0, duplicates=1, late=1))
    assert metrics.value("ringfence_unaccounted_records") == 0


def test_silence_is_told_by_the_clock_at_the_scrape_and_ends_with_a_record() -> None:
    now = [100.0]
    metrics = Metrics(clock=lambda: now[0])
    now[0] = 130.0
    assert metrics.value("ringfence_silence_seconds", topic="orders") == 30
    metrics.observe_batch(BatchCounts(read={"orders": 1, "trades": 0}, processed=1))
    now[0] = 135.0
    assert metrics.value("ringfence_silence_seconds", topic="orders") == 5
    assert metrics.value("ringfence_silence_seconds", topic="trades") == 35


def test_latency_of_a_whole_batch_lands_in_the_same_buckets_as_one_by_one() -> None:
    rng = np.random.default_rng(7)
    values = np.concatenate([rng.exponential(2.0, 500), np.array(LATENCY_EDGES_S)])
    whole = BatchHistogram("a_seconds", "A.", LATENCY_EDGES_S)
    single = BatchHistogram("a_seconds", "A.", LATENCY_EDGES_S)
    whole.observe(values)
    for value in values:
        single.observe(np.array([value]))
    got = {s.labels["le"]: s.value for f in whole.collect() for s in f.samples if "le" in s.labels}
    same = {
        s.labels["le"]: s.value for f in single.collect() for s in f.samples if "le" in s.labels
    }
    assert got == same
    assert got == {le: float(np.sum(values <= float(le))) for le in got}


def test_latency_is_from_the_engine_to_durable_in_seconds_and_never_negative() -> None:
    metrics = Metrics()
    metrics.observe_latency(np.array([0, 2_000_000_000, 9_000_000_000]), 4_000_000_000)
    assert metrics.value("ringfence_end_to_end_latency_seconds_sum") == 6.0
    assert metrics.value("ringfence_end_to_end_latency_seconds_count") == 3


def _alert(severity: str, evidence_class: str = "breach") -> Alert:
    return Alert(
        alert_id="a1",
        revision=1,
        detector="client_priority",
        detector_version=1,
        scenario="queue_jump",
        facets=(),
        evidence_class=evidence_class,  # type: ignore[arg-type]
        evidence="proved",
        severity=severity,  # type: ignore[arg-type]
        score=1.0,
        instrument="BTC-USD",
        accounts=("MM1",),
        owners=("mm",),
        roles=("affiliated_mm",),
        window_start_ns=0,
        window_end_ns=1,
        detected_ns=1,
        client_harm=None,
        currency="USD",
        counterfactual="",
        notify_clock="immediate",
        order_ids=(),
        trade_ids=(),
        features={},
        params_hash="",
        registry_version="",
        coverage="complete",
        status="provisional",
        source=(),
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("high", "high", {"high": 1}),
        ("low", "critical", {"low": 1, "critical": 1}),
        ("critical", "high", {"critical": 1}),
    ],
)
def test_a_breach_counts_when_it_opens_and_again_only_when_it_gets_worse(
    first: str, second: str, expected: dict[str, int]
) -> None:
    metrics = Metrics(detectors=["client_priority"])
    metrics.observe_alert(_alert(first), None)
    metrics.observe_alert(_alert(second), _alert(first))
    counted = {
        severity: metrics.value(
            "ringfence_breach_alerts_total", detector="client_priority", severity=severity
        )
        for severity in SEVERITIES
    }
    assert counted == {severity: expected.get(severity, 0) for severity in SEVERITIES}
    opened = metrics.value("ringfence_alerts_total", detector="client_priority", severity=first)
    assert opened == 1
    assert metrics.value("ringfence_alert_revisions_total", detector="client_priority") == 2


def test_an_indicator_is_no_breach_however_severe() -> None:
    metrics = Metrics(detectors=["client_priority"])
    metrics.observe_alert(_alert("high", "indicator"), None)
    labels = {"detector": "client_priority", "severity": "high"}
    assert metrics.value("ringfence_breach_alerts_total", **labels) == 0
    assert metrics.value("ringfence_alerts_total", **labels) == 1


def _instruments(*names: str) -> Instruments:
    return Instruments(
        Instrument(
            instrument=name,
            base="B",
            quote="USD",
            kind="spot",
            tick_size=Decimal("0.01"),
            lot_size=Decimal("0.001"),
        )
        for name in names
    )


def _trades(table: Instruments, *rows: tuple[str, int, Role, Role, int]) -> Batch:
    """Trades as (instrument, lots, buyer's role, seller's role, hash of the trade busted)."""
    columns = empty({**WIRE, **TAGS}, len(rows))
    columns["kind"][:] = Kind.TRADE
    for i, (name, lots, buyer, seller, busts) in enumerate(rows):
        columns["instrument"][i] = table.codes[name]
        columns["quantity"][i] = lots
        columns["buy_role"][i], columns["sell_role"][i] = buyer, seller
        columns["busts_lo"][i] = busts
    return Batch(columns, table)


def test_volume_leaves_out_busts_and_orders_and_counts_a_maker_self_trade_once() -> None:
    table = _instruments("A", "B")
    batch = _trades(
        table,
        ("A", 1500, Role.CLIENT, Role.AFFILIATED_MM, 0),
        ("A", 500, Role.CLIENT, Role.EXTERNAL_MM, 0),
        ("A", 500, Role.CLIENT, Role.AFFILIATED_MM, 9),
        ("B", 250, Role.AFFILIATED_MM, Role.AFFILIATED_MM, 0),
        ("B", 4000, Role.CLIENT, Role.CLIENT, 0),
    )
    batch["kind"][4] = Kind.NEW
    assert traded_quantities(batch) == ({"A": 2.0, "B": 0.25}, {"A": 1.5, "B": 0.25})


def test_a_book_is_in_doubt_until_the_instruments_next_row_says_it_is_whole() -> None:
    table = _instruments("A", "B")
    rows = [("A", 1, Role.CLIENT, Role.CLIENT, 0), ("B", 1, Role.CLIENT, Role.CLIENT, 0)]
    metrics = Metrics()

    def see(rows: list[tuple[str, int, Role, Role, int]], *coverage: Coverage) -> float:
        batch = _trades(table, *rows).with_columns({"coverage": np.array(coverage, dtype=np.int8)})
        metrics.observe_coverage(batch)
        return metrics.value("ringfence_incomplete_instruments")

    assert see(rows, Coverage.INCOMPLETE, Coverage.INCOMPLETE) == 2
    assert see(rows[:1], Coverage.COMPLETE) == 1
    assert see([]) == 1
    assert see(rows[1:], Coverage.COMPLETE) == 0


def test_instruments_beyond_the_limit_share_one_label() -> None:
    names = ["A", "B", "C"]
    table = _instruments(*names)
    metrics = Metrics(instruments=names, instrument_limit=1)
    metrics.observe_volume(
        _trades(table, *((name, 1000, Role.CLIENT, Role.CLIENT, 0) for name in names))
    )
    assert metrics.value("ringfence_traded_quantity_total", instrument="A") == 1
    assert metrics.value("ringfence_traded_quantity_total", instrument=OTHER) == 2
    assert metrics.value("ringfence_afmm_traded_quantity_total", instrument="A") == 0
