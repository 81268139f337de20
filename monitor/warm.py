"""Fill the compiled-kernel caches, so that no user waits for a compiler: `python -m monitor.warm`.

Records made up here go once through decoder, book and detectors, and through a stop and a restart:
enough accounts, orders and hours that every table grows, every window closes and every kernel runs.
Compiling is nearly all of the time and knows no threads, so each core first compiles the kernels of
its share of the detectors, in a process of its own; the pass that follows finds what they wrote.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from detectors.access_rules import disclosed
from detectors.access_state import TOLD_FIELDS
from detectors.across_kernel import EXECUTION_FIELDS, rates
from detectors.across_trades import TRADE_FIELDS, last_of
from detectors.presence import Presence
from detectors.spoofing_rate import TALLIES, own_of
from detectors.strata import tails
from ingest.names import Names
from ingest.register import read_register
from ingest.tape import Tape, TapeSource
from monitor.assembly import build_pipeline
from monitor.config import Config, default_config
from monitor.pipeline import Pipeline
from monitor.replay import replay

ACCOUNTS: Final = """\
account,owner,legal_entity,role,valid_from,valid_to
C1,C1,,client,2020-01-01T00:00:00Z,
C2,C2,,client,2020-01-01T00:00:00Z,
MM,Group,,affiliated_mm,2020-01-01T00:00:00Z,
"""
INSTRUMENTS: Final = """\
instrument,base,quote,kind,tick_size,lot_size
A-B,A,B,spot,1,1
"""
OBLIGATIONS: Final = """\
account,instrument,max_spread_bps,min_quantity,min_presence_ratio,window_s,valid_from,valid_to
MM,A-B,20,1,0.8,60,,
"""
START_NS: Final = 1_700_000_000_000_000_000
STEP_NS: Final = 3_000_000_000
"""So long between records that the tape covers the windows of detectors, an hour and more."""
CLIENTS: Final = 1_100
"""More than a detector's tables hold at first."""
RESTING: Final = 1_100
"""Orders: more than the book holds at first."""
MAX_PROCESSES: Final = 4
"""Each needs about half a gigabyte, and compiles what all detectors share for itself."""


class _Writer:
    """Orders and trades of one instrument, in matching order."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.trades: list[str] = []
        self._seq = 0

    def order(self, account: str, side: str, price: int = 10) -> int:
        at = self._next()
        self.orders.append(
            f'{{"v":1,"instrument":"A-B","seq":{self._seq},"action":"new",'
            f'"order_id":"o{self._seq}","account":"{account}","side":"{side}","type":"limit",'
            f'"tif":"GTC","price":"{price}","quantity":"1","leaves":"1",'
            f'"received_ns":{at - 1000},"engine_ns":{at}}}\n'
        )
        return self._seq

    def trade(self, buy: int, sell: int, buyer: str, seller: str) -> None:
        at = self._next()
        self.trades.append(
            f'{{"v":1,"instrument":"A-B","seq":{self._seq},"trade_id":"t{self._seq}",'
            f'"price":"10","quantity":"1","aggressor":"sell","buy_order_id":"o{buy}",'
            f'"sell_order_id":"o{sell}","buy_account":"{buyer}","sell_account":"{seller}",'
            f'"engine_ns":{at}}}\n'
        )

    def match(self, buyer: str, seller: str) -> None:
        self.trade(self.order(buyer, "buy"), self.order(seller, "sell"), buyer, seller)

    def _next(self) -> int:
        self._seq += 1
        return START_NS + self._seq * STEP_NS


def write_tape(folder: Path) -> None:
    """Write a tape on which every kernel runs: about 5,000 records, no venue's."""
    writer = _Writer()
    for _ in range(100):  # a ring, and one that owns both sides
        writer.match("C1", "C2")
        writer.match("C2", "C1")
    writer.match("C1", "C1")
    for n in range(CLIENTS):
        writer.match(f"K{n}", "MM")
    for n in range(RESTING):
        writer.order(f"K{n}", "buy", 1 + n % 5)
    writer.order("C1", "buy")  # passed over: the group's order behind it is filled
    buy = writer.order("MM", "buy")
    writer.trade(buy, writer.order("C2", "sell"), "MM", "C2")
    writer.order("C2", "buy", 1)
    (folder / "orders.ndjson").write_text("".join(writer.orders))
    (folder / "trades.ndjson").write_text("".join(writer.trades))
    (folder / "accounts.csv").write_text(ACCOUNTS)
    (folder / "instruments.csv").write_text(INSTRUMENTS)
    (folder / "obligations.csv").write_text(OBLIGATIONS)


def restart(tape: Path, scratch: Path) -> None:
    """Run a tape in small batches, with a stop and a restart after the first ones."""
    names = Names()
    source = TapeSource(tape, names, batch_rows=300)
    register = read_register(Tape(tape).accounts_path, names)

    def pipeline(place: str) -> Pipeline:
        return build_pipeline(
            default_config(scratch),
            instruments=source.instruments,
            names=names,
            topic_names=source.topic_names,
            archive_dir=scratch / place,
            store=None,
        )

    running, batches = pipeline("before"), 0
    while (arrivals := source.poll(0.0)) is not None:
        running.take(arrivals, register)
        batches += 1
        if batches == 5:
            sections = running.snapshot()
            running = pipeline("after")
            running.restore(sections)


def share_of(config: Config, part: int, parts: int) -> Config:
    """Return a configuration in which only each `parts`-th detector is at work, from `part` on."""
    names = sorted(config.detectors)[part::parts]
    return msgspec.structs.replace(config, detectors={n: config.detectors[n] for n in names})


def compile_share(tape: Path, scratch: Path, part: int, parts: int) -> None:
    """Compile the kernels of a share of the detectors."""
    replay(tape, scratch / f"out-{part}", share_of(default_config(scratch), part, parts))


def compile_all(tape: Path, scratch: Path) -> None:
    """Run every kernel in this process, so that those not compiled yet are."""
    replay(tape, scratch / "out", default_config(scratch))
    restart(tape, scratch)
    one = np.ones(1, np.int64)
    tails(one, one, one, 0)  # only what is suspicious is tested, and nothing on that tape is
    own_of(np.ones((1, TALLIES), np.int64), 1.0, 0)  # likewise
    rates(np.ones((1, EXECUTION_FIELDS), np.int64), np.ones((1, 2)), 1, 0, 0, 0, 0.0, 1)  # likewise
    last_of(np.ones((1, TRADE_FIELDS), np.int64))  # likewise
    Presence.warm()  # what new terms end: the register of that tape stays as it is
    disclosed(np.zeros((1, TOLD_FIELDS)), 0, 0, 0, 0)  # likewise


def main() -> None:
    """Compile every kernel that is not compiled yet, and say how long it took."""
    begun = time.perf_counter()
    parts = min(os.cpu_count() or 1, MAX_PROCESSES)
    with tempfile.TemporaryDirectory(prefix="ringfence-") as folder:
        scratch = Path(folder)
        tape = scratch / "tape"
        tape.mkdir()
        write_tape(tape)
        command = [sys.executable, "-m", "monitor.warm", str(tape), folder]
        others = [
            subprocess.Popen([*command, str(n), str(parts)])  # noqa: S603 - this program
            for n in range(1, parts)
        ]
        compile_share(tape, scratch, 0, parts)
        if any(other.wait() for other in others):
            sys.stderr.write("a process that compiles failed; its kernels are compiled now\n")
        compile_all(tape, scratch)
    sys.stderr.write(f"kernels are ready ({time.perf_counter() - begun:.1f} s)\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        compile_share(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
