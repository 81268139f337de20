"""The compiled rules of unequal_access: how each act of the venue is counted for a maker."""

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
    B_BENT,
    B_PEER_BENT,
    B_PEER_RULE,
    B_RULE,
    B_SEQ,
    B_SLOW_NS,
    B_SLOW_SEQ,
    BINS,
    BUCKET,
    D_ACCOUNT,
    D_FROM,
    D_INSTRUMENT,
    D_KIND,
    D_TO,
    D_VALUE,
    DOUBT_NS,
    F_ACCOUNTS,
    F_BETTER,
    F_COUNT,
    F_DUE,
    F_FIRST_NS,
    F_FIRST_SEQ,
    F_GOT,
    F_LAST_NS,
    F_LEAST,
    F_PEERS,
    F_PROVED,
    F_REFS,
    F_SURE,
    F_TOLD,
    FILL_LOTS,
    FILL_NS,
    FILL_SEQ,
    FILLS,
    FIRST_NS,
    GROUP,
    INCOMING_ACCOUNT,
    JUDGED,
    LINE_AFMM,
    LINE_ENGINE,
    LINE_RECEIVED,
    M_BASE,
    M_COUNT,
    M_LEAST,
    M_MOST,
    M_SUM,
    OUTSIDE,
    P_LOSSES,
    P_PAIRS,
    P_WINS,
    PAIRED_FIELDS,
    PENDING,
    PENDING_NS,
    PENDING_SEQ,
    QUANTUM,
    REFS,
    RESERVED,
    RESTED,
    S_ACCOUNT,
    S_ENGINE,
    S_FILLS,
    S_PAID,
    S_PAIRED,
    S_PARTY,
    S_RECEIVED,
    S_RULE,
    S_SEEN_NS,
    S_TIER,
    SLOTS,
    TOLD_LATENCY,
    TOLD_LOTS,
    TOLD_MAKER,
    TRIPS,
    WHOSE,
)  # fmt: skip
from ingest.compiled import njit
from ingest.events import NULL, Array, Role

BUCKET_NS, PAIR_NS, BURST_NS, FLOOR_NS, MEMORY_NS, PROTECTION_NS, KEPT = range(7)
"""Places in the whole numbers that a scan is given."""
SHARE, SHORT = range(2)
"""Places in its shares: of a latency, of a fee."""
_NEVER: Final = 2**63 - 1
MOST_QUANTUM: Final = 10**12
"""No venue rounds fees to more than a thousand: where the search for their last digit begins."""


@njit(cache=True)
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


@njit(cache=True)
def party_of(role: int, member: int) -> int:
    """Return the party of an account that is followed, 0 for all others."""
    if role == Role.AFFILIATED_MM:
        return AFMM
    if member:
        return GROUP
    return OUTSIDE if role == Role.EXTERNAL_MM else 0


@njit(cache=True)
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


@njit(cache=True)
def bin_of(latency_ns: int) -> int:
    """Return the half octave of a latency, from 1 µs."""
    if latency_ns <= 1_000:
        return 0
    return min(BINS - 1, 1 + int(2 * np.log2(latency_ns / 1_000)))


@njit(cache=True)
def compare(  # noqa: PLR0917
    slots: Array, s: int, action: int, at_ns: int, seq: int, latency_ns: int, numbers: Array,
    shares: Array, tally: Array, mine: Array, bucket: Array, times: Array, told: Array, code: int,
) -> None:  # fmt: skip
    """Pair an instruction with the latest of its counterparts, or have it wait for the next."""
    place = S_PAIRED + PAIRED_FIELDS * action
    affiliate = slots[s, S_PARTY] == AFMM
    if affiliate and not bucket[B_SEQ]:
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
        if waiting_ns and at_ns - waiting_ns <= numbers[PAIR_NS]:
            waited_ns = slots[peer, theirs + 1]
            fast_ns = latency_ns if affiliate else waited_ns
            slow_ns = waited_ns if affiliate else latency_ns
            margin = max(float(numbers[FLOOR_NS]), shares[SHARE] * min(fast_ns, slow_ns))
            tally[peer, P_PAIRS] += 1
            tally[peer, P_WINS] += slow_ns - fast_ns > margin
            if not affiliate and slow_ns - fast_ns > max(margin, float(bucket[B_SLOW_NS])):
                bucket[B_SLOW_SEQ], bucket[B_SLOW_NS] = seq, slow_ns - fast_ns
            tally[peer, P_LOSSES] += fast_ns - slow_ns > margin
            times[0, bin_of(fast_ns)] += 1
            times[1, bin_of(slow_ns)] += 1
            if own < 0:
                own = slots[peer, theirs + WHOSE] - 1
            mine[own, A_PAIRS] += 1
            mine[own, A_WINS] += slow_ns - fast_ns > margin
            mine[own, A_LOSSES] += fast_ns - slow_ns > margin
            row = disclosed(told, slots[own, S_ACCOUNT] - 1, code, TOLD_LATENCY, at_ns)
            if row >= 0:
                mine[own, A_TOLD] += 1
                mine[own, A_BELOW] += 1_000 * 2 ** (bin_of(fast_ns) / 2) < told[row, D_VALUE]
            slots[peer, theirs] = 0
        else:
            slots[peer, ours], slots[peer, ours + 1] = at_ns, latency_ns
            if affiliate:
                slots[peer, ours + WHOSE] = s + 1


