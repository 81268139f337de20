"""The compiled pass of price_spikes: returns over several horizons, each beside its usual size.

A second's price is that of its last trade. Whenever the first trade of another second comes, the
one before it is closed: its returns are held against the usual size, then teach it.
"""

from __future__ import annotations

import math
from typing import Final

from ingest.compiled import kernel
from ingest.events import NULL, Array, Kind, Phase
from ingest.times import SECOND

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "side", "price", "quantity", "phase", "coverage",
    "busts_hi", "busts_lo", "buy_account", "sell_account", "buy_complex", "sell_complex",
    "best_bid", "best_ask",
)  # fmt: skip
HOURS: Final = 24
HORIZONS: Final = 4
KEPT: Final = 64
"""Seconds of which the price is kept, an instrument."""
TRADES: Final = 512
"""Trades kept, to say who traded."""
WINDOWS: Final = 240
"""Largest returns of windows kept, for ranks."""
TAIL: Final = 0.1
"""Share of returns above what is learned: small, so that seconds without a move do not hide it."""
NORMAL: Final = 1.6448536269514722
"""Of a normal variable this many deviations have that share outside them."""

# Own whole numbers of an instrument; SINCE is the second from which prices stand without a gap.
AT, SINCE, LAST, SEEN, N_TRADES, WINDOW, N_WINDOWS, HOUR = range(8)
OWN_FIELDS: Final = 8
# Own fractions: the half spread over the mid, the window's largest z, then scales a horizon.
HALF, LARGEST, SCALE = range(3)
FLOAT_FIELDS: Final = SCALE + HORIZONS
# Of a trade.
T_CLOCK, T_SEQ, T_SIDE, T_PRICE, T_LOTS, T_TAKER, T_GROUP, T_DOUBT, T_BEFORE = range(9)
TRADE_FIELDS: Final = 9
# What is written out: row fields, then z.
O_CODE, O_SECOND, O_HORIZON, O_SIDE, O_RANK, O_RANKED = range(6)
OUT_FIELDS: Final = 6

_NULL: Final = int(NULL)
_TRADE, _CONTINUOUS = int(Kind.TRADE), int(Phase.CONTINUOUS)


@kernel()
def rank(maxima: Array, made: int, largest: float) -> tuple[int, int]:
    """Return how many of the windows kept were at least as large, and how many are kept."""
    held = min(made, WINDOWS)
    above = 0
    for n in range(held):
        if maxima[n] >= largest:
            above += 1
    return above, held


@kernel()
def close_second(  # noqa: PLR0917
    own: Array,
    floats: Array,
    prices: Array,
    hours: Array,
    maxima: Array,
    horizons: Array,
    memory: int,
    warm: int,
    window: int,
) -> tuple[float, int, int]:
    """Close an instrument's second; return its largest z, its horizon's place, and the direction.

    Notes
    -----
    The usual size is a quantile learned by stochastic approximation (Robbins, Monro 1951) on a
    log scale, so that it is one of ratios: |r| above it with probability `TAIL`.
    """  # fmt: skip
    at, price = own[AT], own[LAST]
    best, place, way = 0.0, 0, 0
    hour = at // 3_600 % HOURS
    if own[HOUR] != hour:
        for n in range(HORIZONS):
            hours[own[HOUR], n] = floats[SCALE + n]
        own[HOUR] = hour
    for n in range(HORIZONS):
        back = at - horizons[n]
        if back < own[SINCE]:
            continue
        r = math.log(price / prices[back % KEPT])
        scale = floats[SCALE + n]
        usual = max(scale / NORMAL, hours[hour, n] / NORMAL, floats[HALF])
        if own[SEEN] >= warm and usual > 0 and abs(r) > best * usual:
            best, place, way = abs(r) / usual, n, 1 if r > 0 else -1
        if scale <= 0:
            floats[SCALE + n] = max(abs(r), floats[HALF])
        else:
            step = 10.0 / memory
            floats[SCALE + n] = scale * math.exp(step * ((1.0 if abs(r) > scale else 0.0) - TAIL))
    own[SEEN] += 1
    if own[WINDOW] != at // window:
        if own[WINDOW] and own[SEEN] > warm:
            maxima[own[N_WINDOWS] % WINDOWS] = floats[LARGEST]
            own[N_WINDOWS] += 1
        own[WINDOW], floats[LARGEST] = at // window, 0.0
    floats[LARGEST] = max(floats[LARGEST], best)
    return best, place, way


@kernel()
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    first: int,
    horizons: Array,
    numbers: tuple[int, int, int],
    min_z: float,
    state: Array,
    fractions: Array,
    prices: Array,
    hours: Array,
    maxima: Array,
    trades: Array,
    out: Array,
    size: Array,
) -> tuple[int, bool]:
    """Scan rows from `first` up to one that closes a second with a spike.

    Returns
    -------
    row : int
        That row, not yet taken in, or the number of rows.
    found : bool
        Whether there is a spike: `out` tells where, `size` its z.
    """  # fmt: skip
    (
        kind, instrument, seq, clock, side, price, quantity, phase, coverage, busts_hi, busts_lo,
        buyer, seller, buy_group, sell_group, bid, ask,
    ) = columns  # fmt: skip
    memory, warm, window = numbers
    for i in range(first, len(kind)):
        if (
            kind[i] != _TRADE or side[i] == 0 or phase[i] != _CONTINUOUS or price[i] <= 0
            or busts_hi[i] != 0 or busts_lo[i] != 0
        ):  # fmt: skip
            continue
        x, second = instrument[i], clock[i] // SECOND
        own, floats = state[x], fractions[x]
        if own[AT] and second != own[AT]:
            z, place, way = close_second(
                own, floats, prices[x], hours[x], maxima[x], horizons, memory, warm, window
            )
            closed = own[AT]
            if second - closed >= KEPT:
                own[SINCE] = second
            else:
                for back in range(closed + 1, second + 1):
                    prices[x, back % KEPT] = own[LAST]
            own[AT] = second
            if z >= min_z:
                out[O_CODE], out[O_SECOND], out[O_HORIZON] = x, closed, place
                out[O_SIDE] = way
                out[O_RANK], out[O_RANKED] = rank(maxima[x], own[N_WINDOWS], z)
                size[0] = z
                return i, True
        elif own[AT] == 0:
            own[AT] = own[SINCE] = second
        trade = trades[x, own[N_TRADES] % TRADES]
        bought = side[i] > 0
        trade[T_CLOCK], trade[T_SEQ], trade[T_SIDE] = clock[i], seq[i], side[i]
        trade[T_PRICE], trade[T_LOTS], trade[T_DOUBT] = price[i], quantity[i], coverage[i]
        trade[T_TAKER] = buyer[i] if bought else seller[i]
        trade[T_GROUP] = buy_group[i] if bought else sell_group[i]
        trade[T_BEFORE] = own[LAST] if own[LAST] else price[i]
        own[N_TRADES] += 1
        own[LAST] = price[i]
        prices[x, second % KEPT] = price[i]
        if bid[i] != _NULL and ask[i] != _NULL and ask[i] > bid[i] > 0:
            floats[HALF] = (ask[i] - bid[i]) / (ask[i] + bid[i])
    return len(kind), False
