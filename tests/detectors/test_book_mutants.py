"""Faults put into the book's kernels one at a time: the comparison with the reference finds them.

The normal run tries a sample spread over all of them; `RINGFENCE_MUTANTS=all` tries every one.
"""

from __future__ import annotations

import os
import time
import warnings

import numpy as np
import pytest

from detectors import book_layout as layout
from ingest.errors import SnapshotError
from ingest.events import BOOK, PASSED_OVER
from tests.support.agreement import crowded, faulty, half_ids, queues
from tests.support.mutants import OutOfTimeError, limit, mutants, uncompiled
from tests.support.noise import churn, noise, trades_alone
from tests.support.reference_book import ReferenceBooks
from tests.support.vectors import batches
from tests.support.venue import random_tape

EQUIVALENT = (
    # How high a level's node rises, how much room is kept, and which way round the index is
    # searched for what is in it, are matters of speed alone.
    "table.free_order: minus for plus: at + 1 #2",
    "table.height_of: ",
    "table.find_level: minus for plus: m[head + HEIGHT] - 1",
    "kernel.has_room: minus for plus: BIG * 4 + 4 * SMALL",
    "kernel.has_room: minus for plus: m[ORDERS_LIVE] + 1",
    # Two numbers that are never equal: no external maker's fill is judged, no two joinings are one,
    # and prevention that takes nothing agrees anyway.
    "passed.eligible: compare 0: m[first + FILL_ROLE] > _EXTERNAL_MM",
    "passed.tell: compare 0: m[row + FILL_PRIORITY] > m[order + PRIORITY]",
    "passed.judge_price: compare 0: m[order + PRIORITY] > m[first + FILL_PRIORITY]",
    "orders.amend: compare 0: leaves <= before",
)
"""Changes that change no result, with why."""
MUTANTS = [mutant for mutant in mutants() if not mutant[0].startswith(EQUIVALENT)]
SAMPLE = 24
"""Every so many mutants one is tried in the normal run: 30 or so."""
TRIED = MUTANTS if os.environ.get("RINGFENCE_MUTANTS") == "all" else MUTANTS[::SAMPLE]


@pytest.fixture(scope="module")
def cases():
    """Tapes in batches, what the reference says of each, and how much memory each tape took."""
    abuse = ("queue_jump", "wash_self")
    market = random_tape(41, 400, gaps=1, phases=0.02, abuse=abuse, stp="decrement").batch()
    tapes = (
        (noise(1, 500, ids=4), 40),
        (half_ids(crowded(1, 300)), None),
        (noise(2, 700, ids=12, instruments=1), None),
        (noise(4, 600, ids=120, instruments=1), None),
        (crowded(2, 400), 20),
        (noise(3, 600, ids=6), 2),
        (faulty(half_ids(crowded(3, 500)), 3, 0.03), 30),
        (crowded(4, 700, instruments=1), None),
        (faulty(market, 1, 0.05), None),
        (faulty(crowded(5, 700), 5, 0.005), 60),
        (noise(8, 1_500, ids=8, instruments=3), None),
        (trades_alone(noise(5, 300)), None),
        (noise(6, 800, ids=2), None),
        (crowded(6, 300), 1),
        (queues(0, 6), None),
        (queues(1, 6), 40, "one book all along"),
        (crowded(0, 500, instruments=1), 1),
        (churn(1, 600, live=60), None),
        (noise(9, 1_500, ids=300, instruments=1), None),
    )
    made = []
    for batch, size, *kept in tapes:
        reference, parts = ReferenceBooks(), []
        for part in batches(batch, size):
            rows, passed = reference.apply(part)
            columns = {n: np.array([r[n] for r in rows], dtype=BOOK[n].dtype) for n in BOOK}
            table = {n: [r[n] for r in passed] for n in PASSED_OVER}
            live = sum(len(one.orders) for one in reference.books.values())
            parts.append((part, columns, table, live))
        made.append((batch.instruments, parts, size is not None and not kept))
    with uncompiled() as books:
        return [(case, *_timed(books, case)) for case in made]


def _timed(books, case):
    """Return the words of memory that a case takes, and a bound on the processor time, s."""
    start = time.process_time()
    words = _run(books, case)
    return words, 0.3 + 4 * (time.process_time() - start)


def _run(books, case):
    """Replay a case, asserting agreement; return the words of memory taken."""
    instruments, parts, restored = case
    book = books(instruments, capacity=8)
    for part, columns, table, live in parts:
        if restored:
            saved = book.snapshot()
            book = books(instruments, capacity=8)
            book.restore(saved)
        got = book.apply(part)
        for name, want in columns.items():
            assert np.array_equal(got[name], want), name
        for name, want in table.items():
            assert got.passed_over[name].tolist() == want, name
        assert len(book) == live
        for instrument in range(len(instruments)):
            shown, levels = book.live(instrument), book.levels(instrument)
            assert not shown["shown"][shown["state"] != 0].any()
            for side in (1, -1):
                resting = (shown["side"] == side) & (shown["shown"] > 0)
                at = levels["side"] == side
                assert levels["lots"][at].sum() == shown["shown"][resting].sum()
                assert levels["orders"][at].sum() == resting.sum()
    return int(book._memory[layout.END])


def _survives(module, tree, cases):
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            with uncompiled(module, tree) as books:
                for case, words, seconds in cases:
                    with limit(seconds):
                        if _run(books, case) > words:
                            return False
                return True
    except (AssertionError, ArithmeticError, LookupError, NameError, TypeError, ValueError):
        return False
    except (MemoryError, OutOfTimeError, SnapshotError):
        return False


@pytest.mark.parametrize("mutant", TRIED, ids=[mutant[0] for mutant in TRIED])
def test_a_fault_in_the_kernels_is_noticed(mutant, cases):
    _, module, tree = mutant
    assert not _survives(module, tree, cases)


def test_there_are_at_least_five_hundred_faults_to_try():
    assert len(MUTANTS) >= 500
    assert len(TRIED) >= 25
