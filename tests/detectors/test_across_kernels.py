"""The compiled passes of front_running_across do what plain Python says."""

from __future__ import annotations

from statistics import median_low

import numpy as np
import pytest

from detectors import across_kernel, across_trades
from detectors.across_kernel import (
    CASE_FIELDS,
    E_SEQ,
    EXECUTION_FIELDS,
    FEW,
    KEPT,
    KEPT_OTHERS,
    MOST_ACTS,
    P_EXPOSED,
    P_WINDOWS,
)
from detectors.across_pool import Pools
from detectors.across_trades import (
    GROUP,
    T_ACTOR,
    T_CLIENT,
    T_CLOCK,
    T_INCOMING,
    T_INSTRUMENT,
    T_LOTS,
    T_MAKER,
    T_RECEIVED,
    T_SEQ,
    T_SIDE,
    TRADE_FIELDS,
)

SECOND = 10**9
DELTA, GAP, LOCAL = 100_000, 60 * SECOND, 60 * SECOND
START = 20_000 * 86_400 * SECOND
LOT = np.array([0.5, 0.25])


def market(seed, executions=3_000):
    """Return trades of two instruments of one underlying: now and then one is held for seconds.

    More of them than rings keep; some executions are of several trades.
    """
    rng = np.random.default_rng(seed)
    trades, clock = [], START
    for seq in range(1, executions):
        clock += int(rng.exponential(0.4) * SECOND)
        actor = int(rng.choice([GROUP, *range(12)], p=[0.3, *[0.7 / 12] * 12]))
        held = int(rng.exponential(SECOND)) if rng.random() < 0.4 else 10
        row = np.zeros(TRADE_FIELDS, np.int64)
        row[T_INSTRUMENT], row[T_INCOMING], row[T_CLOCK] = rng.integers(2), seq, clock
        row[T_RECEIVED], row[T_SIDE] = clock - held, rng.choice([-1, 1])
        row[T_ACTOR], row[T_CLIENT], row[T_MAKER] = actor, actor > 1, 99
        for part in range(rng.integers(1, 4)):
            row[T_SEQ], row[T_LOTS] = 10 * seq + part, rng.integers(1, 50)
            trades.append(row.copy())
    held = np.array(trades)
    return held[np.argsort(held[:, T_INSTRUMENT], kind="stable")]


def due_of(trades, since_ns, until_ns, rank):
    """Reference: executions in the order of event time, then of names, then of seqs."""
    spans, waits, late, end = [], np.zeros(len(trades), bool), 0, 0
    while end < len(trades):
        begun, key = end, tuple(trades[end, [T_INSTRUMENT, T_INCOMING]])
        while end < len(trades) and tuple(trades[end, [T_INSTRUMENT, T_INCOMING]]) == key:
            end += 1
        if trades[begun, T_CLOCK] >= until_ns:
            waits[begun:end] = True
        elif trades[begun, T_CLOCK] < since_ns:
            late += 1
        else:
            first = trades[begun]
            order = (first[T_CLOCK], rank[first[T_INSTRUMENT]], first[T_SEQ])
            spans.append((order, begun, end))
    return [(begun, end) for _, begun, end in sorted(spans)], waits, late


def rates(done, room, actor, at_ns, least):
    """Reference: of executions (clock, actor, side, amount), the last `room` of which are kept."""
    since = done[-room][0] if len(done) >= room else START
    told = []
    for side in (-1, 1):
        clocks = [
            clock
            for clock, who, way, amount in done[-room:]
            if (who, way) == (actor, side) and clock < at_ns and amount >= least
        ]
        lately = sum(at_ns - clock <= LOCAL for clock in clocks)
        told.append(max((len(clocks) + 1) / max(at_ns - since, 1), lately / LOCAL))
    return tuple(told)


def test_a_rate_as_of_before_all_that_is_kept_is_that_of_what_is_kept():
    kept = np.zeros((4, EXECUTION_FIELDS), np.int64)
    kept[:, across_kernel.E_CLOCK] = START + np.array([50, 20, 30, 40]) * SECOND
    kept[:, across_kernel.E_ACTOR], kept[:, across_kernel.E_SIDE] = 7, 1
    of_kept = (kept, np.ones((4, 2)), 5, START, 7)
    sold, bought = across_kernel.rates(*of_kept, START + 10 * SECOND, 0.0, LOCAL)
    assert bought == max(5 / (30 * SECOND + 1), 4 / LOCAL)
    assert sold == 1 / (30 * SECOND + 1)
    assert (sold, bought) == across_kernel.rates(*of_kept, START + 50 * SECOND + 1, 0.0, LOCAL)


