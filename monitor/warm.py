"""Fill the compiled-kernel caches, so that no user waits for a compiler: `python -m monitor.warm`.

A few records of every kind, made up here, go once through decoder, book and detectors.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from monitor.config import default_config
from monitor.replay import replay

ACCOUNTS: Final = """\
account,owner,legal_entity,role,valid_from,valid_to
C1,C1,,client,2020-01-01T00:00:00Z,
MM,Group,,affiliated_mm,2020-01-01T00:00:00Z,
"""
INSTRUMENTS: Final = """\
instrument,base,quote,kind,tick_size,lot_size
A-B,A,B,spot,1,1
"""
START_NS: Final = 1_700_000_000_000_000_000


def _order(seq: int, account: str, side: str) -> str:
    at = START_NS + seq * 1_000_000
    return (
        f'{{"v":1,"instrument":"A-B","seq":{seq},"action":"new","order_id":"o{seq}",'
        f'"account":"{account}","side":"{side}","type":"limit","tif":"GTC","price":"10",'
        f'"quantity":"1","leaves":"1","received_ns":{at - 1000},"engine_ns":{at}}}\n'
    )


def _trade(seq: int, buy: int, sell: int, buyer: str, seller: str) -> str:
    at = START_NS + seq * 1_000_000
    return (
        f'{{"v":1,"instrument":"A-B","seq":{seq},"trade_id":"t{seq}","price":"10","quantity":"1",'
        f'"aggressor":"sell","buy_order_id":"o{buy}","sell_order_id":"o{sell}",'
        f'"buy_account":"{buyer}","sell_account":"{seller}","engine_ns":{at}}}\n'
    )


def write_tiny_tape(folder: Path, rounds: int) -> None:
    """Write a tape in which two accounts buy and sell in turn: 3 records a round."""
    orders, trades = [], []
    for seq in range(1, 3 * rounds, 3):
        buyer, seller = ("C1", "MM") if seq % 2 else ("MM", "C1")
        orders += [_order(seq, buyer, "buy"), _order(seq + 1, seller, "sell")]
        trades.append(_trade(seq + 2, seq, seq + 1, buyer, seller))
    (folder / "orders.ndjson").write_text("".join(orders))
    (folder / "trades.ndjson").write_text("".join(trades))
    (folder / "accounts.csv").write_text(ACCOUNTS)
    (folder / "instruments.csv").write_text(INSTRUMENTS)


def main() -> None:
    """Compile every kernel that is not compiled yet, and say how long it took."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ringfence-") as scratch:
        tape = Path(scratch) / "tape"
        tape.mkdir()
        write_tiny_tape(tape, 1000)
        replay(tape, Path(scratch) / "out", default_config(Path(scratch)))
    sys.stderr.write(f"kernels are ready ({time.perf_counter() - begun:.1f} s)\n")


if __name__ == "__main__":
    main()
