"""Paired runs: the same market without a case, and what that tells of the case."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import ClassVar

import pytest

from ingest.errors import RingfenceError
from ingest.times import SECOND
from market.abuse.base import Injector
from market.abuse.catalogue import INJECTORS
from market.assembly import Market, Settings
from market.orders import BUY, SELL
from market.twin import Ledger, costs
from tests.support.engine_drive import Desk

SHORT = {"seed": 106, "hours": 0.12, "instruments": 2}


def run(monkeypatch, injector, **changed):
    """Run a short market with one injector; return its truths and all that it wrote."""
    monkeypatch.setitem(INJECTORS, injector.scenario, injector)
    lines = []
    settings = Settings(scenarios=(injector.scenario,), **SHORT | changed)
    market = Market(settings, lines.append, lines.append, lines.append)
    market.run()
    return market.truths, lines


class Idle(Injector):
    """Opens a case, names every client's order of the next minute wronged, and does nothing."""

    scenario = "spoofing"
    every_s = 20.0
    losses: ClassVar[list] = []

    def attempt(self, port):
        case = self.venue.cases.begin(self.scenario, port, harm_s=60.0)
        if case is None:
            return True
        self.venue.reserve(port, 1e6)
        case.act(self.venue.afmm)
        self.venue.after(70.0, lambda: self.look(case))
        return True

    def look(self, case):
        type(self).losses.append(dict(case.parts[0].losses))
        case.end()


def test_a_case_in_which_nothing_is_done_costs_nobody_anything(monkeypatch):
    Idle.losses = []
    truths, _ = run(monkeypatch, Idle)
    assert len(truths) == len(Idle.losses) == 2
    assert all(len(losses) > 50 for losses in Idle.losses)
    assert {loss for losses in Idle.losses for _, loss in losses.values()} == {0.0}


class Taker(Injector):
    """Takes the whole touch away from a client that is about to buy there."""

    scenario = "spoofing"
    every_s = 5.0
    lots = 4_000

    def attempt(self, port):
        flow, venue = self.venue.flows[port.engine.name], self.venue
        case = venue.cases.begin(self.scenario, port, harm_s=20.0)
        if case is None:
            self._client_buys(port)
            return True
        venue.reserve(port, 30.0)
        case.wrong_tags(1 << 62)
        venue.enter(case, port, venue.afmm, BUY, self.lots, flow.touch(BUY)[1] + 100, tif="IOC")
        self._client_buys(port)
        venue.after(5.0, case.end)
        return True

    def _client_buys(self, port):
        account = self.venue.accounts["C001"]

        def buy(engine_ns, received_ns, _):
            port.engine.new(account, BUY, 100, None, tif="IOC", type_="market", tag=1 << 62,
                            now_ns=engine_ns, received_ns=received_ns)  # fmt: skip

        self.venue.loop.at(
            self.venue.loop.now_ns + SECOND // 100,
            lambda now_ns, _: buy(port.engine_ns(now_ns), now_ns, None),
        )


def test_what_a_client_pays_more_because_of_a_case_is_its_harm(monkeypatch):
    truths, _ = run(monkeypatch, Taker)
    assert truths
    assert all(truth.client_harm >= max(0.0, truth.client_loss) for truth in truths)
    assert any(truth.client_harm == truth.client_loss for truth in truths)
    assert sum(truth.client_harm for truth in truths) > 0
    assert all(truth.order_ids and truth.trade_ids for truth in truths)


def came(*, takes: int, cut: bool) -> object:
    """Return what a client's order of ten came to, of which a taker takes some at 110."""
    desk = Desk()
    ledger = Ledger([SimpleNamespace(engine=desk.engine, mid=lambda: desk.mid)])
    desk.engine.trading.watch = SimpleNamespace(
        reduced=ledger.reduced,
        gone=ledger.gone,
        traded=lambda buy, sell, price, lots, *_: ledger.traded(buy, sell, price, lots),
    )
    order = desk.send("C1", SELL, 10, 110, tag=7)
    desk.mid = 100.0
    if takes:
        desk.send("X1", BUY, takes, 110)
    if cut:
        desk.engine.replace(order, now_ns=desk.now, received_ns=desk.now, quantity=6)
    desk.mid = 90.0
    if order.live:
        desk.engine.cancel(order, now_ns=desk.now, received_ns=desk.now)
    return ledger.close()[7]


