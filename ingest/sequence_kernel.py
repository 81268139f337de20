"""The sequencer's kernel: decides row by row, in the order of arrival, what becomes of each.

Rows that wait are in `ingest.sequence_pending`. Arrays are grown by the caller, never here.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.compiled import njit
from ingest.events import NULL, Kind
from ingest.sequence_pending import LAST, find, forget, insert, without_root

PENDING: Final = 0
RELEASED: Final = 1
DUPLICATE: Final = 2
FORGOTTEN: Final = 3
"""A duplicate whose content is no longer remembered."""
LATE: Final = 4
CONFLICT: Final = 5
WRONG_PARTITION: Final = 6
OUT_OF_RANGE: Final = 7

TIMEOUT: Final = 0
FULL: Final = 1
RESTATED: Final = 2

GAPS_KEPT: Final = 64
"""Declared gaps kept an instrument; below an older one, rows that differ count as late."""
_BOOK: Final = int(Kind.BOOK)
_BOOK_END: Final = int(Kind.BOOK_END)


@njit(cache=True)
def _keep_gap(lanes, k, first, last):  # type: ignore[no-untyped-def]
    at = lanes.gaps[k] % GAPS_KEPT
    if lanes.gaps[k] >= GAPS_KEPT:
        lanes.floor[k] = lanes.gap_last[k, at]
    lanes.gap_first[k, at] = first
    lanes.gap_last[k, at] = last
    lanes.gaps[k] += 1


@njit(cache=True)
def _step_over(lanes, decided, out, k):  # type: ignore[no-untyped-def]
    """Go on behind the gaps that an earlier life declared where an instrument now stands."""
    at = decided.first_row[k]
    while at >= 0 and decided.gaps[at, 1] == lanes.next_seq[k]:
        out.gaps[out.counts[1]] = decided.gaps[at]
        out.counts[1] += 1
        _keep_gap(lanes, k, decided.gaps[at, 1], decided.gaps[at, 2])
        lanes.next_seq[k] = decided.gaps[at, 2] + 1
        at += 1
        if at == decided.gaps.shape[0] or decided.gaps[at, 0] != k:
            at = np.int64(-1)
    decided.first_row[k] = at


@njit(cache=True)
def _was_missing(decided, k, seq):  # type: ignore[no-untyped-def]
    """Say whether a seq lies in a gap that an earlier life declared further on."""
    at = decided.first_row[k]
    while 0 <= at < decided.gaps.shape[0] and decided.gaps[at, 0] == k:
        if decided.gaps[at, 1] <= seq <= decided.gaps[at, 2]:
            return True
        at += 1
    return False


@njit(cache=True, inline="always")
def _release(lanes, decided, out, limits, k, seq, engine_ns, content, arrival):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Give out the next row of an instrument, with its clock."""
    clock = lanes.clock_ns[k]
    fault = 0
    if clock == NULL:
        clock = engine_ns
    else:
        leap = lanes.leap_ns[k]
        if leap != NULL:
            lanes.leap_ns[k] = NULL
            if engine_ns >= leap - limits.max_clock_jump_ns:
                clock = leap
        if engine_ns < clock:
            fault = 1
        elif lanes.exempt[k] == 0 and engine_ns > clock + limits.max_clock_jump_ns:
            fault = 2
            lanes.leap_ns[k] = engine_ns
        else:
            clock = engine_ns
    lanes.clock_ns[k] = clock
    lanes.next_seq[k] = seq + 1
    lanes.memory[k, (seq - 1) & (lanes.memory.shape[1] - 1)] = content
    at = out.counts[0]
    out.arrival[at] = arrival
    out.instrument[at] = k
    out.clock_ns[at] = clock
    out.fault[at] = fault
    out.counts[0] = at + 1
    if decided.first_row[k] >= 0:
        _step_over(lanes, decided, out, k)


@njit(cache=True)
def _drain(lanes, feed, slots, heads, decided, out, limits, k):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Give out the pending rows that follow on; then the new first one decides the deadline."""
    root = lanes.root[k]
    while root >= 0 and slots.seq[root] == lanes.next_seq[k]:
        forget(slots, find(slots, k, slots.seq[root]))
        rest = without_root(slots, root)
        _release(
            lanes, decided, out, limits, k, slots.seq[root], slots.engine_ns[root],
            slots.content[root], slots.arrival[root],
        )  # fmt: skip
        slots.child[root] = -1
        slots.sibling[root] = heads[1]
        heads[1] = root
        heads[0] -= 1
        root = rest
    lanes.root[k] = root
    if root >= 0:
        p = lanes.partition[k]
        due = slots.held_ns[root] + limits.gap_timeout_ns
        feed.deadline_ns[p] = min(due, feed.deadline_ns[p])


@njit(cache=True)
def _declare(lanes, feed, slots, heads, decided, out, limits, k, now, why):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Call what is missing before an instrument's first pending row a gap; go on from that row."""
    root = lanes.root[k]
    _keep_gap(lanes, k, lanes.next_seq[k], slots.seq[root] - 1)
    row = out.gaps[out.counts[1]]
    row[0] = k
    row[1] = lanes.next_seq[k]
    row[2] = slots.seq[root] - 1
    row[3] = now
    row[4] = why
    row[5] = slots.engine_ns[root]
    out.counts[1] += 1
    lanes.next_seq[k] = slots.seq[root]
    _drain(lanes, feed, slots, heads, decided, out, limits, k)


