"""Labelled tapes made and read back, for tests that hold truth against the raw records."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import contextmanager
from functools import cached_property

import msgspec
import pytest

from market.assembly import Settings
from market.reading import records, table
from market.simulate import simulate
from market.truth import read_attempts, read_truth
from monitor.config import default_config
from monitor.replay import replay
from tests.support.digests import digests

AFMM = "MM1"


def every_way(injector):
    """Return (severity, evasion): each severity unhidden, each way of hiding in the middle."""
    middle = ((0.5, way) for way in ("none", *injector.evasions))
    return [(0.1, "none"), (0.9, "none"), *middle]


class Labelled:
    """A simulated tape with its truth and its records by id."""

    def __init__(self, folder, scenario, **settings):
        self.folder = folder
        given = {"seed": 107, "hours": 0.5, "instruments": 2, "harm": False} | settings
        self.settings = Settings(scenarios=(scenario,), **given)
        self.result = simulate(folder, self.settings)
        self.truths = read_truth(folder)
        self.attempts = read_attempts(folder)

    @cached_property
    def rows(self):
        """Orders by (instrument, id), each with all its records, and trades by (instrument, id)."""
        orders, trades = defaultdict(list), {}
        for record in records(self.folder):
            if "trade_id" in record:
                trades[record["instrument"], record["trade_id"]] = record
            elif "order_id" in record:
                orders[record["instrument"], record["order_id"]].append(record)
        return orders, trades

    @property
    def roles(self):
        return {row["account"]: row["role"] for row in table(self.folder, "accounts")}

    def orders(self, truth, accounts=None):
        """Return the records of a truth's orders, each as a list: of some accounts alone."""
        found = [self.rows[0][where] for where in self._named(truth, truth.order_ids, 0)]
        return [r for r in found if accounts is None or r[0]["account"] in accounts]

    def trades(self, truth):
        return [self.rows[1][where] for where in self._named(truth, truth.trade_ids, 1)]

    def _named(self, truth, ids, kind):
        places = (truth.instrument, *truth.instruments)
        for id_ in ids:
            where = [(place, id_) for place in places if (place, id_) in self.rows[kind]]
            assert where, (truth, id_)
            yield where[0]

    def digest(self):
        return digests(self.folder)


class Tapes:
    """Makes tapes of one kind of abuse; the same settings are simulated once."""

    def __init__(self, factory, scenario, short):
        self._factory, self._scenario, self._short, self._made = factory, scenario, short, {}

    def __call__(self, *places, **settings):
        """Return the tape of settings; severity and evasion may be given by place."""
        given = dict(zip(("severity", "evasion"), places, strict=False)) | settings
        key = tuple(sorted(given.items()))
        if key not in self._made:
            folder = self._factory.mktemp("tape")
            self._made[key] = Labelled(folder, self._scenario, **self._short | given)
        return self._made[key]


@contextmanager
def tapes_of(factory, injector, short, **changed):
    """Yield tapes of an injector with class attributes changed.

    By default occasions come too seldom for a short tape.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in changed.items():
            patch.setattr(injector, name, value)
        yield Tapes(factory, injector.scenario, short)


def assert_sound(tape):
    """Check what holds for the truth of every tape, whatever the kind."""
    assert tape.truths
    for truth in tape.truths:
        assert truth.scenario == tape.settings.scenarios[0]
        assert truth.severity == tape.settings.severity
        assert truth.accounts
        assert truth.start_ns <= truth.end_ns
        told = [record["engine_ns"] for record in tape.trades(truth)]
        assert all(truth.start_ns <= ns <= truth.end_ns for ns in told), truth
        assert len(set(truth.order_ids)) == len(truth.order_ids)
        for records_ in tape.orders(truth, truth.accounts):
            entered = records_[0]["engine_ns"]
            assert entered <= truth.end_ns, (truth, records_[0])
    given = {"received_ns", "engine_ns"}
    assert given <= tape.orders(tape.truths[0])[0][0].keys() if tape.truths[0].order_ids else True


def assert_read_without_fault(tape, out):
    """Replay a tape: nothing is rejected, in conflict, late or missing."""
    summary = replay(tape.folder, out, default_config(out))
    assert summary.events == summary.processed
    assert not summary.rejects
    assert not summary.conflicts
    assert not summary.clock_faults
    assert summary.duplicates == summary.late == summary.pending == summary.gaps == 0
    with (out / "alerts.ndjson").open() as file:
        return [json.loads(line) for line in file]


def assert_same_but_for_harm(tape, measured):
    """Hold a tape against one of the same settings that measures harm: nothing else may differ."""
    ours, theirs = tape.digest(), measured.digest()
    assert {name for name in ours if ours[name] != theirs[name]} == {"README.md", "truth.json"}
    unmeasured = [
        msgspec.structs.replace(t, client_harm=None, client_loss=None) for t in measured.truths
    ]
    assert unmeasured == tape.truths
    assert all(t.client_harm >= max(t.client_loss, 0.0) for t in measured.truths)
