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
    UNKNOWN,
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
    bits = UNKNOWN
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
                near, odd = sum(pairs[down : n + 1]), sum(turned[down : n + 1])
                bits |= (near < enough or odd > ratio * near) << (OCTAVES + n)
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
        assert overtaking.at(batch, 0, first["seq"] - 1) == (told[start - 1] if start else UNKNOWN)
    assert told == plain(rows, 0.1, 3, 20)
    assert len({bits & ((1 << OCTAVES) - 1) for bits in told}) > 1
    assert len({bits >> OCTAVES for bits in told}) > 1


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


def some(counts, gap_ns):
    """What is made of a gap once so many pairs were seen, of those reversed, and one more."""
    instruments = example_instruments()
    overtaking = Overtaking(len(instruments), 0.01, 5, 20)
    state = overtaking.snapshot()
    state["overtaking_pairs"][0] = counts
    overtaking.restore(state)
    pair = [
        {"seq": n + 1, "engine_ns": 10**9, "received_ns": 10**9 - 30 * MS * (1 - n), "account": n}
        for n in range(2)
    ]
    rows = [_new({**row, "role": Role.CLIENT, "in_complex": 0}) for row in pair]
    return order_of(int(overtaking.scan(batch_of(rows, instruments))[-1]), gap_ns)


@pytest.mark.parametrize(
    ("near", "nearer", "order"),
    [
        ((100, 4), (0, 0), SOME_REVERSED),
        ((100, 1), (0, 0), IN_ORDER),
        ((20, 0), (50, 20), IN_ORDER),
        ((19, 0), (0, 0), SOME_REVERSED),
        ((19, 0), (1, 0), IN_ORDER),
        ((19, 0), (1, 1), SOME_REVERSED),
        ((0, 0), (0, 0), SOME_REVERSED),
        ((100, 5), (0, 0), EITHER_WAY),
    ],
    ids=[
        "some", "one in a hundred", "nearer ones alone", "too few", "with nearer ones",
        "with nearer ones, of which one", "none seen", "how the venue works",
    ],
)  # fmt: skip
def test_order_is_kept_where_enough_were_seen_and_hardly_any_reversed(near, nearer, order):
    counts = np.zeros((OCTAVES, 2), np.int64)
    counts[3], counts[2] = near, nearer
    assert some(counts, 150_000) == order


def test_where_nothing_was_seen_order_is_not_known():
    assert order_of(UNKNOWN, 150_000) == SOME_REVERSED