@njit(cache=True)
def fact(fact_row: Array, slot: int, seq: int, at_ns: int) -> None:
    """Count a fact of the bucket."""
    n = fact_row[F_COUNT]
    if not n:
        fact_row[F_FIRST_SEQ], fact_row[F_FIRST_NS], fact_row[F_LEAST] = seq, at_ns, _NEVER
    fact_row[F_COUNT] = n + 1
    fact_row[F_LAST_NS] = at_ns
    fact_row[F_ACCOUNTS] |= 1 << slot
    if n < REFS:
        fact_row[F_REFS + n] = seq


@njit(cache=True)
def measure(row: Array, fee: float, base: float, value: float) -> None:
    """Add to what was measured."""
    row[M_LEAST] = value if not row[M_COUNT] else min(row[M_LEAST], value)
    row[M_MOST] = value if not row[M_COUNT] else max(row[M_MOST], value)
    row[M_COUNT] += 1
    row[M_SUM] += fee
    row[M_BASE] += base


@njit(cache=True)
def paid(  # noqa: PLR0917
    slots: Array, s: int, own: Array, fact_row: Array, measured: Array, told: Array, code: int,
    seq: int, at_ns: int, fee: int, notional: float, liquidity: int, numbers: Array, shares: Array,
) -> None:  # fmt: skip
    """Judge one fee: against what was disclosed, and what others of the tier pay."""
    while own[QUANTUM] > 1 and fee % own[QUANTUM]:
        own[QUANTUM] //= 10
    if notional <= 0:
        return
    rate = fee / notional * 1e4
    place = S_PAID + 2 * liquidity
    party = slots[s, S_PARTY]
    measure(measured[liquidity if party == AFMM else 2 + liquidity], fee * 1e-9,
            notional * 1e-9, rate)  # fmt: skip
    if party == OUTSIDE:
        # A fee of one or two units in the last digit tells no rate.
        if abs(fee) * shares[SHORT] >= own[QUANTUM] or not fee:
            slots[s, place], slots[s, place + 1] = np.int64(np.round(rate * 1e6)), at_ns
        return
    peers, least = 0, 0.0
    for other in range(SLOTS):
        if not slots[other, S_ACCOUNT]:
            break
        if (
            slots[other, S_PARTY] == OUTSIDE
            and slots[other, S_TIER] == slots[s, S_TIER]
            and slots[other, place + 1]
            and at_ns - slots[other, place + 1] <= numbers[MEMORY_NS]
        ):
            theirs = slots[other, place] * 1e-6
            least = theirs if not peers else min(least, theirs)
            peers += 1
    row = disclosed(told, slots[s, S_ACCOUNT] - 1, code, TOLD_MAKER + liquidity, at_ns)
    if row < 0 and peers < 2:
        return
    told_rate = told[row, D_VALUE] if row >= 0 else least
    due_rate = min(told_rate, least) if peers else told_rate
    due = due_rate * 1e-4 * notional
    if due - fee < own[QUANTUM] or due - fee <= shares[SHORT] * abs(due):
        return  # rounding down takes less than one unit in the last digit
    fact(fact_row, s, seq, at_ns)
    fact_row[F_BETTER] += row >= 0
    fact_row[F_PROVED] += row >= 0
    fact_row[F_SURE] += row >= 0 or slots[s, S_TIER] >= 0
    whole = np.int64(np.round(rate * 1e6))
    if whole < fact_row[F_LEAST]:
        fact_row[F_LEAST] = whole
        fact_row[F_TOLD] = np.int64(np.round(told_rate * 1e6))
    fact_row[F_GOT] += fee
    fact_row[F_DUE] += np.int64(np.round(due))
    fact_row[F_PEERS] = max(fact_row[F_PEERS], peers)


