"""Recovery of a million-order state: a worker is killed, started again, and timed until it serves.

Run with `python -m benchmarks.recovery` (`make recovery`): a real broker, SQLite with a folder of
snapshots, then PostgreSQL with snapshots in the store. About five minutes and 2 GB of disk.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from ingest.kafka_settings import KafkaSettings
from tests.support.broker import KafkaBroker, free_ports
from tests.support.command import RunningService, ringfence, warm
from tests.support.postgres import fresh_database, postgres_server
from tests.support.worker import make_topics, unused_settings

ORDERS: Final = int(os.environ.get("RINGFENCE_RECOVERY_ORDERS", "1000000"))
MORE: Final = ORDERS // 20
"""Records behind the last snapshot when the worker is killed."""
INSTRUMENTS: Final = 10
PARTITIONS: Final = 2
START_NS: Final = 1_763_900_000 * 10**9


def main() -> None:
    """Measure both kinds of storage and print a table."""
    warm()
    with tempfile.TemporaryDirectory(prefix="ringfence-") as scratch:
        folder = Path(scratch)
        tapes = _tapes(folder)
        broker = KafkaBroker(folder / "kafka")
        broker.start()
        try:
            rows = [
                _measured(broker, folder / "folder", tapes, "folder, SQLite", None),
                *_with_postgres(broker, folder / "store", tapes),
            ]
        finally:
            broker.stop()
    sys.stdout.write(
        f"{ORDERS:,} live orders on {INSTRUMENTS} instruments and {PARTITIONS} partitions, "
        f"{MORE:,} records behind the last snapshot, killed with SIGKILL\n"
    )
    heads = ("snapshots in", "size", "written in", "restored in", "serving after")
    sys.stdout.write("".join(f"{head:>18}" for head in heads) + "\n")
    for row in rows:
        sys.stdout.write("".join(f"{cell:>18}" for cell in row) + "\n")


def _with_postgres(broker: KafkaBroker, folder: Path, tapes: list[Path]) -> Iterator[list[str]]:
    with postgres_server() as server, fresh_database(server) as url:
        yield _measured(broker, folder, tapes, "store, PostgreSQL", url)


def _measured(
    broker: KafkaBroker, folder: Path, tapes: list[Path], kind: str, url: URL | None
) -> list[str]:
    settings = unused_settings(broker)
    make_topics(settings, PARTITIONS)
    folder.mkdir()
    port = free_ports(1)[0]
    config = folder / "ringfence.toml"
    config.write_text(_config(settings, tapes[0], port, url))
    with ExitStack() as stack:
        if url is not None:
            stack.enter_context(_environment("RINGFENCE_STORE_PASSWORD", url.password or ""))
        for number, tape in enumerate(tapes):
            done = ringfence("publish", tape, "-c", config, timeout=900)
            if done.returncode:
                raise RuntimeError(done.stderr)
            if number == 0:
                service = RunningService(config, port)
                stack.callback(service.close)
                _processed(service, ORDERS)
                service.process.terminate()  # ends with a snapshot of everything
                if service.process.wait(timeout=300):
                    raise RuntimeError("the worker did not stop as it should")
        service = RunningService(config, port)
        stack.callback(service.close)
        _processed(service, MORE)
        service.kill()
        begun = time.perf_counter()
        again = RunningService(config, port)
        stack.callback(again.close)
        again.wait(lambda: again.get("/readyz")[0] == 200, "readiness", 600)
        ready_s = time.perf_counter() - begun
        again.process.terminate()
        again.process.wait(timeout=300)
    lines = config.with_suffix(".log").read_text().splitlines()
    log = [json.loads(line) for line in lines if line.startswith("{")]
    claimed = [line["seconds"] for line in log if line.get("event") == "shard claimed"]
    kept = [line for line in log if line.get("event") == "snapshot kept"]
    restored = sum(claimed[-(PARTITIONS + 1) :])
    size = sum(line["bytes"] for line in kept[-PARTITIONS:]) / 1e6
    written = sum(line["seconds"] for line in kept[-PARTITIONS:])
    return [kind, f"{size:.0f} MB", f"{written:.2f} s", f"{restored:.2f} s", f"{ready_s:.1f} s"]


def _processed(service: RunningService, records: int) -> None:
    service.wait(
        lambda: service.metric("ringfence_processed_total") >= records, f"{records} records", 900
    )


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def _config(settings: KafkaSettings, tape: Path, port: int, url: URL | None) -> str:
    store = ""
    if url is not None:
        place = f"{url.username}@{url.host}:{url.port}/{url.database}"
        store = f'store_url = "postgresql+pg8000://{place}"'
    return f"""
        [registry]
        accounts = "{tape}/accounts.csv"
        instruments = "{tape}/instruments.csv"
        [kafka]
        bootstrap = "{settings.bootstrap}"
        group = "{settings.group}"
        member = "worker-1"
        orders = "{settings.orders}"
        trades = "{settings.trades}"
        alerts = "{settings.alerts}"
        dead_letter = "{settings.dead_letter}"
        summaries = "{settings.summaries}"
        [alerts]
        {store}
        [checkpoint]
        storage = "{"folder" if url is None else "store"}"
        every_s = 100000
        [service]
        port = {port}
        log_level = "debug"
    """


def _tapes(folder: Path) -> list[Path]:
    """Write resting orders, nothing that trades: first all of them, then what comes behind."""
    rng = random.Random(1)
    seqs = dict.fromkeys((f"R{n}-USD" for n in range(INSTRUMENTS)), 0)
    return [_tape(folder / name, count, rng, seqs) for name, count in (("a", ORDERS), ("b", MORE))]


def _tape(folder: Path, count: int, rng: random.Random, seqs: dict[str, int]) -> Path:
    folder.mkdir()
    names = list(seqs)
    with (folder / "orders.ndjson").open("w") as orders:
        for number in range(count):
            name = names[number % len(names)]
            seqs[name] += 1
            side = rng.choice(("buy", "sell"))
            price = rng.randint(1, 500) if side == "buy" else rng.randint(501, 1_000)
            at_ns = START_NS + seqs[name] * 1_000_000
            record = {
                "v": 1,
                "instrument": name,
                "seq": seqs[name],
                "action": "new",
                "order_id": f"{name}-{seqs[name]}",
                "account": f"C{rng.randint(1, 5_000)}",
                "side": side,
                "type": "limit",
                "tif": "GTC",
                "price": str(price),
                "quantity": "1",
                "leaves": "1",
                "received_ns": at_ns - 50_000,
                "engine_ns": at_ns,
            }
            orders.write(json.dumps(record, separators=(",", ":")) + "\n")
    (folder / "trades.ndjson").write_text("")
    clients = "".join(f"C{n},O{n},C{n} Ltd,client,,\n" for n in range(1, 5_001))
    header = "account,owner,legal_entity,role,valid_from,valid_to\n"
    (folder / "accounts.csv").write_text(header + clients)
    rows = "".join(f"{name},R,USD,spot,1,1\n" for name in names)
    header = "instrument,base,quote,kind,tick_size,lot_size\n"
    (folder / "instruments.csv").write_text(header + rows)
    return folder


if __name__ == "__main__":
    main()
