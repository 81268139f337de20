"""What every detector is put through: a tape on which all fire, and ways to cut and compare it.

The tape is simulated. On it an episode is open at nearly every cut, watches on passed-over clients
run into their horizon, a gap is open for a while, a trade of an alert is busted, time jumps past
episode ends and a day's end, and a ring trades in an instrument of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np

from detectors.base import Detector, Finding
from detectors.book import Books
from detectors.catalogue import DETECTORS
from ingest.events import Batch
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.signs import Sign, passed
from ingest.terms import Party
from tests.support.acts import stages
from tests.support.vectors import to_batch
from tests.support.venue import ABUSES, Tape, random_tape

SECOND = 10**9
DAY = 86_400 * SECOND
RING = ("R1", "R2", "R3")


@cache
def conformance_tape(events: int = 1_500, *, acts: bool = False) -> Tape:
    """Return the tape on which every detector fires: of the first seed that draws what it needs.

    With `acts` those detectors fire too that need conduct of their own (`tests.support.acts`).
    """
    if acts:
        return _with_acts(conformance_tape(events))
    for seed in range(1_000):
        tape = random_tape(seed, events, instruments=2, accounts=8, abuse=ABUSES, gaps=1)
        drawn = {entry["scenario"] for entry in tape.injected}
        halted = any(record.get("action") == "status" for record in tape.records)
        if drawn == set(ABUSES) and halted and len(_late_wash(tape)) == 1:
            return _with_ring(_with_silences(_with_a_bust(tape)))
    raise AssertionError("no seed draws every abuse")


def _late_wash(tape: Tape) -> list[dict[str, Any]]:
    """Return the only trade of the last pair of one owner, when it is late enough to be busted."""
    pairs = [i for i in tape.injected if i["scenario"] == "wash_common_owner"]
    return [
        record
        for record in tape.records[4 * len(tape.records) // 5 :]
        if pairs
        and record["instrument"] == pairs[-1]["instrument"]
        and {record.get("buy_account"), record.get("sell_account")} == set(pairs[-1]["accounts"])
    ]


def _with_a_bust(tape: Tape) -> Tape:
    """Bust that trade at the end of its instrument's records."""
    (busted,) = _late_wash(tape)
    name = busted["instrument"]
    bust = {
        **busted,
        "seq": max(r["seq"] for r in tape.records if r["instrument"] == name) + 1,
        "trade_id": "bust-1",
        "busts": busted["trade_id"],
        "engine_ns": tape.records[-1]["engine_ns"] + 1,
    }
    return Tape([*tape.records, bust], tape.accounts, tape.instruments, tape.injected)


