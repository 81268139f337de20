"""The far end with the real Prometheus and Alertmanager: panels have data, alerts reach a pager."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ingest.events import REJECT_REASONS
from ingest.released import CLOCK_FAULTS
from monitor.http import Health, serve
from monitor.meter import BatchCounts
from monitor.metrics import CONFLICTS, Metrics
from tests.support.dashboard import panels, queries
from tests.support.pagerduty import PagerDuty
from tests.support.prometheus import (
    ROUTING_KEY,
    AlertmanagerServer,
    PrometheusServer,
    quick_rules,
)

pytestmark = pytest.mark.prometheus

WELL = Health(heartbeat_age_s=0.1, assigned=True, caught_up=True, store_reachable=True)
DETECTORS = ("client_priority", "wash_rings")


class Worker:
    """A service whose pipeline is a thread that reports a small batch now and again."""

    def __init__(self) -> None:
        self.metrics = Metrics(detectors=DETECTORS, instruments=["BTC-USD"], version="test")
        self.health = WELL
        self.silent = False
        self._turn = threading.Lock()
        self.server = serve(self.metrics, "127.0.0.1", 0, lambda: self.health)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.server.close()

    def fall_silent(self) -> None:
        """Report no further batch, so that what a test sets is not set back."""
        with self._turn:
            self.silent = True

    def _run(self) -> None:
        metrics = self.metrics
        metrics.checkpoint_kept(size=1)
        metrics.set_feed(lag={"orders": 7, "trades": 2}, assigned={"orders": 1, "trades": 1})
        metrics.observe_store(0.002)
        while not self._stop.wait(0.05):
            with self._turn:
                if not self.silent:
                    self._report(metrics)

    def _report(self, metrics: Metrics) -> None:
        metrics.observe_batch(
            BatchCounts(
                read={"orders": 90, "trades": 10},
                processed=100,
                last_event_ns=time.time_ns(),
                seconds=0.004,
            )
        )
        metrics.observe_latency(np.full(100, time.time_ns() - 30_000_000), time.time_ns())
        metrics.observe_store(0.002)
        metrics.traded.labels("BTC-USD").inc(2.0)
        metrics.afmm_traded.labels("BTC-USD").inc(0.5)
        for name in DETECTORS:
            metrics.observe_detector(name, seconds=1e-6, findings=1)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def pager() -> Iterator[PagerDuty]:
    pager = PagerDuty()
    yield pager
    pager.close()


@pytest.fixture
def prometheus(worker: Worker, tmp_path: Path) -> Iterator[PrometheusServer]:
    """Prometheus that scrapes the worker; no rules."""
    server = PrometheusServer(tmp_path / "prometheus", worker.server.port)
    yield server
    server.close()


@pytest.fixture
def watched(worker: Worker, pager: PagerDuty, tmp_path: Path) -> Iterator[PrometheusServer]:
    """Prometheus with the committed rules, telling Alertmanager, which rings the pager."""
    alertmanager = AlertmanagerServer(
        tmp_path / "alertmanager", pagerduty_url=pager.url, webhook_url=pager.webhook_url
    )
    folder = tmp_path / "prometheus"
    folder.mkdir()
    server = PrometheusServer(
        folder,
        worker.server.port,
        rules=quick_rules(folder),
        alertmanager_port=alertmanager.port,
    )
    yield server
    server.close()
    alertmanager.close()


def test_every_query_of_every_panel_gives_a_number(
    worker: Worker, prometheus: PrometheusServer
) -> None:
    worker.metrics.alerts.labels("wash_rings", "high").inc()
    prometheus.wait_for("count_over_time(ringfence_ready[1m])", lambda found: found >= [8.0])
    empty = [where for where, query in queries() if not prometheus.numbers(query)]
    assert empty == []


def test_what_the_panels_show_is_what_the_worker_did(
    worker: Worker, prometheus: PrometheusServer
) -> None:
    prometheus.wait_for("count_over_time(ringfence_ready[1m])", lambda found: found >= [12.0])
    shown = {where: prometheus.numbers(query) for where, query in queries()}
    assert shown["Ready/A"] == [1.0]
    assert shown["Lag/A"] == [9.0]
    assert shown["AFMM share of volume/A"] == [0.25]
    assert shown["Unaccounted records/A"] == [0.0]
    # 30 ms and a little: the bucket from 25 to 50 ms.
    assert 0.025 <= shown["End-to-end latency/C"][0] <= 0.25
    assert shown["Detector cost/A"] == pytest.approx([1e-8, 1e-8])
    # A thread that wakes every 50 ms under load: at most 20 turns of 100 records a second.
    assert 0 < shown["Throughput/B"][0] <= 2100
    assert abs(time.time() * 1000 - shown["Newest event/A"][0]) < 10_000


def test_a_panel_with_nothing_behind_it_stays_empty(
    worker: Worker, prometheus: PrometheusServer
) -> None:
    prometheus.wait_for("ringfence_ready")
    shown = dict(queries())
    assert prometheus.numbers(shown["Alerts by detector and severity/A"]) == []
    other = dict(queries(instance="no-such-worker"))
    assert [where for where, query in other.items() if prometheus.query(query)] == []


def test_a_breach_travels_from_the_service_to_the_pager_and_names_no_one(
    worker: Worker, watched: PrometheusServer, pager: PagerDuty
) -> None:
    watched.wait_for("ringfence_breach_alerts_total", lambda found: len(found) == 8)
    worker.metrics.breach_alerts.labels("client_priority", "high").inc()
    event = pager.wait_for_event(lambda e: e["payload"]["class"] == "RingfenceBreachAlert")
    assert event["routing_key"] == ROUTING_KEY
    assert event["event_action"] == "trigger"
    payload = event["payload"]
    assert payload["severity"] == "critical"
    assert payload["source"] == "ringfence"
    assert payload["component"] == "worker-1"
    expected = "Breach alert of high or critical severity from client_priority"
    assert payload["summary"] == expected
    details = payload["custom_details"]
    assert details["firing"].startswith(f"{expected} (worker-1 detector client_priority, since ")
    assert "case list" in details["runbook"]
    assert "<no value>" not in str(event)
    assert set(details) == {"firing", "resolved", "num_firing", "num_resolved", "runbook"}
    assert pager.refused == []


def test_each_detectors_breach_is_a_page_of_its_own(
    worker: Worker, watched: PrometheusServer, pager: PagerDuty
) -> None:
    for name in DETECTORS:
        worker.metrics.breach_alerts.labels(name, "critical").inc()
    keys = {
        pager.wait_for_event(lambda e, name=name: name in e["payload"]["summary"])["dedup_key"]
        for name in DETECTORS
    }
    assert len(keys) == 2


def test_a_breach_raised_before_the_first_scrape_still_rings(
    pager: PagerDuty, worker: Worker, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    worker.metrics.breach_alerts.labels("client_priority", "critical").inc(3)
    request.getfixturevalue("watched")
    pager.wait_for_event(lambda e: e["payload"]["class"] == "RingfenceBreachAlert")


def test_a_warning_is_written_and_rings_nobody(
    worker: Worker, watched: PrometheusServer, pager: PagerDuty
) -> None:
    worker.fall_silent()
    worker.metrics.gaps_open.set(1)
    post = pager.wait_for_post(
        lambda body: body["commonLabels"].get("alertname") == "RingfenceGapOpen"
    )
    assert post["status"] == "firing"
    assert post["version"] == "4"
    rung = [e["payload"]["class"] for e in pager.events if "payload" in e]
    assert "RingfenceGapOpen" not in rung


def test_a_worker_that_hangs_rings_and_the_page_is_closed_when_it_is_well(
    worker: Worker, watched: PrometheusServer, pager: PagerDuty
) -> None:
    worker.health = msgspec.structs.replace(WELL, heartbeat_age_s=1e6)
    rung = pager.wait_for_event(
        lambda e: e["event_action"] == "trigger" and e["payload"]["class"] == "RingfenceNotReady"
    )
    worker.health = WELL
    over = pager.wait_for_event(
        lambda e: e["event_action"] == "resolve" and e["dedup_key"] == rung["dedup_key"]
    )
    assert over["event_action"] == "resolve"


def test_a_worker_that_is_well_rings_nobody(
    worker: Worker, watched: PrometheusServer, pager: PagerDuty
) -> None:
    watched.wait_for("count_over_time(ringfence_ready[1m])", lambda found: found >= [16.0])
    assert watched.firing() == set()
    assert pager.events == []


def test_rules_give_no_template_errors_when_they_fire(
    worker: Worker, watched: PrometheusServer
) -> None:
    worker.fall_silent()
    metrics = worker.metrics
    metrics.set_quarantined("wash_rings")
    metrics.unaccounted.set(3)
    metrics.incomplete.set(2)
    metrics.lag.labels("orders").set(1e9)
    watched.wait_for("ringfence_lag_records > 1e8")
    for name in CLOCK_FAULTS:
        metrics.clock_faults.labels(name).inc()
    metrics.book_conflicts.labels(CONFLICTS[0]).inc(1e6)
    metrics.rejects.labels(REJECT_REASONS[0]).inc(1e6)
    metrics.registry_reloads.labels("failed").inc()
    metrics.unknown_accounts.inc(100)
    expected = {
        *("RingfenceDetectorQuarantined", "RingfenceRecordsUnaccounted", "RingfenceGapOpen"),
        *("RingfenceGapUnrepaired", "RingfenceLagHigh", "RingfenceClockFaults"),
        *("RingfenceBookConflicts", "RingfenceRegistryRefused", "RingfenceUnknownAccounts"),
    }
    deadline = time.monotonic() + 20
    while not expected <= watched.firing() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert expected <= watched.firing()
    for alert in watched.get("/api/v1/alerts")["data"]["alerts"]:
        text = " ".join(alert["annotations"].values())
        assert not re.search(r"error expanding|<no value>|NaN", text), text


def test_every_panel_is_asked(worker: Worker) -> None:
    assert {where.rsplit("/", 1)[0] for where, _ in queries()} == {p["title"] for p in panels()}
