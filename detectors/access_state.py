"""What unequal_access keeps of each instrument: slots of makers, tallies by bucket, open facts."""

from __future__ import annotations

from typing import Final

SLOTS: Final = 16
"""Makers and accounts of the group that are followed in an instrument; more is overflow."""
RESERVED: Final = 4
"""Of them, those that no external maker is given."""
ACTIONS: Final = 4
ENTER, TAKE, AMEND, CANCEL = range(ACTIONS)
"""Actions whose times are compared: like with like; `TAKE` are orders that cannot rest."""
LIQUIDITY: Final = 2
MAKER, TAKER = range(LIQUIDITY)

# --- of an instrument ---------------------------------------------------------------------------
(
    BUCKET, JUDGED, INCOMING_HI, INCOMING_LO, INCOMING_ACCOUNT, QUANTUM, LINE_RECEIVED, LINE_ENGINE,
    LINE_AFMM, FIRST_NS, DOUBT, DOUBT_NS, RESTED, PENDING, PENDING_SEQ, PENDING_NS, OWN_FIELDS,
) = range(17)  # fmt: skip
"""`BUCKET`: number of the bucket that is filling; `JUDGED`: 1 once it has been told. `QUANTUM`: the
largest power of ten that divides every fee seen, 1e-9 quote. `LINE_RECEIVED`, `LINE_ENGINE`: of the
last instruction; `LINE_AFMM`: 1 when the affiliate stands in the line before the engine that ends
with it: each came while the one before it, which had come earlier, was not yet done. `FIRST_NS`:
of the first row; `DOUBT`, `DOUBT_NS`: bucket and time of the last row without full coverage.
`RESTED`: 1 once self-trade prevention took a resting order of the group as the last incoming one
came; `PENDING`: slot + 1 of an incoming one that it took instead, a fact unless one that rested
follows; `PENDING_SEQ`, `PENDING_NS`: of that."""

# --- of a slot ----------------------------------------------------------------------------------
(
    S_ACCOUNT, S_PARTY, S_TIER, S_RECEIVED, S_ENGINE, S_RULE, S_TRIP_NS, S_FILLS, S_SEEN_NS,
    S_ASKED_NS, S_ASKED_SEQ, S_DONE_NS, S_SECOND, S_IN_SECOND, S_LIMIT, S_RUN_NS, S_RUN, S_RUN_SEQ,
    S_RUN_MOST, S_BEYOND, S_BURST, S_ACTION, S_CAME_NS, S_SEQ, S_LATENCY, S_PAIRED,
) = range(26)  # fmt: skip
WHOSE: Final = 2
PAIRED_FIELDS: Final = 5
BURSTS: Final = 4
"""Classes of how many instructions come at once: one, two or three, up to seven, and more."""
S_PAID: Final = S_PAIRED + PAIRED_FIELDS * ACTIONS * BURSTS
"""Then by liquidity: the last rate paid, 1e-6 bps, and when, ns; of the affiliate those of when
it last paid no less than others."""
SLOT_FIELDS: Final = S_PAID + 2 * LIQUIDITY
"""`S_ACCOUNT`: account + 1, 0 = free. `S_RECEIVED`, `S_ENGINE`: of its last instruction.
`S_RULE`: own resting orders that self-trade prevention took away as it came in with another.
`S_PAIRED`, by action and class of burst: time and latency of its last instruction, and of the
affiliate's, that wait for one to be compared with, and `WHOSE` fields on the affiliate's slot + 1.
`S_SEEN_NS`: when its last record came. `S_BURST`: how many instructions have come at once so far;
`S_ACTION` + 1 (0 = it is in no comparison), `S_CAME_NS`, `S_SEQ`, `S_LATENCY`: of the first of them
to be done, which is compared once the next burst shows how many they were.
`S_ASKED_NS`, `S_ASKED_SEQ`, `S_DONE_NS`: receipt, record and engine time of an instruction that is
not counted yet, for it may be refused in its next record; 0 = none. `S_SECOND`, `S_IN_SECOND`: the
last second with one that was counted, and how many came and were done in it. `S_LIMIT`: the rate
disclosed; `S_RUN_NS`: when the run of seconds that is held against it begins; `S_RUN`: its
instructions, `S_RUN_SEQ` the first, `S_RUN_MOST` the most in a second; `S_BEYOND`: the second in
which it was told; 0 = not yet."""
AFMM, OUTSIDE, GROUP = 1, 2, 3
"""Parties: affiliated market maker, external maker, other account of the group."""

# --- of a slot's fills, newest over oldest ------------------------------------------------------
FILLS: Final = 64
FILL_NS, FILL_LOTS, FILL_SEQ, FILL_FIELDS = range(4)

# --- of the ids that were touched last ----------------------------------------------------------
IDS: Final = 8_192
I_ID, I_NEW_NS, I_PRICE, I_SEEN_NS, ID_FIELDS = range(5)
"""Direct-mapped by hash: a maker's order that is amended after it is gone was touched just now.
`I_NEW_NS`: when the gateway received the new order that was counted, 0 when none was; `I_PRICE`:
the price of its last new order or amendment, in ticks, `NO_PRICE` when that was not seen;
`I_SEEN_NS`: when it was touched: a price from before a gap says nothing."""
NO_PRICE: Final = -(2**63)