def _with_silences(tape: Tape) -> Tape:
    """Let time jump: past the horizon of harm, past every episode's gap, into the next day."""
    at = [len(tape.records) * k // 6 for k in (1, 2, 3, 4, 5)]
    jumps = dict(zip(at, (310, 700, 4_000, DAY // SECOND, 1_000), strict=True))
    records, ahead = [], 0
    for place, record in enumerate(tape.records):
        ahead += jumps.get(place, 0) * SECOND
        moved = {
            field: record[field] + ahead
            for field in ("engine_ns", "received_ns", "priority_ns")
            if record.get(field) is not None
        }
        records.append({**record, **moved})
    return Tape(records, tape.accounts, tape.instruments, tape.injected)


def _with_ring(tape: Tape) -> Tape:
    """Mix in an instrument in which three accounts hand the same quantity round and round."""
    row = {**tape.instruments[0], "instrument": "RING-USD", "base": "RING"}
    rows = [
        {**dict.fromkeys(tape.accounts[0], ""), "account": name, "owner": f"O-{name}"}
        | {"legal_entity": name, "role": "client", "valid_from": "2020-01-01T00:00:00Z"}
        for name in (*RING, "R4", "R5")
    ]
    rng = random.Random(3)
    records: list[dict[str, Any]] = []
    seq = 0
    for place, record in enumerate(tape.records):
        records.append(record)
        if place % 9 == 0 and place < len(tape.records) // 2:
            turn = seq % len(RING)
            pair = (RING[turn], RING[(turn + 1) % len(RING)])
        elif place % 31 == 0:
            pair = ("R4", "R5") if rng.random() < 0.7 else ("R5", "R4")
        else:
            continue
        seq += 1
        tick = 2 if seq % 2 else 3
        records.append(
            {
                "v": 1,
                "instrument": "RING-USD",
                "seq": seq,
                "trade_id": f"ring-{seq}",
                "price": str(tick),
                "quantity": row["lot_size"],
                "aggressor": "buy",
                "sell_account": pair[0],
                "buy_account": pair[1],
                "engine_ns": record["engine_ns"],
            }
        )
    return Tape(records, tape.accounts + rows, [*tape.instruments, row], tape.injected)


def _with_acts(tape: Tape) -> Tape:
    """Mix in the acts, each an instrument of its own, in the order of time."""
    played = stages(tape.records[0]["engine_ns"])
    records = [*tape.records, *(record for stage in played for record in stage.venue.records)]
    rows = [row for stage in played for row in stage.accounts(tape.accounts[0])]
    return Tape(
        sorted(records, key=lambda record: record["engine_ns"]),
        tape.accounts + rows,
        [*tape.instruments, *(row for stage in played for row in stage.rows)],
        tape.injected,
        [row for stage in played for row in stage.obligations],
    )


def tape_batch(tape: Tape, names: Names | None = None) -> tuple[Batch, Names]:
    """Return a tape as one batch in arrival order, and the names behind its codes."""
    names = Names() if names is None else names
    batch = to_batch(tape.records, tape.table, tape.accounts, names)
    batch.terms = tape.terms
    batch.parties = {row.account: Party(names.code(row.account)) for row in tape.obligations}
    return batch, names


def cut(batch: Batch, sizes: Iterable[int], *, backwards: bool = False) -> Iterator[Batch]:
    """Yield rows in arrival order in cuts of the given sizes, the last one repeated.

    Each is grouped by instrument, `backwards` in the opposite order of codes, and carries the
    watermark that its last row allows.
    """
    start, size = 0, 1
    rest = iter(sizes)
    while start < len(batch):
        size = next(rest, size)
        rows = np.arange(start, min(start + size, len(batch)))
        codes = batch["instrument"][rows]
        part = batch.take(rows[np.argsort(-codes if backwards else codes, kind="stable")])
        part.watermark_ns = int(batch["clock_ns"][rows[-1]]) - 1
        yield part
        start += size


class Heard:
    """The detectors whose signs others take; as in the service these come once time has passed."""

    def __init__(self, names: Iterable[str], instruments: Instruments) -> None:
        self._kinds = [DETECTORS[name] for name in names]
        self._instruments = instruments
        self._detectors = [kind(kind.Params(), instruments) for kind in self._kinds]
        self._waiting: list[Sign] = []

    def step(self, enriched: Batch) -> Sequence[Sign]:
        """Take the next batch; return the signs that lie before its watermark, in order."""
        for each in self._detectors:
            each.step(enriched)
            self._waiting.extend(each.signs())
        ready, self._waiting = passed(self._waiting, enriched.watermark_ns)
        return ready

    def restart(self) -> None:
        """Make the detectors anew from their snapshots."""
        told = [each.snapshot() for each in self._detectors]
        self._detectors = [kind(kind.Params(), self._instruments) for kind in self._kinds]
        for each, state in zip(self._detectors, told, strict=True):
            each.restore(state)


def run(
    kind: type[Detector],
    batches: Iterable[Batch],
    instruments: Instruments,
    *,
    restart: bool = False,
    watch: Callable[[Detector], None] | None = None,
) -> list[Finding]:
    """Return what a detector finds, with the book before it.

    Those whose signs it hears run before it. With `restart` book and detectors are made anew from
    their snapshots after every batch.
    """
    books, detector = Books(instruments), kind(kind.Params(), instruments)
    heard = Heard(kind.hears, instruments)
    found: list[Finding] = []
    for batch in batches:
        enriched = books.apply(batch)
        enriched.signs = heard.step(enriched)
        found.extend(detector.step(enriched))
        if restart:
            kept, told = books.snapshot(), detector.snapshot()
            books, detector = Books(instruments), kind(kind.Params(), instruments)
            books.restore(kept)
            detector.restore(told)
            heard.restart()
        if watch is not None:
            watch(detector)
    return found


def canonical(
    found: Sequence[Finding], instruments: Instruments, names: Names, *, shift_ns: int = 0
) -> list[Mapping[str, Any]]:
    """Return findings with names in place of codes, in an order that owes nothing to codes."""

    def told(finding: Finding) -> Mapping[str, Any]:
        fields = msgspec.to_builtins(finding)
        fields["instrument"] = instruments[finding.instrument].instrument
        for field in ("accounts", "first_accounts"):
            fields[field] = [names.name(code) for code in fields[field]]
        for refs in ("evidence_refs", "context_refs"):
            fields[refs] = [
                (instruments[ref.instrument].instrument, ref.seq) for ref in getattr(finding, refs)
            ]
        for field in ("window_start_ns", "window_end_ns", "detected_ns"):
            fields[field] -= shift_ns
        return fields

    return sorted(
        (told(finding) for finding in found),
        key=lambda f: (
            f["detected_ns"],
            f["instrument"],
            f["first_seq"],
            f["scenario"],
            f["first_accounts"],
            f["revision"],
        ),
    )


def revisions_in_order(found: Sequence[Finding]) -> bool:
    """Return whether each episode's revisions came out rising."""
    last: dict[tuple[Any, ...], int] = {}
    for f in found:
        key = (f.instrument, f.scenario, f.first_seq, f.first_accounts, f.evidence_class)
        if f.revision <= last.get(key, 0):
            return False
        last[key] = f.revision
    return True
