"""What every detector of the catalogue must hold to, whatever it looks for."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.base import Parameter
from detectors.book import Books
from detectors.catalogue import DETECTORS
from detectors.pages import detector_page
from ingest.errors import SnapshotError
from ingest.events import Kind
from ingest.names import Names
from tests.support.conformance import (
    DAY,
    canonical,
    conformance_tape,
    cut,
    revisions_in_order,
    run,
    tape_batch,
)
from tests.support.venue import Tape

ROOT = Path(__file__).resolve().parents[2]
ALL = 10**9
SLOW = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
every_detector = pytest.mark.parametrize("kind", DETECTORS.values(), ids=DETECTORS)


@pytest.fixture(scope="module")
def tape():
    return conformance_tape(acts=True)


@pytest.fixture(scope="module")
def found(tape):
    """What each detector says of the tape in one piece: what all else is compared with."""
    batch, names = tape_batch(tape)
    return {
        name: canonical(run(kind, cut(batch, [ALL]), tape.table), tape.table, names)
        for name, kind in DETECTORS.items()
    }


# --- what it says of itself -----------------------------------------------------------------------


@every_detector
def test_a_spec_leaves_nothing_out(kind):
    spec = kind.spec
    for field in spec.__struct_fields__:
        if field != "wants":
            assert getattr(spec, field), f"{spec.id}: {field} is empty"
    texts = [t for f in ("looks_for",) for t in (getattr(spec, f),)]
    texts += [*spec.legal_basis, *spec.look_alikes, *spec.blind_spots, *spec.runbook]
    assert all(isinstance(text, str) and len(text) > 10 for text in texts)
    assert len(set(spec.look_alikes)) == len(spec.look_alikes)


@every_detector
def test_the_names_of_a_detector_agree(kind):
    spec = kind.spec
    assert DETECTORS[spec.id] is kind
    assert kind.__module__ == f"detectors.{spec.id}"
    assert kind.__name__ == spec.id.title().replace("_", "")
    assert (ROOT / "tests" / "detectors" / f"test_{spec.id}.py").is_file()


@every_detector
def test_a_docs_page_says_what_the_spec_says(kind):
    page = detector_page(kind)
    written = ROOT / "docs" / "detectors" / f"{kind.spec.id}.md"
    assert written.is_file(), "run `make docs`"
    assert written.read_text(encoding="utf-8") == page
    assert all(text in page for text in kind.spec.blind_spots)


@every_detector
def test_every_legal_basis_says_how_it_was_read(kind):
    assert all(re.search(r"\[[VSM]\]", text) for text in kind.spec.legal_basis)


@every_detector
def test_every_runbook_step_names_a_field_and_most_a_time(kind):
    fields = r"\b[a-z]+_[a-z_]+\b|\bfeatures\.|\breason\b|\brole\b|\bprice\b|\bowner\b"
    times = r"window_|_ns\b|episode|hour|\bday\b|\d+ (s|ms)\b"
    for step in kind.spec.runbook:
        assert re.search(fields, step), step
    assert sum(bool(re.search(times, step)) for step in kind.spec.runbook) >= 3


@every_detector
def test_every_parameter_has_a_meaning_a_unit_and_a_reason(kind):
    hints = get_type_hints(kind.Params, include_extras=True)
    assert kind.Params.__struct_config__.frozen
    for field in kind.Params.__struct_fields__:
        notes = [m for m in getattr(hints[field], "__metadata__", ()) if isinstance(m, Parameter)]
        assert len(notes) == 1, f"{kind.spec.id}.{field} has no Parameter"
        assert notes[0].meaning
        assert notes[0].unit
        assert len(notes[0].reason) > 10


@every_detector
def test_a_detector_has_a_doctest(kind):
    assert ">>>" in (kind.__doc__ or "")


# --- what it finds --------------------------------------------------------------------------------


@every_detector
def test_every_detector_fires_on_the_conformance_tape(kind, found):
    assert found[kind.spec.id]


def test_the_conformance_tape_holds_what_it_promises(tape, found):
    batch, _ = tape_batch(tape)
    enriched = Books(tape.table).apply(next(cut(batch, [ALL])))
    assert enriched["coverage"].max() == 1, "no gap was open"
    assert (batch["busts_lo"] != 0).any()
    assert (batch["kind"] == Kind.STATUS).any()
    everything = [f for findings in found.values() for f in findings]
    assert {f["status"] for f in everything} >= {"provisional", "confirmed", "retracted"}
    assert any(f["client_harm"] is not None for f in everything), "no watch was settled"
    told = {f["scenario"] for f in everything}
    assert told >= {s for kind in DETECTORS.values() for s in kind.spec.scenarios}


@every_detector
def test_findings_keep_to_the_contract(kind, found):
    spec = kind.spec
    for f in found[spec.id]:
        assert f["detector"] == spec.id
        assert f["detector_version"] == spec.version
        assert f["scenario"] in spec.scenarios
        assert 0 <= f["score"] <= 1
        assert f["revision"] >= 1
        assert f["accounts"]
        assert f["first_accounts"]
        assert f["window_start_ns"] <= f["window_end_ns"] <= f["detected_ns"]
        assert not (f["coverage"] == "incomplete" and f["status"] == "confirmed")
        assert f["revision"] > 1 or f["evidence_refs"], "a first finding cites its evidence"


@every_detector
def test_the_same_tape_gives_the_same_findings(kind, tape, found):
    batch, names = tape_batch(tape)
    again = canonical(run(kind, cut(batch, [ALL]), tape.table), tape.table, names)
    assert again == found[kind.spec.id]


@pytest.mark.parametrize("size", [1, 7, 1_000, "random"])
@every_detector
def test_batches_change_nothing(kind, size, tape, found):
    batch, names = tape_batch(tape)
    rng = random.Random(11)
    sizes = [rng.randrange(1, 90) for _ in range(1_000)] if size == "random" else [size]
    cuts = run(kind, cut(batch, sizes), tape.table)
    assert canonical(cuts, tape.table, names) == found[kind.spec.id]
    assert revisions_in_order(cuts)


@every_detector
def test_restarts_change_nothing(kind, tape, found):
    batch, names = tape_batch(tape)
    cuts = run(kind, cut(batch, [5]), tape.table, restart=True)
    assert canonical(cuts, tape.table, names) == found[kind.spec.id]


@every_detector
def test_a_snapshot_is_not_written_to_later(kind, tape):
    batch, _ = tape_batch(tape)
    taken = []

    def watch(detector):
        for snapshot, copies in taken[-1:]:
            assert all((snapshot[name] == copies[name]).all() for name in copies)
        snapshot = detector.snapshot()
        taken.append((snapshot, {name: array.copy() for name, array in snapshot.items()}))

    run(kind, cut(batch, [50]), tape.table, watch=watch)
    assert len(taken) > 2


@every_detector
def test_a_snapshot_of_another_table_is_refused(kind, tape):
    batch, _ = tape_batch(tape)
    detector = kind(kind.Params(), tape.table)
    detector.step(Books(tape.table).apply(next(cut(batch, [ALL]))))
    fewer = Tape([], tape.accounts, tape.instruments[:1]).table
    other = kind(kind.Params(), fewer)
    if {name: a.shape for name, a in other.snapshot().items() if a.dtype != np.uint8} == {
        name: a.shape for name, a in detector.snapshot().items() if a.dtype != np.uint8
    }:
        pytest.skip("keeps nothing by instrument")
    with pytest.raises(SnapshotError):
        other.restore(detector.snapshot())


@every_detector
def test_the_order_of_instruments_changes_nothing(kind, tape, found):
    batch, names = tape_batch(tape)
    turned = run(kind, cut(batch, [40], backwards=True), tape.table)
    assert canonical(turned, tape.table, names) == found[kind.spec.id]


@every_detector
def test_the_input_is_left_as_it_was(kind, tape):
    batch, _ = tape_batch(tape)
    enriched = Books(tape.table).apply(next(cut(batch, [ALL])))
    before = {name: enriched[name].copy() for name in enriched.names}
    passed = {name: column.copy() for name, column in enriched.passed_over.items()}
    kind(kind.Params(), tape.table).step(enriched)
    assert all((enriched[name] == before[name]).all() for name in before)
    assert all((enriched.passed_over[name] == passed[name]).all() for name in passed)


@every_detector
def test_nothing_in_gives_nothing_out(kind, tape):
    batch, _ = tape_batch(tape)
    empty = Books(tape.table).apply(batch.take(np.zeros(0, np.int64)))
    detector = kind(kind.Params(), tape.table)
    assert list(detector.step(empty)) == []
    assert detector.overflow == 0


def quiet(tape: Tape, days: int, start_ns: int) -> Tape:
    """Return hourly quotes that are entered and withdrawn, and a trade between strangers a day."""
    names = [row["instrument"] for row in tape.instruments]
    seqs = {
        n: max((r["seq"] for r in tape.records if r["instrument"] == n), default=0) for n in names
    }
    records = []
    for hour in range(days * 24):
        for name in names:
            for action, leaves in (("new", "1"), ("cancel", "0")):
                seqs[name] += 1
                at = start_ns + hour * 3600 * 10**9 + seqs[name] % 7
                records.append(
                    {"v": 1, "instrument": name, "seq": seqs[name], "action": action}
                    | {"order_id": f"q{hour}", "account": f"C{hour % 3}", "side": "buy"}
                    | {"type": "limit", "tif": "GTC", "price": "1", "quantity": "1"}
                    | {"leaves": leaves, "received_ns": at - 1000, "engine_ns": at}
                )
    return Tape(records, tape.accounts, tape.instruments, obligations=tape.obligations)


@every_detector
def test_state_does_not_grow_on_a_long_quiet_tape(kind, tape):
    books, detector = Books(tape.table), kind(kind.Params(), tape.table)
    sizes = []
    names = Names()

    def feed(part: Tape, size: int) -> None:
        batch, _ = tape_batch(part, names)
        for piece in cut(batch, [size]):
            detector.step(books.apply(piece))
        sizes.append(sum(array.nbytes for array in detector.snapshot().values()))

    feed(tape, 200)
    end_ns = tape.records[-1]["engine_ns"]
    calm = quiet(tape, 20, end_ns + 1)
    feed(calm, 100)
    feed(quiet(calm, 20, end_ns + 21 * DAY), 100)
    assert sizes[1] <= sizes[0]
    assert sizes[2] <= sizes[1] + 64


# --- what must not matter -------------------------------------------------------------------------


def _moved(tape: Tape, shift_ns: int) -> Tape:
    fields = ("engine_ns", "received_ns", "priority_ns")
    records = [
        {**r, **{f: r[f] + shift_ns for f in fields if r.get(f) is not None}} for r in tape.records
    ]
    return Tape(records, tape.accounts, tape.instruments, obligations=tape.obligations)


@every_detector
@SLOW
@given(weeks=st.integers(-40, 400).filter(bool))
def test_a_shift_of_all_times_moves_the_findings_with_it(kind, weeks, tape, found):
    shift_ns = 7 * weeks * DAY  # whole weeks: windows aligned to UTC keep their place
    moved = _moved(tape, shift_ns)
    batch, names = tape_batch(moved)
    findings = run(kind, cut(batch, [ALL]), tape.table)
    assert canonical(findings, tape.table, names, shift_ns=shift_ns) == found[kind.spec.id]


@every_detector
@SLOW
@given(seed=st.integers(0, 10**6))
def test_names_of_accounts_change_nothing(kind, seed, tape, found):
    """Other codes, in another order, and other strings behind them."""
    _, first = tape_batch(tape)
    known = list(first.known)
    random.Random(seed).shuffle(known)
    batch, names = tape_batch(tape, Names(known))
    findings = run(kind, cut(batch, [ALL]), tape.table)
    assert canonical(findings, tape.table, names) == found[kind.spec.id]


@every_detector
@SLOW
@given(factor=st.sampled_from([2, 16, 1000]))
def test_a_scale_of_lots_changes_no_verdict(kind, factor, tape, found):
    batch, names = tape_batch(tape)
    scaled = {}
    for name in ("quantity", "leaves", "display"):
        absent = batch[name] == np.iinfo(np.int64).min
        scaled[name] = np.where(absent, batch[name], batch[name] * np.where(absent, 0, factor))
    findings = run(kind, cut(batch.with_columns(scaled), [ALL]), tape.table)
    verdict = (
        "scenario", "instrument", "first_seq", "first_accounts", "accounts", "revision",
        "evidence", "score", "status", "significant", "all_legs", "systematic", "detected_ns",
    )  # fmt: skip
    scaled_found = canonical(findings, tape.table, names)
    assert [[f[v] for v in verdict] for f in scaled_found] == [
        [f[v] for v in verdict] for f in found[kind.spec.id]
    ]


@pytest.mark.skipif("client_priority" not in DETECTORS, reason="not in this catalogue")
def test_where_there_is_no_client_nobody_has_priority(tape):
    group = [{**row, "role": "house"} for row in tape.accounts]
    ghosts = [
        {**group[0], "account": name, "owner": name}
        for name in {r.get("account") for r in tape.records} - {row["account"] for row in group}
        if name
    ]
    nobody = Tape(tape.records, group + ghosts, tape.instruments)
    batch, _ = tape_batch(nobody)
    assert run(DETECTORS["client_priority"], cut(batch, [ALL]), tape.table) == []


def test_a_batch_of_one_instrument_only_moves_that_instrument(tape):
    """A silent instrument's timers wait for its own clock, whatever others do."""
    batch, names = tape_batch(tape)
    one = batch.take(batch["instrument"] == 0)
    for kind in DETECTORS.values():
        if kind.spec.scope != "instrument":
            continue
        alone = canonical(run(kind, cut(one, [ALL]), tape.table), tape.table, names)
        among = canonical(run(kind, cut(batch, [ALL]), tape.table), tape.table, names)
        name = tape.table[0].instrument
        assert alone == [f for f in among if f["instrument"] == name]