@njit(cache=True, inline="always")
def _progress(feed, p):  # type: ignore[no-untyped-def]
    orders, trades = feed.progress_ns[0, p], feed.progress_ns[1, p]
    if feed.idle[0, p] == feed.idle[1, p]:
        return max(orders, trades) if feed.idle[0, p] else min(orders, trades)
    return trades if feed.idle[0, p] else orders


@njit(cache=True)
def _expire(lanes, feed, slots, heads, decided, out, limits, p):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Declare the gaps of a partition that both topics have passed by the time-out."""
    now = _progress(feed, p)
    if now < feed.deadline_ns[p] or limits.decides == 0:
        return
    feed.deadline_ns[p] = LAST
    for k in range(lanes.root.shape[0]):
        if lanes.partition[k] != p:
            continue
        while lanes.root[k] >= 0:
            due = slots.held_ns[lanes.root[k]] + limits.gap_timeout_ns
            if now < due:
                feed.deadline_ns[p] = min(due, feed.deadline_ns[p])
                break
            _declare(lanes, feed, slots, heads, decided, out, limits, k, now, TIMEOUT)


@njit(cache=True)
def _make_room(lanes, feed, slots, heads, decided, out, limits):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Declare the gap whose first pending row has waited longest, by arrival."""
    oldest = np.int64(-1)
    for k in range(lanes.root.shape[0]):
        root = lanes.root[k]
        if root >= 0 and (oldest < 0 or slots.arrival[root] < slots.arrival[lanes.root[oldest]]):
            oldest = np.int64(k)
    now = _progress(feed, lanes.partition[oldest])
    _declare(lanes, feed, slots, heads, decided, out, limits, oldest, now, FULL)


@njit(cache=True)
def _judge_passed(lanes, k, seq, content):  # type: ignore[no-untyped-def]
    """Say what a row is whose seq the instrument has passed."""
    if seq < 1:
        return OUT_OF_RANGE
    for at in range(min(lanes.gaps[k], GAPS_KEPT)):
        if lanes.gap_first[k, at] <= seq <= lanes.gap_last[k, at]:
            return LATE
    size = lanes.memory.shape[1]
    remembered = seq >= lanes.next_seq[k] - size
    same = remembered and lanes.memory[k, (seq - 1) & (size - 1)] == content
    if seq <= lanes.floor[k] and not same:
        return LATE  # released and forgotten, or of a forgotten gap: archived rather than lost
    if not remembered:
        return FORGOTTEN
    return DUPLICATE if same else CONFLICT


@njit(cache=True, inline="always")
def _move(feed, t, p, engine_ns, limits):  # type: ignore[no-untyped-def]
    """Move a position's progress, but not by one row that jumps until the next confirms it."""
    now = feed.progress_ns[t, p]
    if now == NULL:
        feed.progress_ns[t, p] = engine_ns
        return
    leap = feed.leap_ns[t, p]
    if leap != NULL:
        feed.leap_ns[t, p] = NULL
        if engine_ns >= leap - limits.max_clock_jump_ns:
            now = leap
    if engine_ns > now + limits.max_clock_jump_ns:
        feed.leap_ns[t, p] = engine_ns
    else:
        now = max(now, engine_ns)
    feed.progress_ns[t, p] = now


@njit(cache=True)
def _take_back(feed, slots, limits, t, p):  # type: ignore[no-untyped-def]
    """Let a row whose jump was no progress wait from where the position stands."""
    bucket = find(slots, feed.leap_code[t, p], feed.leap_seq[t, p])
    if bucket >= 0:
        slots.held_ns[slots.table[bucket]] = feed.progress_ns[t, p]
        due = feed.progress_ns[t, p] + limits.gap_timeout_ns
        feed.deadline_ns[p] = min(due, feed.deadline_ns[p])


