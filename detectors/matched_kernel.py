"""The compiled scan behind matched_orders: whose orders met inside the spread, and how alike.

A *fresh offer* is a limit order that betters its own side's best price when it is entered, or finds
that side empty: it stands alone. A *meeting* is an incoming order that trades with a fresh offer of
another owner within a time of its entry. One pass over a batch keeps what each party (an account,
or an originator behind it) did in its meetings of the UTC day, and how often each pair met.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from detectors.ring_buffer import place_of_seq
from detectors.wash_kernel import slot
from ingest.compiled import kernel, njit
from ingest.events import NO_CODE, NULL, Array, Kind, Phase, TimeInForce
from ingest.times import DAY

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "side", "price", "quantity", "leaves", "tif", "phase",
    "best_bid", "best_ask", "bid_lots", "ask_lots", "entry_seq", "incoming_seq", "lifetime_ns",
    "leaves_before", "busts_hi", "busts_lo", "buy_account", "sell_account", "buy_owner",
    "sell_owner", "buy_complex", "sell_complex", "buy_originator", "sell_originator",
)  # fmt: skip

BINS: Final = 96
BIN_NS: Final = DAY // BINS
"""A quarter of an hour: who is active in another one meets nobody in this one."""
OFFERS: Final = 1024
"""Fresh offers kept an instrument; older ones are met by nobody."""
SIZES: Final = 32
"""Latest sizes kept of each party, and gaps."""
GAPS: Final = 128
"""Latest gaps kept of an instrument: how soon orders are taken is of the hour."""
NATS: Final = 10**6
"""How surprising gaps are is kept in integers: so many to one in e."""

# Head of an instrument: end of its UTC day, ns (0 = nothing seen yet); fresh offers so far; the
# order in flight: seq, lots, whether it traded, whether its size was what it found, the offer met;
# meetings of the day, those alike, parties, and the sum over parties of rests times takes.
H_UNTIL, H_OFFERS, H_SEQ, H_LOTS, H_TRADED, H_WHOLE, H_ENTRY = range(7)
H_MET, H_ALIKE, H_PARTIES, H_SELF = range(7, 11)
HEAD: Final = 11

# A fresh offer.
O_SEQ, O_LOTS = range(2)
OFFER: Final = 2

# A party: instrument, key (account and originator), orders that met (all that it took, and fresh
# offers that were taken), those of the other's size, sizes noted; meetings in which it rested, and
# in which it took.
P_CODE, P_KEY, P_MET, P_ALIKE, P_NOTED, P_RESTS, P_TAKES = range(7)
PARTY: Final = 7

# Where an instrument's tables are: first row of its parties and how many there is room for; first
# place of its pairs, how many places there are, and pairs.
T_AT, T_ROOM, T_PAIRS_AT, T_PAIRS_ROOM, T_PAIRS = range(5)
TABLE: Final = 5
PLACES: Final = 4
"""Places of an index a party that there is room for."""

# What is told of a meeting of orders alike: row, keys of who rested and who took, lots of both,
# how surprisingly soon (see `NATS`). R_ROW alone and R_RESTED 0: a new day of the row's instrument
# begins.
R_ROW, R_RESTED, R_TOOK, R_OFFERED, R_TAKEN, R_SOON = range(6)
ROW: Final = 6

ONE: Final = (1 << 32) - 1
"""Of a pair's count: the lower half is its meetings, the upper half those alike."""

_NULL: Final = int(NULL)
_ABSENT: Final = int(NO_CODE)
_NEW, _REPLACE, _TRIGGER, _TRADE = (
    int(kind) for kind in (Kind.NEW, Kind.REPLACE, Kind.TRIGGER, Kind.TRADE)
)
_CONTINUOUS: Final = int(Phase.CONTINUOUS)
_IOC, _FOK = int(TimeInForce.IOC), int(TimeInForce.FOK)
_MIX: Final = -7046029254386353131  # 2^64 / golden ratio, as int64: Fibonacci hashing


@kernel()
def party_key(account: int, originator: int) -> int:
    """Return what a party is called: its account, and who is behind it where the order says so."""
    return int(((account + np.int64(1)) << 32) | (originator + np.int64(1)))


