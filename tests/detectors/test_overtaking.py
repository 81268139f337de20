"""How often others' instructions are matched against the order of arrival."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from detectors.examples import batch_of, example_instruments, trade
from detectors.overtaking import FIRST_OCTAVE, OCTAVES, RECENT, Overtaking, octave, without_order
from ingest.events import Kind, Role

MS = 1_000_000


def plain(rows, ratio, fewest):
    """The same count in plain Python: bits of octaves without order, after each row."""
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
    overtaking, told = Overtaking(len(instruments), 0.1, 3), []
    for start in range(0, len(rows), size):
        part = [_new(row) for row in rows[start : start + size]]
        batch = batch_of(part, instruments)
        told += overtaking.scan(batch).tolist()
        first, last = rows[start], rows[min(start + size, len(rows)) - 1]
        assert overtaking.at(batch, 0, last["seq"]) == told[-1]
        assert overtaking.at(batch, 0, first["seq"] - 1) == (told[start - 1] if start else 0)
    assert told == plain(rows, 0.1, 3)
    assert any(told)


def test_octaves_are_as_logarithms_say():
    for gap in np.random.default_rng(1).integers(1, 1 << 30, 2000).tolist():
        near = math.floor(math.log2(gap)) - FIRST_OCTAVE
        assert octave(gap) == (near if 0 <= near < OCTAVES else -1)


def test_a_batch_stopped_and_restored_goes_on_where_it_was():
    instruments, rows = example_instruments(), rows_of(9)
    whole, first, second = (Overtaking(len(instruments), 0.1, 3) for _ in range(3))
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