# --- of a bucket --------------------------------------------------------------------------------
P_PAIRS, P_WINS, P_LOSSES, P_ORDERS, P_REFUSED, P_JOINED, P_AHEAD = range(7)
PEER_FIELDS: Final = 9
"""By slot of an external maker: pairs of instructions, those in which the affiliate was faster or
slower by the margin; new orders, and those refused though the rules allow them; orders that join
the back of a queue with a place that the venue states, and those stated ahead of others: entered,
then, two fields on, amended."""
(
    B_ORDERS, B_REFUSED, B_RULE, B_BENT, B_PEER_RULE, B_PEER_BENT, B_SEQ, B_SLOW_SEQ, B_SLOW_NS,
    B_REFUSED_SEQ, B_JOINED, B_AHEAD,
) = range(12)  # fmt: skip
BUCKET_FIELDS: Final = 14
"""The affiliate's new orders and those refused; own resting orders taken away, and incoming ones in
their place, by self-trade prevention: of the group, and of all others. Then what can be cited: the
affiliate's first instruction, the external makers' one that lost by most, their first refusal.
Last, the affiliate's orders that join a queue, as external makers', entered and amended."""
A_PAIRS, A_WINS, A_LOSSES, A_TOLD, A_BELOW, A_RULE, A_BENT, OURS_FIELDS = range(8)
"""By slot of the affiliate: its pairs, won and lost; those of which a time was disclosed, and of
them those whose half octave ends below it. By slot of any account of the group: own resting orders
that self-trade prevention took away, and incoming ones of which none that rested was."""
BINS: Final = 44
"""Of latencies: half octaves from 1 µs, so up to 4 s."""

# --- facts of the bucket that is filling, by way ------------------------------------------------
FEE, PROTECTION, RATE, FILLED, ENTERED, AMENDED, PREVENTION, FACT_WAYS = range(8)
REFS: Final = 8
"""Records that a bucket's fact cites: its first."""
(
    F_COUNT, F_BETTER, F_ACCOUNTS, F_FIRST_SEQ, F_FIRST_NS, F_LAST_NS, F_LEAST, F_TOLD, F_GOT,
    F_DUE, F_PEERS, F_SURE, F_PROVED, F_REFS,
) = range(14)  # fmt: skip
FACT_FIELDS: Final = F_REFS + REFS
"""`F_COUNT`: facts; `F_BETTER`: of them, better than was disclosed. `F_ACCOUNTS`: slots, as bits.
`F_LEAST`: least rate paid, 1e-6 bps, or least lots, or the most instructions in a second, less than
0; `F_TOLD`: what was disclosed beside it. `F_GOT`, `F_DUE`: fees paid and due, 1e-9 quote, or
instructions of runs, and the most that a limiter lets through in them. `F_PEERS`: most external
makers compared with. `F_SURE`, `F_PROVED`: facts that support, and those that prove."""

# --- what was measured, from the start (float64) ------------------------------------------------
M_COUNT, M_SUM, M_BASE, M_LEAST, M_MOST, MEASURED_FIELDS = range(6)
MEASURES: Final = 9
"""Fees of the affiliate as maker and taker, of external makers likewise; trips of protection;
instructions of the affiliate, and of external makers. `M_SUM` fees and `M_BASE` notional, quote
currency; `M_LEAST`, `M_MOST` the rate in bps, or lots; of instructions `M_MOST` in a second. Then
the affiliate's fills at rest, `M_BASE` lots: `M_SUM` those before an older order, and, in
`CLIENTS`, those while a client's order stood there."""
TRIPS, RATES, OLDER, CLIENTS = 4, 5, 7, 8

KEPT: Final = 288
"""Buckets: a day of five minutes."""
SHAPES: Final[dict[str, tuple[tuple[int, ...], str]]] = {
    "access": ((OWN_FIELDS,), "int64"),
    "access_slots": ((SLOTS, SLOT_FIELDS), "int64"),
    "access_fills": ((SLOTS, FILLS, FILL_FIELDS), "int64"),
    "access_ids": ((IDS, ID_FIELDS), "int64"),
    "access_peers": ((KEPT, SLOTS, PEER_FIELDS), "int32"),
    "access_ours": ((KEPT, SLOTS, OURS_FIELDS), "int32"),
    "access_tallies": ((KEPT, BUCKET_FIELDS), "int64"),
    "access_times": ((KEPT, 2, BINS), "int32"),
    "access_facts": ((PREVENTION, FACT_FIELDS), "int64"),
    "access_prevented": ((SLOTS, FACT_FIELDS), "int64"),
    "access_measured": ((MEASURES, MEASURED_FIELDS), "float64"),
    "access_told": ((FACT_WAYS, 2), "int64"),
}
"""Arrays kept, by name: the part of one instrument, and its dtype. `access_facts` are of all ways
but prevention, whose are by slot: what an account did otherwise may show later that it has not
chosen so. `access_told`: facts told so far, and those of them that were better than disclosed."""

# --- disclosed values, as a kernel takes them (float64) -----------------------------------------
D_ACCOUNT, D_INSTRUMENT, D_KIND, D_VALUE, D_FROM, D_TO, D_ROW, TOLD_FIELDS = range(8)
TOLD_LATENCY, TOLD_MAKER, TOLD_TAKER, TOLD_LOTS, TOLD_RATE, TOLD_PLACE = range(6)
"""Kinds of value that can be compared: ns, bps of a maker and of a taker, lots, instructions a
second, and the place in a queue: one of those that follow."""
IN_TIME, BEHIND_CLIENTS, KEEPS_PLACE = range(3)