@pytest.mark.parametrize(
    ("here", "lost"),
    [
        ({"takes": 0, "cut": False}, 10 * 20),  # all of it is worth 90
        ({"takes": 0, "cut": True}, 4 * 10 + 6 * 20),  # four were taken out at 100
        ({"takes": 5, "cut": True}, 4 * 10 + 1 * 20),
        ({"takes": 10, "cut": False}, 0),
    ],
)
def test_what_is_taken_out_of_an_order_is_valued_at_the_mid_of_then(here, lost):
    cost, without = costs(came(**here), came(takes=10, cut=False))
    assert cost - without == lost


class Elsewhere(Taker):
    """The same in one instrument of another underlying; further ones may belong to the case."""

    lots = 30_000
    everywhere = False

    def attempt(self, port):
        if port is not self.venue.ports[2]:
            return False
        where = ((), self.venue.ports) if self.everywhere else ((port,), ())
        case = self.venue.cases.begin(self.scenario, *where[0], further=where[1], harm_s=20.0)
        if case is None:
            self._client_buys(port)
            return True
        self.venue.reserve(port, 1e6)
        case.wrong_tags(1 << 62)
        price = self.venue.flows[port.engine.name].touch(BUY)[1] + 100
        self.venue.enter(case, port, self.venue.afmm, BUY, self.lots, price, tif="IOC")
        self._client_buys(port)
        self.venue.after(5.0, case.end)
        return True


class Everywhere(Elsewhere):
    everywhere = True


def test_a_loss_is_told_in_the_money_of_the_order_whatever_else_the_case_is_in(monkeypatch):
    [one], [other] = (run(monkeypatch, kind, instruments=4)[0] for kind in (Elsewhere, Everywhere))
    assert one.instrument
    assert not other.instrument
    assert one.client_harm == other.client_harm > 0


class Tiny(Taker):
    lots = 1


def test_harm_grows_with_what_is_done(monkeypatch):
    blatant = sum(t.client_harm for t in run(monkeypatch, Taker)[0])
    faint = sum(t.client_harm for t in run(monkeypatch, Tiny)[0])
    assert faint < blatant / 5


def test_measuring_harm_changes_no_byte_of_the_tape(monkeypatch):
    with_harm, written = run(monkeypatch, Taker)
    without, same = run(monkeypatch, Taker, harm=False)
    assert written == same
    assert {(truth.client_harm, truth.client_loss) for truth in without} == {(None, None)}
    assert [t.order_ids for t in with_harm] == [t.order_ids for t in without]


class Broken(Injector):
    """Fails in the paired run alone."""

    scenario = "spoofing"
    every_s = 5.0

    def attempt(self, port):
        case = self.venue.cases.begin(self.scenario, port, harm_s=20.0)
        if case is None:
            raise ZeroDivisionError
        case.act(self.venue.afmm)
        self.venue.after(1.0, case.end)
        return True


def test_a_paired_run_that_fails_is_told_and_never_returns(monkeypatch):
    with pytest.raises(RingfenceError, match="paired run failed"):
        run(monkeypatch, Broken)


class Vain(Taker):
    """Comes to nothing."""

    def attempt(self, port):
        case = self.venue.cases.begin(self.scenario, port, harm_s=60.0)
        if case is not None:
            self.venue.after(0.5, lambda: case.end(keep=False))
        return True


def test_a_case_that_comes_to_nothing_is_no_truth(monkeypatch):
    truths, lines = run(monkeypatch, Vain)
    assert truths == []
    assert json.loads(lines[-1])
