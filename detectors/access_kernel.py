"""The compiled scan of unequal_access: what each maker got, counted bucket by bucket."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.access_rules import (
    BUCKET_NS,
    BURST_NS,
    KEPT,
    MOST_QUANTUM,
    begin,
    compare,
    in_line,
    paid,
    prevented,
    slot_of,
    tripped,
)  # fmt: skip
from detectors.access_state import (
    AFMM,
    AMEND,
    B_ORDERS,
    B_REFUSED,
    B_REFUSED_SEQ,
    BUCKET,
    CANCEL,
    ENTER,
    FEE,
    FILL_LOTS,
    FILL_NS,
    FILL_SEQ,
    FILLS,
    IDS,
    INCOMING_ACCOUNT,
    INCOMING_HI,
    INCOMING_LO,
    JUDGED,
    MAKER,
    OUTSIDE,
    P_ORDERS,
    P_REFUSED,
    PREVENTION,
    PROTECTION,
    QUANTUM,
    S_ENGINE,
    S_FILLS,
    S_RECEIVED,
    S_TIER,
    S_TRIP_NS,
    TAKER,
)  # fmt: skip
from ingest.compiled import njit
from ingest.events import NULL, Kind, OrderType, Phase, Reason, Role, TimeInForce

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "clock_fault", "received_ns", "engine_ns", "account",
    "role", "in_complex", "side", "type", "tif", "price", "quantity", "reason", "phase", "coverage",
    "best_bid", "best_ask", "order_hi", "order_lo", "replaces_hi", "replaces_lo", "busts_hi",
    "busts_lo", "fee_tier", "buy_account", "sell_account", "buy_role", "sell_role", "buy_lo",
    "sell_lo", "buy_fee", "sell_fee",
)  # fmt: skip


@njit(cache=True)
def scan(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    columns, row, numbers, shares, units, told, owns, all_slots, all_fills, all_ids, all_peers,
    all_tallies, all_times, all_facts, all_measured, lost,
) -> int:  # fmt: skip
    """Take rows from `row` on; return the first row of a new bucket, or how many rows there are.

    The instrument of the row that is returned has a bucket that is over and not told yet.
    """
    (
        kinds, codes, seqs, clocks, faults, received, engine, accounts, roles, members, sides,
        types, tifs, prices, quantities, reasons, phases, coverage, bids, asks, order_hi, order_lo,
        replaces_hi, replaces_lo, busts_hi, busts_lo, tiers, buyers, sellers, buy_roles, sell_roles,
        buy_lo, sell_lo, buy_fees, sell_fees,
    ) = columns  # fmt: skip
    kept = numbers[KEPT]
    for i in range(row, len(kinds)):
        code, at_ns = int(codes[i]), clocks[i]
        own = owns[code]
        bucket = at_ns // numbers[BUCKET_NS]
        if bucket != own[BUCKET]:
            if own[BUCKET] and not own[JUDGED]:
                own[JUDGED] = 1
                return i
            if not own[BUCKET]:
                own[QUANTUM] = MOST_QUANTUM
            begin(own, bucket, kept, all_peers[code], all_tallies[code], all_times[code])
            all_facts[code] = 0
        kind = kinds[i]
        slots, ids = all_slots[code], all_ids[code]
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
                s = slot_of(slots, account, party, lost)
                if s < 0:
                    continue
                low = buy_lo[i] if buys else sell_lo[i]
                ids[np.int64(low % np.uint64(IDS))] = np.int64(low)
                takes = side == (1 if buys else -1)
                if party == AFMM and side and not takes:
                    fill = all_fills[code, s, slots[s, S_FILLS] % FILLS]
                    fill[FILL_NS], fill[FILL_LOTS], fill[FILL_SEQ] = at_ns, quantities[i], seqs[i]
                    slots[s, S_FILLS] += 1
                fee = buy_fees[i] if buys else sell_fees[i]
                if fee != NULL and side:
                    paid(
                        slots, s, own, all_facts[code, FEE], all_measured[code], told, code,
                        seqs[i], at_ns, fee, float(prices[i]) * float(quantities[i]) * units[code],
                        TAKER if takes else MAKER, numbers, shares,
                    )  # fmt: skip
            continue
        if kind > Kind.TRIGGER:
            continue
        role, member, account = roles[i], members[i], accounts[i]
        reason = reasons[i]
        continuous = phases[i] == Phase.CONTINUOUS and not coverage[i]
        if reason == Reason.STP and continuous and kind == Kind.CANCEL:
            incoming = own[INCOMING_LO] == np.int64(order_lo[i]) and own[INCOMING_HI] == np.int64(
                order_hi[i]
            )
            prevented(
                slots, own, all_facts[code, PREVENTION], all_tallies[code, bucket % kept], account,
                role, member, incoming, seqs[i], at_ns, lost,
            )  # fmt: skip
            continue
        enters = kind == Kind.NEW or (kind == Kind.REPLACE and reason != Reason.STP)
        if enters or kind == Kind.TRIGGER:
            own[INCOMING_HI], own[INCOMING_LO] = np.int64(order_hi[i]), np.int64(order_lo[i])
            own[INCOMING_ACCOUNT] = account + 1
        came_ns = received[i]
        behind_afmm = in_line(own, came_ns, engine[i], role) if came_ns != NULL else False
        if role not in (Role.AFFILIATED_MM, Role.EXTERNAL_MM) or account < 0:
            continue
        party = AFMM if role == Role.AFFILIATED_MM else OUTSIDE
        s = slot_of(slots, account, party, lost)
        if s < 0:
            continue
        place = np.int64(order_lo[i] % np.uint64(IDS))
        known = ids[place] == np.int64(order_lo[i])
        ids[place] = np.int64(order_lo[i])
        if tiers[i] >= 0:
            slots[s, S_TIER] = tiers[i]
        if reason == Reason.MMP and kind == Kind.CANCEL:
            if party == AFMM and continuous and slots[s, S_TRIP_NS] != engine[i]:
                slots[s, S_TRIP_NS] = engine[i]
                tripped(
                    slots, s, all_fills[code, s], all_facts[code, PROTECTION], all_measured[code],
                    told, code, seqs[i], at_ns, numbers,
                )  # fmt: skip
            continue
        if came_ns == NULL or not continuous:
            continue
        peers, tally = all_peers[code, bucket % kept], all_tallies[code, bucket % kept]
        if types[i] == OrderType.LIMIT and (
            kind == Kind.NEW or (kind == Kind.REJECT and not known)
        ):
            # A post-only order inside the spread may have met a hidden one: nobody can tell.
            best = bids[i] if sides[i] > 0 else asks[i]
            behind = best != NULL and (prices[i] <= best if sides[i] > 0 else prices[i] >= best)
            if tifs[i] != TimeInForce.POST_ONLY or behind:
                refused = kind == Kind.REJECT
                if party == AFMM:
                    tally[B_ORDERS] += 1
                    tally[B_REFUSED] += refused
                else:
                    peers[s, P_ORDERS] += 1
                    peers[s, P_REFUSED] += refused
                    if refused and not tally[B_REFUSED_SEQ]:
                        tally[B_REFUSED_SEQ] = seqs[i]
        if kind > Kind.CANCEL:
            continue
        queued = came_ns < slots[s, S_ENGINE] or came_ns - slots[s, S_RECEIVED] < numbers[BURST_NS]
        fresh = slots[s, S_RECEIVED] == NULL or not queued
        slots[s, S_RECEIVED], slots[s, S_ENGINE] = came_ns, engine[i]
        # Who comes behind the affiliate waits for it, as the affiliate would behind others.
        waits = behind_afmm and party == OUTSIDE
        if fresh and not waits and not faults[i] and came_ns <= engine[i]:
            action = CANCEL
            if kind == Kind.REPLACE or (kind == Kind.NEW and (replaces_hi[i] or replaces_lo[i])):
                action = AMEND
            elif kind == Kind.NEW:
                action = ENTER
            compare(
                slots, s, action, at_ns, seqs[i], engine[i] - came_ns, numbers, shares, peers,
                tally, all_times[code, bucket % kept],
            )  # fmt: skip
    return len(kinds)
