"""Innocent look-alikes: counted where they are, and there on a clean tape."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from market.assembly import START_NS, Settings
from market.check import check_clean
from market.look_alikes import LOOK_ALIKES, LookAlikes
from market.reading import read
from market.simulate import simulate

MILLI = 1_000_000
ACCOUNTS = {"MM1": "affiliated_mm", "XM1": "external_mm", "XM2": "external_mm"}
ACCOUNTS |= {"C1": "client", "C2": "client", "AFF1": "affiliated"}


class Tape:
    """A small tape, written record by record."""

    def __init__(self, folder):
        self.folder, self.now, self.lines = folder, START_NS, {"orders": []}
        self.seqs = Counter()
        self.lines |= {"trades": [], "reference": []}
        rows = [f"{name},{name},{name},{role},," for name, role in ACCOUNTS.items()]
        head = "account,owner,legal_entity,role,valid_from,valid_to"
        (folder / "accounts.csv").write_text("\n".join([head, *rows]) + "\n")
        text = "instrument,underlying\nSIM,S\nSIM-PERP,S\n"
        (folder / "instruments.csv").write_text(text)

    @property
    def seq(self):
        return sum(self.seqs.values())

    def order(self, action, account="C1", after_ms=0, instrument="SIM", **given):
        self.now += after_ms * MILLI
        self.seqs[instrument] += 1
        record = {
            "instrument": instrument,
            "seq": self.seqs[instrument],
            "action": action,
            "account": account,
        }
        record |= {"order_id": f"O{self.seq}", "side": "buy", "type": "limit", "tif": "GTC"}
        record |= {"price": "10", "received_ns": self.now - 1, "engine_ns": self.now}
        self.lines["orders"].append(record | given)

    def trade(self, buyer, seller, aggressor="buy", after_ms=0, **given):
        self.now += after_ms * MILLI
        self.seqs["SIM"] += 1
        record = {
            "instrument": "SIM",
            "seq": self.seqs["SIM"],
            "trade_id": f"T{self.seq}",
            "price": "10",
        }
        record |= {"buy_account": buyer, "sell_account": seller, "aggressor": aggressor}
        record |= {"buy_order_id": f"B{self.seq}", "sell_order_id": f"S{self.seq}"}
        self.lines["trades"].append(record | {"engine_ns": self.now} | given)

    def price(self, price, after_ms=0):
        self.now += after_ms * MILLI
        self.lines["reference"].append(
            {"underlying": "S", "price": str(price), "source_ns": self.now}
        )

    def found(self):
        for name, rows in self.lines.items():
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (self.folder / f"{name}.ndjson").write_text(text)
        reader = LookAlikes(self.folder)
        read(self.folder, reader)
        return {name: count for name, count in reader.counts().items() if count}


@pytest.fixture
def tape(tmp_path):
    return Tape(tmp_path)


def test_a_hedge_goes_against_a_fresh_fill_and_not_with_it_or_long_after(tape):
    tape.trade("MM1", "C1", "sell")
    tape.order("new", "MM1", 3, instrument="SIM-PERP", side="sell", tif="IOC")
    tape.order("new", "MM1", 3, instrument="SIM-PERP", side="buy", tif="IOC")
    tape.order("new", "MM1", 300, instrument="SIM-PERP", side="sell", tif="IOC")
    assert tape.found()["hedges"] == 1


def test_a_quote_moved_after_a_jump_is_a_reaction_and_else_a_timers(tape):
    tape.price(100)
    tape.price(100.2, 1000)
    tape.order("replace", "MM1", 20)
    tape.order("replace", "MM1", 0, received_ns=tape.now - 1)
    tape.order("replace", "MM1", 500)
    found = tape.found()
    assert (found["outside_reactions"], found["timer_requotes"], found["news"]) == (1, 1, 1)


def test_a_jump_that_the_group_had_just_traded_into_is_no_news(tape):
    tape.price(100)
    tape.trade("MM1", "C1", "buy")
    tape.price(100.2, 500)
    assert "news" not in tape.found()


def test_quotes_hit_on_both_sides_within_a_second(tape):
    tape.trade("MM1", "C1", "sell")
    tape.trade("C2", "MM1", "buy", 900)
    tape.trade("MM1", "C1", "sell", 1100)
    assert tape.found()["both_sides_hit"] == 1


def test_one_event_that_takes_many_orders_away_is_one(tape):
    for reason, name in (("mmp", "maker_protection"), ("kill", "disconnects")):
        for wait in (0, 0, 5000):
            tape.order("cancel", "XM1", wait, reason=reason, received_ns=None)
        assert tape.found()[name] == 2


def test_who_trades_with_whom(tape):
    tape.trade("XM1", "XM2")
    tape.trade("C1", "C1")
    tape.trade("C1", "AFF1")
    tape.trade("C1", "XM1")
    found = tape.found()
    names = ("makers_cross", "omnibus_crosses", "group_trades")
    assert [found[name] for name in names] == [1, 1, 1]


def test_hidden_quantity_counts_where_it_stands_and_only_while_it_does(tape):
    tape.order("new", "C1", order_id="H", display="0", side="sell")
    tape.trade("C2", "MM1", price="11")
    assert "hidden_passed_over" not in tape.found()
    tape.trade("C2", "MM1", price="10")
    tape.order("cancel", "C1", order_id="H", side="sell")
    tape.trade("C2", "MM1", price="10")
    assert tape.found()["hidden_passed_over"] == 1


def test_an_amendment_is_too_late_only_after_a_fill(tape):
    tape.order("reject", "C1", order_id="B2")
    tape.trade("C1", "XM1")
    tape.order("reject", "C1", 10, order_id="B2")
    assert tape.found()["amended_after_match"] == 1


def test_the_afmm_trades_beside_a_parent_on_its_side_while_it_is_worked(tape):
    tape.order("new", "C1", parent_order_id="P1")
    tape.trade("C2", "MM1", "buy", 100)
    assert "traded_beside" not in tape.found()
    tape.trade("MM1", "C2", "sell", 100)
    tape.trade("MM1", "C2", "sell", 100)
    assert tape.found()["traded_beside"] == 1


def test_phases_are_counted_by_their_begin(tape):
    for phase in ("auction", "continuous", "halt", "auction", "continuous"):
        tape.order("status", phase=phase)
    found = tape.found()
    assert (found["auctions"], found["halts"]) == (2, 1)


def test_a_clean_tape_has_nearly_all_of_them_within_the_hour(tmp_path):
    simulate(tmp_path, Settings(seed=105, hours=0.5, instruments=2, rate=6))
    reader = LookAlikes(tmp_path)
    truths = check_clean(tmp_path, reader)
    assert truths.clean, truths.examples
    counts = reader.counts()
    assert set(counts) == set(LOOK_ALIKES)
    # A storm is not in every half hour.
    assert {name for name, count in counts.items() if not count} <= {"busy_minutes"}
