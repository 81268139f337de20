"""Facts of unequal_access: fees, acts of protection and prevented self-trades, one by one."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.access_rules import (
    KEPT,
    MEMORY_NS,
    PROTECTION_NS,
    SHORT,
    disclosed,
    party_of,
    slot_of,
)  # fmt: skip
from detectors.access_state import (
    A_BENT,
    A_RULE,
    AFMM,
    B_BENT,
    B_PEER_BENT,
    B_PEER_RULE,
    B_RULE,
    BUCKET,
    D_INSTRUMENT,
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
    M_BASE,
    M_COUNT,
    M_LEAST,
    M_MOST,
    M_SUM,
    OUTSIDE,
    PENDING,
    PENDING_NS,
    PENDING_SEQ,
    QUANTUM,
    REFS,
    RESTED,
    S_ACCOUNT,
    S_FILLS,
    S_PAID,
    S_PARTY,
    S_RULE,
    S_TIER,
    SLOTS,
    TOLD_LOTS,
    TOLD_MAKER,
    TRIPS,
)  # fmt: skip
from ingest.compiled import kernel
from ingest.events import Array
from ingest.times import DAY

_NEVER: Final = 2**63 - 1


@kernel()
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


@kernel()
def measure(row: Array, fee: float, base: float, value: float) -> None:
    """Add to what was measured."""
    row[M_LEAST] = value if not row[M_COUNT] else min(row[M_LEAST], value)
    row[M_MOST] = value if not row[M_COUNT] else max(row[M_MOST], value)
    row[M_COUNT] += 1
    row[M_SUM] += fee
    row[M_BASE] += base


@kernel(inline="always")
def no_less(fee: int, due: float, quantum: int, short: float) -> bool:
    """Return whether a fee is as much as is due; rounding down takes less than one last digit."""
    return bool(due - fee < quantum or due - fee <= short * abs(due))


@kernel()
def note_alike(  # noqa: PLR0917
    slot: Array, place: int, rate: float, fee: int, theirs: float, peers: int, at_ns: int,
    own: Array, shares: Array,
) -> None:  # fmt: skip
    """Note that the affiliate paid no less than two others at least, where fees have the digits."""
    alike = no_less(fee, theirs, own[QUANTUM], shares[SHORT])
    if peers >= 2 and alike and abs(theirs) * shares[SHORT] >= own[QUANTUM]:
        slot[place], slot[place + 1] = np.int64(np.round(rate * 1e6)), at_ns


@kernel()
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
    if no_less(fee, due, own[QUANTUM], shares[SHORT]):
        note_alike(slots[s], place, rate, fee, least * 1e-4 * notional, peers, at_ns, own, shares)
        return
    # A tier lasts a day at least: whose fee has fallen since it paid no less than others that day
    # is in no lower one. Where theirs has risen, it may be theirs that changed.
    before = slots[s, place] * 1e-6
    alike = slots[s, place + 1] > 0 and slots[s, place + 1] // DAY == at_ns // DAY
    alike &= before - rate > shares[SHORT] * abs(before)
    fact(fact_row, s, seq, at_ns)
    fact_row[F_BETTER] += row >= 0
    fact_row[F_PROVED] += row >= 0
    fact_row[F_SURE] += row >= 0 or slots[s, S_TIER] >= 0 or alike
    whole = np.int64(np.round(rate * 1e6))
    if whole < fact_row[F_LEAST]:
        fact_row[F_LEAST] = whole
        fact_row[F_TOLD] = np.int64(np.round(told_rate * 1e6))
    fact_row[F_GOT] += fee
    fact_row[F_DUE] += np.int64(np.round(due))
    fact_row[F_PEERS] = max(fact_row[F_PEERS], peers)


@kernel()
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


@kernel()
def prevented(  # noqa: PLR0917
    slots: Array, own: Array, bucket: Array, account: int, role: int, member: int, incoming: bool,
    seq: int, at_ns: int, numbers: Array, fills: Array, peers: Array, ours: Array, lost: Array,
) -> None:  # fmt: skip
    """Count whose order self-trade prevention took: the incoming one's, or the one that rested."""
    if not member:
        bucket[B_PEER_BENT if incoming else B_PEER_RULE] += 1
        return
    bucket[B_BENT if incoming else B_RULE] += 1
    came = account if incoming else own[INCOMING_ACCOUNT] - 1
    if came < 0:
        return
    party = party_of(role, member) if came == account else GROUP
    s = slot_of(slots, came, party, at_ns, numbers, fills, peers, ours, lost)
    if not incoming:
        own[RESTED], own[PENDING] = 1, 0  # both were taken: no quote stands
        if s >= 0:
            slots[s, S_RULE] += 1
            ours[own[BUCKET] % numbers[KEPT], s, A_RULE] += 1
    elif s >= 0 and not own[RESTED] and (slots[s, S_RULE] or slots[s, S_PARTY] == AFMM):
        # Other accounts of the group choose for themselves, unless they did otherwise before.
        own[PENDING], own[PENDING_SEQ], own[PENDING_NS] = s + 1, seq, at_ns


@kernel()
def stands(own: Array, rows: Array, ours: Array, numbers: Array) -> None:
    """Count as a fact of its account that an incoming order was taken and none that rested."""
    s = own[PENDING] - 1
    fact(rows[s], s, own[PENDING_SEQ], own[PENDING_NS])
    rows[s, F_SURE] += 1
    ours[own[BUCKET] % numbers[KEPT], s, A_BENT] += 1
    own[PENDING] = 0
