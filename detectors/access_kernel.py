"""The compiled scan of unequal_access: what each maker got, counted bucket by bucket."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.access_facts import paid, prevented, stands, tripped
from detectors.access_queue import joined, rested
from detectors.access_rate import asked, taken_back
from detectors.access_rules import (
    BUCKET_NS,
    BURST_NS,
    KEPT,
    MOST_QUANTUM,
    begin,
    compare,
    in_line,
    slot_of,
)
from detectors.access_state import (
    AFMM,
    AMEND,
    B_ORDERS,
    B_REFUSED,
    B_REFUSED_SEQ,
    BUCKET,
    CANCEL,
    DOUBT,
    DOUBT_NS,
    ENTER,
    ENTERED,
    FEE,
    FILL_LOTS,
    FILL_NS,
    FILL_SEQ,
    FILLS,
    FIRST_NS,
    I_ID,
    I_NEW_NS,
    I_PRICE,
    I_SEEN_NS,
    IDS,
    INCOMING_ACCOUNT,
    INCOMING_HI,
    INCOMING_LO,
    JUDGED,
    MAKER,
    NO_PRICE,
    OUTSIDE,
    P_ORDERS,
    P_REFUSED,
    PENDING,
    PROTECTION,
    QUANTUM,
    RATE,
    RESTED,
    S_ACTION,
    S_BURST,
    S_CAME_NS,
    S_ENGINE,
    S_FILLS,
    S_LATENCY,
    S_PAID,
    S_RECEIVED,
    S_SEQ,
    S_TIER,
    S_TRIP_NS,
    TAKE,
    TAKER,
)  # fmt: skip
from ingest.compiled import kernel
from ingest.events import NULL, Array, Coverage, Kind, OrderType, Phase, Reason, Role, TimeInForce

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "clock_fault", "received_ns", "engine_ns", "account",
    "role", "in_complex", "side", "type", "tif", "price", "quantity", "reason", "phase", "coverage",
    "best_bid", "best_ask", "order_hi", "order_lo", "replaces_hi", "replaces_lo", "busts_hi",
    "busts_lo", "fee_tier", "buy_account", "sell_account", "buy_role", "sell_role", "buy_lo",
    "sell_lo", "buy_fee", "sell_fee", "priority_ns", "leaves", "leaves_before",
)  # fmt: skip

_AT_ONCE: Final = (int(TimeInForce.IOC), int(TimeInForce.FOK))
_BY_THE_VENUE: Final = (
    int(Reason.MMP), int(Reason.DISCONNECT), int(Reason.KILL), int(Reason.STP), int(Reason.EXPIRY),
)  # fmt: skip
_ASKED_FOR: Final = (int(Reason.NONE), int(Reason.USER), int(Reason.SPEED_BUMP))
"""Reasons of an amendment or a cancel that its account asked for."""


@kernel()
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...], row: int, numbers: Array, shares: Array, units: Array, told: Array,
    owns: Array, slots: Array, fills: Array, ids: Array, peers: Array, ours: Array, tallies: Array,
    times: Array, facts: Array, bent: Array, measured: Array, lost: Array,
) -> int:  # fmt: skip
    """Take rows from `row` on; return the first row of a new bucket, or how many rows there are.

    The instrument of the row that is returned has a bucket that is over and not told yet.
    """
    codes = columns[1]
    while row < len(codes):
        code, end = int(codes[row]), row + 1
        while end < len(codes) and codes[end] == code:
            end += 1
        row = _scan_instrument(
            columns, row, end, code, numbers, shares, units[code], told, owns[code], slots[code],
            fills[code], ids[code], peers[code], ours[code], tallies[code], times[code],
            facts[code], bent[code], measured[code], lost,
        )  # fmt: skip
        if row < end:
            return row
    return row


@kernel(inline="always")
def _scan_instrument(  # noqa: PLR0917
    columns: tuple[Array, ...], row: int, end: int, code: int, numbers: Array, shares: Array,
    unit: float, told: Array, own: Array, slots: Array, fills: Array, ids: Array, peers: Array,
    ours: Array, tallies: Array, times: Array, facts: Array, bent: Array, measured: Array,
    lost: Array,
) -> int:  # fmt: skip
    """Take an instrument's rows up to `end`; return `end`, or the first row of a new bucket."""
    (
        kinds, _, seqs, clocks, faults, received, engine, accounts, roles, members, sides,
        types, tifs, prices, quantities, reasons, phases, coverage, bids, asks, order_hi, order_lo,
        replaces_hi, replaces_lo, busts_hi, busts_lo, tiers, buyers, sellers, buy_roles, sell_roles,
        buy_lo, sell_lo, buy_fees, sell_fees, stated, leaves, leaves_before,
    ) = columns  # fmt: skip
    kept, fees, rates = numbers[KEPT], facts[FEE], facts[RATE]
    now = own[BUCKET] % kept
    here, tally, mine, spans = peers[now], tallies[now], ours[now], times[now]
    for i in range(row, end):
        at_ns = clocks[i]
        bucket = at_ns // numbers[BUCKET_NS]
        kind, reason = kinds[i], reasons[i]
        if own[PENDING] and (bucket != own[BUCKET] or kind != Kind.CANCEL or reason != Reason.STP):
            stands(own, bent, ours, numbers)
        if bucket != own[BUCKET]:
            if own[BUCKET] and not own[JUDGED]:
                own[JUDGED] = 1
                return i
            if not own[BUCKET]:
                own[QUANTUM], own[FIRST_NS] = MOST_QUANTUM, at_ns
            begin(own, bucket, kept, peers, ours, tallies, times)
            facts[:ENTERED], bent[:] = 0, 0  # stated places wait until others' show the rule
            now = bucket % kept
            here, tally, mine, spans = peers[now], tallies[now], ours[now], times[now]
        if coverage[i] == Coverage.INCOMPLETE:
            own[DOUBT], own[DOUBT_NS] = bucket, at_ns
        if kind == Kind.TRADE:
            if busts_hi[i] or busts_lo[i]:
                continue
            side = sides[i]
            for buys in (1, 0):
                role = buy_roles[i] if buys else sell_roles[i]
                if role not in (Role.AFFILIATED_MM, Role.EXTERNAL_MM):
                    continue
                account = buyers[i] if buys else sellers[i]
                party = AFMM if role == Role.AFFILIATED_MM else OUTSIDE
                s = slot_of(slots, account, party, at_ns, numbers, fills, peers, ours, lost)
                if s < 0:
                    continue
                low = buy_lo[i] if buys else sell_lo[i]
                touched = ids[np.int64(low % np.uint64(IDS))]
                if touched[I_ID] != np.int64(low):
                    touched[I_ID], touched[I_NEW_NS] = np.int64(low), 0
                    touched[I_PRICE] = NO_PRICE
                takes = side == (1 if buys else -1)
                if party == AFMM and side and not takes:
                    fill = fills[s, slots[s, S_FILLS] % FILLS]
                    fill[FILL_NS], fill[FILL_LOTS], fill[FILL_SEQ] = at_ns, quantities[i], seqs[i]
                    slots[s, S_FILLS] += 1
                    if phases[i] == Phase.CONTINUOUS and not coverage[i]:
                        rested(measured, quantities[i])
                fee = buy_fees[i] if buys else sell_fees[i]
                if fee != NULL and side:
                    paid(
                        slots, s, own, fees, measured, told, code, seqs[i], at_ns, fee,
                        float(prices[i]) * float(quantities[i]) * unit,
                        TAKER if takes else MAKER, numbers, shares,
                    )  # fmt: skip
            continue
        touched = ids[np.int64(order_lo[i] % np.uint64(IDS))]
        known = touched[I_ID] == np.int64(order_lo[i])
        if kind == Kind.BOOK and known:
            touched[I_PRICE] = prices[i]
        if kind > Kind.TRIGGER:
            continue
        role, member, account = roles[i], members[i], accounts[i]
        continuous = phases[i] == Phase.CONTINUOUS and not coverage[i]
        if reason == Reason.STP and continuous and kind == Kind.CANCEL:
            incoming = own[INCOMING_LO] == np.int64(order_lo[i]) and own[INCOMING_HI] == np.int64(
                order_hi[i]
            )
            prevented(
                slots, own, tally, account, role, member, incoming, seqs[i], at_ns, numbers,
                fills, peers, ours, lost,
            )  # fmt: skip
            continue
        enters = kind == Kind.NEW or (kind == Kind.REPLACE and reason != Reason.STP)
        if enters or kind == Kind.TRIGGER:
            own[INCOMING_HI], own[INCOMING_LO] = np.int64(order_hi[i]), np.int64(order_lo[i])
            own[INCOMING_ACCOUNT], own[RESTED] = account + 1, 0
        came_ns = received[i]
        if kind == Kind.CANCEL and reason in _BY_THE_VENUE:
            came_ns = NULL  # no instruction of the account, whatever the stamp
        behind_afmm = in_line(own, came_ns, engine[i], role) if came_ns != NULL else False
        if role not in (Role.AFFILIATED_MM, Role.EXTERNAL_MM) or account < 0:
            if known and enters:
                touched[I_PRICE] = prices[i]
            continue
        party = AFMM if role == Role.AFFILIATED_MM else OUTSIDE
        s = slot_of(slots, account, party, at_ns, numbers, fills, peers, ours, lost)
        if s < 0:
            continue
        new_ns = touched[I_NEW_NS] if known else 0
        price_before = NO_PRICE
        if known and touched[I_SEEN_NS] > own[DOUBT_NS]:
            price_before = touched[I_PRICE]
        touched[I_ID], touched[I_NEW_NS] = np.int64(order_lo[i]), 0
        touched[I_PRICE], touched[I_SEEN_NS] = prices[i] if enters else price_before, at_ns
        if tiers[i] >= 0:
            if tiers[i] != slots[s, S_TIER]:
                slots[s, S_PAID:] = 0  # what it paid is no rate of this tier
            slots[s, S_TIER] = tiers[i]
        if reason == Reason.MMP and kind == Kind.CANCEL:
            if party == AFMM and continuous and slots[s, S_TRIP_NS] != engine[i]:
                slots[s, S_TRIP_NS] = engine[i]
                tripped(
                    slots, s, own, fills[s], facts[PROTECTION], measured, told, code, seqs[i],
                    at_ns, numbers,
                )  # fmt: skip
            continue
        if came_ns != NULL and not faults[i]:
            if kind == Kind.NEW or (kind <= Kind.CANCEL and reason in _ASKED_FOR):
                asked(slots, s, rates, measured, told, code, seqs[i], at_ns, came_ns, shares)
            elif kind == Kind.REJECT:
                taken_back(slots, s, came_ns, known)
        if came_ns == NULL or not continuous:
            continue
        late = kind == Kind.REJECT and known  # of an amendment, or of the new order in flight
        if late and new_ns == came_ns and new_ns and reason != Reason.SPEED_BUMP:
            if party == AFMM:
                tally[B_REFUSED] += tally[B_REFUSED] < tally[B_ORDERS]
            elif here[s, P_REFUSED] < here[s, P_ORDERS]:  # else it was counted a bucket ago
                here[s, P_REFUSED] += 1
                if not tally[B_REFUSED_SEQ]:
                    tally[B_REFUSED_SEQ] = seqs[i]
        if types[i] == OrderType.LIMIT and kind in (Kind.NEW, Kind.REJECT) and not late:
            # A post-only order inside the spread may have met a hidden one: nobody can tell.
            best = bids[i] if sides[i] > 0 else asks[i]
            behind = best != NULL and (prices[i] <= best if sides[i] > 0 else prices[i] >= best)
            if tifs[i] != TimeInForce.POST_ONLY or behind:
                refused = kind == Kind.REJECT
                if not refused:
                    touched[I_NEW_NS] = came_ns
                if party == AFMM:
                    tally[B_ORDERS] += 1
                    tally[B_REFUSED] += refused
                else:
                    here[s, P_ORDERS] += 1
                    here[s, P_REFUSED] += refused
                    if refused and not tally[B_REFUSED_SEQ]:
                        tally[B_REFUSED_SEQ] = seqs[i]
        if kind > Kind.CANCEL:
            continue
        at_once = tifs[i] in _AT_ONCE or types[i] == OrderType.MARKET
        action = CANCEL
        if kind == Kind.REPLACE or (kind == Kind.NEW and (replaces_hi[i] or replaces_lo[i])):
            action = AMEND
        elif kind == Kind.NEW:
            action = TAKE if at_once else ENTER
        rests = types[i] == OrderType.LIMIT and not at_once and leaves[i] > 0
        in_time = not faults[i] and came_ns <= engine[i]
        if stated[i] >= own[FIRST_NS] and rests and in_time and reason in _ASKED_FOR:
            moved = (
                price_before not in (NO_PRICE, prices[i]) or leaves[i] > leaves_before[i] != NULL
            )
            if kind == Kind.NEW or (kind == Kind.REPLACE and moved):
                joined(
                    slots, s, here, tally, facts, told, code, seqs[i], at_ns, came_ns - stated[i],
                    int(action == AMEND), numbers,
                )  # fmt: skip
        queued = came_ns < slots[s, S_ENGINE] or came_ns - slots[s, S_RECEIVED] < numbers[BURST_NS]
        fresh = slots[s, S_RECEIVED] == NULL or not queued
        slots[s, S_RECEIVED], slots[s, S_ENGINE] = came_ns, engine[i]
        if not fresh:
            slots[s, S_BURST] += 1
            continue
        if slots[s, S_ACTION]:
            compare(
                slots, s, slots[s, S_ACTION] - 1, slots[s, S_CAME_NS], slots[s, S_SEQ],
                slots[s, S_LATENCY], numbers, shares, here, mine, tally, spans, told, code,
            )  # fmt: skip
        slots[s, S_BURST], slots[s, S_ACTION] = 1, 0
        # Who comes behind the affiliate waits for it, as the affiliate would behind others.
        waits = behind_afmm and party == OUTSIDE
        held = reason == Reason.SPEED_BUMP  # all who take wait for that
        if not waits and not held and not faults[i] and came_ns <= engine[i]:
            slots[s, S_ACTION], slots[s, S_CAME_NS], slots[s, S_SEQ] = action + 1, at_ns, seqs[i]
            slots[s, S_LATENCY] = engine[i] - came_ns
    return end