@kernel()
def place_of(index: Array, parties: Array, key: int) -> int:
    """Return where in an instrument's index a party is, or the free place for it (0 = free)."""
    mask = len(index) - 1
    at = ((key * _MIX) >> 32) & mask
    while index[at] != 0 and parties[index[at] - 1, P_KEY] != key:
        at = (at + 1) & mask
    return int(at)


@kernel()
def index_of(parties: Array, count: int, index: Array) -> None:
    """Fill an index, of a size that is a power of two, with the first `count` parties."""
    index[:] = 0
    for row in range(count):
        index[place_of(index, parties, parties[row, P_KEY])] = row + 1


@kernel()
def pair_key(one: int, other: int) -> int:
    """Return the key of two parties' rows."""
    return int(((min(one, other) + np.int64(1)) << 32) | (max(one, other) + np.int64(1)))


@njit(cache=True)
def pair_keys(index: Array, parties: Array, named: Array) -> Array:
    """Return the keys of pairs of an instrument from those of both parties, a row each."""
    keys = np.zeros(len(named), np.int64)
    for i in range(len(named)):
        one = index[place_of(index, parties, named[i, 0])] - 1
        other = index[place_of(index, parties, named[i, 1])] - 1
        keys[i] = pair_key(one, other)
    return keys


@kernel()
def full(own: Array, table: Array) -> bool:
    """Return whether an instrument's tables have no room for two more parties and their pair."""
    return bool(
        own[H_PARTIES] + 2 > table[T_ROOM] or 2 * (table[T_PAIRS] + 1) > table[T_PAIRS_ROOM]
    )


@kernel()
def _party(  # noqa: PLR0917
    own: Array, index: Array, parties: Array, most: int, code: int, key: int
) -> int:
    """Return a party's row, a new one where it has none; -1 = its instrument may have no more."""
    at = place_of(index, parties, key)
    if index[at] != 0:
        return int(index[at] - 1)
    row = own[H_PARTIES]
    if row >= most:
        return -1
    parties[row] = 0
    parties[row, P_CODE], parties[row, P_KEY] = code, key
    index[at] = row + 1
    own[H_PARTIES] += 1
    return int(row)


@kernel()
def _note(  # noqa: PLR0917
    party: Array, sizes: Array, partners: Array, gaps: Array, lots: int, partner: int, gap_ns: int
) -> None:
    """Count an order of a party, and note its size, whom it met, and the gap (-1 = no meeting)."""
    at = party[P_NOTED] % SIZES
    sizes[at], partners[at], gaps[at] = lots, partner, gap_ns
    party[P_NOTED] += 1
    party[P_MET] += 1


@kernel()
def alike(lots: int, others: int, ratio: float) -> bool:
    """Return whether two sizes differ by no more than a share of the larger."""
    return bool(abs(lots - others) / max(lots, others, 1) <= ratio)


@kernel()
def _as_soon(gap_ns: int, latest: Array, meetings: int) -> float:
    """Return the share of gaps that were as short: of an instrument's latest, and this one."""
    kept = min(meetings, GAPS)
    shorter = 0
    for at in range(kept):
        shorter += latest[at] <= gap_ns
    return (1.0 + shorter) / (1.0 + kept)


@kernel()
def _as_usual(  # noqa: PLR0917
    gap_ns: int, share: float, weight: float, party: Array, gaps: Array, partners: Array, other: int
) -> float:
    """Return how often a party's gaps with others are as short, or the share if that is more."""
    outside, shorter = 0, 0
    for at in range(min(SIZES, party[P_NOTED])):
        if gaps[at] >= 0 and partners[at] != other:
            outside += 1
            shorter += gaps[at] <= gap_ns
    return max(share, (shorter + weight * share) / (outside + weight))


@kernel()
def _offered(offers: Array, count: int, seq: int) -> int:
    """Return the lots of the fresh offer entered at a seq; 0 = there is none."""
    at = place_of_seq(offers, count, O_SEQ, seq)
    return int(offers[at, O_LOTS]) if at >= 0 else 0


