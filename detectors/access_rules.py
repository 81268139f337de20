"""The compiled rules of unequal_access that all ways share, and those of times."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.access_state import (
    A_BELOW,
    A_LOSSES,
    A_PAIRS,
    A_TOLD,
    A_WINS,
    AFMM,
    B_SEQ,
    B_SLOW_NS,
    B_SLOW_SEQ,
    BINS,
    BUCKET,
    BURSTS,
    D_ACCOUNT,
    D_FROM,
    D_INSTRUMENT,
    D_KIND,
    D_TO,
    D_VALUE,
    GROUP,
    JUDGED,
    LINE_AFMM,
    LINE_ENGINE,
    LINE_RECEIVED,
    OUTSIDE,
    P_LOSSES,
    P_PAIRS,
    P_WINS,
    PAIRED_FIELDS,
    RESERVED,
    S_ACCOUNT,
    S_BURST,
    S_ENGINE,
    S_PAID,
    S_PAIRED,
    S_PARTY,
    S_RECEIVED,
    S_SEEN_NS,
    S_TIER,
    SLOTS,
    TOLD_LATENCY,
    WHOSE,
)  # fmt: skip
from ingest.compiled import kernel
from ingest.events import NULL, Array, Role

BUCKET_NS, PAIR_NS, BURST_NS, FLOOR_NS, MEMORY_NS, PROTECTION_NS, KEPT, CLOCK_NS = range(8)
"""Places in the whole numbers that a scan is given."""
SHARE, SHORT, BURST_S = range(3)
"""Places in its shares: of a latency, of a fee; seconds of a rate that may come at once."""
MOST_QUANTUM: Final = 10**12
"""No venue rounds fees to more than a thousand: where the search for their last digit begins."""


@kernel(inline="always")
def slot_of(  # noqa: PLR0917
    slots: Array, account: int, party: int, at_ns: int, numbers: Array, fills: Array, peers: Array,
    ours: Array, lost: Array,
) -> int:  # fmt: skip
    """Return the slot of an account, giving it one; -1 when all are taken.

    An external maker is given none of the reserved ones, but that of the one longest unseen, when
    that is since before this bucket; the affiliate is given that in any case.
    """
    oldest, free, outside = -1, -1, 0
    for s in range(SLOTS):
        if slots[s, S_ACCOUNT] == account + 1:
            if party != GROUP:  # another account's record does not tell what this one is
                if slots[s, S_PARTY] != party:
                    slots[s, S_PAID:] = 0  # kept of an external maker for another end
                slots[s, S_PARTY] = party
            slots[s, S_SEEN_NS] = at_ns
            return s
        if not slots[s, S_ACCOUNT]:
            free = s
            break
        if slots[s, S_PARTY] == OUTSIDE:
            outside += 1
            if oldest < 0 or slots[s, S_SEEN_NS] < slots[oldest, S_SEEN_NS]:
                oldest = s
    taken = free
    if party == OUTSIDE and outside >= SLOTS - RESERVED:
        taken = -1
    if taken < 0 and oldest >= 0 and party != GROUP:
        idle = slots[oldest, S_SEEN_NS] // numbers[BUCKET_NS] < at_ns // numbers[BUCKET_NS]
        if party == AFMM or idle:
            taken = oldest
            slots[taken] = 0
            fills[taken] = 0
            peers[:, taken] = 0
            ours[:, taken] = 0
    if taken < 0:
        lost[0] += 1
        return -1
    slots[taken, S_ACCOUNT], slots[taken, S_PARTY] = account + 1, party
    slots[taken, S_TIER], slots[taken, S_RECEIVED] = -1, NULL
    slots[taken, S_ENGINE], slots[taken, S_SEEN_NS] = NULL, at_ns
    return taken


@kernel()
def party_of(role: int, member: int) -> int:
    """Return the party of an account that is followed, 0 for all others."""
    if role == Role.AFFILIATED_MM:
        return AFMM
    if member:
        return GROUP
    return OUTSIDE if role == Role.EXTERNAL_MM else 0


@kernel()
def disclosed(told: Array, account: int, code: int, kind: int, at_ns: int) -> int:
    """Return the row of what clients were told at a time, the narrowest, newest; -1: nothing."""
    found = -1
    for row in range(told.shape[0]):
        if (
            told[row, D_ACCOUNT] == account
            and told[row, D_KIND] == kind
            and told[row, D_FROM] <= at_ns < told[row, D_TO]
            and (told[row, D_INSTRUMENT] == code or told[row, D_INSTRUMENT] < 0)
            and (
                found < 0
                or (told[row, D_INSTRUMENT], told[row, D_FROM])
                >= (told[found, D_INSTRUMENT], told[found, D_FROM])
            )
        ):
            found = row
    return found


@kernel()
def bin_of(latency_ns: int) -> int:
    """Return the half octave of a latency, from 1 µs."""
    if latency_ns <= 1_000:
        return 0
    return min(BINS - 1, 1 + int(2 * np.log2(latency_ns / 1_000)))


@kernel()
def below_told(told: Array, account: int, code: int, place: int, at_ns: int) -> int:
    """Return 1 when a half octave ends below the time that was told of an account, 0 when not.

    -1 where none was.
    """
    row = disclosed(told, account, code, TOLD_LATENCY, at_ns)
    if row < 0:
        return -1
    return int(1_000 * 2 ** (place / 2) < told[row, D_VALUE])


@kernel()
def burst_of(instructions: int) -> int:
    """Return the class of so many instructions at once; 0 is taken for one.

    >>> [burst_of(n) for n in (0, 1, 2, 3, 4, 7, 8, 100)]
    [0, 0, 1, 1, 2, 2, 3, 3]
    """
    found, left = 0, instructions
    while left > 1 and found < BURSTS - 1:
        found, left = found + 1, left >> 1
    return found


@kernel(inline="always")
def compare(  # noqa: PLR0917
    slots: Array, s: int, action: int, at_ns: int, seq: int, latency_ns: int, numbers: Array,
    shares: Array, tally: Array, mine: Array, bucket: Array, times: Array, told: Array, code: int,
) -> None:  # fmt: skip
    """Pair an instruction with the latest of its counterparts, or have it wait for the next.

    A counterpart is of the same action, and the first done of about as many that came at once:
    where gateways keep no order, the first of many is done sooner than the first of few.
    """
    place = S_PAIRED + PAIRED_FIELDS * (action * BURSTS + burst_of(slots[s, S_BURST]))
    affiliate = slots[s, S_PARTY] == AFMM
    latency_bin, told_below = bin_of(latency_ns), -1
    if affiliate:
        told_below = below_told(told, slots[s, S_ACCOUNT] - 1, code, latency_bin, at_ns)
        if not bucket[B_SEQ]:
            bucket[B_SEQ] = seq
    for other in range(SLOTS):
        if not slots[other, S_ACCOUNT]:
            break
        if affiliate:
            if slots[other, S_PARTY] != OUTSIDE:
                continue
            peer, theirs, ours, own = other, place, place + 2, s
        elif other != s:
            continue
        else:
            peer, theirs, ours, own = s, place + 2, place, -1
        waiting_ns = slots[peer, theirs]
        if waiting_ns and abs(at_ns - waiting_ns) <= numbers[PAIR_NS]:
            waited_ns = slots[peer, theirs + 1]
            fast_ns = latency_ns if affiliate else waited_ns
            slow_ns = waited_ns if affiliate else latency_ns
            margin = max(float(numbers[FLOOR_NS]), shares[SHARE] * min(fast_ns, slow_ns))
            tally[peer, P_PAIRS] += 1
            tally[peer, P_WINS] += slow_ns - fast_ns > margin
            if not affiliate and slow_ns - fast_ns > max(margin, float(bucket[B_SLOW_NS])):
                bucket[B_SLOW_SEQ], bucket[B_SLOW_NS] = seq, slow_ns - fast_ns
            tally[peer, P_LOSSES] += fast_ns - slow_ns > margin
            waited_bin = bin_of(waited_ns)
            times[0, latency_bin if affiliate else waited_bin] += 1
            times[1, waited_bin if affiliate else latency_bin] += 1
            if own < 0:
                own = slots[peer, theirs + WHOSE] - 1
                account = slots[own, S_ACCOUNT] - 1
                told_below = below_told(told, account, code, waited_bin, at_ns)
            mine[own, A_PAIRS] += 1
            mine[own, A_WINS] += slow_ns - fast_ns > margin
            mine[own, A_LOSSES] += fast_ns - slow_ns > margin
            mine[own, A_TOLD] += told_below >= 0
            mine[own, A_BELOW] += told_below > 0
            slots[peer, theirs] = 0
        else:
            slots[peer, ours], slots[peer, ours + 1] = at_ns, latency_ns
            if affiliate:
                slots[peer, ours + WHOSE] = s + 1


@kernel(inline="always")
def in_line(own: Array, came_ns: int, engine_ns: int, role: int) -> bool:
    """Take an instruction into the line; return whether the affiliate stands in it before this."""
    if not own[LINE_RECEIVED] <= came_ns < own[LINE_ENGINE]:
        own[LINE_AFMM] = 0
    behind = bool(own[LINE_AFMM])
    own[LINE_RECEIVED], own[LINE_ENGINE] = came_ns, engine_ns
    if role == Role.AFFILIATED_MM:
        own[LINE_AFMM] = 1
    return behind


@kernel()
def begin(  # noqa: PLR0917
    own: Array, bucket: int, kept: int, peers: Array, ours: Array, tallies: Array, times: Array
) -> None:
    """Go on to a bucket: forget those that its place, and places passed over, held."""
    since = own[BUCKET]
    for n in range(max(since + 1, bucket - kept + 1), bucket + 1):
        peers[n % kept] = 0
        ours[n % kept] = 0
        tallies[n % kept] = 0
        times[n % kept] = 0
    own[BUCKET] = bucket
    own[JUDGED] = 0
