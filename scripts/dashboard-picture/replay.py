"""Replay a simulated tape through the real service; write what Prometheus answers to each panel.

`python scripts/dashboard-picture/replay.py OUT` publishes a few minutes of a simulated tape, moved
to the present and at its own pace, to a real Kafka broker; `ringfence run` reads it; a real
Prometheus scrapes that each second. OUT then holds, as JSON, what every query of the committed
dashboard gives over that time. Nothing in it is edited.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from monitor.publish import publish_tape  # noqa: E402
from tests.support.broker import KafkaBroker  # noqa: E402
from tests.support.command import warm  # noqa: E402
from tests.support.dashboard import panels, queries  # noqa: E402
from tests.support.live import moved_to_now  # noqa: E402
from tests.support.prometheus import PrometheusServer  # noqa: E402
from tests.support.venue import ABUSES, random_tape  # noqa: E402
from tests.support.worker import Worker, unused_settings  # noqa: E402

SEED = 21
RECORDS = 30_000
"""About four minutes at the pace of the simulated market."""
GAPS = 2
"""Times that records are lost, so that the panels of the feed show something; the caption tells."""
STEP_S = 1.0
RATE_INTERVAL = "15s"


def main(out: Path) -> None:
    """Replay, ask, write."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        tape = random_tape(SEED, RECORDS, instruments=3, abuse=ABUSES, gaps=GAPS)
        simulated = tape.write(folder / "tape")
        broker = KafkaBroker(folder / "kafka")
        stack.callback(broker.stop)
        broker.start()
        warm()
        worker = Worker(unused_settings(broker), simulated, folder, checkpoint_s=30.0)
        service = worker.start()
        stack.callback(service.close)
        service.wait(lambda: service.get("/readyz")[0] == 200, "readiness")
        prometheus = PrometheusServer(folder / "prometheus", worker.port, interval="1s")
        stack.callback(prometheus.close)
        prometheus.wait_for("sum(ringfence_events_total)", lambda found: found == [0.0])
        start = time.time()
        print(f"publishing {len(tape.records)} simulated records at their own pace")
        done = publish_tape(moved_to_now(simulated, folder / "live"), worker.settings, speed=1.0)
        end = time.time()
        records = float(done.orders + done.trades)
        prometheus.wait_for("sum(ringfence_processed_total)", lambda found: found == [records])
        expressions = dict(queries(rate_interval=RATE_INTERVAL))
        answers = {
            str(panel["id"]): {
                target["refId"]: prometheus.over(
                    expressions[f"{panel['title']}/{target['refId']}"], start, end, STEP_S
                )
                for target in panel["targets"]
            }
            for panel in panels()
        }
        service.stop()
    caption = (
        f"Simulated market: {records:,.0f} records in {end - start:.0f} s, at their own pace, "
        "through Kafka, the service and Prometheus. Twice some are lost, and that book waits "
        "30 s for them.\n"
        "Drawn from dashboards/grafana/overview.json with Grafana's panel components; "
        "no screenshot of a Grafana server."
    )
    told = {"start": start, "end": end, "step": STEP_S, "caption": caption, "answers": answers}
    out.write_text(json.dumps(told), encoding="utf-8")
    print(caption)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