@kernel()
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    first: int,
    within_ns: int,
    ratio: float,
    weight: float,
    repeated: int,
    most_parties: int,
    most_pairs: int,
    head: Array,
    offers: Array,
    latest: Array,
    met: Array,
    tables: Array,
    all_parties: Array,
    all_bins: Array,
    all_sizes: Array,
    all_partners: Array,
    all_gaps: Array,
    all_index: Array,
    all_pairs: Array,
    all_counts: Array,
    lost: Array,
    out: Array,
) -> tuple[int, int]:
    """Scan rows from `first`; return (row to go on from, rows of `out` written).

    It stops early where a pair has met alike `repeated` times or more, so that the caller judges it
    by what was known then; where the row's instrument is `full`, or `out`; and where an
    instrument's new day begins (the last row of `out` says so): the caller forgets the old one, and
    goes on.

    Parameters
    ----------
    columns : tuple of arrays
        The `COLUMNS` of the batch.
    head : (instruments, HEAD) int64
    offers : (instruments, OFFERS, OFFER) int64
    latest : (instruments, GAPS) int64
        From the resting order's entry to its taker's, ns, of the latest meetings.
    met : (instruments, BINS) int64
        Meetings by quarter of an hour.
    tables : (instruments, TABLE) int64
        Where each instrument's part of what follows is.
    all_parties, all_bins, all_sizes, all_partners, all_gaps
        (rows, PARTY) int64, (rows, 2, BINS) int32, and thrice (rows, SIZES) int64: what each party
        did; bins are of meetings in which it rested, and in which it took.
    all_index : (PLACES * rows,) int64
        Row in its instrument's part, plus one, of parties, by hash.
    all_pairs, all_counts : (n,) int64
        Keys by hash, and meetings (see `ONE`).
    lost : (1,) int64
        Meetings not followed because a bound was reached.
    out : (n, ROW) int64
    """
    (
        kind, instrument, seq, clock, side, price, quantity, leaves, tif, phase,
        best_bid, best_ask, bid_lots, ask_lots, entry, incoming, lifetime,
        leaves_before, busts_hi, busts_lo, buyer, seller, buy_owner,
        sell_owner, buy_complex, sell_complex, buy_originator, sell_originator,
    ) = columns  # fmt: skip
    written = 0
    for i in range(first, len(kind)):
        if written == len(out):
            return i, written
        x = instrument[i]
        own = head[x]
        if clock[i] >= own[H_UNTIL]:
            if own[H_UNTIL] != 0:
                out[written, R_ROW], out[written, R_RESTED] = i, 0
                return i, written + 1
            own[H_UNTIL] = (clock[i] // DAY + 1) * DAY
        k = kind[i]
        if k in (_NEW, _REPLACE, _TRIGGER):
            lots = leaves[i] if leaves[i] != _NULL else quantity[i]
            own[H_SEQ], own[H_LOTS], own[H_TRADED], own[H_WHOLE] = seq[i], lots, 0, 0
            own[H_ENTRY] = 0
            if k == _TRIGGER or price[i] == _NULL or lots <= 0 or phase[i] != _CONTINUOUS:
                continue
            same, opposite = best_bid[i], best_ask[i]
            if side[i] < 0:
                same, opposite = opposite, same
            betters = same == _NULL or side[i] * (price[i] - same) > 0
            rests = opposite == _NULL or side[i] * (price[i] - opposite) < 0
            if betters and rests and tif[i] not in (_IOC, _FOK):
                at = own[H_OFFERS] % OFFERS
                offers[x, at, O_SEQ], offers[x, at, O_LOTS] = seq[i], lots
                own[H_OFFERS] += 1
            continue
        if k != _TRADE or incoming[i] == 0 or incoming[i] != own[H_SEQ]:
            continue
        if phase[i] != _CONTINUOUS or busts_hi[i] != 0 or busts_lo[i] != 0:
            continue
        offered = 0
        if lifetime[i] != _NULL and lifetime[i] <= within_ns and entry[i] != own[H_ENTRY]:
            offered = _offered(offers[x], own[H_OFFERS], entry[i])
        if own[H_TRADED] != 0 and offered == 0:
            continue
        opens = own[H_TRADED] == 0
        own[H_TRADED] = 1
        if (
            buyer[i] == _ABSENT
            or seller[i] == _ABSENT
            or (buy_owner[i] != _ABSENT and buy_owner[i] == sell_owner[i])
            or (buy_complex[i] != 0 and sell_complex[i] != 0)
        ):
            continue
        took = party_key(buyer[i], buy_originator[i])
        rested = party_key(seller[i], sell_originator[i])
        if buyer[i] == seller[i] and (
            took == rested or buy_originator[i] == _ABSENT or sell_originator[i] == _ABSENT
        ):
            continue
        shown = ask_lots[i]
        if side[i] < 0:
            took, rested, shown = rested, took, bid_lots[i]
        table = tables[x]
        if full(own, table):
            own[H_TRADED] = 0 if opens else 1
            return i, written
        at, end = table[T_AT], table[T_AT] + table[T_ROOM]
        parties, bins = all_parties[at:end], all_bins[at:end]
        sizes, partners, gaps = all_sizes[at:end], all_partners[at:end], all_gaps[at:end]
        index = all_index[PLACES * at : PLACES * end]
        at, end = table[T_PAIRS_AT], table[T_PAIRS_AT] + table[T_PAIRS_ROOM]
        pairs, pair_counts = all_pairs[at:end], all_counts[at:end]
        taker = _party(own, index, parties, most_parties, x, took)
        if taker < 0:
            lost[0] += 1
            continue
        lots = own[H_LOTS]
        if opens:
            gap = lifetime[i] if offered else -1
            _note(parties[taker], sizes[taker], partners[taker], gaps[taker], lots, rested, gap)
            if alike(lots, shown, ratio) or alike(lots, leaves_before[i], ratio):
                parties[taker, P_ALIKE] += 1
                own[H_WHOLE] = 1
        if offered == 0:
            continue
        own[H_ENTRY] = entry[i]
        rester = _party(own, index, parties, most_parties, x, rested)
        key = pair_key(taker, rester)
        at = slot(pairs, key)
        if rester < 0 or (pairs[at] == 0 and table[T_PAIRS] >= most_pairs):
            lost[0] += 1
            continue
        if pairs[at] == 0:
            pairs[at], pair_counts[at] = key, 0
            table[T_PAIRS] += 1
        bin_ = (clock[i] - own[H_UNTIL] + DAY) // BIN_NS
        bins[rester, 0, bin_] += 1
        bins[taker, 1, bin_] += 1
        met[x, bin_] += 1
        parties[rester, P_RESTS] += 1
        parties[taker, P_TAKES] += 1
        own[H_SELF] += parties[rester, P_TAKES] + parties[taker, P_RESTS]
        gap = lifetime[i]
        soon = _as_soon(gap, latest[x], own[H_MET])
        latest[x, own[H_MET] % GAPS] = gap
        own[H_MET] += 1
        pair_counts[at] += 1
        _note(parties[rester], sizes[rester], partners[rester], gaps[rester], offered, took, gap)
        if not alike(lots, offered, ratio):
            continue
        soon = max(
            _as_usual(gap, soon, weight, parties[taker], gaps[taker], partners[taker], rested),
            _as_usual(gap, soon, weight, parties[rester], gaps[rester], partners[rester], took),
        )
        own[H_ALIKE] += 1
        pair_counts[at] += ONE + 1
        parties[rester, P_ALIKE] += 1
        if own[H_WHOLE] == 0:
            parties[taker, P_ALIKE] += 1
            own[H_WHOLE] = 1
        out[written, R_ROW], out[written, R_RESTED], out[written, R_TOOK] = i, rested, took
        out[written, R_OFFERED], out[written, R_TAKEN] = offered, lots
        out[written, R_SOON] = int(-NATS * math.log(soon))
        written += 1
        if pair_counts[at] >> 32 >= repeated:
            return i + 1, written
    return len(kind), written
