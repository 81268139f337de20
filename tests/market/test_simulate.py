"""A simulated tape: repeatable, read by the product without a fault, and without abuse."""

from __future__ import annotations

import csv
import json
import math
import random
from collections import Counter
from types import SimpleNamespace

import pytest

from ingest.errors import UsageError
from market.assembly import Settings
from market.check import check_clean
from market.clients import Client, Clients
from market.simulate import simulate
from monitor.config import default_config
from monitor.replay import replay
from tests.support.digests import digests

SHORT = {"hours": 0.1, "instruments": 2}


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "tape"
    simulate(folder, Settings(seed=101, **SHORT))
    return folder


def records(folder, name):
    with (folder / f"{name}.ndjson").open() as file:
        return [json.loads(line) for line in file]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tape, tmp_path):
    simulate(tmp_path / "again", Settings(seed=101, **SHORT))
    simulate(tmp_path / "other", Settings(seed=102, **SHORT))
    assert digests(tmp_path / "again") == digests(tape)
    differing = {n for n, d in digests(tmp_path / "other").items() if d != digests(tape)[n]}
    assert {"orders.ndjson", "trades.ndjson", "reference.ndjson", "README.md"} == differing


def test_a_tape_has_every_file_of_the_contract_and_says_that_it_is_simulated(tape):
    names = {"accounts.csv", "instruments.csv", "obligations.csv", "disclosures.csv"}
    names |= {"orders.ndjson", "trades.ndjson", "reference.ndjson", "truth.json", "README.md"}
    assert {path.name for path in tape.iterdir()} == names
    assert json.loads((tape / "truth.json").read_text()) == []
    assert "simulated" in (tape / "README.md").read_text()
    reference = records(tape, "reference")
    assert set(reference[0]) == {"underlying", "source", "price", "source_ns"}
    assert [r["source_ns"] for r in reference] == sorted(r["source_ns"] for r in reference)
    with (tape / "instruments.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["spot", "perpetual"]
    assert len({row["underlying"] for row in rows}) == 1


def replayed(tape, out):
    summary = replay(tape, out, default_config(out))
    assert summary.events == summary.processed > 20_000
    assert not summary.rejects
    assert not summary.conflicts
    assert not summary.clock_faults
    assert summary.duplicates == summary.late == summary.pending == summary.gaps == 0
    assert summary.unknown_accounts == summary.unknown_fields == 0
    with (out / "alerts.ndjson").open() as file:
        return [json.loads(line) for line in file]


def test_the_pipeline_reads_a_tape_without_a_fault_and_finds_no_breach(tape, tmp_path):
    alerts = replayed(tape, tmp_path)
    # The engine matches by price and time: that it knows no class is told once an instrument-day.
    assert {alert["scenario"] for alert in alerts} <= {"matching_configuration"}, alerts
    assert len(alerts) <= SHORT["instruments"]


def test_by_class_not_even_the_configuration_is_reported(tmp_path):
    settings = Settings(seed=103, matching="price_class_time", **SHORT)
    simulate(tmp_path / "tape", settings)
    assert replayed(tmp_path / "tape", tmp_path / "out") == []
    assert check_clean(tmp_path / "tape").clean


def test_a_clean_tape_is_checked_to_hold_no_truth(tape):
    truths = check_clean(tape)
    assert truths.clean, truths.examples
    assert truths.records == len(records(tape, "orders")) + len(records(tape, "trades"))


def test_the_market_has_the_honest_background(tape):
    orders, trades = records(tape, "orders"), records(tape, "trades")
    actions = Counter(r["action"] for r in orders)
    assert {"new", "replace", "cancel", "reject", "expire", "trigger", "status", "book"} <= set(
        actions
    )
    assert {r["phase"] for r in orders if r["action"] == "status"} == {
        "continuous",
        "auction",
        "halt",
        "cancel_only",
        "maintenance",
    }
    kinds = {(r.get("type"), r.get("tif")) for r in orders if r["action"] == "new"}
    assert {("market", "IOC"), ("limit", "FOK"), ("stop", "GTC"), ("stop_limit", "GTC")} <= kinds
    assert {("limit", "DAY"), ("limit", "POST_ONLY"), ("limit", "IOC"), ("limit", "GTC")} <= kinds
    assert any("display" in r for r in orders)
    assert any("replaces" in r for r in orders)
    assert any("parent_order_id" in r for r in orders)
    assert {"stp", "disconnect", "expiry"} <= {r.get("reason") for r in orders}
    assert Counter(r["afmm_flag"] for r in trades).keys() == {"none", "buy", "sell"}
    assert any(r["aggressor"] is None for r in trades)
    held = [r["engine_ns"] - r["received_ns"] for r in orders if r.get("received_ns")]
    assert min(held) > 0
    assert max(held) > 5_000_000  # a slow gate


def test_originators_of_an_omnibus_account_trade_with_each_other_and_nobody_else_with_himself(
    tmp_path,
):
    simulate(tmp_path, Settings(seed=104, hours=0.2, instruments=1, rate=20))
    own = [t for t in records(tmp_path, "trades") if t["buy_account"] == t["sell_account"]]
    assert {trade["buy_account"] for trade in own} == {"OMNI1", "OMNI2"}
    assert check_clean(tmp_path).clean


def test_client_arrivals_cluster_and_sizes_have_a_heavy_tail(tape):
    rows = [r for r in records(tape, "orders") if r["action"] == "new"]
    rows = [r for r in rows if r["account"].startswith("C") and r["instrument"] == "SIMA-USD"]
    counts = Counter(r["received_ns"] // 10**9 for r in rows)
    seconds = [counts[s] for s in range(min(counts), max(counts))]
    mean = sum(seconds) / len(seconds)
    # A Poisson process has 1.
    assert sum((n - mean) ** 2 for n in seconds) / len(seconds) / mean > 1.4
    sizes = sorted((float(r["quantity"]) for r in rows), reverse=True)
    tail = sizes[: len(sizes) // 20]
    # Hill's estimate of the exponent: an exponential tail has far more than 3 here.
    assert 1 < len(tail) / sum(math.log(size / tail[-1]) for size in tail) < 2.2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hours": 0}, "--hours must be above 0"),
        ({"hours": 1, "instruments": 0}, "--instruments must be 1 to 200, was 0"),
        ({"hours": 1, "rate": -1}, "--rate must be above 0"),
    ],
)
def test_arguments_out_of_range_are_named(wrong, said):
    with pytest.raises(UsageError, match=said):
        Settings(seed=1, **wrong)


# --- the check itself notices what it looks for ---------------------------------------------------


def rewritten(tape, to, topic, change):
    """Copy a tape with one record changed: the first for which `change` returns something."""
    to.mkdir()
    for path in tape.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    lines = (tape / f"{topic}.ndjson").read_text().splitlines()
    for place, line in enumerate(lines):
        changed = change(json.loads(line))
        if changed is not None:
            lines[place] = json.dumps(changed)
            break
    else:
        pytest.fail("no record could be changed")
    (to / f"{topic}.ndjson").write_text("\n".join(lines) + "\n")
    return check_clean(to)


def test_the_check_notices_an_instruction_of_the_group_that_overtook_a_client(tape, tmp_path):
    def late(record):
        if record["action"] == "new" and record["account"] == "MM1":
            return record | {"received_ns": record["received_ns"] + 10**9}
        return None

    truths = rewritten(tape, tmp_path / "t", "orders", late)
    assert truths.overtaken > 0
    assert not truths.clean
    assert truths.examples[0].startswith("overtaken: ")


def test_the_check_notices_owners_and_the_complex(tape, tmp_path):
    merged = tmp_path / "t"
    merged.mkdir()
    for path in tape.iterdir():
        (merged / path.name).write_bytes(path.read_bytes())
    text = (tape / "accounts.csv").read_text()
    (merged / "accounts.csv").write_text(text.replace("XM1 Ltd", "XM2 Ltd"))
    assert check_clean(merged).same_owner > 0
    (merged / "accounts.csv").write_text(text.replace("external_mm", "house"))
    assert check_clean(merged).within_complex > 0


def test_prices_stay_above_zero_when_a_call_has_crossed_the_book_far():
    # As in a call after a halt: bids far above what is offered, so that "inside" is far below it.
    due, sent = [], []
    loop = SimpleNamespace(now_ns=0, at=lambda _, go: due.append(go))
    engine = SimpleNamespace(
        bids=SimpleNamespace(best=900_000),
        asks=SimpleNamespace(best=300_000),
        instrument=SimpleNamespace(tick_size="0.01"),
    )
    flow = Clients(
        SimpleNamespace(loop=loop, engine=engine),
        SimpleNamespace(price=3000.0, stress=1.0),
        [Client(SimpleNamespace(name="C001"), gate=None)],
        number=0,
        rate_per_s=1.0,
        lots=10,
        rng=random.Random(5),
    )
    flow.send = sent.append
    for _ in range(500):
        due.pop()(0, None)
    prices = [entry.price for entry in sent if entry.price is not None]
    assert len(prices) > 300
    assert min(prices) == 1
