from __future__ import annotations

import json
import random
import shutil

import msgspec
import pytest

from alerts.output import read_alerts
from monitor.config import default_config
from monitor.replay import replay


def run(tape, out, rows=65_536, gap_timeout_s=30.0):
    config = default_config(out)
    config = msgspec.structs.replace(
        config,
        service=msgspec.structs.replace(config.service, batch_rows=rows),
        sequence=msgspec.structs.replace(config.sequence, gap_timeout_s=gap_timeout_s),
    )
    summary = replay(tape, out, config)
    return summary, (out / "alerts.ndjson").read_bytes()


def balanced(summary):
    return summary.events == (
        summary.processed
        + sum(summary.rejects.values())
        + summary.duplicates
        + summary.late
        + summary.pending
    )


@pytest.mark.parametrize("rows", [7, 1000, 4093])
def test_the_size_of_batches_changes_no_byte_of_the_alerts(tape, tmp_path, rows):
    summary, whole = run(tape, tmp_path / "whole")
    assert summary.alerts.keys() >= {"client_priority", "tag_integrity", "wash_trading"}
    assert whole.count(b"\n") > 20
    assert run(tape, tmp_path / "cut", rows)[1] == whole


@pytest.mark.parametrize("rows", [53, 1000])
def test_gaps_and_restated_books_change_no_byte_either(gappy_tape, tmp_path, rows):
    summary, whole = run(gappy_tape, tmp_path / "whole", gap_timeout_s=1.0)
    assert summary.gaps == 3
    assert any(
        alert.coverage == "incomplete" for alert in read_alerts(tmp_path / "whole/alerts.ndjson")
    )
    assert run(gappy_tape, tmp_path / "cut", rows, gap_timeout_s=1.0)[1] == whole


def test_alerts_are_sorted_and_no_breach_is_confirmed_while_incomplete(gappy_tape, tmp_path):
    run(gappy_tape, tmp_path, gap_timeout_s=1.0)
    alerts = read_alerts(tmp_path / "alerts.ndjson")
    order = [(a.detected_ns, a.alert_id) for a in alerts]
    assert order == sorted(order)
    assert not [a for a in alerts if a.coverage == "incomplete" and a.status == "confirmed"]


def spoil(tape, folder):
    """Return a copy with every kind of bad record and how many of each were put in."""
    shutil.copytree(tape, folder)
    rng = random.Random(3)
    lines = (folder / "orders.ndjson").read_text().splitlines()
    news = [line for line in lines if '"new"' in line]
    picked = [json.loads(line) for line in rng.sample(news, 8)]
    bad = {
        "not_json": "{nonsense",
        "off_tick": json.dumps(picked[0] | {"price": "100.00001"}),
        "off_lot": json.dumps(picked[1] | {"quantity": "0.0000000001"}),
        "unknown_instrument": json.dumps(picked[2] | {"instrument": "NO-SUCH"}),
        "unknown_enum": json.dumps(picked[3] | {"side": "bid"}),
        "wrong_type": json.dumps(picked[4] | {"price": 5}),
        "missing_field": json.dumps({k: v for k, v in picked[5].items() if k != "order_id"}),
        "wrong_version": json.dumps(picked[6] | {"v": 2}),
    }
    duplicates = rng.sample(lines, 5)
    conflict = json.dumps(picked[7] | {"account": "C-OTHER"})
    for line in [*bad.values(), *duplicates]:
        lines.insert(rng.randrange(len(lines) // 2, len(lines)), line)
    # After the record that it contradicts: who comes first is believed.
    lines.append(conflict)
    (folder / "orders.ndjson").write_text("\n".join(lines) + "\n")
    return {**dict.fromkeys(bad, 1), "conflict": 1}, len(duplicates)


def sourceless(folder):
    alerts = read_alerts(folder / "alerts.ndjson")
    return [msgspec.structs.replace(alert, source=()) for alert in alerts]


def test_bad_records_cost_only_themselves_and_every_record_is_accounted_for(tape, tmp_path):
    rejects, duplicates = spoil(tape, tmp_path / "bad")
    summary, alerts = run(tmp_path / "bad", tmp_path / "out")
    assert summary.rejects == rejects
    assert summary.duplicates == duplicates
    assert balanced(summary)
    letters = [
        json.loads(x) for x in (tmp_path / "out/dead-letter.ndjson").read_text().splitlines()
    ]
    assert sorted(letter["reason"] for letter in letters) == sorted(rejects)
    assert all(
        {"topic", "partition", "offset", "detail", "raw"} <= letter.keys() for letter in letters
    )
    clean = run(tape, tmp_path / "clean")[1]
    without_source = [
        [
            msgspec.structs.replace(a, source=())
            for a in read_alerts(tmp_path / folder / "alerts.ndjson")
        ]
        for folder in ("out", "clean")
    ]
    assert without_source[0] == without_source[1]
    assert alerts != clean  # offsets in `source` have moved: the files differ


def test_the_summary_says_what_it_counted(tape, tmp_path):
    summary, _ = run(tape, tmp_path)
    said = json.loads((tmp_path / "summary.json").read_text())
    assert said == json.loads(msgspec.json.encode(summary))
    assert said["events"] == sum(
        len((tape / f"{t}.ndjson").read_text().splitlines()) for t in ("orders", "trades")
    )
    counted = sum(n for row in said["alerts"].values() for n in row.values())
    assert counted == len(read_alerts(tmp_path / "alerts.ndjson"))
