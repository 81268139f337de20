"""Simulated time and the way to the engine: first stamped, first matched, but for slow gates."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from ingest.times import MILLI, SECOND
from market.draws import stream, unit
from market.engine import Engine
from market.loop import Gate, Loop, Port
from market.makers import Desk as MakerDesk
from market.makers import Maker
from market.orders import BUY, SELL
from market.outside import Outside
from market.population import QUOTING
from tests.support.engine_drive import Desk, accounts, instrument


class Way:
    """A port with a slow gate, and a note of what was matched when."""

    def __init__(self):
        self.loop = Loop(1_000 * SECOND)
        engine = Engine(instrument(), [].append, [].append)
        self.port = Port(self.loop, engine)
        self.quick = Gate("quick", 1_000)
        self.slow = Gate("slow", 1_000)
        self.slow.slow_until_ns = self.loop.now_ns + 60 * SECOND
        self.matched = []
        self.sent = 0

    def send(self, gate, name, *, in_group=False):
        self.sent += 1
        self.port.send(gate, self._note, name, unit(1, self.sent), in_group=in_group)

    def _note(self, engine_ns, received_ns, name):
        self.matched.append((name, engine_ns, received_ns))

    def run(self):
        self.loop.run(self.loop.now_ns + 3_600 * SECOND)
        return [name for name, _, _ in self.matched]


def test_calls_are_made_in_order_of_time_and_then_of_scheduling():
    loop, made = Loop(0), []
    for when, name in ((5, "b"), (5, "c"), (3, "a"), (9, "never")):
        loop.at(when, lambda _, name: made.append(name), name)
    loop.run(9)
    assert made == ["a", "b", "c"]


def test_what_is_stamped_first_is_matched_first_and_the_engine_does_one_thing_at_a_time():
    way = Way()
    for number in range(200):
        way.send(way.quick, number)
    way.run()
    stamps = [received for _, _, received in way.matched]
    times = [engine for _, engine, _ in way.matched]
    assert stamps == sorted(stamps)
    assert min(b - a for a, b in pairwise(times)) >= Port.SERVICE_NS


@pytest.mark.parametrize(("in_group", "order"), [(False, ["other", "c"]), (True, ["c", "other"])])
def test_a_slow_gate_is_overtaken_but_never_by_the_group(in_group, order):
    way = Way()
    way.send(way.slow, "c")
    way.loop.at(
        way.loop.now_ns + 100_000, lambda *_: way.send(way.quick, "other", in_group=in_group)
    )
    assert way.run() == order
    assert max(engine - received for _, engine, received in way.matched) > MILLI


def test_instructions_through_one_slow_gate_stay_in_order():
    way = Way()
    for number in range(50):
        way.loop.at(
            way.loop.now_ns + number * MILLI, lambda _, name: way.send(way.slow, name), number
        )
    assert way.run() == list(range(50))


def test_a_part_draws_from_a_stream_of_its_own():
    assert stream(1, "a").random() == stream(1, "a").random()
    assert len({stream(1, "a").random(), stream(1, "b").random(), stream(2, "a").random()}) == 3


def test_a_position_over_the_limit_is_hedged_once_and_what_is_left_goes_elsewhere():
    desk, loop = Desk(), Loop(0)
    account = desk.accounts["X1"]
    maker = MakerDesk(loop, account, Gate("g", 1_000), 10, seed=1)
    account.on_fill = lambda order, lots, _, now_ns: maker.filled(order, lots, now_ns)
    desk.send("X1", SELL, 30, 100)
    desk.send("C1", BUY, 10, 100)
    assert maker.net_lots == -10
    desk.send("C1", BUY, 2, 100)
    desk.send("C1", BUY, 2, 100)
    loop.run(desk.now + SECOND)
    assert maker.net_lots == 0
    assert not any('"account":"X1"' in line and '"IOC"' in line for line in desk.lines)


def test_a_hedge_takes_the_net_position_in_the_other_instrument_of_the_underlying():
    loop, lines = Loop(1_000 * SECOND), []
    account = accounts()["X1"]
    hedger = MakerDesk(loop, account, Gate("g", 1_000), 10, seed=1)
    account.on_fill = lambda order, lots, _, now_ns: hedger.filled(order, lots, now_ns)
    outside = Outside(loop, "SIM", 50.0, [].append, stream(1, "outside"))
    ports = [
        Port(loop, Engine(instrument(name=name), lines.append, lines.append))
        for name in ("SPOT", "PERP")
    ]
    quoting = QUOTING["XM2"]
    for number, port in enumerate(ports):
        Maker(hedger, port, outside, quoting, number=number)
    client, at = accounts()["C1"], {"now_ns": loop.now_ns}
    ports[0].engine.new(account, SELL, 30, 100, **at)
    ports[1].engine.new(client, SELL, 50, 100, **at)
    ports[0].engine.new(client, BUY, 25, 100, **at)
    assert hedger.net_lots == -25
    loop.run(loop.now_ns + 5 * MILLI)
    hedges = [json.loads(line) for line in lines if '"trade_id"' in line][1:]
    assert [(t["instrument"], t["buy_account"], t["quantity"]) for t in hedges] == [
        ("PERP", "X1", "0.025")
    ]
    assert hedger.net_lots == 0
