from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.errors import ConfigurationError, UsageError
from monitor.config import default_config
from monitor.onboard.mapping import read_map
from monitor.onboard.report import onboard
from monitor.onboard.samples import read_sample

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "onboarding"


def look(tmp_path, *names, feed=None, keep=None):
    return onboard([SAMPLES / n for n in names], feed, default_config(tmp_path), keep=keep)


def sight(report):
    return {d.detector: d.sight for d in report.detectors}


def test_a_mapped_csv_gives_trades_alerts_and_says_who_is_blind(tmp_path):
    report = look(tmp_path, "fills.csv", "accounts.csv", feed=read_map(SAMPLES / "fills.map.toml"))
    assert (report.orders, report.trades, report.unassigned) == (0, 5, 0)
    assert sight(report)["client_priority"] == "blind"
    assert sight(report)["wash_trading"] != "blind"
    assert {a.scenario for a in report.alerts} == {"wash_self", "wash_common_owner"}
    assert any(line.startswith("seq:") for line in report.assumed)
    assert not any(line.startswith("accounts.csv") for line in report.assumed)


def test_times_and_words_are_mapped_to_the_contract(tmp_path):
    feed = read_map(SAMPLES / "fills.map.toml")
    look(tmp_path, "fills.csv", "accounts.csv", feed=feed, keep=tmp_path / "kept")
    first = json.loads((tmp_path / "kept/tape/trades.ndjson").read_text().splitlines()[0])
    assert first["engine_ns"] == 1767225600123000000
    assert (first["aggressor"], first["price"], first["seq"]) == ("buy", "95000.5", 1)


def test_a_fix_drop_copy_joins_the_two_sides_of_a_match(tmp_path):
    report = look(tmp_path, "drop-copy.fix", keep=tmp_path / "kept")
    assert (report.orders, report.trades) == (3, 1)
    trade = json.loads((tmp_path / "kept/tape/trades.ndjson").read_text())
    assert (trade["buy_account"], trade["sell_account"]) == ("retail-7", "desk-mm")
    assert (trade["buy_order_id"], trade["sell_order_id"]) == ("o2", "o1")
    assert trade["aggressor"] == "buy"
    assert trade["engine_ns"] == 1767225601002501000
    assert report.summary.processed == 4
    assert report.summary.conflicts == {}


def test_without_a_registry_every_account_is_unknown_and_that_is_said(tmp_path):
    report = look(tmp_path, "drop-copy.fix")
    assert report.summary.unknown_accounts == 2
    assert any(line.startswith("accounts.csv: none given") for line in report.assumed)


def test_a_file_of_no_known_kind_is_refused_with_the_cure(tmp_path):
    path = tmp_path / "export.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="give --map MAP"):
        onboard([path], None, default_config(tmp_path))


def test_json_numbers_keep_their_digits_and_are_noted(tmp_path):
    path = tmp_path / "trades.ndjson"
    path.write_text(
        '{"instrument":"A-B","trade_id":"1","price":0.10000000000000000001,"quantity":1,'
        '"buy_account":"x","sell_account":"y","engine_ns":1767225600000000000}\n'
        "not json\n"
    )
    sample = read_sample(path)
    assert sample.rows[0]["price"] == "0.10000000000000000001"
    assert (sample.numbers, sample.unreadable) == ({"price"}, 1)
    report = onboard([path], None, default_config(tmp_path))
    assert "price came as JSON numbers" in report.notes[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[trades.fields]\npirce = 'x'", "trades have no field 'pirce'"),
        ("[trade]\n", "unknown key map.trade; the nearest is map.trades"),
        ("[trades.fields]\nengine_ns = { from = 'a', unit = 'h' }", "unit: invalid enum value 'h'"),
    ],
)
def test_a_mapping_that_means_nothing_is_refused(tmp_path, text, said):
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_map(path)
    assert said in str(caught.value)


def test_an_unreadable_time_names_the_field(tmp_path):
    path = tmp_path / "trades.csv"
    path.write_text("trade_id,instrument,engine_ns\n1,A-B,yesterday\n")
    with pytest.raises(UsageError, match="engine_ns must be a number, was 'yesterday'"):
        onboard([path], None, default_config(tmp_path))


def test_a_sample_in_the_venues_own_words_is_told_what_is_missing(tmp_path):
    path = tmp_path / "trades.csv"
    path.write_text("time,symbol,id,px\n1767225600000,BTC-USD,7,95000\n")
    mapping = tmp_path / "m.toml"
    mapping.write_text("[trades.fields]\ninstrument = 'symbl'\n")
    for feed in (None, read_map(mapping)):
        report = onboard([path], feed, default_config(tmp_path))
        assert report.summary is None
        assert {d.sight for d in report.detectors} == {"blind"}
        assert any("no record has an instrument" in line for line in report.assumed)
    assert report.notes == ("map: trades.instrument takes the column 'symbl', which no row has",)