@njit(cache=True)
def grouped(instrument, count, instruments):  # type: ignore[no-untyped-def]
    """Return the stable order that brings each instrument's rows together."""
    starts = np.zeros(instruments + 1, np.int64)
    for i in range(count):
        starts[instrument[i] + 1] += 1
    for k in range(instruments):
        starts[k + 1] += starts[k]
    order = np.empty(count, np.int64)
    for i in range(count):
        k = instrument[i]
        order[starts[k]] = i
        starts[k] += 1
    return order


@njit(cache=True)
def sequence(rows, base, idle_from, lanes, feed, slots, heads, decided, out, limits):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Take arrival rows, the first numbered `base`; `heads` is pending count and first free slot.

    `idle_from`, topic by partition: the row with which a position becomes idle; -1 = before the
    first row; LAST = not at all. While `limits.decides` is 0, gaps are those of `decided` alone.
    """
    for k in range(decided.first_row.shape[0]):
        if decided.first_row[k] >= 0:
            _step_over(lanes, decided, out, k)
            if lanes.root[k] >= 0:
                _drain(lanes, feed, slots, heads, decided, out, limits, k)
    for at in range(feed.deadline_ns.shape[0]):
        feed.idle[0, at] = idle_from[0, at] < 0
        feed.idle[1, at] = idle_from[1, at] < 0
        _expire(lanes, feed, slots, heads, decided, out, limits, at)
    kind, instrument, seqs = rows.kind, rows.instrument, rows.seq
    engine_ns, topic, partition, contents = (
        rows.engine_ns, rows.topic, rows.partition, rows.content,
    )  # fmt: skip
    for i in range(seqs.shape[0]):
        # One integer type throughout: each helper is then compiled once.
        t, p = np.int64(topic[i]), np.int64(partition[i])
        code, seq = np.int64(instrument[i]), seqs[i]
        crowded = False
        leap = feed.leap_ns[t, p]
        _move(feed, t, p, engine_ns[i], limits)
        if leap != NULL:
            if feed.progress_ns[t, p] < leap:
                _take_back(feed, slots, limits, t, p)
            feed.leap_seq[t, p] = 0
        if lanes.partition[code] < 0:
            lanes.partition[code] = p
            restates = kind[i] == _BOOK or kind[i] == _BOOK_END
            if restates and seq > 1 and limits.decides == 1:
                row = out.gaps[out.counts[1]]
                row[0], row[1], row[2] = code, 1, seq - 1
                row[3], row[4], row[5] = engine_ns[i], RESTATED, engine_ns[i]
                out.counts[1] += 1
                _keep_gap(lanes, code, np.int64(1), seq - 1)
                lanes.next_seq[code] = seq
        if lanes.partition[code] != p:
            out.status[i] = WRONG_PARTITION
        elif decided.first_row[code] >= 0 and _was_missing(decided, code, seq):
            out.status[i] = LATE
        else:
            while True:
                if seq == lanes.next_seq[code]:
                    _release(
                        lanes, decided, out, limits, code, seq, engine_ns[i], contents[i], base + i,
                    )  # fmt: skip
                    out.status[i] = RELEASED
                    if lanes.root[code] >= 0:
                        _drain(lanes, feed, slots, heads, decided, out, limits, code)
                    break
                if seq < lanes.next_seq[code]:
                    out.status[i] = _judge_passed(lanes, code, seq, contents[i])
                    break
                bucket = find(slots, code, seq)
                if bucket >= 0:
                    same = slots.content[slots.table[bucket]] == contents[i]
                    out.status[i] = DUPLICATE if same else CONFLICT
                    break
                if heads[0] >= limits.max_pending and limits.decides == 1:
                    _make_room(lanes, feed, slots, heads, decided, out, limits)
                    crowded = True
                    continue
                held = feed.progress_ns[t, p]
                if feed.leap_ns[t, p] != NULL:
                    # Its own time is what it waits from, unless the next row takes that back.
                    held = feed.leap_ns[t, p]
                    feed.leap_code[t, p], feed.leap_seq[t, p] = code, seq
                insert(
                    lanes, slots, heads, code, seq, engine_ns[i], held, contents[i], base + i,
                    -1 - bucket,
                )  # fmt: skip
                out.status[i] = PENDING
                due = slots.held_ns[lanes.root[code]] + limits.gap_timeout_ns
                feed.deadline_ns[p] = min(due, feed.deadline_ns[p])
                break
        if idle_from[t, p] == i:
            feed.idle[t, p] = 1
        if _progress(feed, p) >= feed.deadline_ns[p]:
            _expire(lanes, feed, slots, heads, decided, out, limits, p)
        if crowded:
            # Room was made in whatever partition: what comes next there may be due already.
            for at in range(feed.deadline_ns.shape[0]):
                if _progress(feed, at) >= feed.deadline_ns[at]:
                    _expire(lanes, feed, slots, heads, decided, out, limits, at)