@njit(cache=True)
def tripped(  # noqa: PLR0917
    slots: Array, s: int, own: Array, fills: Array, fact_row: Array, measured: Array, told: Array,
    code: int, seq: int, at_ns: int, numbers: Array,
) -> None:  # fmt: skip
    """Judge one act of maker protection: how much had been filled before it, at most."""
    if at_ns - max(own[FIRST_NS], own[DOUBT_NS]) <= numbers[PROTECTION_NS]:
        return  # fills may be missing
    lots, n = 0, slots[s, S_FILLS]
    first = n
    for back in range(1, min(n, FILLS) + 1):
        fill = fills[(n - back) % FILLS]
        if at_ns - fill[FILL_NS] > numbers[PROTECTION_NS]:
            break
        if back == FILLS:
            return  # older ones may have been forgotten
        lots += fill[FILL_LOTS]
        first = n - back
    if not lots:
        return  # what made it act is not in this instrument
    measure(measured[TRIPS], 0.0, 0.0, float(lots))
    row = disclosed(told, slots[s, S_ACCOUNT] - 1, code, TOLD_LOTS, at_ns)
    if row < 0 or lots >= told[row, D_VALUE]:
        return
    fact(fact_row, s, seq, at_ns)
    fact_row[F_BETTER] += 1
    fact_row[F_SURE] += 1
    # Told of all instruments it may count over all, of which the other fills are not seen here.
    fact_row[F_PROVED] += told[row, D_INSTRUMENT] == code
    if fact_row[F_COUNT] <= REFS // 2:  # cite the last fill beside the cancel
        fact_row[F_REFS + REFS // 2 + fact_row[F_COUNT] - 1] = fills[(n - 1) % FILLS, FILL_SEQ]
    if lots < fact_row[F_LEAST]:
        fact_row[F_LEAST], fact_row[F_TOLD] = lots, np.int64(told[row, D_VALUE])
        fact_row[F_GOT] = n - first


@njit(cache=True)
def prevented(  # noqa: PLR0917
    slots: Array, own: Array, bucket: Array, account: int, role: int, member: int, incoming: bool,
    seq: int, at_ns: int, numbers: Array, fills: Array, peers: Array, ours: Array, lost: Array,
) -> None:  # fmt: skip
    """Count whose order self-trade prevention took: the incoming one's, or the one that rested."""
    if not member:
        bucket[B_PEER_BENT if incoming else B_PEER_RULE] += 1
        return
    bucket[B_BENT if incoming else B_RULE] += 1
    # An account that always gives up its incoming order has chosen so; one that did otherwise
    # before has not.
    came = account if incoming else own[INCOMING_ACCOUNT] - 1
    if came < 0:
        return
    party = party_of(role, member) if came == account else GROUP
    s = slot_of(slots, came, party, at_ns, numbers, fills, peers, ours, lost)
    if not incoming:
        own[RESTED], own[PENDING] = 1, 0  # both were taken: no quote stands
        if s >= 0:
            slots[s, S_RULE] += 1
    elif s >= 0 and slots[s, S_RULE] and not own[RESTED]:
        own[PENDING], own[PENDING_SEQ], own[PENDING_NS] = s + 1, seq, at_ns


@njit(cache=True)
def stands(own: Array, fact_row: Array) -> None:
    """Count as a fact that an incoming order was taken and none that rested."""
    fact(fact_row, own[PENDING] - 1, own[PENDING_SEQ], own[PENDING_NS])
    fact_row[F_SURE] += 1
    own[PENDING] = 0


@njit(cache=True)
def in_line(own: Array, came_ns: int, engine_ns: int, role: int) -> bool:
    """Take an instruction into the line; return whether the affiliate stands in it before this."""
    if not own[LINE_RECEIVED] <= came_ns < own[LINE_ENGINE]:
        own[LINE_AFMM] = 0
    behind = bool(own[LINE_AFMM])
    own[LINE_RECEIVED], own[LINE_ENGINE] = came_ns, engine_ns
    if role == Role.AFFILIATED_MM:
        own[LINE_AFMM] = 1
    return behind


@njit(cache=True)
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