def run(trades, spans, large_ratio):
    """Reference: what was executed in clients' windows; and what the day's windows come to.

    With it, in which clients' windows the group sent each, though they were matched before it.
    """
    group, others, sizes, parents, usual = [], [], [], {}, 0.0
    exposed, windows, told = [0, 0], [0, 0], []
    for begun, end in spans:
        first = trades[begun].tolist()
        amount = 0.0
        for row in trades[begun:end].tolist():
            amount += row[T_LOTS] * LOT[row[T_INSTRUMENT]]
        clock, received, actor, side = (first[at] for at in (T_CLOCK, T_RECEIVED, T_ACTOR, T_SIDE))
        acts, of_client = [], 0.0
        kept, room = (group, KEPT) if actor == GROUP else (others, KEPT_OTHERS)
        met = [
            (seq, rates([e[:4] for e in kept], room, actor, came, amount)[side > 0],
             parents[who, way]["amount"])
            for when, who, way, _, seq, came, where in reversed(others[-KEPT_OTHERS:])
            if actor == GROUP
            and when > received + DELTA
            and way == side
            and who > 1
            and received > came + DELTA
            and where != first[T_INSTRUMENT]
        ]  # fmt: skip
        if first[T_CLIENT]:
            parent = parents.get((actor, side))
            if parent is None or parent["last"] < clock - GAP:
                parent = parents[actor, side] = {"amount": 0.0, "exposed": 0, "windows": 0}
            parent["last"] = clock
            parent["amount"] += amount
            if (window := clock - received - DELTA) > 0:
                parent["exposed"] += window
                parent["windows"] += 1
                acts = [
                    (seq, rates([e[:4] for e in kept], room, who, received, much)[side > 0])
                    for kept, room in ((group, KEPT), (others, KEPT_OTHERS))
                    for when, who, way, much, seq, came, where in reversed(kept[-room:])
                    if when >= received
                    and way == side
                    and received + DELTA < came < clock
                    and who != actor
                    and not (who == GROUP and where == first[T_INSTRUMENT])
                ]
            of_client = parent["amount"]
            if usual > 0 and parent["amount"] >= large_ratio * usual:
                exposed[side > 0] += parent["exposed"]
                windows[side > 0] += parent["windows"]
                parent["exposed"] = parent["windows"] = 0
            sizes.append(amount)
            if len(sizes) % FEW == 0:
                usual = median_low(sizes[-KEPT:])
        if acts or met:
            told.append((first[T_INCOMING], amount, of_client, acts, met))
        kept.append((clock, actor, side, amount, first[T_INCOMING], received, first[T_INSTRUMENT]))
    return told, exposed, windows, usual


@pytest.mark.parametrize("seed", [1, 2])
def test_executions_due_are_those_of_plain_python(seed):
    trades, rank = market(seed, 400), np.array([1, 0])
    trades[:, T_CLOCK] = trades[:, T_CLOCK] // SECOND * SECOND
    for since, until in ((0, START * 2), (START + 40 * SECOND, START + 90 * SECOND)):
        spans, waits, late = across_trades.due_of(trades, since, until, rank)
        expected = due_of(trades, since, until, rank)
        assert [tuple(span) for span in spans.tolist()] == expected[0]
        assert waits.tolist() == expected[1].tolist()
        assert late == expected[2]


@pytest.mark.parametrize("seed", [1, 2])
def test_executions_are_taken_as_plain_python_takes_them(seed):
    trades = market(seed)
    spans, _, _ = across_trades.due_of(trades, 0, START * 2, np.array([0, 1]))
    pools = Pools()
    pools.add("A", int(trades[spans[0, 0], T_CLOCK]))
    pools.state[0][0, across_kernel.P_SINCE] = START
    acts = np.empty((MOST_ACTS, EXECUTION_FIELDS), np.int64)
    of_acts, told, at = np.empty((MOST_ACTS, 3)), [], 0
    while at <= len(spans):
        at, written, met, amount, parent = across_kernel.run(
            trades, spans, at, np.zeros(2, np.int64), LOT, (DELTA, GAP, LOCAL), 3.0, pools.state,
            np.empty((0, CASE_FIELDS), np.int64), acts, of_acts,
        )  # fmt: skip
        if at <= len(spans):
            seqs, (_, chances, episodes) = acts[:met, E_SEQ].tolist(), of_acts[:met].T.tolist()
            found = list(zip(seqs, chances, episodes, strict=True))
            ahead = [(seq, chance) for seq, chance, _ in found[:written]]
            incoming = int(trades[spans[at - 1, 0], T_INCOMING])
            told.append((incoming, amount, parent, ahead, found[written:]))
    expected, exposed, windows, usual = run(trades, spans.tolist(), 3.0)
    assert sum(bool(acts) for *_, acts, _ in expected) > 20
    assert sum(bool(met) for *_, met in expected) > 10
    assert told == expected
    fields = pools.state[0][0]
    assert fields[P_EXPOSED:P_WINDOWS].tolist() == exposed
    assert fields[P_WINDOWS:].tolist() == windows
    assert pools.state[1][0] == usual
