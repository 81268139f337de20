"""From a Kafka topic to a panel and a pager: nothing between them is a stand-in.

The real service reads a simulated tape, published at its own pace and with its times moved to the
present, from a real broker; the real Prometheus scrapes it and evaluates the committed rules; the
real Alertmanager rings. Only PagerDuty itself is a local address.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from alerts.record import Alert
from monitor.publish import Published, publish_tape
from tests.support.broker import KafkaBroker
from tests.support.command import warm
from tests.support.dashboard import queries
from tests.support.live import moved_to_now
from tests.support.pagerduty import PagerDuty
from tests.support.prometheus import AlertmanagerServer, PrometheusServer, program, quick_rules
from tests.support.worker import Worker, unused_settings

pytestmark = [pytest.mark.kafka, pytest.mark.prometheus]

SCRAPE = "500ms"
"""Between scrapes, and how long one may take: a quarter of a second was too short for one where
every processor was busy, and what a failed scrape would have shown is not drawn."""
REPLAY_S = 16.0
"""Event time published: some 30 scrapes, and several of each kind of abuse."""
RATE_INTERVAL = "10s"
"""As Grafana takes at least four scrapes, this is twenty: alerts are some seconds apart."""


@dataclass
class Scene:
    """What there is to see once the tape has been published and everything was processed."""

    prometheus: PrometheusServer
    pager: PagerDuty
    published: Published
    alerts: list[Alert]
    tape: Path
    ended: float
    """When publishing had ended, seconds since 1970."""
    settled: float
    """When everything that came of it had been scraped."""


@pytest.fixture(scope="module")
def scene(
    broker: KafkaBroker, tape: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    program("prometheus")
    program("prometheus-alertmanager", "alertmanager")
    warm()
    folder = tmp_path_factory.mktemp("end-to-end")
    worker = Worker(unused_settings(broker), tape, folder)
    with ExitStack() as stack:
        service = worker.start()
        stack.callback(service.close)
        pager = PagerDuty()
        stack.callback(pager.close)
        alertmanager = AlertmanagerServer(
            folder / "alertmanager", pagerduty_url=pager.url, webhook_url=pager.webhook_url
        )
        stack.callback(alertmanager.close)
        service.wait(lambda: service.get("/readyz")[0] == 200, "readiness", 30.0)
        prometheus = PrometheusServer(
            folder / "prometheus",
            worker.port,
            rules=quick_rules(folder),
            alertmanager_port=alertmanager.port,
            interval=SCRAPE,
        )
        stack.callback(prometheus.close)
        prometheus.wait_for("sum(ringfence_events_total)", lambda found: found == [0.0])
        live = moved_to_now(tape, folder / "live", seconds=REPLAY_S)
        published = publish_tape(live, worker.settings, speed=1.0)
        ended = time.time()
        records = float(published.orders + published.trades)
        prometheus.wait_for("sum(ringfence_processed_total)", lambda found: found == [records])
        time.sleep(1.0)  # what the last pass led to is scraped too
        settled = time.time()
        service.stop()
        yield Scene(prometheus, pager, published, worker.stored(), live, ended, settled)


def shown(scene: Scene, start: float, end: float) -> dict[str, list[list[float]]]:
    """Return by query what a panel draws from start to end: the numbers of each series."""
    return {
        where: [
            [float(value) for _, value in series["values"]]
            for series in scene.prometheus.over(expression, start, end)
        ]
        for where, expression in queries(rate_interval=RATE_INTERVAL)
    }


def test_every_panel_draws_numbers_at_every_moment_of_the_replay(scene: Scene) -> None:
    # The first seconds are left out: a rate needs its interval, a first alert has to happen.
    drawn = shown(scene, scene.ended - 5, scene.ended)
    assert len(drawn) > 40
    empty = [where for where, series in drawn.items() if not series]
    assert empty == []
    # Six moments, each with a number: a NaN is no equal of itself.
    broken = {
        where: series
        for where, series in drawn.items()
        if any(len(values) != 6 or any(v - v != 0 for v in values) for values in series)
    }
    assert broken == {}


def test_the_panels_end_at_what_was_published_and_what_the_store_has(scene: Scene) -> None:
    end = {
        where: sum(values[-1] for values in series)
        for where, series in shown(scene, scene.settled, scene.settled).items()
    }
    total = scene.published.orders + scene.published.trades
    asked = scene.prometheus.over("sum(ringfence_events_total)", scene.settled, scene.settled)
    assert float(asked[0]["values"][0][1]) == total
    assert end["Ready/A"] == 1
    assert end["Lag/A"] == end["Unaccounted records/A"] == end["Quarantined detectors/A"] == 0
    assert end["Alerts by detector and severity/A"] == len(scene.alerts) > 5
    assert end["Alerts opened over time/A"] == len(scene.alerts)
    breaches = [alert for alert in scene.alerts if alert.evidence_class == "breach"]
    grave = sum(alert.severity in {"high", "critical"} for alert in breaches)
    assert end["Breach alerts, high or critical/A"] == grave > 0
    assert abs(end["Newest event/A"] / 1000 - scene.ended) < 5


def test_latency_is_measured_from_the_engine_not_from_the_age_of_a_tape(scene: Scene) -> None:
    drawn = shown(scene, scene.ended - 5, scene.ended)
    [p50], [p95], [p99] = (drawn[f"End-to-end latency/{letter}"] for letter in "ABC")
    assert min(p50) > 0
    assert all(a <= b <= c for a, b, c in zip(p50, p95, p99, strict=True))
    # RTS 6 wants real-time alerts within 5 s; the publisher's own start is in it.
    assert max(p99) < 5


def names_in(tape: Path) -> set[str]:
    """Return every account, owner, order and trade that the tape names."""
    lines = (tape / "accounts.csv").read_text(encoding="utf-8").splitlines()[1:]
    found = {name for line in lines for name in line.split(",")[:3]}
    for file in ("orders.ndjson", "trades.ndjson"):
        for line in (tape / file).read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            found |= {
                str(value)
                for key, value in record.items()
                if value and (key.endswith(("account", "_id", "session")) or key == "originator")
            }
    return found


def test_each_detectors_breach_reaches_the_pager_and_no_page_names_anyone(scene: Scene) -> None:
    breaching = {
        alert.detector
        for alert in scene.alerts
        if alert.evidence_class == "breach" and alert.severity in {"high", "critical"}
    }
    assert breaching
    for detector in breaching:
        summary = f"Breach alert of high or critical severity from {detector}"
        event = scene.pager.wait_for_event(
            lambda e, summary=summary: e["payload"]["summary"] == summary
        )
        assert event["event_action"] == "trigger"
        assert event["payload"]["class"] == "RingfenceBreachAlert"
        assert event["payload"]["component"] == "worker-1"
    assert scene.pager.refused == []
    text = json.dumps([*scene.pager.events, *scene.pager.posts])
    named = names_in(scene.tape)
    assert {"MM1", "C1", "O-MM1", "SIM0-USD-36"} <= named
    assert named & set(re.findall(r"[\w-]+", text)) == set()
    assert [alert.alert_id for alert in scene.alerts if alert.alert_id in text] == []
