"""How often others' instructions are matched against the order of arrival."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from detectors.examples import batch_of, example_instruments, trade
from detectors.overtaking import (
    EITHER_WAY,
    FIRST_OCTAVE,
    IN_ORDER,
    OCTAVES,
    RECENT,
    SOME_REVERSED,
    Overtaking,
    octave,
    order_of,
    without_order,
)
from ingest.events import Kind, Role

MS = 1_000_000


def plain(rows, ratio, fewest, enough):
    """The same count in plain Python: octaves without order, and with some reversed, by row."""
    made, pairs, turned, told = [], [0] * OCTAVES, [0] * OCTAVES, []
    bits = 0
    for row in rows:
        if row["role"] in (Role.CLIENT, Role.EXTERNAL_MM):
            for other in reversed(made[-RECENT:]):
                gap = row["received_ns"] - other["received_ns"]
                near = int(math.log2(abs(gap))) - FIRST_OCTAVE if gap else -1
                if not 0 <= near < OCTAVES or row["account"] == other["account"]:
                    continue
                pairs[near] += 1
                turned[near] += gap < 0
            own = [n for n in range(OCTAVES) if turned[n] >= max(fewest, ratio * pairs[n])]
            few = [n for n in range(max(own, default=0)) if ratio * pairs[n] < fewest]
            bits = sum(1 << n for n in {*own, *few})
            for n in range(OCTAVES):
                down = next((m for m in range(n, 0, -1) if sum(pairs[m : n + 1]) >= enough), 0)
                some = sum(turned[down : n + 1]) > ratio * sum(pairs[down : n + 1])
                bits |= some << (OCTAVES + n)
            made.append(row)
        told.append(bits)
    return told


def _new(row):
    return {**trade(1, 2), "kind": Kind.NEW, **row}


def rows_of(seed, count=400):
    draw, at, rows = random.Random(seed), 10**15, []
    for n in range(count):
        at += int(draw.expovariate(1) * 2 * MS)
        late = int(draw.expovariate(1) * draw.choice((0.05, 3)) * MS)
        role = draw.choice((Role.CLIENT, Role.CLIENT, Role.EXTERNAL_MM, Role.AFFILIATED_MM))
        rows.append({
            "seq": n + 1, "engine_ns": at, "received_ns": at - late, "role": role,
            "account": draw.randrange(5), "in_complex": int(role == Role.AFFILIATED_MM),
        })  # fmt: skip
    return rows


@pytest.mark.parametrize("size", [1, 7, 400])
@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_counted_as_in_plain_python_whatever_the_batches(seed, size):
    instruments, rows = example_instruments(), rows_of(seed)
    overtaking, told = Overtaking(len(instruments), 0.1, 3, 20), []
    for start in range(0, len(rows), size):
        part = [_new(row) for row in rows[start : start + size]]
        batch = batch_of(part, instruments)
        told += overtaking.scan(batch).tolist()
        first, last = rows[start], rows[min(start + size, len(rows)) - 1]
        assert overtaking.at(batch, 0, last["seq"]) == told[-1]
        assert overtaking.at(batch, 0, first["seq"] - 1) == (told[start - 1] if start else 0)
    assert told == plain(rows, 0.1, 3, 20)
    assert any(told)


def test_octaves_are_as_logarithms_say():
    for gap in np.random.default_rng(1).integers(1, 1 << 30, 2000).tolist():
        near = math.floor(math.log2(gap)) - FIRST_OCTAVE
        assert octave(gap) == (near if 0 <= near < OCTAVES else -1)


def test_a_batch_stopped_and_restored_goes_on_where_it_was():
    instruments, rows = example_instruments(), rows_of(9)
    whole, first, second = (Overtaking(len(instruments), 0.1, 3, 20) for _ in range(3))
    every = [_new(row) for row in rows]
    told = whole.scan(batch_of(every, instruments)).tolist()
    first.scan(batch_of(every[:150], instruments))
    second.restore(first.snapshot())
    assert second.scan(batch_of(every[150:], instruments)).tolist() == told[150:]


def test_what_farther_pairs_say_holds_for_nearer_ones_of_which_few_were_seen_and_for_no_others():
    counts = np.zeros((OCTAVES, 2), np.int64)
    counts[8] = 300, 15
    assert without_order(counts, 0.01, 5) == (1 << 9) - 1
    counts[3] = 16_000, 0
    assert without_order(counts, 0.01, 5) == (1 << 9) - 1 - (1 << 3)
    counts[8] = 300, 4
    assert without_order(counts, 0.01, 5) == 0


def test_a_few_reversed_are_no_way_of_working_and_leave_doubt():
    counts = np.zeros((OCTAVES, 2), np.int64)
    counts[3] = 100, 4
    instruments = example_instruments()
    overtaking = Overtaking(len(instruments), 0.01, 5, 20)
    state = overtaking.snapshot()
    state["overtaking_pairs"][0] = counts
    overtaking.restore(state)
    pair = [
        {"seq": n + 1, "engine_ns": 10**9, "received_ns": 10**9 - 40_000 * n, "account": n}
        for n in range(2)
    ]
    rows = [_new({**row, "role": Role.CLIENT, "in_complex": 0}) for row in pair]
    told = int(overtaking.scan(batch_of(rows, instruments))[-1])
    # Four in a hundred by 0.15 ms: some; by 0.3 ms too few were seen, and those are the nearest.
    assert [order_of(told, gap) for gap in (150_000, 300_000)] == [SOME_REVERSED, SOME_REVERSED]
    # By 0.04 ms the one pair just seen; nothing nearer.
    assert [order_of(told, gap) for gap in (40_000, 20_000)] == [SOME_REVERSED, IN_ORDER]
    assert order_of(1 << 3, 150_000) == EITHER_WAY
